"""What two hubs say to each other while the bytes of a URL cross, as bytes.

The reader asks with an `Ask`. The owner answers with one head, pieces in order, and an end or a failure;
between them it says that it is alive, or that it waits to be told how far the reader is. The reader says how
far it is and how much may be under way, or that it stops reading.

No I/O.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ....errors import RemoteProtocolError

__all__ = [
    "ALIVE",
    "STOP",
    "WAITING",
    "Ask",
    "Credit",
    "Data",
    "End",
    "Failure",
    "Head",
    "Said",
    "Told",
    "read_ask",
    "read_said",
    "read_told",
]

_MAX_HEAD = 64 * 1024
_MAX_TEXT = 1000

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
_READING = re.compile(r"[0-9a-f]{16}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]{0,2000}")
_ASKED: Final = ("Range", "If-Range", "Accept")
_TOLD: Final = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
)
"""Headers that cross, each way; others are dropped. What is packed on the fly cannot go on after a cut."""

_DATA = struct.Struct("!cQ")
_CREDIT = struct.Struct("!cQQ")


@dataclass(frozen=True, slots=True)
class Ask:
    """What the reader wants.

    Attributes:
        token: Of the capability.
        reading: The same in each attempt of one reading: a new one ends the one before.
        method: GET or HEAD.
        headers: Of the tool's request.
        same: What the head of an earlier attempt called the content; "" for the first.
    """

    token: str
    reading: str
    method: str
    headers: Mapping[str, str]
    same: str = ""

    def dump(self) -> bytes:
        """Return it as bytes."""
        return _dump(
            {
                "token": self.token,
                "reading": self.reading,
                "method": self.method,
                "headers": _kept(self.headers, _ASKED),
                "same": self.same,
            }
        )


@dataclass(frozen=True, slots=True)
class Head:
    """How the answer begins.

    Attributes:
        status: As in HTTP.
        headers: Those that tell what the content is.
        same: What the content is called, to be known again when the reading goes on; "" if it cannot.
    """

    status: int
    headers: Mapping[str, str]
    same: str = ""

    @property
    def length(self) -> int | None:
        """How many bytes the body has, if that is known."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def dump(self) -> bytes:
        """Return it as bytes."""
        content = {"status": self.status, "headers": _kept(self.headers, _TOLD), "same": self.same}
        return b"H" + _dump(content)


@dataclass(frozen=True, slots=True)
class Data:
    """A piece, and where in the body of this answer it begins."""

    offset: int
    piece: bytes

    def dump(self) -> bytes:
        """Return it as bytes."""
        return _DATA.pack(b"D", self.offset) + self.piece


@dataclass(frozen=True, slots=True)
class End:
    """The body is whole, and had so many bytes."""

    total: int

    def dump(self) -> bytes:
        """Return it as bytes."""
        return _DATA.pack(b"E", self.total)


@dataclass(frozen=True, slots=True)
class Failure:
    """The body is not whole, and there will be no more of it."""

    reason: str

    def dump(self) -> bytes:
        """Return it as bytes."""
        return b"X" + self.reason[:_MAX_TEXT].encode(errors="replace")


@dataclass(frozen=True, slots=True)
class Credit:
    """How many bytes the reader has taken, and how many beyond that may be under way."""

    taken: int
    window: int

    def dump(self) -> bytes:
        """Return it as bytes."""
        return _CREDIT.pack(b"C", self.taken, self.window)


ALIVE: Final = b"K"
WAITING: Final = b"W"
STOP: Final = b"S"

Said = Head | Data | End | Failure | bytes
"""What the owner says; the bytes are `ALIVE` or `WAITING`."""

Told = Credit | bytes
"""What the reader says; the bytes are `STOP`."""


def read_ask(payload: bytes) -> Ask:
    """Read what a reader asks for. Raises `RemoteProtocolError`."""
    content = _load(payload)
    token, reading = _text(content, "token"), _text(content, "reading")
    method, same = _text(content, "method"), _text(content, "same")
    if not _TOKEN.fullmatch(token) or not _READING.fullmatch(reading) or method not in ("GET", "HEAD"):
        raise RemoteProtocolError("what is asked for cannot be understood")
    return Ask(token, reading, method, _headers(content, _ASKED), same)


def read_said(payload: bytes) -> Said:
    """Read what an owner says. Raises `RemoteProtocolError`."""
    kind = payload[:1]
    if kind == b"D" and len(payload) >= _DATA.size:
        return Data(_DATA.unpack_from(payload)[1], payload[_DATA.size :])
    if kind == b"E" and len(payload) == _DATA.size:
        return End(_DATA.unpack(payload)[1])
    if kind == b"X":
        return Failure(payload[1:_MAX_TEXT].decode(errors="replace"))
    if kind == b"H":
        return _read_head(payload[1:])
    if payload in (ALIVE, WAITING):
        return payload
    raise RemoteProtocolError("a piece cannot be understood")


def read_told(payload: bytes) -> Told:
    """Read what a reader says. Raises `RemoteProtocolError`."""
    if payload[:1] == b"C" and len(payload) == _CREDIT.size:
        return Credit(*_CREDIT.unpack(payload)[1:])
    if payload == STOP:
        return payload
    raise RemoteProtocolError("what a reader says cannot be understood")


def _read_head(payload: bytes) -> Head:
    content = _load(payload)
    status = content.get("status")
    if type(status) is not int or not 200 <= status <= 599:
        raise RemoteProtocolError("the status of an answer is not valid")
    head = Head(status, _headers(content, _TOLD), _text(content, "same"))
    if head.length is not None:
        return head
    headers = {name: text for name, text in head.headers.items() if name != "Content-Length"}
    return Head(status, headers, head.same)


def _dump(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=True).encode()


def _load(payload: bytes) -> dict[str, Any]:
    if len(payload) > _MAX_HEAD:
        raise RemoteProtocolError("a head is too long")
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a head is not JSON") from None
    if not isinstance(content, dict):
        raise RemoteProtocolError("a head is not a map")
    return content


def _text(content: Mapping[str, Any], name: str) -> str:
    text = content.get(name, "")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise RemoteProtocolError(f"{name} is not a short text")
    return text


def _headers(content: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    headers = content.get("headers", {})
    if not isinstance(headers, dict):
        raise RemoteProtocolError("headers are not a map")
    return _kept(headers, known)


def _kept(headers: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    found = {name: headers.get(name) for name in known}
    return {
        name: text for name, text in found.items() if isinstance(text, str) and _HEADER_VALUE.fullmatch(text)
    }
