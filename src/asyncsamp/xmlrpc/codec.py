"""XML-RPC documents to SAMP values and back, without I/O (SAMP 1.3 §4.3; STD-1..7, TOL-1, TOL-2, TOL-13).

What is written is what the pickiest peers can read: an XML declaration, pure ASCII with
character references, only string, array and struct, an end tag for every start tag, no
comment and no blank line (DS9 is deaf to anything else). What is read is far more: every
scalar type of XML-RPC and its common extensions, untyped values, any encoding that XML
parsers know, comments, CDATA and self-closed tags. A document type declaration, and with it
every entity and external reference, is refused.

Characters that XML cannot carry at all (control characters, surrogates, U+FFFE, U+FFFF) are
written as `?`: a hub that relays must not fail on one letter.

No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from xml.parsers import expat

from defusedxml.common import (
    DTDForbidden,
    EntitiesForbidden,
    ExternalReferenceForbidden,
)

from ..errors import LocalProtocolError, RemoteProtocolError
from ..values import MAX_DEPTH, RawMap, Value
from .fast_parser import read_call, read_response, read_value

__all__ = [
    "MAX_PARAMS",
    "MAX_TOKEN",
    "Encoded",
    "Fault",
    "dump_call",
    "dump_fault",
    "dump_response",
    "encode_value",
    "frame_call",
    "load_call",
    "load_response",
    "load_value",
]

MAX_PARAMS = 16
"""How many parameters a call may have. No operation of SAMP has more than five."""

MAX_TOKEN = 1 << 20
"""How many bytes one tag, comment or attribute may have. Expat before 2.6 reads an unfinished
token anew with each chunk, so this bounds the work; text is not a single token and may be longer."""

_CHUNK = 1 << 16
"""How many bytes are parsed, or characters escaped, at once: other threads run every few milliseconds."""

_ENVELOPE = 3
"""How much deeper than `MAX_DEPTH` a response may nest: pullCallbacks answers a list of maps
with a list of parameters around each message (WEB-20)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as a peer sent it (STD-7).

    Attributes:
        code: The faultCode; 0 if it sent none that is a number.
        text: The faultString.
    """

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value in its XML form, made once by `encode_value` and used in many documents.

    Attributes:
        xml: Its `<value>`.
    """

    xml: str = field(repr=False)


# ---------------------------------------------------------------------------------------- writing

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BLANK_LINE = re.compile(r"\n(?=[ \t]*(\n|\Z))")  # a text may go on with the next piece, hence \Z


def dump_call(method: str, params: Sequence[Value | Encoded | RawMap]) -> bytes:
    """Return the document that calls `method`.

    Args:
        method: The name of the method.
        params: Its parameters.

    Raises:
        LocalProtocolError: For what is not a SAMP value, or nests too deep.
    """
    parts = ['<?xml version="1.0"?>\n<methodCall><methodName>', _escape(method), "</methodName><params>"]
    for param in params:
        parts.append("<param>")
        _write(param, parts.append, MAX_DEPTH + _ENVELOPE)
        parts.append("</param>")
    parts.append("</params></methodCall>\n")
    return "".join(parts).encode("ascii")


def dump_response(value: Value | Encoded | RawMap) -> bytes:
    """Return the document that answers a call with `value`; a void operation answers "" (STD-6).

    Args:
        value: The result.

    Raises:
        LocalProtocolError: For what is not a SAMP value, or nests too deep.
    """
    if value == "":
        return _VOID
    if isinstance(value, RawMap):
        return b"%b%b%b" % (_ANSWERED, value.xml, _ANSWER_END)
    parts = ['<?xml version="1.0"?>\n<methodResponse><params><param>']
    _write(value, parts.append, MAX_DEPTH + _ENVELOPE)
    parts.append("</param></params></methodResponse>\n")
    return "".join(parts).encode("ascii")


_ANSWERED = b'<?xml version="1.0"?>\n<methodResponse><params><param>'
_ANSWER_END = b"</param></params></methodResponse>\n"
_VOID = _ANSWERED + b"<value><string></string></value>" + _ANSWER_END


def frame_call(method: str, params: Sequence[str]) -> tuple[bytes, bytes]:
    """Return what stands before and behind the last parameter of a call.

    So a large one is written as it is, and one that goes to many is kept once.

    Args:
        method: The name of the method.
        params: The parameters before the last one.
    """
    strings = "".join([f"<param><value><string>{_escape(text)}</string></value></param>" for text in params])
    name = _escape(method)
    head = f'<?xml version="1.0"?>\n<methodCall><methodName>{name}</methodName><params>{strings}<param>'
    return head.encode("ascii"), b"</param></params></methodCall>\n"


def dump_fault(code: int, text: str) -> bytes:
    """Return the document that refuses a call (STD-7).

    The code goes as `<int>`: JSAMP and samp.js take nothing else (TOL-13).

    Args:
        code: The faultCode.
        text: The faultString.
    """
    return (
        '<?xml version="1.0"?>\n<methodResponse><fault><value><struct>'
        f"<member><name>faultCode</name><value><int>{int(code)}</int></value></member>"
        f"<member><name>faultString</name><value><string>{_escape(text)}</string></value></member>"
        "</struct></value></fault></methodResponse>\n"
    ).encode("ascii")


def encode_value(value: Value) -> Encoded:
    """Return `value` encoded once, to stand in any number of documents.

    Args:
        value: The value.

    Raises:
        LocalProtocolError: For what is not a SAMP value, or nests too deep.
    """
    parts: list[str] = []
    _write(value, parts.append, MAX_DEPTH + _ENVELOPE)
    return Encoded("".join(parts))


def _write(value: Value | Encoded | RawMap, put: Callable[[str], None], depth: int) -> None:
    if isinstance(value, str):
        put(f"<value><string>{_escape(value)}</string></value>")
    elif isinstance(value, Encoded):
        put(value.xml)
    elif isinstance(value, RawMap):
        put(value.xml.decode("ascii"))
    elif depth == 0:
        raise LocalProtocolError(f"a value is nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        put("<value><struct>")
        for key, item in value.items():
            if type(item) is str:  # here, not by a call: most are, and it takes a third less time
                put(
                    f"<member><name>{_escape(key)}</name><value><string>{_escape(item)}</string></value></member>"
                )
                continue
            put(f"<member><name>{_escape(key)}</name>")
            _write(item, put, depth - 1)
            put("</member>")
        put("</struct></value>")
    elif isinstance(value, list):
        put("<value><array><data>")
        for item in value:
            if type(item) is str:
                put(f"<value><string>{_escape(item)}</string></value>")
            else:
                _write(item, put, depth - 1)
        put("</data></array></value>")
    else:
        raise LocalProtocolError(
            f"{type(value).__name__} is not a SAMP type; encode it with asyncsamp.values.encode"
        )


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable() and "&" not in text and "<" not in text and ">" not in text:
        return text
    if len(text) > _CHUNK:
        return "".join([_escape(text[at : at + _CHUNK]) for at in range(0, len(text), _CHUNK)])
    text = _ILLEGAL.sub("?", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A parser takes a bare CR for LF (DATA-5); DS9 takes a blank line anywhere for the end of the head.
    text = _BLANK_LINE.sub("&#10;", text.replace("\r", "&#13;"))
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


# ---------------------------------------------------------------------------------------- reading

_State: TypeAlias = "dict[str, tuple[_State, _State]]"
# The grammar of XML-RPC as a pushdown automaton. A state maps the elements that may come
# next to the state inside that element and the state after it.
_LEAF: _State = {}
_END: _State = {}
_VALUE: _State = {}
_TYPED: _State = {}
_DATA: _State = {}
_DATA["value"] = (_VALUE, _DATA)
_NAMED: _State = {"value": (_VALUE, _END)}
_MEMBER: _State = {"name": (_LEAF, _NAMED)}
_STRUCT: _State = {}
_STRUCT["member"] = (_MEMBER, _STRUCT)
_VALUE["array"] = ({"data": (_DATA, _END)}, _TYPED)
_VALUE["struct"] = (_STRUCT, _TYPED)
_PARAM: _State = {"value": (_VALUE, _END)}
_PARAMS: _State = {}
_PARAMS["param"] = (_PARAM, _PARAMS)
_CALL: _State = {"methodName": (_LEAF, {"params": (_PARAMS, _END)})}
_FAULT: _State = {"value": (_VALUE, _END)}
_RESPONSE: _State = {"params": (_PARAMS, _END), "fault": (_FAULT, _END)}
_INCOMPLETE = {
    id(_MEMBER): "has no <name>",
    id(_NAMED): "has no <value>",
    id(_PARAM): "has no <value>",
    id(_FAULT): "has no <value>",
    id(_CALL): "has no <methodName>",
}

_INT = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE
)
_BOOLEAN = re.compile("[01]|true|false", re.IGNORECASE)
_NOTHING = re.compile("")
_ANYTHING = re.compile(".*", re.DOTALL)
# The scalars beside string, each with what its stripped text must look like. That text is
# taken as it stands, as a SAMP string (TOL-1).
_SCALARS: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(("int", "i1", "i2", "i4", "i8", "biginteger"), _INT),
    **dict.fromkeys(("double", "float", "bigdecimal"), _REAL),
    **dict.fromkeys(("dateTime.iso8601", "dateTime", "base64"), _ANYTHING),
    "boolean": _BOOLEAN,
    "nil": _NOTHING,
}
_VALUE.update(dict.fromkeys(("string", *_SCALARS), (_LEAF, _TYPED)))

_SPACE = b" \t\r\n"
# UTF-8 under names that expat cannot read as such: utf8, and UTF-16 written by programs that
# made the declaration before they chose the bytes.
_UTF8_IN_DISGUISE = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["'](utf_?8|utf-?16)["']""", re.IGNORECASE)
# No codec but these is looked up: UTF-7 and the like could hide markup from those who scan for it.
_ENCODING = re.compile(
    r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso[-_]?8859-[0-9]+|latin-?[0-9]+"
    r"|(windows-|cp)[0-9]+|koi8-[ru]|macintosh",
    re.IGNORECASE,
)


class _RefusalError(Exception):
    """What a handler found wrong; `_parse` adds the place."""


def load_call(data: bytes) -> tuple[str, list[Value]]:
    """Return the name of the method that `data` calls, and the parameters.

    Args:
        data: The document.

    Raises:
        RemoteProtocolError: And nothing else, for whatever is not a call of XML-RPC.
    """
    if (plain := read_call(data)) is not None and len(plain[1]) <= MAX_PARAMS:
        return plain
    method, *params = _parse(data, {"methodCall": (_CALL, _END)}, MAX_DEPTH)
    if len(params) > MAX_PARAMS:
        raise RemoteProtocolError(f"a call with {len(params)} parameters; no more than {MAX_PARAMS} are read")
    if not method.strip():
        raise RemoteProtocolError("a call with an empty methodName")
    return method.strip(), params


def load_response(data: bytes) -> Value | Fault:
    """Return the value, or the fault, that `data` answers with; "" if it holds no value at all.

    Args:
        data: The document.

    Raises:
        RemoteProtocolError: And nothing else, for whatever is not a response of XML-RPC.
    """
    plain = read_response(data)
    if plain is not None:
        return plain
    values = _parse(data, {"methodResponse": (_RESPONSE, _END)}, MAX_DEPTH + _ENVELOPE)
    if len(values) > 1:
        raise RemoteProtocolError(f"a response with {len(values)} values; one was expected")
    result: Value | Fault = values[0] if values else ""
    return result


def load_value(data: bytes) -> Value:
    """Return what a single `<value>` holds.

    Args:
        data: The document.

    Raises:
        RemoteProtocolError: And nothing else, for whatever is not one.
    """
    plain = read_value(data)
    if plain is not None:
        return plain
    (value,) = _parse(data, {"value": (_VALUE, _END)}, MAX_DEPTH)
    loaded: Value = value
    return loaded


def _fault(value: Value) -> Fault:
    fields = value if isinstance(value, dict) else {"faultString": value}
    code, text = fields.get("faultCode"), fields.get("faultString") or "no reason given"
    # Ten digits hold every code of XML-RPC's 32 bits.
    number = code.strip()[:11] if isinstance(code, str) else ""
    return Fault(int(number) if _INT.fullmatch(number) else 0, text if isinstance(text, str) else str(text))


def _scalar(tag: str, text: str) -> str:
    if not _SCALARS[tag].fullmatch(text):
        raise _RefusalError(f"<{tag}> with a text that is not a valid {tag}")
    if tag == "boolean":
        return "1" if text.lower() in ("1", "true") else "0"
    return text


class _Reader:
    """Expat's handlers. Values gather on one flat stack; an array or a struct takes those above its mark.

    Bare expat, since it refuses at the first wrong element and keeps no tree. Against
    defusedxml.ElementTree, which has only the tree by then, it takes 0.8 of the time for a
    notification of eight strings and 0.6 for a list of 100,000; two thirds of that is expat calling
    handlers that do nothing.
    """

    __slots__ = ("after", "depth", "marks", "stack", "state", "text")

    def __init__(self, root: _State, depth: int) -> None:
        self.state = root
        self.after: list[_State] = []
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.text: list[str] = []
        self.depth = depth

    def start(self, tag: str, attributes: object) -> None:
        if self.text:
            self.blank()
        try:
            self.state, after = self.state[tag]
        except KeyError:
            self.state, after = self.extension(tag)
        self.after.append(after)
        if tag == "struct" or tag == "array":
            self.marks.append(len(self.stack))
            if len(self.marks) > self.depth:
                raise _RefusalError(f"values nested deeper than {self.depth} levels")

    def end(self, tag: str) -> None:
        if tag == "string" or tag == "name" or tag == "methodName":
            self.stack.append("".join(self.text))
            self.text.clear()
        elif tag == "value":
            if self.state is _VALUE:
                self.stack.append("".join(self.text))
                self.text.clear()
        elif tag != "member" or self.state is not _END:
            self.end_other(tag)
        if self.text:
            self.blank()
        self.state = self.after.pop()

    def end_other(self, tag: str) -> None:
        if tag == "struct":
            mark = self.marks.pop()
            names_and_values = self.stack[mark:]
            self.stack[mark:] = [dict(zip(names_and_values[::2], names_and_values[1::2], strict=True))]
        elif tag == "array":
            mark = self.marks.pop()
            self.stack[mark:] = [self.stack[mark:]]
        elif self.state is _LEAF:
            self.stack.append(_scalar(tag.rpartition(":")[2], "".join(self.text).strip()))
            self.text.clear()
        elif id(self.state) in _INCOMPLETE:
            raise _RefusalError(f"<{tag}> {_INCOMPLETE[id(self.state)]}")
        elif tag == "fault":
            self.stack.append(_fault(self.stack.pop()))

    def blank(self) -> None:
        """Drop white space between tags, and refuse any other text."""
        text = "".join(self.text)
        self.text.clear()
        if not text.isspace():
            # Without the text itself: it may be a key that lost its tags.
            raise _RefusalError("text where only elements were expected")

    def extension(self, tag: str) -> tuple[_State, _State]:
        """Take the scalar types of other namespaces, such as ex:nil and ex:i8."""
        prefix, _, name = tag.rpartition(":")
        if prefix and self.state is _VALUE and name in _SCALARS:
            return _LEAF, _TYPED
        expected = " or ".join(f"<{name}>" for name in self.state if name not in _SCALARS)
        raise _RefusalError(f"<{tag[:40]}> where {expected or 'no element'} was expected")


# All are ValueErrors. Their own texts may repeat a megabyte of the peer's.
_FORBIDDEN: dict[type[Exception], str] = {
    DTDForbidden: "a document type declaration is forbidden",
    EntitiesForbidden: "an entity declaration is forbidden",
    ExternalReferenceForbidden: "an external reference is forbidden",
}


def _declared(version: str, encoding: str | None, standalone: int) -> None:
    if encoding and not _ENCODING.fullmatch(encoding):
        raise _RefusalError(f"the encoding {encoding[:40]!r} is not supported; UTF-8 always is")


def _forbid_dtd(name: str, system: str | None, public: str | None, subset: int) -> None:
    raise DTDForbidden(name, system, public)


def _forbid_entity(name: str, *declaration: object) -> None:
    raise EntitiesForbidden(name, None, None, None, None, None)


def _forbid_external(context: str, base: str | None, system: str | None, public: str | None) -> int:
    raise ExternalReferenceForbidden(context, base, system, public)


def _parse(data: bytes, root: _State, depth: int) -> list[Any]:
    if not data.startswith(b"<"):
        data = data.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
        if not data:
            raise RemoteProtocolError("an empty body where an XML-RPC document was expected")
    reader = _Reader(root, depth)
    parser = expat.ParserCreate("utf-8" if _UTF8_IN_DISGUISE.match(data) else None)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text.append
    parser.XmlDeclHandler = _declared
    parser.StartDoctypeDeclHandler = _forbid_dtd
    # Nothing below is reached as long as document types are refused.
    parser.EntityDeclHandler = _forbid_entity
    parser.UnparsedEntityDeclHandler = _forbid_entity
    parser.ExternalEntityRefHandler = _forbid_external
    try:
        if len(data) <= _CHUNK:
            parser.Parse(data, True)
        else:
            _feed(parser, data)
    except expat.ExpatError as error:
        if reader.after or reader.state is not _END or data[parser.ErrorByteIndex :].strip(b"\0" + _SPACE):
            raise RemoteProtocolError(f"cannot read this XML-RPC: malformed XML: {error}") from None
    except (_RefusalError, ValueError, LookupError) as error:
        reason = _FORBIDDEN.get(type(error)) or str(error)
        place = f"line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber}"
        raise RemoteProtocolError(f"cannot read this XML-RPC: {reason}: {place}") from None
    return reader.stack


def _feed(parser: expat.XMLParserType, data: bytes) -> None:
    for position in range(0, len(data), _CHUNK):
        parser.Parse(data[position : position + _CHUNK], False)
        if position - parser.CurrentByteIndex > MAX_TOKEN:
            raise _RefusalError(f"a tag or comment of more than {MAX_TOKEN} bytes")
    parser.Parse(b"", True)
