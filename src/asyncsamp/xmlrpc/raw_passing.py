"""The short way through a hub: what it only relays is checked, not decoded, and goes on in its own bytes.

A message passes raw if it is written as the codec itself writes: pure ASCII, every text in `<string>`, plain
tags with white space between them at most, of entities only those that the codec writes, no blank line, and
no key twice in a map. Then each recipient may be given the bytes of its `<value>`, whatever it can read.
What is different is not judged here: `read_relayed` returns None, and the codec reads it and says what
is wrong.

The marks of the whole document, `<` and `>`, are looked at once: they must alternate, with nothing
but plain letters around them. So a text ends at the next `<`, which is found at the speed of memory, and no
more is done to a text than to find its end: a megabyte takes 0.5 ms, where reading and writing it take 4.

No I/O.
"""

from __future__ import annotations

import re

from ..values import MAX_DEPTH, RawMap, Value
from .codec import MAX_PARAMS, load_value

__all__ = ["read_message", "read_relayed"]

_PIECE = 1 << 16
"""Bytes that are looked at in one go: other threads run between two of them, and the memory is used again."""

_SHORT = 256
"""Bytes of a text that an expression looks through. The end of a longer one is found faster by itself."""

_MANY = 4096
"""Bytes from which on a list is long."""

_SAID = bytes([9, 10, *(code for code in range(0x20, 0x7F) if chr(code) not in "<>&")])
"""What may stand in a text as itself. The rest of what a document holds are its marks."""

_ENTITIES = (b"&amp;", b"&lt;", b"&gt;", b"&#13;", b"&#10;")
"""Those that the codec writes for ASCII characters."""

_S = rb"[ \t\n]*+"
_ENCODING = rb""" encoding=(?:"UTF-8"|'UTF-8'|"utf-8"|'utf-8')"""
_DECLARED = rb"""<\?xml version=(?:"1\.0"|'1\.0')(?:""" + _ENCODING + rb")?" + _S + rb"\?>"
_CALL = re.compile(
    rb"(?:" + _DECLARED + rb")?" + _S + rb"<methodCall>" + _S + rb"<methodName>" + _S
    + rb"(samp\.hub\.(?:notify|call|notifyAll|callAll|callAndWait|(reply)))" + _S + rb"</methodName>" + _S
    + rb"<params>" + _S
)  # fmt: skip
_CALL_END = re.compile(rb"</params>" + _S + rb"</methodCall>" + _S)
_PARAM = re.compile(
    rb"<param>" + _S + rb"(?:<value>(?:" + _S + rb"<string>([^<]*+)</string>" + _S + rb"|([^<]*+))</value>"
    + _S + rb"</param>" + _S + rb")?"
)  # fmt: skip
_PARAM_END = re.compile(_S + rb"</param>" + _S)
_STRING = rb"<value>" + _S + rb"<string>[^<]{0,%d}+</string>" % _SHORT + _S + rb"</value>" + _S
_MEMBER = re.compile(
    rb"<member>" + _S + rb"<name>([^<&]*+)</name>" + _S + rb"(?:" + _STRING + rb"(</member>)" + _S + rb")?"
)
_NAME_END = re.compile(rb"</name>" + _S)
_MEMBER_END = re.compile(rb"</member>" + _S)
_STRUCT = re.compile(rb"<value>" + _S + rb"<struct>" + _S)
_STRUCT_END = re.compile(rb"</struct>" + _S + rb"</value>" + _S)
_ARRAY = re.compile(rb"<value>" + _S + rb"<array>" + _S + rb"<data>" + _S)
_ARRAY_END = re.compile(rb"</data>" + _S + rb"</array>" + _S + rb"</value>" + _S)
_TEXT = re.compile(rb"<value>" + _S + rb"<string>")
_TEXT_END = re.compile(rb"</string>" + _S + rb"</value>" + _S)
_ITEM = re.compile(_STRING)
_SAID_MTYPE = re.compile(rb"<value>" + _S + rb"<string>([^<&]*+)</string>")
_BLANK_LINE = re.compile(rb"\n[ \t]*+\n")


_FLAT = rb"<member>" + _S + rb"<name>[^<&]*+</name>" + _S + _STRING + rb"</member>" + _S
_USUAL = re.compile(
    rb"<value>" + _S + rb"<struct>" + _S + rb"<member>" + _S + rb"<name>samp\.mtype</name>" + _S
    + rb"<value>" + _S + rb"<string>([^<&]++)</string>" + _S + rb"</value>" + _S + rb"</member>" + _S
    + rb"<member>" + _S + rb"<name>samp\.params</name>" + _S + rb"<value>" + _S + rb"<struct>" + _S
    + rb"((?:" + _FLAT + rb"){0,50})</struct>" + _S + rb"</value>" + _S + rb"</member>" + _S
    + rb"</struct>" + _S + rb"</value>"
)  # fmt: skip
"""What most messages are, in one go: an mtype, and parameters that are short texts."""
_NAMES = re.compile(rb"<name>([^<]*+)")


class _NotPlainError(Exception):
    """There is something that the codec has to judge."""


def read_relayed(data: bytes) -> tuple[str, list[Value | RawMap]] | None:
    """Return the method and the parameters of a call that sends a message or a reply; its map as it came.

    None if the call does something else, or the message cannot pass as it is, or is not one.

    Args:
        data: The document.
    """
    begun = _CALL.match(data)
    if begun is None or not _is_plain(data, begun.start(1)):
        return None
    at = begun.end()
    params: list[Value | RawMap] = []
    try:
        while match := _PARAM.match(data, at):
            at = match.end()
            if match.lastindex:
                text = match[match.lastindex]
                if b"&" in text or len(params) == MAX_PARAMS:
                    return None
                params.append(text.decode("ascii"))
            else:
                end, mtype = _past_content(data, at, is_reply=bool(begun[2]))
                params.append(RawMap(_cut(data, at, end), mtype, load_value))
                at = _past(_PARAM_END, data, end)
        whole = _past(_CALL_END, data, at) == len(data)
    except _NotPlainError:
        return None
    return (begun[1].decode("ascii"), params) if whole else None


def read_message(data: bytes) -> RawMap | None:
    """Return the message whose `<value>` is `data`, as it came; None if it cannot pass so, or is not one.

    Args:
        data: What another hub has passed on.
    """
    if not _is_plain(data, 0):
        return None
    try:
        end, mtype = _past_content(data, 0, is_reply=False)
        return RawMap(_cut(data, 0, end), mtype, load_value) if end == len(data) else None
    except (_NotPlainError, ValueError):
        return None


def _is_plain(data: bytes, since: int) -> bool:
    """Whether the marks alternate, from the name of the method on, and nothing unusual stands between."""
    if len(data) <= _PIECE:
        marks = data[since:].translate(None, _SAID)
    else:
        pieces = (data[at : at + _PIECE] for at in range(since, len(data), _PIECE))
        marks = b"".join([piece.translate(None, _SAID) for piece in pieces])
    if b"&" in marks:
        if sum(data.count(entity, since) for entity in _ENTITIES) != marks.count(b"&"):
            return False
        marks = marks.replace(b"&", b"")
    return len(marks) % 2 == 0 and marks == b"<>" * (len(marks) // 2)


def _cut(data: bytes, at: int, end: int) -> bytes:
    """Return the value that stands there. Raises if it has a blank line: DS9 takes one for the head's end."""
    xml = data[at:end]
    if b"\n" in xml and _BLANK_LINE.search(xml):
        raise _NotPlainError
    return xml


def _past_content(data: bytes, at: int, *, is_reply: bool) -> tuple[int, str]:
    """Return where the map at `at` ends, and its mtype. A message without samp.params is not plain."""
    usual = None if is_reply else _USUAL.match(data, at)
    if usual is not None:
        names = _NAMES.findall(usual[2])
        if len(names) > 1 and len(set(names)) != len(names):
            raise _NotPlainError
        return usual.end(), usual[1].decode("ascii")
    return _past_other_content(data, at, is_reply=is_reply)


def _past_other_content(data: bytes, at: int, *, is_reply: bool) -> tuple[int, str]:
    at = _past(_STRUCT, data, at)
    names: list[bytes] = []
    mtype = b""
    has_params = is_reply
    while match := _MEMBER.match(data, at):
        name = match[1]
        names.append(name)
        value = _start_of_value(data, match) if name in (b"samp.mtype", b"samp.params") else 0
        if name == b"samp.mtype":
            said = _SAID_MTYPE.match(data, value)
            mtype = said[1] if said is not None else b""
        elif name == b"samp.params":
            has_params = has_params or _STRUCT.match(data, value) is not None
        at = match.end() if match[2] else _past_rest(data, match.end(), MAX_DEPTH - 1)
    if len(set(names)) != len(names) or not has_params or not (mtype or is_reply):
        raise _NotPlainError
    at = _past(_STRUCT_END, data, at)
    return _without_space(data, at), mtype.decode("ascii")


def _start_of_value(data: bytes, member: re.Match[bytes]) -> int:
    return _past(_NAME_END, data, member.end(1))


def _without_space(data: bytes, at: int) -> int:
    """Return where the tag ends behind which `at` stands."""
    return data.rindex(b">", 0, at) + 1


def _past_rest(data: bytes, at: int, depth: int) -> int:
    """Return where a member ends whose value begins at `at`."""
    return _past(_MEMBER_END, data, _past_value(data, at, depth))


def _past_value(data: bytes, at: int, depth: int) -> int:
    """Return where the value that begins at `at` ends. `depth` levels may still come."""
    match = _TEXT.match(data, at)
    if match is not None:
        return _past(_TEXT_END, data, data.find(b"<", match.end()))
    if depth == 0:
        raise _NotPlainError
    match = _STRUCT.match(data, at)
    if match is None:
        return _past_items(data, _past(_ARRAY, data, at), depth)
    at = match.end()
    names: list[bytes] = []
    while match := _MEMBER.match(data, at):
        names.append(match[1])
        at = match.end() if match[2] else _past_rest(data, match.end(), depth - 1)
    if len(set(names)) != len(names):
        raise _NotPlainError
    return _past(_STRUCT_END, data, at)


def _past_items(data: bytes, at: int, depth: int) -> int:
    """Return where the list ends whose first item begins at `at`."""
    runs_from = at if data.find(b"</data>", at, at + _MANY) < 0 else len(data)
    while not data.startswith(b"</data>", at):
        if at >= runs_from:
            runs_from = at + _PIECE  # not at each item, if they are not alike
            at = _past_run(data, at)
        match = _ITEM.match(data, at)
        at = match.end() if match else _past_value(data, at, depth - 1)
    return _past(_ARRAY_END, data, at)


def _past_run(data: bytes, at: int) -> int:
    """Return where the last of many texts begins that stand in a list one after the other.

    What stands between the first two stands between all, as programs write them. If each `<` of
    the run belongs to one of these, there is nothing else in it.
    """
    first = _ITEM.match(data, at)
    second = first and _ITEM.match(data, first.end())
    if not first or not second:
        return at
    begin = _end_of_tag(data, first.start())
    between = data[data.index(b"<", begin) : _end_of_tag(data, second.start())]
    limit = begin + _PIECE
    end_of_list = data.find(b"</data>", begin, limit)
    end = data.rfind(between, begin, limit if end_of_list < 0 else end_of_list)
    if end < 0 or data.count(b"<", begin, end) != 4 * data.count(between, begin, end):
        return at
    return end + between.index(b"<value>")


def _end_of_tag(data: bytes, at: int) -> int:
    """Return where the text begins of the string that begins at `at`."""
    return data.index(b"<string>", at) + len(b"<string>")


def _past(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    if match is None:
        raise _NotPlainError
    return match.end()
