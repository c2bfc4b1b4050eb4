"""The connections of one server: never more than the process has file descriptors for.

A silent connection may not simply be timed out: a browser holds one while it asks its user for
permission. But when there are too many, whoever is silent for longest has to go, so that nobody can lock
the others out by connecting and saying nothing.

What is never closed is a connection whose request is being read or done: its sender could not know whether
it was done.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Protocol

from aiohttp.streams import StreamReader

from . import descriptors
from .descriptors import Supply

__all__ = ["Connection", "ConnectionLimit"]

_log = logging.getLogger("asyncsamp.rpc")

_A_MOMENT = 0.5
"""Seconds that a new connection has for its first request before it counts as silent."""

_STANDSTILL = 2.0
"""Seconds after which a request that is not yet whole, and of which no more comes, is given up for others."""

_KEPT = 0.75
"""The part of the connections that may stay open between two requests. The others are closed after each
answer: their clients look after the hub now and then instead, and room is left for them to do so."""


class Connection(Protocol):
    """A connection that can be closed."""

    transport: asyncio.Transport | None

    def force_close(self) -> None:
        """Close it at once."""
        ...

    def refuse(self) -> None:
        """Close it at once, and say that a request that may be on its way is not read."""
        ...


class ConnectionLimit:
    """Who is connected, those heard of last at the end; closes the oldest above `most`.

    `on_room` is called when a connection has ended, or has become idle.
    """

    def __init__(self, most: int, on_room: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._on_room = on_room
        self._silent: dict[Connection, float] = {}  # since when
        self._idle: dict[Connection, None] = {}
        self._speaking: dict[Connection, StreamReader | None] = {}  # its body, if that may be still to come
        self._heard_at: dict[Connection, float] = {}  # of those whose request is not whole
        self._kept: set[Connection] = set()
        self._passing: set[Connection] = set()  # of the reserve
        self._told = False

    def __len__(self) -> int:
        return len(self._silent) + len(self._idle) + len(self._speaking)

    def opened(self, connection: Connection) -> None:
        """Take note of a new connection."""
        self._silent[connection] = asyncio.get_running_loop().time()
        if _supply(connection) > Supply.PLENTY:
            self._passing.add(connection)

    def heard(self, connection: Connection) -> None:
        """Take note of bytes from it. Until its answer is written it is not idle."""
        if connection not in self._speaking:
            self._silent.pop(connection, None)
            self._idle.pop(connection, None)
            self._speaking[connection] = None
        elif connection not in self._heard_at:
            return
        self._heard_at[connection] = asyncio.get_running_loop().time()

    def asked(self, connection: Connection, body: StreamReader | None = None) -> None:
        """Take note of a request, of which `body` may be still to come; None says that it is whole."""
        self._idle.pop(connection, None)  # it may have come behind another one
        self._speaking[connection] = body
        if body is None:
            self._heard_at.pop(connection, None)

    def may_stay(self, connection: Connection) -> bool:
        """Whether the connection may stay open when its request has been answered."""
        if connection in self._kept:
            return True
        if connection in self._passing or len(self._kept) >= max(1, int(self._most * _KEPT)):
            return False
        self._kept.add(connection)
        return True

    def answered(self, connection: Connection) -> None:
        """Take note that the answer was written."""
        self._heard_at.pop(connection, None)
        if self._speaking.pop(connection, self) is not self:
            self._idle[connection] = None
            self._on_room()

    def served(self, connection: Connection) -> None:
        """Take note of an idle one's request that was answered as soon as it came."""
        if connection in self._idle:
            del self._idle[connection]
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Take note of the end of a connection."""
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)
        self._speaking.pop(connection, None)
        self._heard_at.pop(connection, None)
        self._kept.discard(connection)
        self._passing.discard(connection)
        self._on_room()

    def has_room(self, coming: int, *, urgent: bool) -> bool:
        """Whether one more than `coming` may come, perhaps since another one is closed for it.

        An idle one is closed only if it is `urgent`: mostly those that are at work will have ended soon.
        """
        return len(self) + coming < self._most or self.close_one(idle=urgent)

    def close_one(self, *, idle: bool = True) -> bool:
        """Close the connection that can be spared most easily; return whether there is one."""
        connection = self._dispensable(asyncio.get_running_loop().time(), idle)
        if connection is None:
            return False
        close = connection.force_close if connection in self._idle else connection.refuse
        self.closed(connection)
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        _log.log(level, "more than %d connections; those silent for longest are closed", self._most)
        close()
        return True

    def _dispensable(self, now: float, idle: bool) -> Connection | None:
        """Return who has been silent for longest, or is idle, or does not go on with its request."""
        for connection, since in self._silent.items():
            if since >= now - _A_MOMENT:
                break
            if _is_quiet(connection):
                return connection
        for connection in self._idle if idle else ():
            if _is_quiet(connection):
                return connection
        for connection, since in self._heard_at.items():
            body = self._speaking.get(connection)
            if since < now - _STANDSTILL and (body is None or not body.is_eof()) and _is_quiet(connection):
                return connection
        return None


def _supply(connection: Connection) -> Supply:
    number = _number(connection)
    return Supply.PLENTY if number is None else descriptors.supply(number)


def _number(connection: Connection) -> int | None:
    transport = connection.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    return None if sock is None else int(sock.fileno())


def _is_quiet(connection: Connection) -> bool:
    """Whether nothing has come from the peer that was not read yet."""
    number = _number(connection)
    if number is None or number < 0 or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return not poll.poll(0)
