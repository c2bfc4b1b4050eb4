"""Accepting connections: as many as may come, then none for a moment, and then a plain refusal.

asyncio's own way logs each connection that it cannot accept for want of a file descriptor, a thousand
times a second; libuv's closes it without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import cast

from . import descriptors
from .connection_limit import ConnectionLimit
from .descriptors import Supply
from .errors import NO_ROOM_ANSWER

__all__ = ["Listener"]

_log = logging.getLogger("asyncsamp.rpc")

_AT_ONCE = 64
"""Connections that are accepted in one turn of the loop."""

_PAUSE = 0.1
"""Seconds until it is seen again whether there is room, if nothing that ends tells it before."""

_URGENT = 0.5
"""Seconds for which newcomers wait before an idle connection is closed for them."""

_PATIENCE = 1.0
"""Seconds for which newcomers wait for room. After that they are told that there is none."""

_REFUSING = 1.0
"""Seconds that one who is refused has to read it."""

_REFUSED_AT_ONCE = 4
"""Newcomers who are refused at the same time: each has one of the last descriptors meanwhile."""

_LACK = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Accepts what comes to one bound socket.

    Args:
        sock: The socket; it is closed with the listener.
        limit: Says whether there is room.
        make: Makes the protocol of a connection.
        backlog: How many may wait to be accepted.
    """

    def __init__(
        self, sock: socket.socket, limit: ConnectionLimit, make: Callable[[], asyncio.Protocol], backlog: int
    ) -> None:
        self._sock = sock
        self._limit = limit
        self._make = make
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._beginning: set[asyncio.Task[object]] = set()
        self._refused: set[_Refusal] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._full_since = 0.0
        self._spent = False
        self._told = False
        self._closed = False

    async def start(self) -> None:
        """Begin to accept. Cancelling is safe; then close it."""
        self._sock.listen(self._backlog)
        try:
            self._loop.add_reader(self._sock, self._readable)
        except NotImplementedError:
            # Windows, where a process may have as many connections as it likes.
            self._server = await self._loop.create_server(self._make, sock=self._sock)

    def resume(self) -> None:
        """Look again whether there is room: something has ended."""
        if self._pause is not None:
            self._spent = False
            self._go_on()

    def close(self) -> None:
        """Accept nothing more. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        if self._server is not None:
            self._server.close()
            return
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_reader(self._sock)
        self._sock.close()
        for refusal in list(self._refused):
            refusal.end()

    async def begun(self) -> None:
        """Return once all that was accepted has its protocol. Cancelling is safe."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    # ---- inside

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            room = self._has_room()
            if not room and not self._may_refuse():
                self._wait()
                return
            try:
                sock, _ = self._sock.accept()
            except OSError as error:
                # Anything else is the newcomer's: he has gone, or the network has.
                if error.errno in _LACK:
                    self._lack()
                return
            self._begin(sock, refused=not room)

    def _has_room(self) -> bool:
        now = self._loop.time()
        urgent = bool(self._full_since) and now >= self._full_since + _URGENT
        room = not self._spent and self._limit.has_room(len(self._beginning), urgent=urgent)
        if room:
            self._full_since = 0.0
        elif not self._full_since:
            self._full_since = now
        return room

    def _may_refuse(self) -> bool:
        waited = self._loop.time() >= self._full_since + _PATIENCE
        return waited and len(self._refused) < _REFUSED_AT_ONCE

    def _begin(self, sock: socket.socket, *, refused: bool) -> None:
        sock.setblocking(False)
        if descriptors.supply(sock.fileno()) is Supply.SPENT and not descriptors.free_one():
            self._spent = True
        protocol: asyncio.Protocol = _Refusal(self._refused) if refused else self._make()
        connecting = self._loop.connect_accepted_socket(lambda: protocol, sock)
        beginning = self._loop.create_task(connecting, name="asyncsamp-accept")
        self._beginning.add(beginning)
        beginning.add_done_callback(lambda begun: self._begun(begun, sock))

    def _begun(self, beginning: asyncio.Task[object], sock: socket.socket) -> None:
        self._beginning.discard(beginning)
        if beginning.cancelled() or beginning.exception() is not None:
            sock.close()

    def _lack(self) -> None:
        """Wait until a descriptor is free."""
        self._spent = not descriptors.free_one()
        self._full_since = self._full_since or self._loop.time()
        self._wait()

    def _wait(self) -> None:
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        most = descriptors.allowed()
        bound = "" if most is None else f" (this process may have {most} files; `ulimit -n` raises that)"
        _log.log(level, "there is no room for another connection%s: newcomers wait, or are refused", bound)
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(_PAUSE, self._look)

    def _look(self) -> None:
        self._spent = False
        self._go_on()

    def _go_on(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if not self._closed:
            self._loop.add_reader(self._sock, self._readable)


class _Refusal(asyncio.Protocol):
    """Tells a newcomer that there is no room, as soon as he has asked for something."""

    def __init__(self, others: set[_Refusal]) -> None:
        self._others = others
        others.add(self)
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None
        self._told = False

    def end(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request: an answer that comes before it may be lost."""
        self._transport = cast("asyncio.Transport", transport)
        self._end = asyncio.get_running_loop().call_later(_REFUSING, transport.close)

    def data_received(self, data: bytes) -> None:
        """Refuse, and read the rest: what is closed unread takes the answer with it."""
        if self._told or self._transport is None:
            return
        self._told = True
        self._transport.write(NO_ROOM_ANSWER)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end."""
        self._others.discard(self)
        self._transport = None
        if self._end is not None:
            self._end.cancel()
