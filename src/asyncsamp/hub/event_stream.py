"""What happens in a hub, as an async iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .observer import HubEvent

__all__ = ["HubEventStream"]


class HubEventStream:
    """What happens in a hub, from the moment it is made; made by `Hub.events`.

        async with hub.events() as events:
            async for event in events:
                ...

    It is bounded: a reader who is too slow misses the oldest events, and `missed` says how many. It never
    holds up a message. Iteration ends when the stream is closed or the hub stops. One reader at a time.
    """

    def __init__(
        self, observe: Callable[[Callable[[HubEvent], None]], Callable[[], None]], limit: int
    ) -> None:
        self._queue: deque[HubEvent] = deque(maxlen=limit)
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._end = observe(self._put)
        self.missed = 0

    def __repr__(self) -> str:
        return f"<HubEventStream {len(self._queue)} waiting, {self.missed} missed>"

    @property
    def closed(self) -> bool:
        """Whether no more events come in."""
        return self._closed

    def close(self) -> None:
        """Stop watching; what waits can still be read."""
        self._closed = True
        self._end()
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HubEvent:
        """Return the next event. Cancelling is safe: no event is lost.

        Raises:
            RuntimeError: If somebody else waits for the next event of this stream.
        """
        if self._waiter is not None:
            raise RuntimeError("two readers of one stream of events; make a stream for each")
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, event: HubEvent) -> None:
        if len(self._queue) == self._queue.maxlen:
            self.missed += 1
        self._queue.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
