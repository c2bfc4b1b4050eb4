"""One TCP connection to a peer, one request on it at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from .._util.socket_table import Ends
from ..errors import RemoteProtocolError
from .quick_ack import CAN_HASTEN, hasten
from .read_size import read_little
from .response_parser import CLOSING_TAG, ResponseParser

__all__ = ["ConnectionEnded", "PeerConnection"]

_ONE_WRITE = 64 * 1024
"""Up to this size a request is joined, to leave in one packet. A larger one goes out in pieces of this size,
as the peer takes them: what the transport keeps of a piece is a copy, for each recipient of a broadcast."""


_USUAL = 1024
"""Bytes of an answer that is remembered. One that says nothing has 250."""

_ENDINGS = (CLOSING_TAG, CLOSING_TAG + b"\n", CLOSING_TAG + b"\r\n")


class ConnectionEnded(Exception):  # noqa: N818 - never leaves this package; the sender says what it means
    """The connection ended before a whole answer.

    `sent` says whether the request went out on it, `refused` whether the system says that the peer did not
    read it, `closed_before` that it had closed before the request came, and `started` whether a byte of the
    answer had come.
    """

    def __init__(
        self, reason: str, *, sent: bool, refused: bool, started: bool, closed_before: bool = False
    ) -> None:
        self.sent = sent
        self.refused = refused
        self.closed_before = closed_before
        self.started = started
        super().__init__(reason)


class PeerConnection(asyncio.Protocol):
    """The protocol object behind a request. `on_lost` is called once, when the socket has ended.

    `given_up` tells then whether it was this side that ended it; `halting`, whether the peer sends in pieces
    of which each would wait for the one before.
    """

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_deadline",
        "_head",
        "_loop",
        "_on_lost",
        "_paused",
        "_reader",
        "_timer",
        "_transport",
        "_unsent",
        "_usual",
        "_waiter",
        "given_up",
        "halting",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[PeerConnection], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseParser | None = None
        self._waiter: asyncio.Future[ResponseParser] | None = None
        self._unsent: Iterator[bytes | memoryview] | None = None  # the rest of a large request
        self._paused = False
        self.halting = False
        self.given_up = False
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._deadline = 0.0
        # The last answer, what it held, and whether the connection stays: a client takes each delivery
        # with the same bytes, and to read them anew takes 6 us.
        self._usual: tuple[bytes, bytes, bool | None] | None = None
        # The head of the last answer, the bytes of its body, and whether the connection stays.
        self._head: tuple[bytes, int, bool | None] | None = None

    @property
    def usable(self) -> bool:
        """Whether a request could go out on it now."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def drained(self) -> bool:
        """Whether all that was written has left."""
        if self._transport is None or self._unsent is not None:
            return False
        return not self._transport.get_write_buffer_size()

    @property
    def ends(self) -> Ends | None:
        """The addresses of both ends; None once it has ended."""
        if self._transport is None:
            return None
        peer, ours = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
        return Ends(peer[:2], ours[:2]) if peer and ours else None

    @property
    def number(self) -> int:
        """The file descriptor; -1 once it has ended."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    async def exchange(self, request: Sequence[bytes], max_body: int, timeout: float) -> ResponseParser:
        """Send one request, which may be in several pieces, and return its answer.

        Raises `ConnectionEnded`, `TimeoutError` after `timeout` seconds, or `RemoteProtocolError`.
        After any of these, and after being cancelled, the connection is gone.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionEnded(
                "the connection was closed", sent=False, refused=True, started=False, closed_before=True
            )
        self._reader = ResponseParser(max_body)
        self._unsent = None
        self._waiter = self._loop.create_future()
        self._set_alarm(self._loop.time() + timeout)
        try:
            if sum(map(len, request)) <= _ONE_WRITE:
                self._transport.write(b"".join(request))
            else:
                self._unsent = _cut(request)
                self._write_on()
            return await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = self._reader = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `delay` seconds if the connection lives so long."""
        self._timer = self._loop.call_later(delay, callback)

    def close(self) -> None:
        """Give the connection up."""
        self.given_up = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Give the connection up at once, also with bytes still to be sent."""
        self.given_up = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        read_little(transport)

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer has taken what was written."""
        self._paused = False
        self._write_on()

    def data_received(self, data: bytes) -> None:
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            self.abort()  # nobody asked: after this, no answer could be told from the next one
            return
        usual = self._usual
        if usual is not None and usual[0] == data and not reader.started:
            reader.body, reader.keep = usual[1], usual[2]
            waiter.set_result(reader)
            return
        at_once = not reader.started
        if at_once and self._has_known_head(data, reader):
            waiter.set_result(reader)
            return
        try:
            if reader.feed(data):
                waiter.set_result(reader)
                if at_once and len(data) <= _USUAL:
                    self._learn(data, reader)
            elif self._transport is not None:
                self.halting = not CAN_HASTEN
                hasten(self._transport)
        except RemoteProtocolError as error:
            waiter.set_exception(error)

    def _has_known_head(self, data: bytes, reader: ResponseParser) -> bool:
        """Read an answer whose head is that of the one before; return whether it is."""
        head = self._head
        if head is None or len(data) != len(head[0]) + head[1] or not data.startswith(head[0]):
            return False
        if not data.endswith(_ENDINGS):
            return False
        reader.body, reader.keep = data[len(head[0]) :], head[2]
        return True

    def _learn(self, data: bytes, reader: ResponseParser) -> None:
        self._usual = data, reader.body, reader.keep
        if data.endswith(reader.body) and reader.body.endswith(_ENDINGS):
            self._head = data[: len(data) - len(reader.body)], len(reader.body), reader.keep

    def _write_on(self) -> None:
        """Write on with a large request, as far as the peer takes it."""
        if self._unsent is None or self._transport is None:
            return
        for piece in self._unsent:
            self._transport.write(piece)
            if self._paused:
                return
        self._unsent = None

    def eof_received(self) -> None:
        refused = self._refused()
        self._end("the peer closed the connection", refused=refused, closed_before=refused)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"the connection was lost: {exc}" if exc else "the connection was closed"
        self._end(
            reason,
            refused=isinstance(exc, ConnectionError),
            closed_before=isinstance(exc, BrokenPipeError),
        )
        self._transport = None
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()
        self._on_lost(self)

    def _refused(self) -> bool:
        """Whether the peer had closed before it could read all that was sent.

        Its system then answers with a reset, which is an error of our socket. One that closes after it has
        read everything leaves none.
        """
        if self._transport is None:
            return False
        sock = self._transport.get_extra_info("socket")
        return sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def _end(self, reason: str, *, refused: bool, closed_before: bool) -> None:
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            return
        if reader.feed_eof():
            waiter.set_result(reader)
        else:
            ended = ConnectionEnded(
                reason, sent=True, refused=refused, started=reader.started, closed_before=closed_before
            )
            waiter.set_exception(ended)

    def _set_alarm(self, deadline: float) -> None:
        # One timer for many requests: it is set again only if it rings early. Making and cancelling one
        # for each takes 1.5 us of the 70 that the hub needs for a notification.
        self._deadline = deadline
        if self._alarm is not None and self._alarm_at > deadline:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm_at = deadline
            self._alarm = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._set_alarm(self._deadline)
        else:
            self._waiter.set_exception(TimeoutError())


def _cut(request: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a large request in pieces that are written at once."""
    small = b""
    for piece in request:
        if len(piece) <= _ONE_WRITE:
            small += piece
            continue
        yield small
        small = b""
        view = memoryview(piece)
        for at in range(0, len(view), _ONE_WRITE):
            yield view[at : at + _ONE_WRITE]
    if small:
        yield small
