"""What can go wrong on the way to a peer, apart from what the peer answers.

PeerError (ConnectionError)
  PeerRefusedError                nobody listens there
    ForeignPeerError              somebody does, but another user of this machine
  PeerTimeoutError (TimeoutError) no whole answer in time
  PeerClosedError                 the connection ended before a whole answer had come
  PeerBusyError                   it is a server of this package that has no room for another connection
"""

from __future__ import annotations

__all__ = [
    "NO_ROOM",
    "NO_ROOM_ANSWER",
    "ForeignPeerError",
    "PeerBusyError",
    "PeerClosedError",
    "PeerError",
    "PeerRefusedError",
    "PeerTimeoutError",
]

NO_ROOM = "too many connections for this program; close others, or raise its limit of open files (ulimit -n)"
"""What a server of this package says, with HTTP 503, when it has no room for another connection."""


NO_ROOM_ANSWER = (
    f"HTTP/1.1 503 {NO_ROOM}\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n".encode()
)


class PeerError(ConnectionError):
    """A request did not get its answer.

    The text shows no path: callback URLs may hold what only the hub and its client know.

    Args:
        url: Where the request was to go.
        reason: What went wrong.
        sent: Whether the peer may have got the request, and so may have acted on it; False means that it
            certainly has not.
    """

    def __init__(self, url: str, reason: str, *, sent: bool) -> None:
        self.url = url
        self.reason = reason
        self.sent = sent
        super().__init__(f"{origin(url)}: {reason}")


class PeerRefusedError(PeerError):
    """Nobody listens at the address.

    Args:
        url: Where the request was to go.
        reason: What went wrong.
        sent: Whether the peer may have got the request.
    """


class ForeignPeerError(PeerRefusedError):
    """Who listens at the address is another user of this machine, who must not get the request.

    Args:
        url: Where the request was to go.
        user: The uid of that user.
        sent: Whether the peer may have got the request.
    """

    def __init__(self, url: str, user: int, *, sent: bool) -> None:
        self.user = user
        super().__init__(url, f"user {user} of this machine listens there now", sent=sent)


class PeerTimeoutError(PeerError, TimeoutError):
    """The time ran out before a whole answer was there.

    Args:
        url: Where the request was to go.
        reason: What went wrong.
        sent: Whether the peer may have got the request.
    """


class PeerClosedError(PeerError):
    """The peer closed or reset the connection before a whole answer was there.

    Args:
        url: Where the request was to go.
        reason: What went wrong.
        sent: Whether the peer may have got the request.
    """


class PeerBusyError(PeerError):
    """The peer, a server of this package, has no room for the request: it has not read it.

    Args:
        url: Where the request was to go.
        reason: What went wrong.
        sent: Whether the peer may have got the request.
    """


def origin(url: str) -> str:
    """Return the part of `url` that names the peer and nothing else: scheme, host and port."""
    scheme, slashes, rest = url.partition("://")
    return scheme + slashes + rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
