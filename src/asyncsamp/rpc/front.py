"""What stands in front of aiohttp: answers plain requests itself, and hands over every other connection.

A connection begins here. As long as each request on it is plain (see `request_head`) and passes the guards,
it is answered without aiohttp: no Request, no Response, and no task unless the answer has to wait. A large
body must show its key at once, and is then read straight into its place (see `large_body`). The first thing
that is different hands the connection over, with what has come, to a handler of aiohttp's, for the rest
of its life. Only public calls join the two: `connection_made`, `data_received` and the transport's
`set_protocol`.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, Protocol, cast

from aiohttp import web

from .connection_limit import ConnectionLimit
from .errors import NO_ROOM_ANSWER
from .large_body import LargeBody
from .lf_compat import MAX_HELD, LineFeedRepair
from .quick_ack import hasten
from .read_size import read_little
from .request_head import HeadMemory, RequestHead, read_head

__all__ = ["MOST", "Caller", "Front", "PlainRequests"]

MOST = 64 * 1024
"""Bytes of a body that anybody may send. Above it, a key is looked for before the body is read."""

KEY_WITHIN = 4096
"""Bytes of a body in which the key must be: method name and first parameter."""

BODY_PATIENCE = 30.0
"""Seconds that the announced body may take, however it comes; a large one, that it may stand still. After
that the connection is closed."""

HALF_CLOSED_PATIENCE = 1.0
"""Seconds in which who sends no more still gets an answer; see `Front.eof_received`."""

TAG_PATIENCE = 1.0
"""Seconds that a body, complete by its announced length, may take to show its closing tag."""


class Caller(Protocol):
    """The connection of who asks, as who answers may know it."""

    transport: asyncio.Transport | None
    """None once it has ended."""

    host: str | None
    """What the caller calls this server."""


class PlainRequests(Protocol):
    """Who answers plain requests."""

    headers: str
    """What stands in the head of every answer beside the usual, each line with its end."""

    def admits(self, head: RequestHead, transport: asyncio.Transport) -> bool:
        """Return whether the request may be answered here; if not, aiohttp's handler says why not.

        Args:
            head: The head of the request.
            transport: Where it came.
        """
        ...

    def knows(self, begun: bytes) -> bool:
        """Return whether the beginning of a body shows a private key that is known.

        Args:
            begun: Its first bytes.
        """
        ...

    def respond(self, body: bytes, caller: Caller) -> bytes | asyncio.Future[Any]:
        """Answer the body of a request with a document, or with a future of what `document` takes.

        Raises nothing. A task among them is cancelled when the caller vanishes.

        Args:
            body: The whole body.
            caller: Who asks.

        Returns:
            The document, or what will be done when the answer is there.
        """
        ...

    def document(self, answered: asyncio.Future[Any]) -> bytes:
        """Return the document for a future that `respond` returned, and that is done; it is written next.

        Args:
            answered: The future.
        """
        ...

    def written(self, answered: asyncio.Future[Any]) -> None:
        """Take note that the document of `answered` has left, but for what the peer takes soon.

        Args:
            answered: The future.
        """
        ...

    def dropped(self, answered: asyncio.Future[Any]) -> None:
        """Take note that a future that `respond` returned is done, and its caller has gone before it had all.

        Args:
            answered: The future.
        """
        ...

    def serves_half_closed(self) -> bool:
        """Return whether a caller that sends no more is still answered what is a matter of a moment."""
        ...


class Owner(Protocol):
    """The server, as far as a connection knows it."""

    limit: ConnectionLimit
    working: set[asyncio.Future[Any]]
    """The answers that are not yet written."""

    def opened(self, front: Front) -> None:
        """Take note of a connection."""
        ...

    def left(self, front: Front) -> None:
        """Take note that a connection has ended, or is handed over."""
        ...

    def handler_for(self, front: Front) -> web.RequestHandler:
        """Return what serves the connection from now on."""
        ...


class Front(asyncio.Protocol):
    """One connection, until it ends or is handed over.

    Args:
        owner: The server.
        plain: Answers plain requests; None leaves all to aiohttp.
        max_body: Bytes that a body may have.
    """

    __slots__ = (
        "_body",
        "_ends_then",
        "_handler",
        "_held",
        "_keep_alive",
        "_limit",
        "_max_body",
        "_memory",
        "_needed",
        "_owner",
        "_patience",
        "_patient_for",
        "_paused",
        "_pending",
        "_plain",
        "_repair",
        "_unsent",
        "_version",
        "host",
        "transport",
    )

    def __init__(self, owner: Owner, plain: PlainRequests | None, *, max_body: int) -> None:
        self.transport: asyncio.Transport | None = None
        self.host: str | None = None
        self._owner = owner
        self._limit = owner.limit
        self._plain = plain
        self._repair: LineFeedRepair | None = LineFeedRepair(min(max_body, MAX_HELD))
        self._memory = HeadMemory(min(max_body, MOST))
        self._max_body = max_body
        self._held = bytearray()  # what came before its turn, or is not yet whole
        self._needed = 0  # bytes that must have come before it is looked at again
        self._body: LargeBody | None = None
        self._pending: asyncio.Future[Any] | None = None
        self._unsent: asyncio.Future[Any] | None = None  # the pending one, written and not yet taken
        self._paused = False
        self._handler: web.RequestHandler | None = None
        self._ends_then = False
        self._keep_alive = True
        self._version = "1.1"
        self._patience: asyncio.TimerHandle | None = None
        self._patient_for = ""

    # ---- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not inherit from it
        read_little(transport)
        self._limit.opened(self)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._body is not None:  # the transport may not have heard yet that there is a place for them
            self._body.take(data)
            return
        if self._repair is None and self._pending is None and not self._needed:
            body, transport = self._memory.body_of(data), self.transport
            if body is not None and transport is not None and not transport.get_write_buffer_size():
                self._respond_again(body)
                return
        self._limit.heard(self)
        if self._repair is not None:
            repair = self._repair
            data = repair.feed(data)
            if repair.passing:
                self._repair = None
                self._be_patient("")
            elif repair.waits_for != "head":
                self._be_patient(repair.waits_for)
            if not data:
                return
        self._take(data)

    def eof_received(self) -> bool:
        """The peer has ended its side. It may still wait for its answer, or it has gone: that looks the same.

        So an answer that is a matter of a moment is given, and one that takes longer is given up.
        """
        waits = self._pending is not None and self._unsent is None
        if not waits or self._plain is None or not self._plain.serves_half_closed():
            return False
        self._ends_then = True
        self._be_patient("answer")
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end of the connection; an answer that is waited for is cancelled."""
        self._be_patient("")
        self._repair = None
        self._body = None
        self.transport = None
        pending, self._pending = self._pending, None
        unsent, self._unsent = self._unsent, None
        if unsent is not None and self._plain is not None:
            self._plain.dropped(unsent)
        elif pending is not None:
            self._owner.working.discard(pending)
            pending.cancel()
        self._limit.closed(self)
        self._owner.left(self)

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer has taken nearly all."""
        self._paused = False
        if self._unsent is not None:
            self._end_answer(self._unsent)

    # ---- from the server

    def close(self) -> None:
        """Close as soon as no answer is waited for; the server calls it when it stops."""
        if self._pending is not None:
            self._ends_then = True
        elif self.transport is not None:
            self.transport.close()

    def force_close(self) -> None:
        """Close at once, whoever serves the connection now."""
        if self._handler is not None:
            self._handler.force_close()
        elif self.transport is not None:
            self.transport.close()

    def refuse(self) -> None:
        """Close, and tell a request that is on its way that it was not read."""
        if self._handler is None and self.transport is not None:
            self.transport.write(NO_ROOM_ANSWER)
        self.force_close()

    def abort(self) -> None:
        """Close at once, without what is still to be written."""
        if self.transport is not None:
            self.transport.abort()

    # ---- inside

    def _take(self, data: bytes) -> None:
        """Answer one request, or hold or hand over what has come."""
        transport = self.transport
        if transport is None:
            return
        if self._pending is not None:
            self._held += data
            if len(self._held) > MOST:  # until then it is read on, so that the caller's end is seen
                transport.pause_reading()
            return
        if self._needed:
            self._held += data
            if len(self._held) < self._needed:
                hasten(transport)
                return
            data, self._held, self._needed = bytes(self._held), bytearray(), 0
            self._be_patient("")
        body = self._memory.body_of(data)
        if body is not None and not transport.get_write_buffer_size():
            self._respond(body)
            return
        self._take_other(data, transport)

    def _take_other(self, data: bytes, transport: asyncio.Transport) -> None:
        """Take what is not the same as the request before."""
        head = read_head(data) if self._plain is not None else None
        if head is None or not self._fits(head, data, transport):
            self._hand_over(data)
            return
        self._version, self._keep_alive, self.host = head.version, head.keep_alive, head.host
        if len(data) == head.size + head.length and head.length <= MOST:
            self._memory.learn(data, head)
            self._respond(data[head.size :])
        else:
            self._wait_for_rest(data, head, transport)

    def _fits(self, head: RequestHead, data: bytes, transport: asyncio.Transport) -> bool:
        """Whether the request is alone, not too large, and admitted, and the peer takes its answers."""
        return (
            len(data) <= head.size + head.length
            and head.length <= self._max_body
            and not transport.get_write_buffer_size()
            and self._plain is not None
            and self._plain.admits(head, transport)
        )

    def _wait_for_rest(self, data: bytes, head: RequestHead, transport: asyncio.Transport) -> None:
        """Hold what has come of a body; a large one has a place of its own, once it has shown its key."""
        assert self._plain is not None
        whole = head.size + head.length
        if head.length > MOST:
            if self._plain.knows(data[head.size : head.size + KEY_WITHIN]):
                self._read_large(data, head, transport)
                return
            if len(data) >= head.size + KEY_WITHIN:
                self._hand_over(data)  # to be refused
                return
            whole = head.size + KEY_WITHIN
        self._held += data
        self._needed = whole
        self._be_patient("body")
        hasten(transport)

    def _read_large(self, data: bytes, head: RequestHead, transport: asyncio.Transport) -> None:
        self._be_patient("large body")
        self._limit.asked(self)  # of a client that is known: whether it goes on is looked at here
        body = self._body = LargeBody(self, head.length)
        body.take(data[head.size :])
        if self._body is not None:
            transport.set_protocol(body)

    def body_has_come(self, body: bytes) -> None:
        """Answer a large body that is whole."""
        transport, self._body = self.transport, None
        self._be_patient("")
        if transport is not None:
            transport.set_protocol(self)
            self._respond(body)

    def _respond_again(self, body: bytes) -> None:
        """Answer what is whole, with the head of the request before: nearly all that comes."""
        assert self._plain is not None
        answer = self._plain.respond(body, self)
        if isinstance(answer, bytes):
            self._write(answer)
            self._limit.served(self)
        else:
            self._wait_for(answer)

    def _respond(self, body: bytes) -> None:
        assert self._plain is not None
        answer = self._plain.respond(body, self)
        if isinstance(answer, bytes):
            self._write(answer)
            self._limit.answered(self)
        else:
            self._wait_for(answer)

    def _wait_for(self, answer: asyncio.Future[Any]) -> None:
        self._pending = answer
        self._limit.asked(self)
        self._owner.working.add(answer)
        answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        self._owner.working.discard(answer)
        assert self._plain is not None
        gone = self._pending is not answer
        if not gone:
            self._pending = None
        if gone or answer.cancelled() or self.transport is None or self.transport.is_closing():
            self._plain.dropped(answer)
            if not gone:
                self.force_close()
            return
        self._pending = self._unsent = answer
        self._write(self._plain.document(answer))
        if not self._paused and self._unsent is not None:
            self._end_answer(answer)

    def _end_answer(self, answer: asyncio.Future[Any]) -> None:
        """Go on after an answer that was waited for, and that the peer has taken."""
        assert self._plain is not None
        self._pending = self._unsent = None
        self._plain.written(answer)
        if self._ends_then and self.transport is not None:
            self.transport.close()
        self._limit.answered(self)
        self._go_on()

    def _go_on(self) -> None:
        """Take what came before its turn."""
        if self.transport is None or self.transport.is_closing() or not self._held:
            return
        held, self._held = bytes(self._held), bytearray()
        self.transport.resume_reading()
        self._take(held)

    def _write(self, document: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        stays = self._keep_alive and self._limit.may_stay(self)
        head = _head(int(time()), self._version, stays, "" if self._plain is None else self._plain.headers)
        transport.write(b"%b%d\r\n\r\n%b" % (head, len(document), document))
        if self._ends_then or not stays:
            transport.close()

    def _hand_over(self, data: bytes) -> None:
        """Let aiohttp serve the connection from here on."""
        transport = self.transport
        assert transport is not None
        self._be_patient("")
        self._owner.left(self)
        handler = self._handler = self._owner.handler_for(self)
        handler.connection_made(transport)
        transport.set_protocol(handler)
        handler.data_received(data)

    def _be_patient(self, waits_for: str) -> None:
        """Bound the wait for body, closing tag or answer; more of the same does not prolong it."""
        if waits_for == self._patient_for:
            return
        self._patient_for = waits_for
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        loop = asyncio.get_running_loop()
        if waits_for == "body":
            self._patience = loop.call_later(BODY_PATIENCE, self.force_close)
        elif waits_for == "large body":
            self._patience = loop.call_later(BODY_PATIENCE, self._look_at_large)
        elif waits_for == "answer":
            self._patience = loop.call_later(HALF_CLOSED_PATIENCE, self.force_close)
        elif waits_for == "tag":
            self._patience = loop.call_later(TAG_PATIENCE, self._give_up_on_tag)

    def _look_at_large(self) -> None:
        """Close a connection on which nothing has come for the whole time; else wait once more."""
        body = self._body
        if body is None or not body.moved():
            self.force_close()
            return
        self._patient_for = ""
        self._be_patient("large body")

    def _give_up_on_tag(self) -> None:
        if self._repair is not None:
            self._take(self._repair.give_up())


@lru_cache(maxsize=8)
def _head(second: int, version: str, keep_alive: bool, more: str) -> bytes:
    """Return the head of an answer, up to its length, as it is in that second."""
    connection = "keep-alive" if keep_alive else "close"
    return (
        f"HTTP/{version} 200 OK\r\nContent-Type: text/xml\r\nServer: asyncsamp\r\n"
        f"{more}Connection: {connection}\r\nDate: {formatdate(second, usegmt=True)}\r\nContent-Length: "
    ).encode("ascii")
