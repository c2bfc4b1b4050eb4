"""What is kept of a peer's messages for those of our clients who do not take them.

It counts as taken, so the peer's window does not bound it: a peer that is asked to pause has a window under
way, and one that goes on has no more than is said here.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from ...._util.sizing import estimate_size
from ....values import Content
from .proxies import Proxy

__all__ = ["Kept", "KeptMessage", "Load"]

_ENTRY = 200
"""Bytes that a message takes for each recipient, beside its content and its id."""


class Load:
    """A body that came, of which messages may be kept.

    Its length counts beside what the messages are estimated to take: an estimate looks at some values only.
    """

    __slots__ = ("count", "size", "weighed")

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.weighed: Content | None = None  # the message of it that was kept last


class KeptMessage(NamedTuple):
    """A message of `proxy`, with the id of the call, and the body in which it came."""

    proxy: Proxy
    msg_id: str | None
    message: Content
    load: Load

    @property
    def entry(self) -> int:
        """Bytes that it takes beside its content."""
        return _ENTRY + len(self.msg_id or "")


class Kept:
    """Messages in their order, for each of our clients who does not take them.

    Args:
        most: How many may be kept for one client.
        most_bytes: About how many bytes for all; one message may go beyond it.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._by_client: dict[str, deque[KeptMessage]] = {}
        self._of: Counter[str] = Counter()  # by the sender's id at the peer
        self._bytes = 0

    def __contains__(self, client: str) -> bool:
        return client in self._by_client

    def begin(self, client: str) -> None:
        """Keep messages for a client from now on."""
        self._by_client.setdefault(client, deque())

    def has_room(self, client: str) -> bool:
        """Whether one more may be kept for a client."""
        return len(self._by_client[client]) < self._most and self._bytes < self._most_bytes

    def count(self, client: str) -> int:
        """Return how many messages are kept for a client."""
        return len(self._by_client.get(client, ()))

    def put(self, client: str, proxy: Proxy, msg_id: str | None, message: Content, load: Load) -> None:
        """Keep a message, which came in that body."""
        if not load.count:
            self._bytes += load.size
        if load.weighed is not message:
            size = estimate_size(message)
            load.weighed, load.size = message, load.size + size
            self._bytes += size
        load.count += 1
        kept = KeptMessage(proxy, msg_id, message, load)
        self._bytes += kept.entry
        self._of[proxy.remote] += 1
        self._by_client[client].append(kept)

    def first(self, client: str) -> KeptMessage | None:
        """Return the oldest message for a client; None if there is none."""
        kept = self._by_client.get(client)
        return kept[0] if kept else None

    def drop_first(self, client: str) -> None:
        """Forget the oldest message for a client."""
        kept = self._by_client[client].popleft()
        self._bytes -= kept.entry
        self._of[kept.proxy.remote] -= 1
        if not self._of[kept.proxy.remote]:
            del self._of[kept.proxy.remote]
        kept.load.count -= 1
        if not kept.load.count:
            self._bytes -= kept.load.size

    def end(self, client: str) -> None:
        """Keep nothing more for a client, of whom nothing is kept any more."""
        del self._by_client[client]

    def has_of(self, remote: str) -> bool:
        """Whether something is kept of a client of the peer."""
        return remote in self._of

    def clear(self) -> None:
        """Forget everything."""
        self._by_client.clear()
        self._of.clear()
        self._bytes = 0
