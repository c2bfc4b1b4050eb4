"""Frames between hubs: what is written is read, and nothing else is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsamp.errors import RemoteProtocolError
from asyncsamp.hub.profiles.reach.link import Incoming
from asyncsamp.hub.profiles.reach.wire import (
    Ack,
    ClientIs,
    ClientLeft,
    Frame,
    Go,
    Item,
    Messages,
    Pause,
    RemoteClient,
    Reply,
    Several,
    Sync,
    dump_ack,
    dump_frames,
    dump_here,
    dump_item,
    dump_message,
    dump_messages,
    load_here,
    load_item,
    load_payload,
)
from asyncsamp.values import RawMap, ValueMap
from asyncsamp.xmlrpc import encode_value, read_message

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"))
IDS = TEXT.filter(lambda text: 0 < len(text) < 200)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
MAPS = st.dictionaries(TEXT, VALUES, max_size=4)
CLIENTS = st.builds(RemoteClient, IDS, MAPS, MAPS)
RECIPIENTS = st.lists(st.tuples(IDS, st.none() | IDS), max_size=3, unique_by=lambda each: each[0])
LABELS = st.from_regex("[a-z]{1,20}", fullmatch=True)
MESSAGES = st.builds(Messages, IDS, RECIPIENTS, MAPS)
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(Sync, LABELS, st.lists(CLIENTS, max_size=3)),
    st.builds(ClientIs, CLIENTS),
    st.builds(ClientLeft, IDS),
    MESSAGES,
    st.builds(Several, st.lists(MESSAGES, max_size=3)),
    st.builds(Reply, IDS, IDS, IDS, MAPS),
    st.builds(Pause, IDS),
    st.builds(Go, IDS),
)


@settings(deadline=None)
@given(ITEMS, st.integers(1025, 1200), st.integers(1, 10**9))
def test_an_item_comes_out_as_it_went_in(item: Item, max_payload: int, first: int) -> None:
    kind, body = dump_item(item)
    payloads = dump_frames("0a", first, kind, body, max_payload)
    assert all(len(payload) <= max_payload for payload in payloads)
    frames = [load_payload(payload) for payload in payloads]
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.number for frame in frames if isinstance(frame, Frame)] == list(
        range(first, first + len(payloads))
    )
    assert [frame.more for frame in frames if isinstance(frame, Frame)] == [True] * (len(frames) - 1) + [
        False
    ]
    joined = b"".join(frame.body for frame in frames if isinstance(frame, Frame))
    assert load_item(kind, joined) == item


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        frame = load_payload(payload)
        if isinstance(frame, Frame):
            load_item(frame.kind, frame.body)
    except RemoteProtocolError:
        pass


@given(st.sampled_from(["sync", "client", "left", "msg", "msgs", "reply", "pause", "go", "other"]), VALUES)
def test_any_value_is_an_item_or_refused(kind: str, value: Any) -> None:
    with contextlib.suppress(RemoteProtocolError):
        load_item(kind, json.dumps(value).encode())


def test_a_message_crosses_as_it_came_where_it_can() -> None:
    message: ValueMap = {"samp.mtype": "a.b", "samp.params": {"x": "1 < 2", "l": ["", {"k": "v"}]}}
    came = read_message(encode_value(message).xml.encode())
    assert came is not None
    kind, body = dump_messages(
        [("c1", [("c2", None)], dump_message(came)), ("c3", [("c4", "m1")], dump_message(message))]
    )
    item = load_item(kind, body)
    assert isinstance(item, Several)
    first, second = item.messages
    assert isinstance(first.message, RawMap)
    assert (first.sender, first.recipients) == ("c1", [("c2", None)])
    assert (first.message.xml, first.message.mtype, first.message.values()) == (came.xml, "a.b", message)
    assert second == Messages("c3", [("c4", "m1")], message)


def test_acknowledgements() -> None:
    assert load_payload(dump_ack("0f", 12)) == Ack("0f", 12)
    assert load_payload(dump_ack("", 0)) == Ack("!", 0)


XML = encode_value({"samp.mtype": "a.b", "samp.params": {}}).xml
DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "A x 1",
        "A 0f -1",
        "A 0f " + "9" * 30,
        "= 0f 1\n[]",
        "= 0f " + "9" * 30 + " msg\n[]",
        "= XY 1 msg\n[]",
        "? 0f 1 msg\n[]",
    ],
)
def test_payloads_that_are_none(payload: str) -> None:
    with pytest.raises(RemoteProtocolError):
        load_payload(payload.encode())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("msg", DEEP),
        ("msg", '["c1",[["c2"]],' + '{"a":' * 70 + '""' + "}" * 70 + "]"),
        ("msg", '["c1",[["c2"]],{"samp.mtype":1}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":true}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":null}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":NaN}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":' + "9" * 5000 + "}]"),
        ("msg", '["c1",[["c2"]],{"samp.mtype":"\\ud800"}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":"\\u0000"}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":"a","\\u0000":"x"}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":["\\f"]}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":["\\b"]}]'),
        ("msg", '["c1",[["c2"]],{"samp.mtype":["a", false]}]'),
        ("msg", '["c1",[["c2"]],"a text"]'),
        ("msg", '["c1",[["c2"]],""]'),
        ("msg", json.dumps(["c1", [["c2"]], XML[1:]])),
        ("msg", json.dumps(["c1", [["c2"]], XML + " "])),
        ("msg", json.dumps(["c1", [["c2"]], XML.replace("a.b", "\u00e9")])),
        ("msg", json.dumps(["c1", [["c2"]], XML.replace("a.b", "&#233;")])),
        ("msg", json.dumps(["c1", [["c2"]], XML.replace("a.b", "&file;")])),
        ("msg", json.dumps(["c1", [["c2"]], XML.replace("a.b", "a\n\nb")])),
        ("msg", json.dumps(["c1", [["c2"]], XML.replace("samp.mtype", "samp.other")])),
        ("msg", json.dumps(["c1", [["c2"]], "<!DOCTYPE a>" + XML])),
        ("msg", json.dumps(["c1", [["c2"]], XML + XML])),
        ("msgs", '[["c1",[["c2"]],{}],"a text"]'),
        ("msgs", '[["c1",[["c2"]],{}],["c1",[["c2"]]]]'),
        ("msgs", '["c1",[["c2"]],{}]'),
        ("msg", '["c1",[[]],{}]'),
        ("msg", '["c1",["c2"],{}]'),
        ("msg", '["c1","c2",{}]'),
        ("msg", '[["c1"],[["c2"]],{}]'),
        ("msg", '["' + "c" * 300 + '",[["c2"]],{}]'),
        ("msg", '["c1",[["c2"]]]'),
        ("reply", '["c1","c2","m",[]]'),
        ("client", '"c1"'),
        ("client", '["c1",{},[]]'),
        ("sync", '["label",["c1"]]'),
        ("sync", "[[],[]]"),
        ("left", "[]"),
        ("left", '[""]'),
        ("exec", "[]"),
        ("msg", "\xff"),
    ],
)
def test_bodies_that_are_refused(kind: str, body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        load_item(kind, body.encode("latin-1"))


def test_a_character_that_xml_cannot_hold_is_refused_as_it_stands() -> None:
    for text in ("\uffff", "\ufffe"):
        for body in (f'["c1",[["c2"]],{{"samp.mtype":"{text}"}}]', f'["c1",[["c2"]],{{"{text}":"a"}}]'):
            with pytest.raises(RemoteProtocolError):
                load_item("msg", body.encode())


def test_texts_with_escapes_are_read() -> None:
    body = '["c1",[["c2"]],{"samp.mtype":"a\\/b","k\\u00e9\\n":["v\\ud83d\\ude00\\t", {"\\"":"\\\\b"}]}]'
    message: ValueMap = {"samp.mtype": "a/b", "k\u00e9\n": ["v\U0001f600\t", {'"': "\\b"}]}
    assert load_item("msg", body.encode()) == Messages("c1", [("c2", None)], message)


def test_what_a_hub_says_of_itself() -> None:
    assert load_here(dump_here("laptop")) == "laptop"
    assert load_here(dump_here("a\n\u202e" + "b" * 100)) == ("a ?" + "b" * 100)[:60]
    with pytest.raises(RemoteProtocolError, match="version '2', not 1: use the same release"):
        load_here(b'{"v":"2","label":"x"}')
    for payload in (b"", b"[]", b'{"v":"1"}', b'{"v":"1","label":[]}'):
        with pytest.raises(RemoteProtocolError):
            load_here(payload)


def test_a_body_without_an_end_is_refused() -> None:
    incoming = Incoming(max_body=100)
    for number in (1, 2):
        incoming.join(Frame("0a", number, "sync", True, b"x" * 40))
    with pytest.raises(RemoteProtocolError, match="more than 100 bytes"):
        incoming.join(Frame("0a", 3, "sync", True, b"x" * 40))


def test_pieces_of_two_kinds_are_refused() -> None:
    incoming = Incoming(max_body=100)
    incoming.join(Frame("0a", 1, "sync", True, b"x"))
    with pytest.raises(RemoteProtocolError, match="different kinds"):
        incoming.join(Frame("0a", 2, "msg", False, b"x"))


def test_a_stream_begins_with_a_sync() -> None:
    with pytest.raises(RemoteProtocolError, match="begin with a sync"):
        Incoming(max_body=100).join(Frame("0a", 1, "msg", False, b"x"))


def test_a_recipient_stands_in_a_message_once() -> None:
    message: ValueMap = {"samp.mtype": "x.y", "samp.params": {}}
    doubled: list[list[tuple[str, str | None]]] = [
        [("c1", None), ("c1", None)],
        [("c1", "m1"), ("c2", None), ("c1", "m2")],
    ]
    for twice in doubled:
        with pytest.raises(RemoteProtocolError, match="twice"):
            load_item(*dump_item(Messages("c9", twice, message)))
