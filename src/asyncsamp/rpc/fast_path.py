"""A request with the head of an earlier one, answered on the spot.

Whoever keeps a connection sends the same head again and again, with another Content-Length. The first
request of a connection goes the whole way: aiohttp parses it, the handler judges its head. When a later
one comes whole, in one piece, with the very same head but for that number, its head need not be parsed
and judged anew, and its body is answered in place. That saves a task, a Request, a Response and their
headers, which aiohttp makes for each: 65 of the 170 us of processor time that the hub took for a
notification. Anything else that comes (in pieces, pipelined, another head, a large body) is aiohttp's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Generator
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD

from .connection_limit import ConnectionLimit
from .lf_compat import LineFeedHandler

__all__ = ["HeadMemory", "QuickHandler", "Respond"]

Respond: TypeAlias = Callable[[bytes], Coroutine[Any, Any, bytes]]
"""Answers the body of a request with the body of an XML-RPC response; raises nothing."""

MOST = 64 * 1024
"""Bytes of a body that is answered so. Above it, keys are looked for before it is read."""

_MAX_HEAD = 2048
"""Bytes of a head that is remembered; those of SAMP's programs have 200."""

_LONGEST = 12 * 3600.0 + 3600.0
"""Seconds after which aiohttp may take a connection at work for idle: later than any callAndWait ends."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,9})(?=\r\n)")
_OTHERWISE = re.compile(rb"(?i)\r\n(transfer-encoding|expect|upgrade)[ \t]*:")


class HeadMemory:
    """What came before and after the Content-Length in the head of a request. No I/O.

    Bodies of more than `most` bytes are not its business.
    """

    __slots__ = ("_after", "_before", "_candidate", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._before = b""
        self._after = b""
        self._candidate: tuple[bytes, bytes, int] | None = None

    def look_at(self, data: bytes) -> bool:
        """Whether `data` is one whole HTTP/1.1 request with a length; its head is a candidate then."""
        end = data.find(b"\r\n\r\n", 0, _MAX_HEAD) + 4
        lengths = _LENGTH.findall(data, 0, end)
        line_end = data.find(b"\r\n")
        whole = (
            end > 4
            and data.startswith(b"POST ")
            and data.endswith(b" HTTP/1.1", 0, line_end)
            and len(lengths) == 1
            and len(data) == end + int(lengths[0])
            and not _OTHERWISE.search(data, 0, end)
        )
        self._candidate = None
        if whole:
            match = _LENGTH.search(data, 0, end)
            assert match is not None
            self._candidate = data[: match.start(1)], data[match.end(1) : end], int(lengths[0])
        return whole

    def learn(self, length: int | None) -> None:
        """The candidate, of that Content-Length by the parser's reading, was served: remember it."""
        candidate, self._candidate = self._candidate, None
        if candidate is not None and candidate[2] == length:
            self._before, self._after, _ = candidate

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body if `data` is one whole request with the head that was learnt."""
        before = self._before
        if not before or not data.startswith(before):
            return None
        end = data.find(b"\r", len(before), len(before) + 10)
        digits = data[len(before) : end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        return body if len(body) == int(digits) <= self._most else None


class QuickHandler(LineFeedHandler):
    """Answers requests with a known head by `respond`, and leaves the others to aiohttp.

    A response that has to wait goes on in a task, which is in `tasks` until it ends, and is cancelled
    when the caller vanishes. Meanwhile nothing more is read.
    """

    __slots__ = (
        "_due",
        "_ends_then",
        "_known",
        "_later",
        "_name",
        "_respond",
        "_tasks",
        "_working",
    )

    def __init__(
        self,
        manager: web.Server,
        *,
        respond: Respond,
        crowd: ConnectionLimit,
        tasks: set[asyncio.Task[Any]],
        name: str,
        max_body: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(manager, crowd=crowd, max_body=max_body, **kwargs)
        self._respond = respond
        self._tasks = tasks
        self._name = name
        self._known: HeadMemory | None = HeadMemory(min(max_body, MOST))
        self._working: asyncio.Task[bytes] | None = None
        self._due: bytes | None = None
        self._later: list[bytes] = []
        self._ends_then = False

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        known = self._known
        if known is None or not data:
            super().data_received(data)
            return
        self._crowd.hear(self)
        if self._working is not None or self._due is not None:
            self._later.append(data)
            if self.transport is not None:
                self.transport.pause_reading()
            return
        body = known.body_of(data)
        if body is not None and self._is_free():
            self._answer(body)
            return
        if not known.look_at(data):
            # From here on only aiohttp's parser knows where a request begins.
            self._known = None
        super().data_received(data)

    def served(self, request: web.BaseRequest) -> None:
        """Take note that a request was answered with success, so that its head is right."""
        if self._known is not None and request.keep_alive:
            self._known.learn(request.content_length)

    def close(self) -> None:
        """Close as soon as no request is at work; the server calls it when it stops."""
        if self._due is not None:
            self._write_due()
        if self._working is not None:
            self._ends_then = True
        else:
            super().close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end of the connection."""
        self._known = None
        if self._working is not None:
            self._working.cancel()
        super().connection_lost(exc)

    def _is_free(self) -> bool:
        """Whether aiohttp waits for a request, and the peer has taken all answers."""
        waiter, transport = self._waiter, self.transport
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and transport is not None
            and not transport.get_write_buffer_size()
        )

    def _answer(self, body: bytes) -> None:
        response = self._respond(body)
        try:
            awaited = response.send(None)  # nearly always to its end
        except StopIteration as end:
            self._due = end.value
            self._loop.call_soon(self._wait_a_turn)
            return
        self._crowd.begin(self, EMPTY_PAYLOAD)
        self._next_keepalive_close_time = self._loop.time() + _LONGEST
        task = self._loop.create_task(_go_on(_Rest(response, awaited)), name=self._name)
        self._working = task
        self._tasks.add(task)
        task.add_done_callback(self._worked)

    def _wait_a_turn(self) -> None:
        # A delivery takes two turns of the loop: in one its answer comes, in the next the following one
        # goes out. Senders answered sooner would outrun the deliveries, and fill every outbox (p99 600 ms
        # at full load, 5 ms so).
        self._loop.call_soon(self._write_due)

    def _write_due(self) -> None:
        body, self._due = self._due, None
        if body is not None:  # else it went out when the server closed
            self._write(body)
            self._next()

    def _worked(self, task: asyncio.Task[bytes]) -> None:
        self._tasks.discard(task)
        self._working = None
        if task.cancelled():
            self.force_close()
            return
        self._write(task.result())
        self._next()

    def _next(self) -> None:
        if self._ends_then:
            self.close()
        if self._later:
            later, self._later = self._later, []
            if self.transport is not None:
                self.transport.resume_reading()
            for data in later:
                self.data_received(data)

    def _write(self, body: bytes) -> None:
        if self.transport is None:
            return
        self.transport.write(b"%b%d\r\n\r\n%b" % (_head(int(time())), len(body), body))
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._crowd.end(self)


@lru_cache(maxsize=1)
def _head(second: int) -> bytes:
    """Return the head of an answer, up to its length, as it is in that second."""
    date = formatdate(second, usegmt=True)
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nServer: asyncsamp\r\nConnection: keep-alive\r\n"
        f"Date: {date}\r\nContent-Length: "
    ).encode("ascii")


async def _go_on(rest: _Rest) -> bytes:
    return await rest


class _Rest:
    """The rest of a coroutine that was begun outside of a task and waits for `awaited`."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, bytes], awaited: object) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[object, Any, bytes]:
        coroutine, awaited = self._coroutine, self._awaited
        try:
            while True:
                try:
                    value = yield awaited
                except BaseException as error:
                    awaited = coroutine.throw(error)
                else:
                    awaited = coroutine.send(value)
        except StopIteration as end:
            answer: bytes = end.value
            return answer
        finally:
            coroutine.close()
