"""The connections of one server: never more than the process has file descriptors for.

A silent connection may not simply be timed out: a browser holds one while it asks its user for
permission. But when there are too many, whoever is silent for longest has to go, so that nobody can lock
the others out by connecting and saying nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from aiohttp import web
from aiohttp.streams import StreamReader

__all__ = ["ConnectionLimit", "most_connections"]

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


class ConnectionLimit:
    """Who is connected, those heard of last at the end; sends the oldest away above `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._silent: dict[web.RequestHandler, float] = {}  # since when
        self._idle: dict[web.RequestHandler, None] = {}
        self._speaking: dict[web.RequestHandler, StreamReader | float] = {}  # its body, or since when
        self._told = False

    def __len__(self) -> int:
        return len(self._silent) + len(self._idle) + len(self._speaking)

    def come(self, handler: web.RequestHandler) -> None:
        """Take note of a new connection; another, or it itself, is closed if there are too many."""
        now = self._silent[handler] = asyncio.get_running_loop().time()
        if len(self) > self._most:
            self._send_away(now)

    def hear(self, handler: web.RequestHandler) -> None:
        """Take note of bytes from it. Until its answer is written it is not idle.

        Closed meanwhile, it would not know whether its request was done, and might send it twice.
        """
        if handler not in self._speaking:
            self._silent.pop(handler, None)
            self._idle.pop(handler, None)
            self._speaking[handler] = asyncio.get_running_loop().time()

    def begin(self, handler: web.RequestHandler, body: StreamReader) -> None:
        """Take note of a request, of which `body` may be still to come."""
        self._speaking[handler] = body

    def end(self, handler: web.RequestHandler) -> None:
        """Take note that the answer was written."""
        if self._speaking.pop(handler, self) is not self:
            self._idle[handler] = None

    def go(self, handler: web.RequestHandler) -> None:
        """Take note of the end of a connection."""
        self._silent.pop(handler, None)
        self._idle.pop(handler, None)
        self._speaking.pop(handler, None)

    def _send_away(self, now: float) -> None:
        handler = self._dispensable(now - _A_MOMENT)
        self.go(handler)
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        _log.log(level, "more than %d connections; those silent for longest are closed", self._most)
        handler.force_close()

    def _dispensable(self, before: float) -> web.RequestHandler:
        """Return who has been silent for longest, or is idle, or has not yet sent its request whole.

        If all the others are at work it is who came first without a word, at last the newcomer.
        """
        longest, since = next(iter(self._silent.items()))
        if since < before:
            return longest
        for handler in self._idle:
            return handler
        for handler, body in self._speaking.items():
            if body < before if isinstance(body, float) else not body.is_eof():
                return handler
        return longest
