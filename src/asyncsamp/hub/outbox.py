"""One client's outbox: messages leave in order, and a slow one holds up the next only for a while."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ..delivery import Delivery
from ..limits import Limits
from ..values import Value

__all__ = ["IN_PROCESS", "LOW_WATER", "Outbox"]


LOW_WATER = 1
"""Deliveries that may wait, beside the one under way, before senders are held: one keeps the outbox busy
until they send again. With 4 each notification waits five times as long at full load as with none."""

IN_PROCESS = 100
"""The same for a client of this process, which takes all of them in the next turn of the loop."""

_LOW_PATIENCE = 0.05
"""Seconds for an outbox to drain. One that takes longer has a slow client, for which nobody is held."""


class Outbox:
    """The queue of one client and the tasks that empty it.

    There is a task only while there is something to deliver. One task is in charge and
    delivers one by one, which keeps the order. When its delivery has taken longer than
    `Limits.delivery_patience`, the next task takes charge, up to
    `Limits.deliveries_in_flight` at once: a client that calls the hub back while it
    handles a message could deadlock otherwise. It does not as long as the client has not
    even read what is under way: it handles nothing then, and once it reads again, it would
    find several deliveries, and read them in any order.

    Args:
        client: Its public id.
        deliver: Delivers one; raises nothing.
        limits: Those of the hub.
        low_water: How many may wait before senders are held.
        has_unread: Whether a delivery is under way that the client has not read.
    """

    def __init__(
        self,
        client: str,
        deliver: Callable[[Delivery], Awaitable[None]],
        limits: Limits,
        low_water: int = LOW_WATER,
        has_unread: Callable[[str], bool] = lambda client: False,
    ) -> None:
        self._client = client
        self._deliver = deliver
        self._limits = limits
        self._low_water = low_water
        self._has_unread = has_unread
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Delivery, int]] = deque()
        self._weight = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._in_charge: asyncio.Task[None] | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._held: list[tuple[asyncio.Future[Value], Value]] = []
        self._low_timer: asyncio.TimerHandle | None = None
        self._slow = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Whether something waits or is under way."""
        return bool(self._queue or self._workers)

    @property
    def delivering(self) -> bool:
        """Whether a delivery is under way."""
        return bool(self._workers)

    @property
    def full(self) -> bool:
        """Whether no more should be put in."""
        return len(self._queue) >= self._limits.outbox or self._weight >= self._limits.outbox_weight

    @property
    def outrun(self) -> bool:
        """Whether senders are ahead of the deliveries, and should be held."""
        return len(self._queue) > self._low_water and not self._slow and not self._closed

    def waiting(self, sender: str) -> int:
        """Return how many deliveries of `sender` wait, without those under way."""
        return sum(delivery[1] == sender for delivery, _ in self._queue)

    def hold(self, answer: Value) -> asyncio.Future[Value]:
        """Return what becomes `answer` when few deliveries wait, or the client has shown to be slow."""
        held: asyncio.Future[Value] = self._loop.create_future()
        self._held.append((held, answer))
        if self._low_timer is None:
            self._low_timer = self._loop.call_later(_LOW_PATIENCE, self._release, True)
        return held

    @property
    def roomy(self) -> bool:
        """Whether at least half of it is free."""
        return (
            len(self._queue) <= self._limits.outbox // 2 and self._weight <= self._limits.outbox_weight // 2
        )

    def put(self, delivery: Delivery, weight: int = 0) -> None:
        """Append `delivery` of about `weight` bytes; drop it after `close`.

        The engine sees to it that the queue stays bounded.
        """
        if not self._closed:
            self._queue.append((delivery, weight))
            self._weight += weight
            self._advance()

    async def drained(self) -> None:
        """Return once nothing waits and nothing is under way. Cancelling is safe."""
        while self.busy:
            if self._empty is None:
                self._empty = self._loop.create_future()
            await asyncio.shield(self._empty)

    def close(self) -> list[asyncio.Task[None]]:
        """Drop what waits and comes, cancel what is under way, and return the tasks that now end."""
        self._closed = True
        self._queue.clear()
        self._weight = 0
        self._release(False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        return workers

    def _release(self, slow: bool) -> None:
        """Hold the senders no longer; those of a slow client not again before few deliveries wait."""
        self._slow = slow
        if self._low_timer is not None:
            self._low_timer.cancel()
            self._low_timer = None
        held, self._held = self._held, []
        for future, answer in held:
            if not future.done():  # the sender may have been cancelled
                future.set_result(answer)

    def _advance(self) -> None:
        """Put a task in charge, unless one is that has not yet exhausted the patience."""
        if not self._queue:
            return
        if len(self._workers) >= self._limits.deliveries_in_flight:
            return  # the next that ends comes here again
        if self._in_charge is not None:
            left = self._since + self._limits.delivery_patience - self._loop.time()
            if left > 0:
                self._look_again(left)
                return
            if self._timer is not None:
                return  # it has been looked at
            if self._has_unread(self._client):
                self._look_again(self._limits.delivery_patience)
                return
        worker = self._loop.create_task(self._work(), name=f"asyncsamp-outbox-{self._client}")
        self._workers.add(worker)
        self._in_charge = worker
        self._since = self._loop.time()
        if len(self._queue) > 1:  # the first is its own; the others may have to be taken from it
            self._look_again(self._limits.delivery_patience)

    def _look_again(self, delay: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(delay, self._patience_over)

    def _patience_over(self) -> None:
        self._timer = None
        self._advance()

    async def _work(self) -> None:
        this = asyncio.current_task()
        assert this is not None
        try:
            while self._queue and self._in_charge is this:
                self._since = self._loop.time()
                delivery, weight = self._queue.popleft()
                self._weight -= weight
                if len(self._queue) <= self._low_water and (self._held or self._slow):
                    self._release(False)
                await self._deliver(delivery)
        finally:
            self._workers.discard(this)
            if self._in_charge is this:
                self._in_charge = None
            self._advance()
            if not self.busy:
                self._rest()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._empty is not None:
            self._empty.set_result(None)
            self._empty = None
