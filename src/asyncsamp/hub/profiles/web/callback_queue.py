"""Callbacks that wait to be pulled, and the pulls that wait for callbacks (WEB-21..27)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ....delivery import DeliveryError
from ....limits import Limits
from ....xmlrpc import Encoded

__all__ = ["CallbackQueue", "SitePulls"]

_CONNECTIONS = 6
"""What browsers keep open to one host for one site."""

_BATCH = 500
_BATCH_BYTES = 8 * 1024 * 1024
"""What one answer holds at most, but for one callback that is larger: a page reads it all at once."""


class CallbackQueue:
    """The callbacks of one web client, in order.

    A pull takes nothing out: what it was given leaves the queue when `sent` is called, once the
    answer has been written, so that a page that went away while it waited loses nothing (WEB-26).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[tuple[Encoded, str]] = deque()
        self._bytes = 0
        self._writing = 0
        self._turn = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._entry = asyncio.Lock()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, callback: Encoded, msg_id: str = "") -> None:
        """Append a callback; `msg_id` if it is a call. Raises `DeliveryError` when too much waits already."""
        size = len(callback.xml)
        if self._entry.locked() or not self._has_room(size):
            raise DeliveryError("it does not pull its callbacks, and no more can be kept for it")
        self._append(callback, msg_id)

    async def put_in_turn(self, callback: Encoded, wanted: Callable[[], bool]) -> None:
        """Append a callback once there is room for it, behind others that wait for room.

        So what a page does not pull waits in the hub's outbox, whose bound is told to senders. Cancelling
        is safe: then it is not appended.

        Args:
            callback: The callback.
            wanted: Whether the client still takes callbacks.

        Raises:
            DeliveryError: The client has stopped taking callbacks meanwhile.
        """
        async with self._entry:
            while not self._has_room(len(callback.xml)):
                self._room.clear()
                await self._room.wait()
            if not wanted():
                raise DeliveryError("it takes no callbacks")
            self._append(callback, "")

    async def begin(self, timeout: float, alive: Callable[[], bool]) -> list[Encoded] | None:
        """Wait up to `timeout` seconds for a callback; return those that wait, as many as fit one answer.

        An earlier pull of the same client is answered with what there is (WEB-27). `alive` tells
        whether the one who pulls is still there: if not, it is None. Otherwise `sent` or `unsent` must
        be called next. If it is cancelled, nothing has happened.
        """
        self.release()
        await self._turn.acquire()
        try:
            if not self._queue and timeout > 0:
                await self._wait(timeout)
            # The end of a connection may have come in together with the callback: let it be seen first.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        except BaseException:
            self._turn.release()
            raise
        if not alive():
            self._turn.release()
            return None
        batch = self._batch()
        self._writing = len(batch)
        return batch

    def sent(self) -> None:
        """The callbacks that `begin` gave have been written."""
        for _ in range(self._writing):
            self._bytes -= len(self._queue.popleft()[0].xml)
        self._room.set()
        if not self._queue:
            self._emptied.set()
        self.unsent()

    def unsent(self) -> None:
        """What `begin` gave could not be written, and stays."""
        self._writing = 0
        self._turn.release()

    def release(self) -> None:
        """End the wait of the pull that waits, if one does."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> list[str]:
        """Drop everything that is not being written, and return the msg-ids of the calls among it."""
        dropped: list[str] = []
        while len(self._queue) > self._writing:
            callback, msg_id = self._queue.pop()
            self._bytes -= len(callback.xml)
            if msg_id:
                dropped.append(msg_id)
        self._room.set()
        if not self._queue:
            self._emptied.set()
        self.release()
        return dropped[::-1]

    async def emptied(self) -> None:
        """Return once nothing waits."""
        await self._emptied.wait()

    def _has_room(self, size: int) -> bool:
        limits = self._limits
        # One that is larger than all that may wait is never taken while another waits, but then it is.
        fits = self._bytes + size <= limits.web_callback_bytes or not self._queue
        return len(self._queue) < limits.web_callbacks and fits

    def _append(self, callback: Encoded, msg_id: str) -> None:
        self._queue.append((callback, msg_id))
        self._bytes += len(callback.xml)
        self._emptied.clear()
        self.release()

    async def _wait(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(timeout, self.release)
        try:
            await waiter
        finally:
            timer.cancel()
            if self._waiter is waiter:
                self._waiter = None

    def _batch(self) -> list[Encoded]:
        batch: list[Encoded] = []
        size = 0
        for callback, _ in self._queue:
            size += len(callback.xml)
            if batch and (size > _BATCH_BYTES or len(batch) >= _BATCH):
                break
            batch.append(callback)
        return batch


class SitePulls:
    """The pages of one site, and the pulls that they have waiting, oldest first.

    A browser keeps at most six connections to one host for one site, and each page holds one in its
    pull. When more than `Limits.web_polls_per_site` wait, the oldest is answered early, so that its
    page, or another one, can make a call.
    """

    def __init__(self, limits: Limits) -> None:
        self.pages: set[str] = set()
        self._limits = limits
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, pull: object, release: Callable[[], None]) -> None:
        """A pull begins to wait; `release` ends its wait."""
        self._waiting[pull] = (asyncio.get_running_loop().time(), release)
        self._look()

    def leave(self, pull: object) -> None:
        """A pull has ended."""
        self._waiting.pop(pull, None)
        if self._timer is not None and len(self._waiting) <= self._limits.web_polls_per_site:
            self._timer.cancel()
            self._timer = None

    @property
    def _patience(self) -> float:
        """How long the oldest may wait: a call waits until as many turns are over as there are pages more
        than connections."""
        limits = self._limits
        turns = max(1, len(self.pages) - limits.web_polls_per_site) / _CONNECTIONS
        return max(limits.web_poll_shortest, min(limits.web_poll_early, limits.web_call_patience / turns))

    def _look(self) -> None:
        if self._timer is not None or len(self._waiting) <= self._limits.web_polls_per_site:
            return
        since, _ = next(iter(self._waiting.values()))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(since + self._patience, self._release_oldest)

    def _release_oldest(self) -> None:
        self._timer = None
        pull, (since, release) = next(iter(self._waiting.items()))
        # The one that was the oldest may have ended meanwhile.
        if asyncio.get_running_loop().time() >= since + self._patience:
            del self._waiting[pull]
            release()
        self._look()
