"""Frames between hubs: bytes <-> what they say, read strictly, since they come from other machines.

A payload is a line and a body of JSON. The line is `= STREAM NUMBER KIND`, or `+ STREAM NUMBER KIND` where
more of the body follows in the next frame, or, without a body, `A STREAM TAKEN`, an acknowledgement.

No I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from ...._util.foreign_text import plain_line, quoted
from ....errors import RemoteProtocolError
from ....values import MAX_DEPTH, Content, RawMap, Value, ValueMap
from ....xmlrpc import read_message

__all__ = [
    "MOST_TOGETHER",
    "NO_STREAM",
    "Ack",
    "ClientIs",
    "ClientLeft",
    "Frame",
    "Go",
    "Item",
    "Messages",
    "Pause",
    "RemoteClient",
    "Reply",
    "Several",
    "Sync",
    "dump_ack",
    "dump_frames",
    "dump_here",
    "dump_item",
    "dump_message",
    "dump_messages",
    "load_here",
    "load_item",
    "load_payload",
]

NO_STREAM = "!"
"""Stands for the stream in an acknowledgement by who knows of none: the peer should begin one."""

MAX_LABEL = 60
"""Characters of a hub's label."""

MOST_TOGETHER = 100
"""Messages in one frame at most."""

_VERSION = 1

_HEAD = 1024
"""Bytes of a payload that are left for the line."""

_MAX_ID = 256
"""Characters of an id of a client or of a call; ours have ten."""

_LINE = re.compile(rb"([=+]) ([0-9a-f]{1,32}) ([0-9]{1,15}) ([a-z]{1,10})\n")
_ACK = re.compile(rb"A (!|[0-9a-f]{1,32}) ([0-9]{1,15})")

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, so that no client could be told it."""

_ESCAPE = re.compile(r"\\[ubf]")
"""How JSON could write it."""


class Frame(NamedTuple):
    """A numbered piece of a stream. `more`: the body goes on in the next frame."""

    stream: str
    number: int
    kind: str
    more: bool
    body: bytes


class Ack(NamedTuple):
    """How much of a stream has been taken; `NO_STREAM` if none is known."""

    stream: str
    taken: int


class RemoteClient(NamedTuple):
    """A client as its hub shows it to another one."""

    client: str
    metadata: ValueMap
    subscriptions: ValueMap


class Sync(NamedTuple):
    """The beginning of each stream: the label of the hub, and all clients that it shows."""

    label: str
    clients: list[RemoteClient]


class ClientIs(NamedTuple):
    """A client is new or has changed."""

    client: RemoteClient


class ClientLeft(NamedTuple):
    """A client has left, or is no longer shown."""

    client: str


class Messages(NamedTuple):
    """A message of `sender` to recipients, each with the id of the call; None for a notification.

    It stands in the body as a map or, where it can be passed on as it came, as its XML.
    """

    sender: str
    recipients: list[tuple[str, str | None]]
    message: Content


class Reply(NamedTuple):
    """The response of `responder` to the call that `caller` made by `msg_id`."""

    responder: str
    caller: str
    msg_id: str
    response: ValueMap


class Pause(NamedTuple):
    """`client` does not take its messages: send it none for now."""

    client: str


class Go(NamedTuple):
    """`client` takes its messages again."""

    client: str


class Several(NamedTuple):
    """Messages one after another."""

    messages: list[Messages]


Item: TypeAlias = Sync | ClientIs | ClientLeft | Messages | Several | Reply | Pause | Go


# ---- payloads


def load_payload(payload: bytes) -> Frame | Ack:
    """Read the line of a payload. Raises `RemoteProtocolError`."""
    head = _LINE.match(payload[:_HEAD])
    if head is not None:
        return Frame(head[2].decode(), int(head[3]), head[4].decode(), head[1] == b"+", payload[head.end() :])
    ack = _ACK.fullmatch(payload[:_HEAD])
    if ack is None:
        raise RemoteProtocolError("a payload that is neither a frame nor an acknowledgement")
    return Ack(ack[1].decode(), int(ack[2]))


def dump_ack(stream: str, taken: int) -> bytes:
    """Return an acknowledgement."""
    return f"A {stream or NO_STREAM} {taken}".encode()


def dump_frames(stream: str, first: int, kind: str, body: bytes, max_payload: int) -> list[bytes]:
    """Return the payloads of an item, numbered from `first` on, each of at most `max_payload` bytes."""
    room = max(1, max_payload - _HEAD)
    pieces = [body[start : start + room] for start in range(0, len(body), room)] or [b""]
    last = len(pieces) - 1
    return [
        b"%s %s %d %s\n%s" % (b"=" if n == last else b"+", stream.encode(), first + n, kind.encode(), piece)
        for n, piece in enumerate(pieces)
    ]


# ---- what a hub says to everybody


def dump_here(label: str) -> bytes:
    """Return what a hub says at its start and every few seconds."""
    return _dump({"v": str(_VERSION), "label": label})


def load_here(payload: bytes) -> str:
    """Return the label of a hub that is here. Raises `RemoteProtocolError`."""
    told = _load(payload[:_HEAD], 2)
    label = told.get("label") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(label, str):
        raise RemoteProtocolError("a hub that does not say its label")
    if told.get("v") != str(_VERSION):
        version = quoted(str(told.get("v")), 20)
        raise RemoteProtocolError(
            f"a hub that speaks version {version}, not {_VERSION}: use the same release"
        )
    return _label(label)


# ---- items


def dump_message(message: Content) -> bytes:
    """Return a message as it stands in a body; for `dump_messages`."""
    return _dump(message.xml.decode("ascii") if isinstance(message, RawMap) else message)


def dump_messages(messages: list[tuple[str, list[tuple[str, str | None]], bytes]]) -> tuple[str, bytes]:
    """Return kind and body of `Messages`, or of `Several`.

    Args:
        messages: Of each its sender, its recipients, and the message, which has been through `dump_message`.
    """
    bodies = [_dump_message(*each) for each in messages]
    return ("msg", bodies[0]) if len(bodies) == 1 else ("msgs", b"[%s]" % b",".join(bodies))


def _dump_message(sender: str, recipients: list[tuple[str, str | None]], message: bytes) -> bytes:
    to = [[client] if msg_id is None else [client, msg_id] for client, msg_id in recipients]
    return b"%s,%s]" % (_dump([sender, to])[:-1], message)


def dump_item(item: Item) -> tuple[str, bytes]:
    """Return the kind and the body of an item."""
    match item:
        case Sync(label, clients):
            return "sync", _dump([label, [list(client) for client in clients]])
        case ClientIs(client):
            return "client", _dump(list(client))
        case ClientLeft(client=left):
            return "left", _dump([left])
        case Messages(sender, recipients, message):
            return "msg", _dump_message(sender, recipients, dump_message(message))
        case Several(messages):
            return "msgs", b"[%s]" % b",".join([dump_item(each)[1] for each in messages])
        case Reply():
            return "reply", _dump(list(item))
        case Pause(client=full):
            return "pause", _dump([full])
        case Go(client=empty):
            return "go", _dump([empty])


def load_item(kind: str, body: bytes) -> Item:
    """Read an item. Raises `RemoteProtocolError` for anything that is not exactly one."""
    read, depth = _READERS.get(kind, (None, 0))
    if read is None:
        raise RemoteProtocolError(f"a frame of the unknown kind {quoted(kind, 20)}")
    content = _load(body, depth)
    if not isinstance(content, list):
        raise RemoteProtocolError(f"a {kind} frame whose body is not a list")
    return read(content)


def _read_sync(content: list[Value]) -> Sync:
    label, clients = _items("sync", content, 2)
    if not isinstance(label, str) or not isinstance(clients, list):
        raise RemoteProtocolError("a sync frame without label or clients")
    return Sync(_label(label), [_client(client) for client in clients])


def _read_messages(content: list[Value]) -> Messages:
    sender, recipients, message = _items("msg", content, 3)
    if not isinstance(recipients, list):
        raise RemoteProtocolError("a msg frame without recipients")
    read = [_recipient(each) for each in recipients]
    if len({client for client, _ in read}) < len(read):
        raise RemoteProtocolError("a msg frame with a recipient that stands there twice")
    return Messages(_id(sender), read, _message(message))


def _read_several(content: list[Value]) -> Several:
    if len(content) > MOST_TOGETHER:
        raise RemoteProtocolError(f"a frame with more than {MOST_TOGETHER} messages")
    messages = []
    for each in content:
        if not isinstance(each, list):
            raise RemoteProtocolError("a message that is not a list")
        messages.append(_read_messages(each))
    return Several(messages)


def _read_reply(content: list[Value]) -> Reply:
    responder, caller, msg_id, response = _items("reply", content, 4)
    return Reply(_id(responder), _id(caller), _id(msg_id), _map(response))


# With how deep a body may nest: its maps no deeper than a message of a client of our own.
_READERS: dict[str, tuple[Callable[[list[Value]], Item], int]] = {
    "sync": (_read_sync, MAX_DEPTH + 3),
    "client": (lambda content: ClientIs(_client(content)), MAX_DEPTH + 1),
    "left": (lambda content: ClientLeft(_id(*_items("left", content, 1))), 1),
    "msg": (_read_messages, MAX_DEPTH + 1),
    "msgs": (_read_several, MAX_DEPTH + 2),
    "reply": (_read_reply, MAX_DEPTH + 1),
    "pause": (lambda content: Pause(_id(*_items("pause", content, 1))), 1),
    "go": (lambda content: Go(_id(*_items("go", content, 1))), 1),
}


def _client(content: Value) -> RemoteClient:
    if not isinstance(content, list):
        raise RemoteProtocolError("a client that is not a list")
    client, metadata, subscriptions = _items("client", content, 3)
    return RemoteClient(_id(client), _map(metadata), _map(subscriptions))


def _recipient(content: Value) -> tuple[str, str | None]:
    if not isinstance(content, list) or not 1 <= len(content) <= 2:
        raise RemoteProtocolError("a recipient that is not a client, or a client and a call")
    return _id(content[0]), _id(content[1]) if len(content) == 2 else None


def _message(value: Value) -> Content:
    if not isinstance(value, str):
        return _map(value)
    try:
        message = read_message(value.encode("ascii"))
    except UnicodeEncodeError:
        message = None
    if message is None:
        raise RemoteProtocolError("a text that is not the XML of a message as a hub may pass it on")
    return message


def _items(kind: str, content: list[Value], count: int) -> list[Value]:
    if len(content) != count:
        raise RemoteProtocolError(f"a {kind} frame with {len(content)} parts, not {count}")
    return content


def _id(value: Value) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
        raise RemoteProtocolError("an id that is not a short text")
    return value


def _map(value: Value) -> ValueMap:
    if not isinstance(value, dict):
        raise RemoteProtocolError("a list or a text where a map should be")
    return value


def _label(text: str) -> str:
    return plain_line(text, MAX_LABEL).strip()


# ---- JSON


def _not_samp(text: str) -> Any:
    raise ValueError("a number where SAMP has strings only")


# Made once: json.dumps and json.loads make new ones for each frame.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=_not_samp, parse_float=_not_samp, parse_constant=_not_samp)


def _dump(value: object) -> bytes:
    return _ENCODER.encode(value).encode("utf-8", "replace")


def _load(body: bytes, depth: int) -> Value:
    try:
        text = body.decode()
        value: Value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a body that is not JSON of strings, lists and maps") from None
    # Without escapes what stands in the strings stands in the body, and is looked at in one go.
    _check(value, depth, _ESCAPE.search(text) is None and _NOT_TEXT.search(text) is None)
    return value


def _check(value: object, depth: int, clean: bool) -> None:
    """See that there is nothing but strings, lists and maps, no deeper than `depth`.

    Whether strings are `clean` is known already, or each is looked at.
    """
    if isinstance(value, str):
        if not clean:
            _check_text(value)
        return
    if depth == 0:
        raise RemoteProtocolError(f"a value that nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        inside: Iterable[object] = value.values()
        if not clean:
            for key in value:
                _check_text(key)
    elif isinstance(value, list):
        inside = value
    else:
        raise RemoteProtocolError("a value that SAMP does not have: true, false or null")
    for item in inside:
        if not clean or not isinstance(item, str):  # at once, since most values are
            _check(item, depth - 1, clean)


def _check_text(text: str) -> None:
    if _NOT_TEXT.search(text):
        raise RemoteProtocolError("a string with a character that cannot be passed on")
