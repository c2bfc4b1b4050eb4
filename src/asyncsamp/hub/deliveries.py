"""How what the core wants said gets to the clients: outboxes, couriers, retries, congestion, last words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from .._util.foreign_text import plain_line
from .._util.sizing import estimate_size
from ..delivery import DeliverCall, Delivery, DeliveryError
from ..interfaces import Courier, QuickCourier
from ..limits import Limits
from ..values import RawMap, Value
from .core import HubCore
from .observer import Observers
from .outbox import LOW_WATER, Outbox
from .rate_limit import RateLimit

__all__ = ["Deliveries"]

log = logging.getLogger("asyncsamp.hub")

_COMPLAINTS = 5
_COMPLAINTS_PER_SECOND = 0.1
"""Warnings about one client that does not take its messages: so many at once, and then one in ten seconds."""


class Deliveries:
    """The outbox and the courier of each client.

    `apply` carries out what the core wants done after it was told that a message was not taken, `lose`
    removes a client that cannot be reached, and `who` is how the log calls a client.
    """

    def __init__(
        self,
        limits: Limits,
        core: HubCore,
        observers: Observers,
        *,
        apply: Callable[[], None],
        lose: Callable[[str, str], None],
        who: Callable[[str], str],
    ) -> None:
        self._limits = limits
        self._core = core
        self._observers = observers
        self._apply = apply
        self._lose = lose
        self._who = who
        self._loop = asyncio.get_running_loop()
        self._couriers: dict[str, Courier] = {}
        self._quick: dict[str, QuickCourier] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._complaints: dict[str, RateLimit] = {}
        self._weighed: tuple[Value | RawMap, int] = ("", 0)
        self._ahead: Outbox | None = None  # the fullest of those put into since `take_ahead`
        self._farewells: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> list[str]:
        """The public ids of those who have an outbox, with the hub's own."""
        return list(self._outboxes)

    @property
    def reached(self) -> list[str]:
        """The public ids of those who have a courier: also of those who are still told that they leave."""
        return list(self._couriers)

    def courier_of(self, client: str) -> Courier | None:
        """Return who reaches `client`, also while that leaves."""
        return self._couriers.get(client)

    def waiting(self, sender: str | None, recipient: str) -> int:
        """Return how many deliveries of `sender`, None for all, wait for `recipient`, not yet under way."""
        box = self._outboxes.get(recipient)
        if box is None:
            return 0
        return len(box) if sender is None else box.waiting(sender)

    def attach(self, client: str, courier: Courier, low_water: int = LOW_WATER) -> None:
        """Let `courier` reach `client`; senders are held while more than `low_water` deliveries wait."""
        self._couriers[client] = courier
        if isinstance(courier, QuickCourier):
            self._quick[client] = courier
        self._outboxes[client] = Outbox(client, self._deliver, self._limits, low_water, courier.has_unread)

    def post(self, delivery: Delivery) -> None:
        """Put a delivery into the outbox of its recipient, who is congested when that is full."""
        client = delivery.recipient
        box = self._outboxes[client]
        if self._observers.callbacks:
            self._observers.posted(delivery)
        if self._quick and not box.busy and self._deliver_at_once(delivery):
            return
        # What goes out at once need not be weighed, so a hub whose clients keep up pays nothing for it.
        box.put(delivery, self._weigh(delivery) if box.busy else 0)
        if box.outrun and (self._ahead is None or len(box) > len(self._ahead)):
            self._ahead = box
        if box.full and self._takes_part(client):
            self._core.congest(client)
            text = "%s does not take its messages: %d wait, further ones are refused"
            log.warning(text, self._who(client), len(box))

    def take_ahead(self) -> Outbox | None:
        """Return the outbox whose senders are ahead of its deliveries, if there is one since last asked."""
        ahead, self._ahead = self._ahead, None
        return ahead

    async def is_alive(self, client: str) -> bool:
        """Whether `client` could still be reached.

        Whoever has a delivery under way is told by that one, and must not be disturbed: DS9 answers only
        when its image is loaded, and a second connection would make the load fail.
        """
        box, courier = self._outboxes.get(client), self._couriers.get(client)
        if box is not None and box.delivering:
            return True
        return courier is None or await courier.is_alive(client)

    def forget(self, client: str, *, last_words: bool) -> None:
        """Drop what waits for `client`; with `last_words` only once it has taken it, or a time is over."""
        box = self._outboxes.pop(client)
        self._quick.pop(client, None)
        self._complaints.pop(client, None)
        if last_words and box.busy:
            name = f"asyncsamp-farewell-{client}"
            task = self._loop.create_task(self._say_farewell(client, self._who(client), box), name=name)
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)
        else:
            self._drop(client, box)

    async def drain(self) -> None:
        """Return once everybody has taken what waits, or `Limits.shutdown_patience` is over."""
        news = [
            self._loop.create_task(box.drained(), name=f"asyncsamp-drain-{client}")
            for client, box in self._outboxes.items()
            if box.busy
        ]
        waiting = [*news, *self._farewells]
        if waiting:
            await asyncio.wait(waiting, timeout=self._limits.shutdown_patience)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def close(self) -> set[asyncio.Task[None]]:
        """Drop all that waits, and return the tasks that now end."""
        for box in self._outboxes.values():
            self._close_box(box)
        return self._ending

    def release(self) -> None:
        """Let all couriers forget their clients."""
        for client, courier in self._couriers.items():
            courier.forget(client)
        self._couriers.clear()

    # ---- inside

    def _takes_part(self, client: str) -> bool:
        """Whether messages to `client` are still accepted; not while it is told that it is removed."""
        return not self._core.is_congested(client) and self._core.is_registered(client)

    def _weigh(self, delivery: Delivery) -> int:
        """About how many bytes `delivery` has; a broadcast is weighed once for all."""
        content = delivery[-1]
        if self._weighed[0] is not content:
            self._weighed = (content, estimate_size(content))
        return self._weighed[1]

    def _deliver_at_once(self, delivery: Delivery) -> bool:
        """Deliver without a task, if the recipient's courier can just now. Raises nothing."""
        quick = self._quick.get(delivery.recipient)
        try:
            if quick is None or not quick.deliver_at_once(delivery):
                return False
        except Exception:
            log.exception("delivery to %s failed", self._who(delivery.recipient))
            return False
        if self._observers.notifications or self._observers.calls:
            self._observers.delivered(delivery)
        return True

    async def _deliver(self, delivery: Delivery) -> None:
        """Deliver, or see to it that nobody waits for what could not be delivered. Raises nothing."""
        client = delivery.recipient
        self._relieve(client)
        try:
            await self._try(self._couriers[client], delivery)
            if self._observers.notifications or self._observers.calls:
                self._observers.delivered(delivery)
        except DeliveryError as error:
            self._undelivered(delivery, error)
        except Exception:
            log.exception("delivery to %s failed", self._who(client))
            self._undelivered(delivery, DeliveryError("the hub failed to deliver it"))

    async def _try(self, courier: Courier, delivery: Delivery) -> None:
        """Deliver; a refused connection is tried again, since nothing was delivered by it."""
        for attempt in range(1, self._limits.refused_connections + 1):
            try:
                return await courier.deliver(delivery)
            except DeliveryError as error:
                if not error.gone or attempt == self._limits.refused_connections:
                    raise
            await asyncio.sleep(self._limits.refused_pause)
        raise AssertionError("the loop returns or raises")

    def _undelivered(self, delivery: Delivery, error: DeliveryError) -> None:
        client = delivery.recipient
        if self._observers.callbacks:
            self._observers.refused(delivery, error.reason)
        if not self._core.is_registered(client):
            return
        if error.gone:
            self._lose(client, error.reason)
            return
        # A client that fails at every message must not fill the disk with it.
        level = logging.WARNING if self._may_complain(client) else logging.DEBUG
        log.log(level, "%s did not take a message: %s", self._who(client), plain_line(error.reason))
        if isinstance(delivery, DeliverCall):
            self._core.refuse(delivery.msg_id, f"did not take the call: {error.reason}")
            self._apply()

    def _may_complain(self, client: str) -> bool:
        complaints = self._complaints.get(client)
        if complaints is None:
            complaints = self._complaints[client] = RateLimit(_COMPLAINTS_PER_SECOND, _COMPLAINTS)
        return complaints.take(self._loop.time())

    def _relieve(self, client: str) -> None:
        box = self._outboxes.get(client)
        if box is not None and self._core.is_congested(client) and box.roomy:
            log.info("%s takes its messages again", self._who(client))
            self._core.relieve(client)
            self._apply()

    async def _say_farewell(self, client: str, who: str, box: Outbox) -> None:
        try:
            async with asyncio.timeout(self._limits.shutdown_patience):
                await box.drained()
        except TimeoutError:
            log.info("%s could not be told in time that it was disconnected", who)
        finally:
            self._drop(client, box)

    def _drop(self, client: str, box: Outbox) -> None:
        self._close_box(box)
        self._couriers.pop(client).forget(client)
        self._observers.forgotten(client)

    def _close_box(self, box: Outbox) -> None:
        for worker in box.close():
            self._ending.add(worker)
            worker.add_done_callback(self._ending.discard)
