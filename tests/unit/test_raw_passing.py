"""What passes raw: it is what decoding and encoding would give, and all else is left to the codec."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncsamp import xmlrpc
from asyncsamp.errors import RemoteProtocolError
from asyncsamp.values import MAX_DEPTH, RawMap, Value, ValueMap
from asyncsamp.xmlrpc import read_message, read_relayed
from tests.fuzz.targets import raw_target

from ..effort import examples

KEY = "k-" + "0" * 32
MESSAGE: ValueMap = {"samp.mtype": "a.b", "samp.params": {"x": "1", "l": ["2", [], {"y": "z"}]}}
CALL = xmlrpc.dump_call("samp.hub.notify", [KEY, "c1", MESSAGE])

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126, include_characters="\n\t"), max_size=12)
values: st.SearchStrategy[Value] = st.recursive(
    texts,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
PIECES = [
    *(b"<value> </value> <string> </string> <struct> </struct> <member> </member> <name> </name>".split()),
    *(b"<array> </array> <data> </data> <param> </param> </params> <i4> <value/> <nil/> samp.mtype".split()),
    *(b"<!----> <![CDATA[x]]> <!DOCTYPE_a> &lt; &amp; &#10; &#0; &a; & ; <?a_b?> ]]> < > a".split()),
    *(
        b"\0",
        b"\r",
        b"\x7f",
        b"\xff",
        b"\xc3\xa9",
        b" ",
        b"\n",
        b"\n\n",
        b"<!DOCTYPE a>",
        b"</string></value>",
    ),
    *(b"<member><name>x</name><value><string>2</string></value></member>", b"<value><string>", b"&#xd800;"),
]


def raw(data: bytes) -> RawMap:
    read = read_relayed(data)
    assert read is not None
    (content,) = (param for param in read[1] if isinstance(param, RawMap))
    return content


def notify(message: Value) -> bytes:
    return xmlrpc.dump_call("samp.hub.notify", [KEY, "c1", message])


@settings(max_examples=examples(80), deadline=None)
@given(st.dictionaries(texts, values, max_size=4), st.dictionaries(texts, values, max_size=2))
def test_what_we_write_passes_byte_for_byte(params: ValueMap, extra: ValueMap) -> None:
    message: ValueMap = {**extra, "samp.mtype": "a.b", "samp.params": params}
    data = notify(message)
    read = read_relayed(data)
    raw_target(data)
    if read is None:  # a key with an entity, or white space that the codec writes in another way
        assert re.search(rb"<name>[^<]*&", data) or b"\n" in data.strip()
        return
    assert raw(data).values() == message
    assert raw(data).xml == xmlrpc.encode_value(message).xml.encode()
    assert raw(data).mtype == "a.b"


@settings(max_examples=examples(80), deadline=None)
@given(st.dictionaries(texts, values, max_size=4), st.dictionaries(texts, values, max_size=2))
def test_what_another_hub_passes_on_is_held_to_the_same(params: ValueMap, extra: ValueMap) -> None:
    data = notify({**extra, "samp.mtype": "a.b", "samp.params": params})
    if read_relayed(data) is None:
        return
    came = raw(data)
    again = read_message(came.xml)
    assert again is not None
    assert (again.xml, again.mtype, again.values()) == (came.xml, came.mtype, came.values())
    assert read_message(came.xml + b"\n") is None
    assert read_message(came.xml[:-1]) is None
    assert read_message(b" " + came.xml) is None


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000, 1_000_000])
def test_texts_and_lists_of_any_length_pass(size: int) -> None:
    rows: list[Value] = [str(row) for row in range(size // 100)]
    mixed: list[Value] = [[str(row), {"n": "&<>"}] for row in range(size // 100)]
    message: ValueMap = {
        "samp.mtype": "a.b",
        "samp.params": {"text": "x" * size, "amp": "a&b<c>" * (size // 6), "rows": rows, "mixed": mixed},
    }
    assert raw(notify(message)).values() == message


@pytest.mark.parametrize(
    "method", ["notify", "notifyAll", "call", "callAll", "callAndWait"], ids=lambda method: f"hub.{method}"
)
def test_each_operation_that_sends_a_message(method: str) -> None:
    data = xmlrpc.dump_call(f"samp.hub.{method}", [KEY, "c1", MESSAGE, "10"])
    read = read_relayed(data)
    assert read is not None
    assert read[0] == f"samp.hub.{method}"
    assert [read[1][0], read[1][1], read[1][3]] == [KEY, "c1", "10"]
    assert raw(data).values() == MESSAGE


def test_a_response_passes_whatever_it_holds() -> None:
    responses: list[ValueMap] = [{}, {"samp.status": "samp.ok", "samp.result": {"a": ["b"]}}]
    for response in responses:
        data = xmlrpc.dump_call("samp.hub.reply", [KEY, "m1", response])
        assert raw(data).values() == response
        assert raw(data).mtype == ""
        assert xmlrpc.load_response(xmlrpc.dump_response(raw(data))) == response


@pytest.mark.parametrize("method", ["declareMetadata", "declareSubscriptions", "register", "getMetadata"])
def test_what_the_hub_keeps_is_decoded(method: str) -> None:
    assert read_relayed(xmlrpc.dump_call(f"samp.hub.{method}", [KEY, MESSAGE])) is None


@pytest.mark.parametrize("between", [b" ", b"\n", b"\n \t", b"\t"])
def test_white_space_between_tags_passes(between: bytes) -> None:
    data = CALL.replace(b"><", b">" + between + b"<")
    assert raw(data).values() == MESSAGE
    assert raw(data).xml.endswith(b"</value>")
    raw_target(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<string>1</string>", b"1"),  # DS9 knows it, but who knows all the others
        (b"<string>1</string>", b"<int>1</int>"),
        (b"<value><string>1</string></value>", b"<value/>"),
        (b"<string>1</string>", b"<string/>"),
        (b">1<", b">\xc3\xa9<"),
        (b">1<", b">&#233;<"),
        (b">1<", b">&#x41;<"),
        (b">1<", b">&quot;<"),
        (b">1<", b">&amp<"),
        (b">1<", b">a > b<"),
        (b">1<", b">]]><"),
        (b">1<", b">\x01<"),
        (b">1<", b">\x7f<"),
        (b">1<", b">a\rb<"),
        (b">1<", b">\xed\xa0\x80<"),
        (b">1<", b"><![CDATA[1]]><"),
        (b">1<", b"><!-- --><"),
        (b">1<", b">a\n\nb<"),
        (b">1<", b">a\n \t\nb<"),
        (b"<name>x</name>", b"<name>l</name>"),
        (b"<name>y</name>", b"<name>&amp;</name>"),
        (b"<string>1", b"<string >1"),
        (b"<value><string>a.b</string></value>", b"<valuparamse><string>te\t</value>"),
        (CALL[CALL.index(b"a.b") - 15 :], b"</member></struct></value></param></params></methodCall>\n"),
        (b"<name>samp.mtype</name>", b"<name>samp.other</name>"),
        (b"<name>samp.params</name>", b"<name>samp.other</name>"),
        (b"a.b", b"a&amp;b"),
        (b"<?xml", b"<!DOCTYPE x><?xml"),
        (b"</params>", b"</params><params></params>"),
        (b"</methodCall>", b"</methodCall><x></x>"),
        (b"</methodCall>", b""),
    ],
)
def test_what_is_not_plain_is_left_to_the_codec(old: bytes, new: bytes) -> None:
    data = CALL.replace(old, new, 1)
    assert data != CALL
    assert read_relayed(data) is None
    raw_target(data)


def test_a_key_that_stands_twice_at_any_depth_is_left_to_the_codec() -> None:
    twice = b"<member><name>y</name><value><string>z</string></value></member>"
    assert twice in CALL
    assert read_relayed(CALL.replace(twice, twice * 2)) is None
    flat = notify({"samp.mtype": "a.b", "samp.params": {"y": "z"}})
    assert read_relayed(flat) is not None
    assert read_relayed(flat.replace(twice, twice * 2)) is None


@pytest.mark.parametrize("params", [["a"], "a"])
def test_params_that_are_no_map_are_left_to_the_codec(params: Value) -> None:
    assert read_relayed(notify({"samp.mtype": "a.b", "samp.params": params})) is None
    assert read_relayed(notify({"samp.mtype": "a.b"})) is None
    assert read_relayed(notify({"samp.mtype": params and ["a"], "samp.params": {}})) is None
    assert read_relayed(notify([params])) is None


def test_nesting_is_bounded_as_the_codec_bounds_it() -> None:
    deepest: Value = "x"
    for _ in range(MAX_DEPTH - 2):
        deepest = [deepest]
    fits = notify({"samp.mtype": "a.b", "samp.params": {"x": deepest}})
    assert read_relayed(fits) is not None
    xmlrpc.load_call(fits)
    too_deep = fits.replace(b"<string>x</string>", b"<array><data></data></array>")
    assert read_relayed(too_deep) is None
    with pytest.raises(RemoteProtocolError, match="deeper"):
        xmlrpc.load_call(too_deep)
    abyss = fits.replace(b"<value><string>x</string></value>", b"<value><array><data>" * 10_000)
    assert read_relayed(abyss) is None


@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), st.sampled_from([b"", *PIECES])), max_size=4),
    st.booleans(),
)
@example([(0, 0, b"\xef\xbb\xbf")], False)
@example([(len(CALL), 0, b"\0")], False)
def test_a_damaged_call_passes_only_if_it_is_right(
    changes: list[tuple[int, int, bytes]], between_tags: bool
) -> None:
    """Pieces of XML are put in, or in place of bytes, anywhere or where tags meet."""
    data = CALL
    for at, drop, piece in changes:
        if between_tags:
            meet = [match.start() + 1 for match in re.finditer(b"><", data)] or [0]
            at, drop = meet[at % len(meet)], 0
        data = data[:at] + piece + data[at + drop :]
    raw_target(data)


@settings(max_examples=examples(80), deadline=None)
@given(st.integers(0, 100_000), st.sampled_from(PIECES), st.integers(0, 40))
def test_a_damaged_long_list_passes_only_if_it_is_right(at: int, piece: bytes, drop: int) -> None:
    data = notify({"samp.mtype": "a.b", "samp.params": {"rows": [f"{row:05d}" for row in range(3_000)]}})
    at = at % len(data)
    raw_target(data[:at] + piece + data[at + drop :])
