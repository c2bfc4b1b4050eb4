"""The short way to read a call: whatever it takes, expat reads as the same; all else it leaves to expat."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncsamp import xmlrpc
from asyncsamp.errors import RemoteProtocolError
from asyncsamp.values import MAX_DEPTH, Value
from asyncsamp.xmlrpc import codec, fast_parser
from asyncsamp.xmlrpc.fast_parser import _read_run, read_call

from ..effort import examples

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<>&"), max_size=12)
values: st.SearchStrategy[Value] = st.recursive(
    texts,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
CALL = xmlrpc.dump_call(
    "samp.hub.notify", ["k", "c1", {"samp.mtype": "a.b", "samp.params": {"x": "1", "l": ["2", []]}}]
)
PIECES = [
    *(b"<value> </value> <string> </string> <struct> </struct> <member> </member> <name> </name>".split()),
    *(b"<array> </array> <data> </data> <param> </param> <params> </params> <i4> <value/> <nil/>".split()),
    *(b"<!----> <![CDATA[x]]> <!DOCTYPE_a> &lt; &#0; &a; <?a_b?> ]]> < > & a".split()),
    *(b"\0", b"\r", b"\x7f", b"\xff", b"\xc3\xa9", b" ", b"\n", b"<!DOCTYPE a>", b"<?a b?>"),
]


def by_expat(data: bytes) -> tuple[str, list[Value]]:
    method, *params = codec._parse(data, {"methodCall": (codec._CALL, codec._END)}, MAX_DEPTH)
    return method.strip(), params


@given(st.lists(values, max_size=4))
def test_what_we_write_is_plain(params: list[Value]) -> None:
    assert read_call(xmlrpc.dump_call("samp.hub.call", params)) == ("samp.hub.call", params)


@pytest.mark.parametrize(
    "old_and_new",
    [
        (b"", b""),
        (b'<?xml version="1.0"?>', b""),
        (b'<?xml version="1.0"?>', b"<?xml version='1.0' encoding='UTF-8'?>\n"),
        (b'version="1.0"', b'version="1.0" encoding="utf-8" '),
        (b"><", b">\n  \t<"),
        (b"<string>k</string>", b"k"),
        (b"samp.hub.notify", b" samp.hub.notify\n"),
    ],
)
def test_the_layouts_of_other_programs_are_plain(old_and_new: tuple[bytes, bytes]) -> None:
    data = CALL.replace(*old_and_new)
    assert read_call(data) is not None
    assert read_call(data) == by_expat(data)


@settings(max_examples=examples(1000), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(CALL)), st.integers(0, 12), st.sampled_from(PIECES)),
        min_size=1,
        max_size=4,
    )
)
@example([(0, 0, b"\n")])
@example([(len(CALL), 0, b"\0")])
def test_no_change_makes_it_take_what_expat_does_not(changes: list[tuple[int, int, bytes]]) -> None:
    data = CALL
    for at, removed, piece in changes:
        data = data[:at] + piece + data[at + removed :]
    plain = read_call(data)
    if plain is not None:
        assert plain == by_expat(data.lstrip())


@given(st.lists(st.sampled_from([*PIECES, b"<methodCall><methodName>m</methodName><params>"]), max_size=12))
def test_nor_does_any_sequence_of_tags(pieces: list[bytes]) -> None:
    data = b"<methodCall><methodName>m</methodName><params>" + b"".join(pieces) + b"</params></methodCall>"
    plain = read_call(data)
    if plain is not None:
        assert plain == by_expat(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<methodResponse/>",
        CALL.replace(b"c1", b"c&amp;1"),
        CALL.replace(b"c1", b"c\xc3\xa9"),
        CALL.replace(b"c1", b"c\r1"),
        CALL.replace(b"c1", b"c\x001"),
        CALL.replace(b"c1", b"c>1"),
        CALL.replace(b"<string>c1</string>", b"<int>1</int>"),
        CALL.replace(b"<string>c1</string>", b"<string/>"),
        CALL.replace(b"<string>c1</string>", b"<string><!---->c1</string>"),
        CALL.replace(b"<value>", b"<value >", 1),
        CALL.replace(b'"1.0"', b"\"1.0'"),
        CALL.replace(b'"1.0"', b'"1.0" encoding="latin-1"'),
        CALL.replace(b"?>\n", b"?>\n<!DOCTYPE methodCall>\n"),
        CALL + b"<a/>",
        CALL[:-3],
    ],
)
def test_what_is_not_plain_is_left_to_expat(data: bytes) -> None:
    assert read_call(data) is None


def test_depth() -> None:
    for kind, opened, closed in (("list", b"<array><data>", b"</data></array>"), ("map", None, None)):
        opened = opened or b"<struct><member><name>n</name>"
        closed = closed or b"</member></struct>"
        for depth, plain in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
            value = (
                b"<value>"
                + (opened + b"<value>") * depth
                + b"x"
                + (b"</value>" + closed) * depth
                + b"</value>"
            )
            data = (
                b"<methodCall><methodName>m</methodName><params><param>%b</param></params></methodCall>"
                % value
            )
            assert (read_call(data) is not None) is plain, kind
            if plain:
                assert read_call(data) == by_expat(data)
            else:
                with pytest.raises(RemoteProtocolError, match="nested deeper"):
                    xmlrpc.load_call(data)


def test_a_later_member_of_the_same_name_wins_in_both() -> None:
    member = b"<member><name>a</name><value>%d</value></member>"
    value = b"<value><struct>" + member % 1 + member % 2 + b"</struct></value>"
    data = b"<methodCall><methodName>m</methodName><params><param>%b</param></params></methodCall>" % value
    assert read_call(data) == by_expat(data) == ("m", [{"a": "2"}])


ITEMS = {
    "ours": b"<value><string>%b</string></value>",
    "JSAMP's": b"<value>%b</value>\n      ",
    "spread out": b"\n<value>\n <string>%b</string>\n</value>\n",
}
LIST = b"<methodCall><methodName>m</methodName><params><param>%b</param></params></methodCall>"


def long_list(items: list[bytes]) -> bytes:
    return LIST % (b"<value><array><data>%b</data></array></value>" % b"".join(items))


@pytest.mark.parametrize("layout", ITEMS)
@pytest.mark.parametrize("count", [2, 100, 5_000])
def test_long_lists(layout: str, count: int) -> None:
    rows = [b"%07d" % row for row in range(count)]
    data = long_list([ITEMS[layout] % row for row in rows])
    assert read_call(data) == ("m", [[row.decode() for row in rows]]) == by_expat(data)


ODD = [
    *(b"<value/> <value><int>%b</int></value> <!--%b--> </data> %b &amp;".split()),
    *(*ITEMS.values(), b"\r", b"<value><array><data>%b</data></array></value>" % (ITEMS["ours"] * 2)),
]


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(list(ITEMS)),
    st.lists(st.tuples(st.integers(0, 399), st.sampled_from(ODD)), max_size=3),
)
def test_long_lists_with_something_else_in_them(layout: str, others: list[tuple[int, bytes]]) -> None:
    items = [ITEMS[layout] % (b"%d" % row) for row in range(400)]
    for place, other in others:
        items[place] = other.replace(b"%b", b"x")
    data = long_list(items)
    plain = read_call(data)
    if plain is not None:
        assert plain == by_expat(data)


def test_items_that_are_not_alike_are_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def read_run(text: str, at: int) -> tuple[list[str], int]:
        tries.append(at)
        return _read_run(text, at)

    monkeypatch.setattr(fast_parser, "_read_run", read_run)
    four = (ITEMS["ours"] % b"1") * 2 + (ITEMS["JSAMP's"] % b"2") * 2
    data = long_list([four * 20_000])
    assert read_call(data) == ("m", [["1", "1", "2", "2"] * 20_000])
    assert len(tries) <= len(data) / 65_536 + 1


def test_a_text_that_would_keep_others_waiting_is_left_to_expat() -> None:
    for size, plain in ((65_536, True), (65_537, False)):
        data = xmlrpc.dump_call("m", ["x" * size, ["y" * size] * 3])
        assert (read_call(data) is not None) is plain
        assert xmlrpc.load_call(data) == ("m", ["x" * size, ["y" * size] * 3])
