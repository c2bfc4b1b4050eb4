"""That the hub was lost, and that there is one again, as an async iterator."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Self

from .loop_check import CheckLoop, any_loop

__all__ = ["HubChange", "HubChangeStream", "HubChanges"]

_KEPT = 100
"""Changes kept for a reader; the oldest go. A hub that comes and goes faster than that is of no use."""


@dataclass(frozen=True, slots=True)
class HubChange:
    """The client has lost its hub, or is registered with one.

    Attributes:
        connected: True once the client is registered and the hub knows its handlers; False when the hub
            is lost.
        url: The hub that it is about.
        reason: Why the hub was lost, "" when there is one.
    """

    connected: bool
    url: str
    reason: str = ""


class HubChangeStream:
    """`HubChange` items until the client unregisters; made by `Client.hub_changes`.

    Waiting for an item can be cancelled: no item is lost. One reader at a time.
    """

    def __init__(self, check_loop: CheckLoop = any_loop) -> None:
        self._check_loop = check_loop
        self._waiting: deque[HubChange] = deque(maxlen=_KEPT)
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, change: HubChange) -> None:
        """Give the reader one more.

        Args:
            change: What has happened.
        """
        self._waiting.append(change)
        self._arrived.set()

    def close(self) -> None:
        """End the iteration once what waits is read."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HubChange:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._check_loop("tell what becomes of its hub")
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class HubChanges:
    """All the streams of one client; one that is simply forgotten ends by itself.

    Args:
        check_loop: Raises `WrongLoopError` where the client cannot wait.
    """

    def __init__(self, check_loop: CheckLoop = any_loop) -> None:
        self._check_loop = check_loop
        self._streams: weakref.WeakSet[HubChangeStream] = weakref.WeakSet()

    def open(self) -> HubChangeStream:
        """Return a new stream."""
        stream = HubChangeStream(self._check_loop)
        self._streams.add(stream)
        return stream

    def tell(self, change: HubChange) -> None:
        """Give `change` to each stream."""
        for stream in list(self._streams):
            stream.put(change)

    def close(self) -> None:
        """End each stream."""
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
