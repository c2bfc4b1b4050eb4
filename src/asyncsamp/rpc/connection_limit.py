"""The connections of one server: never more than the process has file descriptors for.

A silent connection may not simply be timed out: a browser holds one while it asks its user for
permission. But when there are too many, whoever is silent for longest has to go, so that nobody can lock
the others out by connecting and saying nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Protocol

from aiohttp.streams import StreamReader

__all__ = ["Connection", "ConnectionLimit", "most_connections"]

_log = logging.getLogger("asyncsamp.rpc")

_MOST = 8192
"""Connections of one server, whatever the process may have. A hub has one or two for each client."""

_FEWEST = 16

_A_MOMENT = 0.25
"""Seconds that a new connection has for its first request before it counts as silent."""


def most_connections() -> int:
    """Return half of the file descriptors that this process may have, within bounds.

    The other half is for connections to the clients, for files, and for what else the process does.
    """
    if sys.platform == "win32":
        return _MOST
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(_FEWEST, min(soft // 2, _MOST))


class Connection(Protocol):
    """A connection that can be closed."""

    def force_close(self) -> None:
        """Close it at once."""
        ...


class ConnectionLimit:
    """Who is connected, those heard of last at the end; closes the oldest above `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._silent: dict[Connection, float] = {}  # since when
        self._idle: dict[Connection, None] = {}
        self._speaking: dict[Connection, StreamReader | float | None] = {}  # since when, its body, or whole
        self._told = False

    def __len__(self) -> int:
        return len(self._silent) + len(self._idle) + len(self._speaking)

    def opened(self, connection: Connection) -> None:
        """Take note of a new connection; another, or it itself, is closed if there are too many."""
        now = self._silent[connection] = asyncio.get_running_loop().time()
        if len(self) > self._most:
            self._close_one(now)

    def heard(self, connection: Connection) -> None:
        """Take note of bytes from it. Until its answer is written it is not idle.

        Closed meanwhile, it would not know whether its request was done, and might send it twice.
        """
        if connection not in self._speaking:
            self._silent.pop(connection, None)
            self._idle.pop(connection, None)
            self._speaking[connection] = asyncio.get_running_loop().time()

    def asked(self, connection: Connection, body: StreamReader | None = None) -> None:
        """Take note of a request, of which `body` may be still to come; None says that it is whole."""
        self._speaking[connection] = body

    def answered(self, connection: Connection) -> None:
        """Take note that the answer was written."""
        if self._speaking.pop(connection, self) is not self:
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Take note of the end of a connection."""
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)
        self._speaking.pop(connection, None)

    def _close_one(self, now: float) -> None:
        connection = self._dispensable(now - _A_MOMENT)
        self.closed(connection)
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        _log.log(level, "more than %d connections; those silent for longest are closed", self._most)
        connection.force_close()

    def _dispensable(self, before: float) -> Connection:
        """Return who has been silent for longest, or is idle, or has not yet sent its request whole.

        If all the others are at work it is who came first without a word, at last the newcomer.
        """
        longest, since = next(iter(self._silent.items()))
        if since < before:
            return longest
        for connection in self._idle:
            return connection
        for connection, body in self._speaking.items():
            if isinstance(body, float):
                if body < before:
                    return connection
            elif body is not None and not body.is_eof():
                return connection
        return longest
