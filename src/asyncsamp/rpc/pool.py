"""What a sender knows about one URL: where it is, and whether its server keeps connections open."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from .._util.hosts import is_loopback_number
from ..errors import LocalProtocolError
from .connection import PeerConnection
from .errors import origin

__all__ = ["MAX_BURST", "MAX_IDLE", "TRIAL", "PeerPool", "check_url"]

TRIAL = 0.25
"""Seconds that a connection must stay open, unused, before an HTTP/1.1 peer that says nothing counts
as one that keeps them. DS9 and Aladin close within a few milliseconds of their answer."""

MAX_IDLE = 4
"""Idle connections kept to one peer: one does for messages in order, more are for bursts."""

MAX_BURST = 32
"""Idle connections kept while a burst lasts: who asks ten things at once would open six of ten anew each
time, which takes as long as three requests."""

_BURST_TIME = 2.0
"""Seconds in which a connection beyond `MAX_IDLE` must be needed to stay."""

_TARGET = re.compile(r"/[!-~]*")
_NETLOC = re.compile(r"[0-9A-Za-z._~:%\[\]-]+")


class PeerPool:
    """The connections that are kept to one URL, with its address and the ready-made head of requests to it.

    A connection is kept only with a peer that has *shown* that it keeps them: by saying `Connection:
    keep-alive`, or by leaving one open for the time of a trial. DS9 answers as HTTP/1.1, says nothing,
    and closes all the same.

    Raises `LocalProtocolError` for a URL that is not plain http.
    """

    __slots__ = (
        "_answers",
        "_burst",
        "_idle",
        "_spare",
        "_trial",
        "_trial_time",
        "address",
        "at_work",
        "busy",
        "closes",
        "head",
        "host",
        "keeps",
        "kept",
        "places",
        "port",
        "seen",
        "told",
        "url",
        "watchers",
    )

    def __init__(self, url: str, trial: float = TRIAL) -> None:
        self.url = url
        self.host, self.port, self.head = _parse(url)
        self.keeps = False  # has shown that it keeps connections
        self.closes = False  # has closed one during a trial
        self.busy = 0  # requests under way
        self.at_work: set[PeerConnection] = set()  # that have one of them
        self.places = 0  # connections that are open, or about to be
        # Where on this machine the last connection went, and whether the system tells who listens there.
        self.address: tuple[str, int] | None = (
            (self.host, self.port) if is_loopback_number(self.host) else None
        )
        self.told = True
        self.seen = 0.0  # when it was last known to be there, by the loop's clock
        self.kept: set[PeerConnection] = set()
        self.watchers: list[asyncio.Future[None]] = []
        self._idle: list[PeerConnection] = []
        self._burst: asyncio.TimerHandle | None = None
        self._spare = 0  # the fewest that were idle at once since the timer was set
        self._trial: PeerConnection | None = None
        self._trial_time = trial
        self._answers = 0  # since the trial began

    @property
    def in_use(self) -> bool:
        """Whether something would be lost by forgetting it now."""
        return bool(self.busy or self.places or self.watchers)

    def is_idle(self, connection: PeerConnection) -> bool:
        """Whether `connection` is kept and free."""
        return connection in self._idle and connection.usable

    @property
    def reachable(self) -> bool:
        """Whether a kept connection is open, so that the peer is there without asking."""
        return any(connection.usable for connection in self.kept)

    def take(self) -> PeerConnection | None:
        """Return the kept connection that was used last, or None."""
        while self._idle:
            connection = self._idle.pop()
            self._spare = min(self._spare, len(self._idle))
            if connection.usable:
                return connection
        return None

    def give_back(self, connection: PeerConnection, keep: bool | None) -> None:
        """Keep, try or close a connection whose answer has come; `keep` is what the peer said of it."""
        self._answers += 1
        if not (connection.usable and connection.drained) or connection.halting:
            connection.close()
        elif keep or (keep is None and self.keeps):
            self._keep(connection)
        elif keep is None and self._trial is None and not self.closes:
            self._trial = connection
            self._answers = 0
            connection.call_later(self._trial_time, self._end_trial)
        else:
            connection.close()

    def lost(self, connection: PeerConnection) -> None:
        """Take note that a connection has ended."""
        if connection is self._trial:
            self._trial = None
            self.closes = not connection.given_up
        if connection in self._idle:
            self._idle.remove(connection)
            if self._burst is not None and len(self._idle) <= MAX_IDLE:
                self._burst.cancel()
                self._burst = None
        if connection in self.kept:
            self.kept.remove(connection)
            # What listens there next may be another program: it has to show again.
            self.keeps = self.keeps and connection.given_up
            if not connection.given_up:
                self.seen = 0.0  # it may have been killed
            if not self.kept:
                self._wake_watchers()

    def _keep(self, connection: PeerConnection) -> None:
        if len(self._idle) >= MAX_BURST:
            connection.close()
            return
        self.kept.add(connection)
        self._idle.append(connection)
        if self._burst is None and len(self._idle) > MAX_IDLE:
            self._watch_burst()

    def _watch_burst(self) -> None:
        self._spare = len(self._idle)
        self._burst = asyncio.get_running_loop().call_later(_BURST_TIME, self._end_burst)

    def _end_burst(self) -> None:
        """Close what was not needed, but for those that are always kept; look again while there are more."""
        self._burst = None
        for connection in self._idle[: max(0, min(self._spare, len(self._idle)) - MAX_IDLE)]:
            self._idle.remove(connection)
            connection.close()
        if len(self._idle) > MAX_IDLE:
            self._watch_burst()

    def _end_trial(self) -> None:
        connection, self._trial = self._trial, None
        if connection is None or not connection.usable:
            return
        if self.busy and not self._answers:
            # Others wait, and none was answered all the while: a server that serves one connection
            # at a time is listening to this silent one.
            connection.close()
            return
        self.keeps = True
        self._keep(connection)

    def _wake_watchers(self) -> None:
        for watcher in self.watchers:
            if not watcher.done():
                watcher.set_result(None)


def check_url(url: str) -> tuple[str, int]:
    """Return the host and port that `url` names.

    Args:
        url: A URL of http.

    Raises:
        LocalProtocolError: Requests cannot go there.
    """
    return _parse(url)[:2]


def _parse(url: str) -> tuple[str, int, bytes]:
    """Return host, port, and the request's head up to the number of its bytes."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LocalProtocolError(f"{origin(url)!r} is not a URL: {error}") from None
    if parts.scheme != "http":
        raise LocalProtocolError(f"{origin(url)!r} cannot be reached: only http:// URLs are (STD-41)")
    if not host or not _NETLOC.fullmatch(parts.netloc) or port == 0:
        raise LocalProtocolError(
            f"{origin(url)!r} names no host to connect to; it must be http://HOST:PORT/..."
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(target) or url != url.strip():
        raise LocalProtocolError(f"the path of the URL at {origin(url)} has characters that no URL may have")
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: asyncsamp\r\n"
        "Content-Type: text/xml\r\nContent-Length: "
    )
    return host, port or 80, head.encode("ascii")
