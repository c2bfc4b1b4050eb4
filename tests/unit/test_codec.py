"""The XML-RPC codec: what it writes, what it reads, what it refuses (STD-1..7, TOL-1, TOL-2, TOL-13)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncsamp.errors import LocalProtocolError, RemoteProtocolError
from asyncsamp.values import MAX_DEPTH, Value
from asyncsamp.xmlrpc import (
    MAX_PARAMS,
    MAX_TOKEN,
    Encoded,
    Fault,
    codec,
    dump_call,
    dump_fault,
    dump_response,
    encode_value,
    load_call,
    load_response,
)

from ..effort import examples

quick = settings(max_examples=examples(100), deadline=None)

# What XML 1.0 can carry; SAMP itself allows far less (DATA-2), but peers send more (DATA-6).
_LEGAL = st.characters(
    exclude_categories=["Cs"],
    exclude_characters=[chr(code) for code in range(32) if chr(code) not in "\t\n\r"] + ["\ufffe", "\uffff"],
)
texts = st.text(st.one_of(st.sampled_from(" \t\n\r<>&\"']\x7f"), _LEGAL), max_size=30)
values: st.SearchStrategy[Value] = st.recursive(
    texts,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)

NOTIFY = (
    b'<?xml version="1.0"?>\n<methodCall><methodName>samp.hub.notify</methodName>\n<params>\n'
    b"<param><value><string>key</string></value></param>\n<param><value>c2</value></param>\n"
    b"<param><value><struct>\n <member><name>samp.mtype</name><value><string>a.b</string></value></member>\n"
    b" <member><name>samp.params</name><value><struct>\n"
    b"  <member><name>list</name><value><array><data>"
    b"<value><i4>1</i4></value><value/></data></array></value></member>\n"
    b"  <member><name>text</name><value><string>&#233;&amp;</string></value></member>\n"
    b" </struct></value></member>\n</struct></value></param>\n</params></methodCall>\n"
)
NOTIFIED: Value = {"samp.mtype": "a.b", "samp.params": {"list": ["1", ""], "text": "é&"}}


WRITTEN_TAGS = set(
    b"methodCall methodName methodResponse params param value string array data struct member name".split()
)


def call_with(value_xml: str) -> bytes:
    """A call with one parameter, whose <value> holds `value_xml`."""
    return (
        f"<methodCall><methodName>m</methodName><params><param><value>{value_xml}</value></param>"
        "</params></methodCall>"
    ).encode()


def read(value_xml: str) -> Value:
    """The one parameter of `call_with`."""
    return load_call(call_with(value_xml))[1][0]


def refusal(load: Callable[[bytes], object], data: bytes) -> str:
    """The text of the error with which `load` refuses `data`."""
    with pytest.raises(RemoteProtocolError) as caught:
        load(data)
    assert type(caught.value) is RemoteProtocolError
    return str(caught.value)


def nested(levels: int) -> Value:
    value: Value = "in"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


# ---------------------------------------------------------------------------------------- writing


def test_a_call_is_laid_out_as_the_pickiest_peer_reads_it() -> None:
    assert dump_call("samp.hub.call", ["key", {"a": ["1", ""], "": {}}]) == (
        b'<?xml version="1.0"?>\n<methodCall><methodName>samp.hub.call</methodName><params>'
        b"<param><value><string>key</string></value></param>"
        b"<param><value><struct>"
        b"<member><name>a</name><value><array><data><value><string>1</string></value>"
        b"<value><string></string></value></data></array></value></member>"
        b"<member><name></name><value><struct></struct></value></member>"
        b"</struct></value></param>"
        b"</params></methodCall>\n"
    )


def test_a_call_without_parameters_still_has_params() -> None:
    assert dump_call("samp.hub.ping", []).endswith(b"</methodName><params></params></methodCall>\n")


def test_a_response_has_exactly_one_param() -> None:
    assert dump_response("") == (
        b'<?xml version="1.0"?>\n<methodResponse><params><param><value><string></string></value></param>'
        b"</params></methodResponse>\n"
    )


def test_a_fault_has_an_int_and_a_string() -> None:
    assert dump_fault(1303, "no <such> thing") == (
        b'<?xml version="1.0"?>\n<methodResponse><fault><value><struct>'
        b"<member><name>faultCode</name><value><int>1303</int></value></member>"
        b"<member><name>faultString</name><value><string>no &lt;such&gt; thing</string></value></member>"
        b"</struct></value></fault></methodResponse>\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain text", "plain text"),
        ("a & b < c > d \" '", "a &amp; b &lt; c &gt; d \" '"),
        ("]]>", "]]&gt;"),
        ("&amp;", "&amp;amp;"),
        ("tab\tstays", "tab\tstays"),
        ("two\nlines", "two\nlines"),
        ("cr\rlf\r\nend", "cr&#13;lf&#13;\nend"),
        ("blank\n\nline", "blank&#10;\nline"),
        ("blank\n \t\n\nlines\n\n", "blank&#10; \t&#10;\nlines&#10;&#10;"),
        ("\n\r\n", "\n&#13;&#10;"),
        ("end\n \t", "end&#10; \t"),
        ("é\u2028\U0001f52d", "&#233;&#8232;&#128301;"),
        ("\x7f\x85", "\x7f&#133;"),
        ("bell\x07 nul\x00 \ud800 \ufffe\uffff", "bell? nul? ? ??"),
    ],
)
def test_text_is_written_as(text: str, written: str) -> None:
    assert encode_value(text).xml == f"<value><string>{written}</string></value>"
    assert encode_value({text: ""}).xml == (
        f"<value><struct><member><name>{written}</name><value><string></string></value></member></struct></value>"
    )


def test_an_encoded_value_stands_for_the_value_in_any_document() -> None:
    message: Value = {"samp.mtype": "a.b", "samp.params": {"x": "é"}}
    encoded = encode_value(message)
    assert dump_call("m", ["k", encoded]) == dump_call("m", ["k", message])
    assert dump_response(encoded) == dump_response(message)
    assert encoded == Encoded(encoded.xml)
    assert "samp" not in repr(encoded)


def test_only_samp_values_are_written() -> None:
    wrong: Any = [1]
    with pytest.raises(LocalProtocolError) as caught:
        dump_call("m", [wrong])
    assert str(caught.value) == "int is not a SAMP type; encode it with asyncsamp.values.encode"


def test_a_cycle_is_refused_when_written() -> None:
    cycle: list[Value] = []
    cycle.append(cycle)
    with pytest.raises(LocalProtocolError, match="a value is nested deeper than 64 levels"):
        dump_response(cycle)


# ------------------------------------------------------------------------------- there and back


@quick
@given(st.lists(values, max_size=4))
@example([{"": ""}, [], {}, "", " \t ", "\r\r\n\n", "<&>]]>"])
def test_every_value_survives_the_round_trip(params: list[Value]) -> None:
    assert load_call(dump_call("samp.hub.notify", params)) == ("samp.hub.notify", params)


@quick
@given(values)
def test_every_value_survives_as_a_response(value: Value) -> None:
    assert load_response(dump_response(value)) == value
    assert load_response(dump_response(encode_value(value))) == value


@quick
@given(st.integers(-(2**31), 2**31 - 1), texts.filter(bool))
def test_every_fault_survives(code: int, text: str) -> None:
    assert load_response(dump_fault(code, text)) == Fault(code, text)


@quick
@given(values)
def test_whatever_is_written_suits_ds9(value: Value) -> None:
    for document in (dump_call("m", [value, encode_value(value)]), dump_response(value)):
        assert document.startswith(b'<?xml version="1.0"?>\n<')
        assert document.isascii()
        assert b"\r" not in document
        assert not re.search(rb"\n[ \t]*\n", document), "DS9 takes a blank line for the end of the head"
        assert not re.search(rb"<[^?][^>]*/>|<!|<\?(?!xml version)", document)
        assert set(re.findall(rb"<([a-zA-Z]\w*)", document)) <= WRITTEN_TAGS


@quick
@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_text_is_written_can_be_read(key: str, text: str) -> None:
    sanitised = load_response(dump_response({key: text}))
    assert sanitised == {illegal.sub("?", key): illegal.sub("?", text)}


illegal = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def test_ten_megabytes_of_text_survive() -> None:
    text = "é<&\r\n\n " * 200_000
    assert load_response(dump_response(text)) == text


@pytest.mark.parametrize("length", range(-3, 4))
def test_long_text_is_escaped_in_pieces_without_a_blank_line_at_a_seam(length: int) -> None:
    text = "é" * (codec._CHUNK + length) + "\n \n\n\t\r\n\n" + "x" * 70_000
    document = dump_response(text)
    assert not re.search(rb"\n[ \t]*\n", document)
    assert load_response(document) == text


def test_a_long_list_survives() -> None:
    rows: Value = [str(row) for row in range(30_000)]
    assert load_call(dump_call("m", [rows])) == ("m", [rows])


def test_text_that_expat_hands_over_in_pieces_is_put_together() -> None:
    text = "&amp;".join(["x" * 5000] * 20) + "<![CDATA[<y>]]>" + "<!-- not this -->z<?nor this?>"
    assert read(f"<string>{text}</string>") == "&".join(["x" * 5000] * 20) + "<y>z"


# ---------------------------------------------------------------------------------------- reading


def test_a_document_with_white_space_between_its_tags() -> None:
    assert load_call(NOTIFY) == ("samp.hub.notify", ["key", "c2", NOTIFIED])


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        # STD-2: no type element
        ("text", "text"),
        ("  blanks kept ", "  blanks kept "),
        ("", ""),
        ("<string> \n\t</string>", " \n\t"),
        ("<string/>", ""),
        (" <string>x</string> ", "x"),
        # TOL-1: scalars
        ("<int>5</int>", "5"),
        ("<i4> -17 </i4>", "-17"),
        ("<i8>+9223372036854775807</i8>", "+9223372036854775807"),
        ("<ex:i8>1</ex:i8>", "1"),
        ("<ex:biginteger>123456789012345678901</ex:biginteger>", "123456789012345678901"),
        ("<boolean>1</boolean>", "1"),
        ("<boolean>0</boolean>", "0"),
        ("<boolean>True</boolean>", "1"),
        ("<boolean>false</boolean>", "0"),
        ("<double>1.50</double>", "1.50"),
        ("<double>-1e-7</double>", "-1e-7"),
        ("<double>NaN</double>", "NaN"),
        ("<nil/>", ""),
        ("<ex:nil></ex:nil>", ""),
        ("<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>", "19980717T14:08:55"),
        ("<base64>\neW91\nIGNh\n</base64>", "eW91\nIGNh"),
        # TOL-2: layout
        ("<array><data/></array>", []),
        ("<array/>", []),
        ("<array>\n<data>\n<value/>\n</data>\n</array>", [""]),
        ("<struct/>", {}),
        ("<struct><member><name/><value/></member></struct>", {"": ""}),
        ("<struct><member><name> k </name> <value>v</value></member></struct>", {" k ": "v"}),
        (f"<struct>{'<member><name>k</name><value>1</value></member>' * 2}</struct>", {"k": "1"}),
        ("<!-- c --><string>a<!-- c -->b</string><?pi?>", "ab"),
        ("<string><![CDATA[<a>&amp;]]></string>", "<a>&amp;"),
        ("<string>&lt;&#x41;&#66;&quot;</string>", '<AB"'),
        ("<string xml:space='preserve'>a</string>", "a"),
        ("<string>one\r\ntwo\rthree&#13;</string>", "one\ntwo\nthree\r"),
    ],
)
def test_a_value_reads_as(xml: str, value: Value) -> None:
    assert read(xml) == value


@pytest.mark.parametrize("params", ["", "<params/>", "\n<params> </params>"])
def test_a_call_without_parameters(params: str) -> None:
    text = f"<methodCall><methodName> m\n</methodName>{params}</methodCall>"
    assert load_call(text.encode()) == ("m", [])


@pytest.mark.parametrize(
    "inside", ["", "<params/>", "<params></params>", "<params><param><value/></param></params>"]
)
def test_a_void_response_reads_as_the_empty_string(inside: str) -> None:
    assert load_response(f"<methodResponse>{inside}</methodResponse>".encode()) == ""


@pytest.mark.parametrize(
    ("xml", "fault"),
    [
        ("<int>4</int>", Fault(4, "t")),
        ("<i4>-4</i4>", Fault(-4, "t")),
        ("<string> 1303 </string>", Fault(1303, "t")),
        ("5", Fault(5, "t")),
        ("<string>x</string>", Fault(0, "t")),
        ("<string></string>", Fault(0, "t")),
        (f"<string>{'9' * 5000}</string>", Fault(99999999999, "t")),
        ("<struct/>", Fault(0, "t")),
    ],
)
def test_a_fault_code_of_any_type(xml: str, fault: Fault) -> None:
    document = (
        f"<methodResponse><fault><value><struct><member><name>faultCode</name><value>{xml}</value></member>"
        "<member><name>faultString</name><value>t</value></member></struct></value></fault></methodResponse>"
    )
    assert load_response(document.encode()) == fault


@pytest.mark.parametrize(
    ("xml", "fault"),
    [
        ("ERROR", Fault(0, "ERROR")),
        ("", Fault(0, "no reason given")),
        ("<struct/>", Fault(0, "no reason given")),
        ("<array><data><value>a</value></data></array>", Fault(0, "['a']")),
    ],
)
def test_a_fault_of_an_odd_shape(xml: str, fault: Fault) -> None:
    assert (
        load_response(f"<methodResponse><fault><value>{xml}</value></fault></methodResponse>".encode())
        == fault
    )


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf8", "utf-8"),
        ("UTF-16", "utf-8"),
        ("UTF-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("iso-8859-1", "latin-1"),
        ("latin1", "latin-1"),
        ("ISO-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("koi8-r", "koi8-r"),
    ],
)
def test_encodings(declared: str, codec: str) -> None:
    text = "ж" if declared == "koi8-r" else "é"
    body = (
        f'<?xml version="1.0" encoding="{declared}"?><methodCall><methodName>{text}</methodName></methodCall>'
    )
    assert load_call(body.encode(codec)) == (text, [])


def test_utf_16_without_a_declaration() -> None:
    assert load_call("<methodCall><methodName>é</methodName></methodCall>".encode("utf-16")) == ("é", [])


@pytest.mark.parametrize("before", [b"", b"\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("after", [b"", b"\n\n", b"\0", b" \r\n\0\0\n", b"<!-- end -->", b"\0" * 100_000])
def test_white_space_before_and_nul_characters_after(before: bytes, after: bytes) -> None:
    assert load_call(before + NOTIFY + after)[0] == "samp.hub.notify"


def test_a_void_response_with_a_nul_after_it() -> None:
    assert load_response(b"<methodResponse/>\0") == ""


# ---------------------------------------------------------------------------------------- refusing


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "an empty body where an XML-RPC document was expected"),
        (b" \r\n", "an empty body where an XML-RPC document was expected"),
        (b"hello", "cannot read this XML-RPC: malformed XML: syntax error: line 1, column N"),
        (b"<methodCall>", "cannot read this XML-RPC: malformed XML: no element found: line 1, column N"),
        (
            b"<methodCall>\n<methodName>m</name>",
            "cannot read this XML-RPC: malformed XML: mismatched tag: line 2, column N",
        ),
        (b"<html>", "cannot read this XML-RPC: <html> where <methodCall> was expected: line 1, column N"),
        (
            b"<methodCall/>",
            "cannot read this XML-RPC: <methodCall> has no <methodName>: line 1, column N",
        ),
        (
            b"<methodCall><methodName>m</methodName>\n <params><value/>",
            "cannot read this XML-RPC: <value> where <param> was expected: line 2, column N",
        ),
        (b"<methodCall><methodName> \n</methodName></methodCall>", "a call with an empty methodName"),
        (
            NOTIFY + b"more",
            "cannot read this XML-RPC: malformed XML: junk after document element: line 14, column N",
        ),
        (
            NOTIFY.replace(b" <member>", b" member>", 1),
            "cannot read this XML-RPC: text where only elements were expected: line 7, column N",
        ),
    ],
)
def test_a_call_is_refused_with_what_is_wrong_and_where(data: bytes, text: str) -> None:
    # How far expat has read when a handler stops it differs between its versions.
    assert re.sub(r"column \d+", "column N", refusal(load_call, data)) == text


def test_no_second_document_may_follow() -> None:
    for second in (NOTIFY, b"<methodCall/>", b"<", b"\0<a/>"):
        assert "malformed XML" in refusal(load_call, NOTIFY + second)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("key<string>x</string>", "text where only elements were expected"),
        ("<string>x</string>key", "text where only elements were expected"),
        ("<array>key<data/></array>", "text where only elements were expected"),
        ("<string>a</string><string>b</string>", "<string> where no element was expected"),
        ("<string><b>a</b></string>", "<b> where no element was expected"),
        ("<bold>a</bold>", "<bold> where <array> or <struct> or <string> was expected"),
        ("<x:bold>a</x:bold>", "<x:bold> where <array> or <struct> or <string> was expected"),
        ("<array><value/></array>", "<value> where <data> was expected"),
        ("<array><data><string/></data></array>", "<string> where <value> was expected"),
        ("<struct><value/></struct>", "<value> where <member> was expected"),
        ("<struct><member/></struct>", "<member> has no <name>"),
        ("<struct><member><name>k</name></member></struct>", "<member> has no <value>"),
        ("<struct><member><value/><name>k</name></member></struct>", "<value> where <name> was expected"),
        (
            "<struct><member><name>k</name><value/><value/></member></struct>",
            "<value> where no element was expected",
        ),
        ("<int>five</int>", "<int> with a text that is not a valid int"),
        ("<int></int>", "<int> with a text that is not a valid int"),
        ("<int>1 2</int>", "<int> with a text that is not a valid int"),
        ("<i4>\u0665</i4>", "<i4> with a text that is not a valid i4"),
        ("<boolean>2</boolean>", "<boolean> with a text that is not a valid boolean"),
        ("<double>1,5</double>", "<double> with a text that is not a valid double"),
        ("<nil>x</nil>", "<nil> with a text that is not a valid nil"),
    ],
)
def test_a_value_is_refused_for(xml: str, reason: str) -> None:
    refused = refusal(load_call, call_with(xml))
    assert refused.startswith(f"cannot read this XML-RPC: {reason}: line 1, column ")
    assert "key" not in refused


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<params><param/></params>", "<param> has no <value>"),
        ("<fault/>", "<fault> has no <value>"),
        ("<params/><fault><value/></fault>", "<fault> where no element was expected"),
        ("<methodName>m</methodName>", "<methodName> where <params> or <fault> was expected"),
    ],
)
def test_a_response_is_refused_for(inside: str, reason: str) -> None:
    refused = refusal(load_response, f"<methodResponse>{inside}</methodResponse>".encode())
    assert refused.startswith(f"cannot read this XML-RPC: {reason}: line 1, column ")


def test_a_call_is_no_response_and_a_response_no_call() -> None:
    assert "<methodCall> where <methodResponse> was expected" in refusal(load_response, NOTIFY)
    assert "<methodResponse> where <methodCall> was expected" in refusal(load_call, dump_response(""))


def test_a_response_with_two_values() -> None:
    two = dump_call("m", ["1", "2"]).replace(b"<methodName>m</methodName>", b"").replace(b"Call", b"Response")
    assert refusal(load_response, two) == "a response with 2 values; one was expected"


def test_too_many_parameters() -> None:
    assert len(load_call(dump_call("m", [""] * MAX_PARAMS))[1]) == MAX_PARAMS
    assert (
        refusal(load_call, dump_call("m", [""] * (MAX_PARAMS + 1)))
        == "a call with 17 parameters; no more than 16 are read"
    )


def test_nesting_in_a_call() -> None:
    assert load_call(dump_call("m", [nested(MAX_DEPTH)])) == ("m", [nested(MAX_DEPTH)])
    assert "values nested deeper than 64 levels" in refusal(
        load_call, dump_call("m", [nested(MAX_DEPTH + 1)])
    )


def test_the_deepest_call_still_fits_into_the_answer_to_a_pull() -> None:
    pulled: Value = [{"samp.methodName": "m", "samp.params": ["c1", nested(MAX_DEPTH)]}]
    assert load_response(dump_response(pulled)) == pulled
    with pytest.raises(LocalProtocolError):
        dump_response([pulled])


# ---------------------------------------------------------------------------------------- hostile XML

_ROOT = b"<methodCall><methodName>&a;</methodName></methodCall>"
_LAUGHS = b"".join(
    b'<!ENTITY %c "%s">' % (letter + 1, b"&%c;" % letter * 10) for letter in range(ord("a"), ord("j"))
)
_DOCTYPES = {
    "external entity, file": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _ROOT,
    "external entity, http": b'<!DOCTYPE a [<!ENTITY a SYSTEM "http://127.0.0.1:9/x">]>' + _ROOT,
    "external subset": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">' + _ROOT,
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>' + _ROOT,
    "billion laughs": b'<!DOCTYPE a [<!ENTITY a "lol">' + _LAUGHS + b"]>" + _ROOT.replace(b"&a;", b"&j;"),
    "quadratic blow-up": b'<!DOCTYPE a [<!ENTITY a "'
    + b"x" * 50_000
    + b'">]>'
    + _ROOT.replace(b"&a;", b"&a;" * 10_000),
    "unparsed entity": b'<!DOCTYPE a [<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "f" NDATA n>]>' + _ROOT,
    "internal subset without entities": b"<!DOCTYPE methodCall [<!ELEMENT methodCall ANY>]>"
    + _ROOT.replace(b"&a;", b"m"),
    "html": b"<!DOCTYPE html><html></html>",
    "after a comment": b"<!-- x -->\n<?pi?><!DOCTYPE a>" + _ROOT,
}


@pytest.mark.parametrize("name", _DOCTYPES)
@pytest.mark.parametrize("codec", ["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_type_declaration_is_refused_at_once(name: str, codec: str) -> None:
    data = _DOCTYPES[name].decode().encode(codec)
    began = time.process_time()
    assert "a document type declaration is forbidden: line " in refusal(load_call, data)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", [name for name, data in _DOCTYPES.items() if b"<!ENTITY" in data])
def test_the_second_line_of_defence_is_entities(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_forbid_dtd", None)
    assert "an entity declaration is forbidden" in refusal(load_call, _DOCTYPES[name])


@pytest.mark.parametrize("name", ["external entity, file", "external entity, http"])
def test_the_third_line_of_defence_is_external_references(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_forbid_dtd", None)
    monkeypatch.setattr(codec, "_forbid_entity", None)
    assert "an external reference is forbidden" in refusal(load_call, _DOCTYPES[name])


@pytest.mark.parametrize(
    "encoding", ["UTF-7", "utf-32", "unicode_escape", "rot13", "hex", "shift_jis", "x" * 60]
)
def test_an_encoding_that_could_hide_markup_is_refused(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    hidden = b"+ADwAIQ-DOCTYPE a +AFsAPAAh-ENTITY a SYSTEM 'file:///etc/passwd'+AD4AXQA+-"
    refused = refusal(load_call, head + hidden + _ROOT)
    assert f"the encoding {encoding[:40]!r} is not supported; UTF-8 always is" in refused


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [("cp932", "multi-byte encodings are not supported"), ("cp99999", "unknown encoding: cp99999")],
)
def test_an_encoding_that_cannot_be_read(encoding: str, reason: str) -> None:
    refused = refusal(load_call, f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + _ROOT)
    assert reason in refused


def test_utf_7_without_a_declaration_is_no_markup() -> None:
    assert "malformed XML" in refusal(load_call, b"+ADwAIQ-DOCTYPE a+AD4-" + _ROOT)


def test_an_undefined_entity_is_refused() -> None:
    assert "undefined entity" in refusal(load_call, _ROOT)


@pytest.mark.parametrize("text", ["&#0;", "&#8;", "&#xD800;", "&#xFFFF;", "\x08", "&#x110000;"])
def test_characters_that_xml_does_not_know_are_refused(text: str) -> None:
    assert "malformed XML" in refusal(load_call, call_with(text))


@pytest.mark.parametrize(
    "opening",
    ["<a>", "<value><array><data>", "<value><struct><member><name>k</name>", "<methodCall>", "<a:b>"],
)
def test_ten_thousand_levels_are_refused_at_once(opening: str) -> None:
    head = "<methodCall><methodName>m</methodName><params><param>"
    assert "where" in refusal(load_call, (opening * 10_000).encode())
    refused = refusal(load_call, (head + opening * 10_000).encode())
    assert "nested deeper than 64 levels" in refused or "was expected" in refused


def test_unfinished_tokens_are_not_read_again_and_again() -> None:
    began = time.process_time()
    reason = f"a tag or comment of more than {MAX_TOKEN} bytes"
    for start in (b"<!--", b"<methodCall ", b"<methodCall a='", b"<?", b"<", b"<methodCall><methodName>&"):
        assert re.search(f"{reason}|malformed XML", refusal(load_call, start + b"x" * 8_000_000))
    assert reason in refusal(load_call, b"<methodCall><!--" + b"-x" * 4_000_000)
    assert time.process_time() - began < 5


def test_long_tags_are_not_repeated_in_the_error() -> None:
    assert len(refusal(load_call, b"<" + b"x" * 10_000 + b">")) < 200


def test_text_in_ten_thousand_pieces_takes_linear_time() -> None:
    began = time.process_time()
    assert read("<string>" + "a&amp;" * 200_000 + "</string>") == "a&" * 200_000
    assert time.process_time() - began < 5


# ---------------------------------------------------------------------------------------- wild bytes


def values_or_refusal(data: bytes) -> None:
    for load in (load_call, load_response):
        with suppress(RemoteProtocolError):
            load(data)


@quick
@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_a_refusal(data: bytes) -> None:
    values_or_refusal(data)
    values_or_refusal(b"<?xml version='1.0' encoding='" + data)
    values_or_refusal(call_with("").replace(b"<value>", b"<value>" + data))


_PIECES = [
    *(f"<{tag}>" for tag in ("value", "string", "int", "array", "data", "struct", "member", "name", "x:nil")),
    *(
        f"</{tag}>"
        for tag in ("value", "string", "int", "array", "data", "struct", "member", "name", "x:nil")
    ),
    *(
        "<value/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&lt;",
        "&#13;",
        "&a;",
        "1",
        " ",
        "\n",
        "key",
        "\0",
        "é",
    ),
]


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25))
def test_any_markup_gives_values_or_a_refusal(pieces: list[str]) -> None:
    values_or_refusal(call_with("".join(pieces)))


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_mutated_documents_give_values_or_a_refusal(data: st.DataObject) -> None:
    document = bytearray(data.draw(st.sampled_from([NOTIFY, dump_fault(1, "x"), dump_response(NOTIFIED)])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document)))
        cut = data.draw(st.integers(0, 12))
        document[at : at + cut] = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"<", b">", b"/", b"&"]))
        )
    values_or_refusal(bytes(document))


@quick
@given(st.data())
def test_a_document_that_is_cut_short_is_refused(data: st.DataObject) -> None:
    refusal(load_call, NOTIFY[: data.draw(st.integers(0, len(NOTIFY.rstrip()) - 1))])


def test_a_stranger_reads_what_is_written() -> None:
    document = dump_call("m", [{"é": "a\r\n\n\nb"}])
    member = ElementTree.fromstring(document).find(".//member")
    assert member is not None
    assert [member.findtext("name"), member.findtext("value/string")] == ["é", "a\r\n\n\nb"]
