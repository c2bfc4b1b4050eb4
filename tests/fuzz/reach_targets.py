"""What other hubs of a room say: any bytes are read or refused, and what is read can be written again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncsamp.errors import InvitationError, RemoteProtocolError
from asyncsamp.hub.named import NamedUrls
from asyncsamp.hub.profiles.reach.invitation import parse_invitation
from asyncsamp.hub.profiles.reach.link import Incoming, Outgoing, Verdict
from asyncsamp.hub.profiles.reach.transfer import read_ask, read_said, read_told
from asyncsamp.hub.profiles.reach.urls import ReachUrls, find_marked, parse_address
from asyncsamp.hub.profiles.reach.wire import (
    Ack,
    dump_ack,
    dump_frames,
    dump_item,
    load_here,
    load_item,
    load_payload,
)

__all__ = ["reach_target"]

_MAX_BODY = 64 * 1024
_BASE = "http://127.0.0.1:12345"


def reach_target(data: bytes) -> None:
    """Take bytes as all that can come from a room."""
    _payload(data)
    for read in (load_here, read_ask, read_said, read_told):
        _refuses(read, data)
    text = data.decode("utf-8", "replace")
    _refuses(parse_invitation, text)
    capability = parse_address(text)
    assert capability is None or parse_address(str(capability).removeprefix("reach:")) == capability


def _payload(data: bytes) -> None:
    """Frames, one a line of NUL, go into the stream of a peer."""
    incoming, outgoing = Incoming(max_body=_MAX_BODY), Outgoing("0a", frames=10, size=_MAX_BODY)
    for payload in data.split(b"\0"):
        came = _refuses(load_payload, payload)
        if isinstance(came, Ack):
            assert load_payload(dump_ack(came.stream, came.taken)) == came
            _refuses(outgoing.take_ack, came.taken)
        elif came is not None and incoming.admit(came) is Verdict.NEXT:
            body = _refuses(incoming.join, came)
            if body is not None:
                _item(body.kind, body.body)


def _item(kind: str, body: bytes) -> None:
    item = _refuses(lambda body: load_item(kind, body), body)
    if item is None:
        return
    again, written = dump_item(item)
    assert again == kind
    assert load_item(again, written) == item
    assert len(dump_frames("0a", 1, again, written, 4096)) <= len(written) // 3000 + 1
    message = getattr(item, "message", None) or getattr(item, "response", None)
    if message is not None:
        urls = ReachUrls("me.0123abcd", _BASE, NamedUrls(), new_token=lambda: "x" * 22)
        for text in find_marked(urls.incoming(message, site="another member")):
            assert not text.startswith(("file:", "reach:")) or text.startswith("reach:reach:"), text


def _refuses(read: Callable[[Any], Any], data: object) -> Any:
    """Return what is read; None if it is refused, with a short reason."""
    reason = ""
    try:
        return read(data)
    except (InvitationError, RemoteProtocolError) as error:
        reason = str(error)
    assert len(reason) < 1000, "the error repeats what it was sent"
    return None
