"""Clients and messages as the page gets them: JSON, with the beginnings of what is large."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from ...values import Value
from ..core import ClientStanding
from ..observer import MessageEvent
from ..permissions import Permissions

__all__ = ["SHOWN", "beginning", "client_shown", "message_shown", "owing_shown", "permissions_shown"]

SHOWN = 4_000
"""Characters of a message's parameters, or of a response, that are shown."""

_NAME = 200

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but tab and line feed, marks of direction and of no width, halves of characters."""

_MOST_OWED = 20
"""To how many others a client owes answers that are named."""


def client_shown(standing: ClientStanding, owed: Mapping[str, int]) -> dict[str, Any]:
    """Return what the page shows of a client, which owes the others so many answers."""
    icon = standing.metadata.get("samp.icon.url")
    return {
        "id": standing.public_id,
        "name": standing.name[:_NAME],
        "icon": icon if isinstance(icon, str) and icon.startswith(("http://", "https://")) else "",
        "callable": standing.callable,
        "congested": standing.congested,
        **owing_shown(standing, owed),
        "origin": standing.origin,
        "metadata": beginning(standing.metadata),
        # What users send by hand stands first, what nearly every client takes last.
        "subscriptions": sorted(
            standing.subscriptions, key=lambda key: (key.startswith("samp."), ".load." not in key, key)
        )[:1_000],
    }


def owing_shown(standing: ClientStanding, owed: Mapping[str, int]) -> dict[str, Any]:
    """Return what changes of a client with each call."""
    return {"id": standing.public_id, "owes": standing.owes, "owed": dict(islice(owed.items(), _MOST_OWED))}


def permissions_shown(permissions: Permissions) -> list[dict[str, Any]]:
    """Return what the page shows of what is decided for good."""
    return [
        {
            "kind": subject.kind,
            "name": subject.name,
            "decided": {permission.value: allowed for permission, allowed in decided.items()},
        }
        for subject, decided in permissions.decisions.items()
    ]


def message_shown(event: MessageEvent) -> dict[str, Any]:
    """Return what the page shows of a message, or of what has become of it."""
    shown: dict[str, Any] = {"number": event.number, "what": event.what, "seconds": round(event.seconds, 6)}
    if event.what == "sent":
        shown |= {
            "sender": event.sender,
            "recipient": event.recipient,
            "mtype": event.mtype[:_NAME],
            "call": bool(event.msg_id),
            "params": beginning(event.content.get("samp.params", "")),
        }
    elif event.what == "answered":
        shown["answer"] = beginning(event.content)
    elif event.error:
        shown["error"] = _visible(event.error[:_NAME])
    return shown


def beginning(value: Value, room: int = SHOWN) -> str:
    """Return the beginning of `value` as text, without making a text of all of it."""
    pieces: list[str] = []
    left = _write(value, "", room, pieces)
    return "".join(pieces) + ("..." if left <= 0 else "")


def _visible(text: str) -> str:
    """Return `text` with what acts on how other text is shown made visible: nothing hides or turns around."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write(value: Value, indent: str, room: int, pieces: list[str]) -> int:
    """Append `value` to `pieces` while there is `room`; return the room that is left."""
    if isinstance(value, str):
        pieces.append(_visible(value[: max(0, room)]))  # a long key may have taken all of it
        return room - len(value)
    inner = indent + "  "
    items = value.items() if isinstance(value, dict) else (("", item) for item in value)
    for key, item in items:
        head = f"\n{inner}{_visible(key[:_NAME])}: " if isinstance(value, dict) else f"\n{inner}- "
        pieces.append(head)
        room = _write(item, inner, room - len(head), pieces)
        if room <= 0:
            break
    if not value:
        pieces.append("{}" if isinstance(value, dict) else "[]")
    return room
