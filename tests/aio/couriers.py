"""Couriers for the tests of the hub's middle floor: who notes what is delivered, and holds or refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asyncsamp.delivery import DeliverCall, DeliverNotification, DeliverResponse, Delivery
from asyncsamp.values import ValueMap

__all__ = ["FakeCourier", "note", "number_of"]

SECONDS = 30.0


def note(number: int, recipient: str = "c1") -> DeliverNotification:
    """Return the notification of that number."""
    message: ValueMap = {"samp.mtype": "test.note", "samp.params": {"number": str(number)}}
    return DeliverNotification(recipient, "c9", message)


def number_of(delivery: Delivery) -> int:
    """Return the number that `note` put into a notification, -1 if there is none."""
    if not isinstance(delivery, DeliverNotification):
        return -1
    params = delivery.message["samp.params"]
    assert isinstance(params, dict)
    return int(str(params.get("number", -1)))


class FakeCourier:
    """Takes every delivery unless told to hold or to refuse it.

    `hold` and `refuse` are asked for each attempt, with its delivery.
    """

    def __init__(self) -> None:
        self.attempts: list[Delivery] = []
        self.taken: list[Delivery] = []
        self.forgotten: list[str] = []
        self.checked: list[str] = []
        self.under_way = 0
        self.most_under_way = 0
        self.alive: Callable[[], bool] = lambda: True
        self.unread: Callable[[], bool] = lambda: False
        self.hold: Callable[[Delivery], bool] = lambda delivery: False
        self.refuse: Callable[[Delivery], Exception | None] = lambda delivery: None
        self._held: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def let_go(self, *numbers: int) -> None:
        """Let the notifications of these numbers be taken; without numbers all that is held or comes."""
        if not numbers:
            self.hold = lambda delivery: False
        for delivery, future in self._held:
            if not future.done() and (not numbers or number_of(delivery) in numbers):
                future.set_result(None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once `condition()` holds, which is asked after every change here."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the notifications that were taken."""
        return [number_of(delivery) for delivery in self.taken]

    @property
    def calls(self) -> list[DeliverCall]:
        """The calls that were taken."""
        return [delivery for delivery in self.taken if isinstance(delivery, DeliverCall)]

    @property
    def responses(self) -> list[DeliverResponse]:
        """The responses that were taken."""
        return [delivery for delivery in self.taken if isinstance(delivery, DeliverResponse)]

    @property
    def mtypes(self) -> list[str]:
        """The mtypes of the notifications that were taken."""
        return [str(one.message["samp.mtype"]) for one in self.taken if isinstance(one, DeliverNotification)]

    async def deliver(self, delivery: Delivery) -> None:
        """Take one delivery, or not."""
        self.attempts.append(delivery)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self._changed.set()
        try:
            if self.hold(delivery):
                let_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._held.append((delivery, let_go))
                await let_go
            error = self.refuse(delivery)
            if error is not None:
                raise error
            self.taken.append(delivery)
        finally:
            self.under_way -= 1
            self._changed.set()

    async def is_alive(self, client: str) -> bool:
        """Say what `alive` says."""
        self.checked.append(client)
        self._changed.set()
        return self.alive()

    def has_unread(self, client: str) -> bool:
        """Say what `unread` says."""
        return self.unread()

    def forget(self, client: str) -> None:
        """Note that the client is gone."""
        self.forgotten.append(client)
        self._changed.set()
