"""Numbers and acknowledgements between two hubs: what is accepted arrives, once and in order.

Each side has one stream to the other at a time, of frames numbered from 1. What is not acknowledged is kept,
and sent again after a cut. Nothing is negotiated: a side that knows nothing of the other's stream says so,
and the other one begins a new stream.

No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from ....errors import RemoteProtocolError
from .wire import Frame, dump_frames

__all__ = ["Body", "Incoming", "Outgoing", "Verdict"]

_STREAMS_KEPT = 16
"""Former streams of a peer that are remembered: a frame that comes late must not begin one of them again. So
many, too, of which is known how much was taken."""


class Outgoing:
    """The stream to a peer: what was sent and is not acknowledged.

    Args:
        stream: A name that this hub has not used before.
        frames: How many frames may be under way before who sends should wait; a frame of several messages
            counts as many.
        size: How many bytes.
    """

    def __init__(self, stream: str, *, frames: int, size: int) -> None:
        self.stream = stream
        self.acknowledged = 0
        self._last = 0
        self._frames = frames
        self._size = size
        self._kept: deque[tuple[bytes, int]] = deque()  # payload, and how many messages end with it
        self._bytes = 0
        self._count = 0

    @property
    def has_room(self) -> bool:
        """Whether a message may be put in; what tells of clients may always."""
        return self.has_room_beside(0)

    def has_room_beside(self, messages: int) -> bool:
        """Whether a message may be put in beside so many that are still to be."""
        return self._count + messages < self._frames and self._bytes < self._size

    @property
    def waiting(self) -> int:
        """How many frames are not acknowledged."""
        return len(self._kept)

    @property
    def messages_waiting(self) -> int:
        """How many messages are among them."""
        return sum(messages for _, messages in self._kept)

    @property
    def longest(self) -> int:
        """Bytes of the longest frame that is not acknowledged."""
        return max((len(payload) for payload, _ in self._kept), default=0)

    def put(self, kind: str, body: bytes, max_payload: int, *, messages: int = 0) -> list[bytes]:
        """Append an item of so many messages, and return the payloads that are to be published."""
        payloads = dump_frames(self.stream, self._last + 1, kind, body, max_payload)
        self._last += len(payloads)
        for payload in payloads:
            ending = messages if payload is payloads[-1] else 0
            self._kept.append((payload, ending))
            self._bytes += len(payload)
            self._count += ending or 1
        return payloads

    def take_ack(self, taken: int) -> bool:
        """Drop what the peer has taken; return whether that was something new.

        Raises `RemoteProtocolError` if it has taken more than was sent.
        """
        if taken > self._last:
            raise RemoteProtocolError("an acknowledgement of what was not sent")
        if taken <= self.acknowledged:
            return False
        for _ in range(taken - self.acknowledged):
            payload, messages = self._kept.popleft()
            self._bytes -= len(payload)
            self._count -= messages or 1
        self.acknowledged = taken
        return True

    def unacknowledged(self) -> Iterator[bytes]:
        """Yield what is to be published again, in order."""
        return iter([payload for payload, _ in self._kept])


class Verdict(Enum):
    """What a frame is to who gets it."""

    NEXT = "the next one"
    KNOWN = "taken already"
    GAP = "one before it is missing"
    UNKNOWN = "of a stream whose beginning is not known"


class Body(NamedTuple):
    """The whole body of an item, and the number up to which its stream has been taken with it."""

    kind: str
    body: bytes
    number: int


class Incoming:
    """The stream from a peer: what has come, and what of it has been taken.

    Come is what `admit` has called the next one; taken, and so acknowledged, what `take` was told.

    Args:
        max_body: Bytes of a body at most.
        former: Streams of the peer that have ended.
        known: How much was taken of streams that may begin again, since the peer was given up in between.
    """

    def __init__(
        self, *, max_body: int, former: Iterable[str] = (), known: Mapping[str, int] | None = None
    ) -> None:
        self.stream = ""
        self.taken = 0
        self._come = 0
        self._former: deque[str] = deque(former, maxlen=_STREAMS_KEPT)
        self._known = dict(known or {})
        self._max_body = max_body
        self._begun = bytearray()  # a body of which more is to come
        self._is_begun = False
        self._begun_of = ""  # the stream; frames that were admitted may be joined after it was replaced
        self._kind = ""

    @property
    def streams(self) -> list[str]:
        """All streams of the peer that are remembered, the present one last."""
        return [*self._former, self.stream] if self.stream else list(self._former)

    def was_taken(self, stream: str, number: int) -> bool:
        """Return whether a frame was taken before the peer was given up: what it says has been done."""
        return number <= self._known.get(stream, 0)

    @property
    def known(self) -> dict[str, int]:
        """How much has been taken of the streams that may begin again, for who meets the peer anew."""
        known = dict(self._known)
        if self.stream:
            known[self.stream] = max(self.taken, known.pop(self.stream, 0))
        return dict(list(known.items())[-_STREAMS_KEPT:])

    def is_replaced_by(self, frame: Frame) -> bool:
        """Return whether a frame ends the present stream: the peer has begun another one."""
        return (
            frame.number == 1
            and bool(self.stream)
            and frame.stream != self.stream
            and frame.stream not in self._former
        )

    def admit(self, frame: Frame) -> Verdict:
        """Say what a frame is. With number 1 of a new stream everything begins anew."""
        if frame.stream != self.stream:
            if frame.number != 1 or frame.stream in self._former:
                return Verdict.UNKNOWN
            if self.stream:
                self._former.append(self.stream)
            self.stream, self.taken, self._come = frame.stream, 0, 0
        if frame.number <= self._come:
            return Verdict.KNOWN
        if frame.number > self._come + 1:
            return Verdict.GAP
        self._come = frame.number
        return Verdict.NEXT

    def join(self, frame: Frame) -> Body | None:
        """Add an admitted frame; return the body once it is whole.

        Raises `RemoteProtocolError` if the body is too long, changes its kind, or the stream does not begin
        with a sync.
        """
        if frame.stream != self._begun_of:
            self._begun, self._is_begun, self._begun_of = bytearray(), False, frame.stream
        if self._is_begun and frame.kind != self._kind:
            raise RemoteProtocolError("a body whose pieces are of different kinds")
        if frame.number == 1 and frame.kind != "sync":
            raise RemoteProtocolError("a stream that does not begin with a sync frame")
        if len(self._begun) + len(frame.body) > self._max_body:
            raise RemoteProtocolError(f"a body of more than {self._max_body} bytes")
        if not frame.more and not self._is_begun:
            return Body(frame.kind, frame.body, frame.number)
        self._begun += frame.body  # not a list of pieces, since they may be empty, or very short
        self._kind, self._is_begun = frame.kind, frame.more
        if frame.more:
            return None
        body, self._begun = bytes(self._begun), bytearray()
        return Body(frame.kind, body, frame.number)

    def take(self, stream: str, number: int) -> None:
        """Note that all up to `number` has been taken, unless the stream has been replaced meanwhile."""
        if stream == self.stream and number > self.taken:
            self.taken = number
