"""What the hub says of its rooms to its own clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ....interfaces import ROOMS, Engine
from ....values import Value, ValueMap

__all__ = ["Said"]

_PAUSE = 0.5
"""Seconds between two times that the hubs are told anew: strangers cause it, and it goes to all clients."""


class Said:
    """What the hub says of one room. Several rooms may have the same name: each has an entry of its own.

    It belongs to the running event loop.

    Args:
        engine: The hub.
        room: The name of the room.
        connected: Whether there is a connection to its server.
        hubs: Returns the labels of the other hubs that are in it.
    """

    def __init__(
        self, engine: Engine, room: str, *, connected: Callable[[], bool], hubs: Callable[[], Iterable[str]]
    ) -> None:
        self._engine = engine
        self._room = room
        self._connected = connected
        self._hubs = hubs
        self._last: ValueMap | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def say(self) -> None:
        """Say now how it stands."""
        labels: list[Value] = [*sorted(self._hubs())]
        self._exchange({"name": self._room, "connected": str(int(self._connected())), "hubs": labels})

    def say_soon(self) -> None:
        """Say how it stands: at once, or when some time has gone by since the last such time."""
        if self._timer is not None:
            return
        if self._loop.time() >= self._next:
            self._due()
        else:
            self._timer = self._loop.call_at(self._next, self._due)

    def end(self) -> None:
        """Say nothing of the room any more. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._exchange(None)

    def _due(self) -> None:
        self._timer = None
        self._next = self._loop.time() + _PAUSE
        self.say()

    def _exchange(self, stands: ValueMap | None) -> None:
        """Put an entry in the place of our last one."""
        rooms = self._all()
        place = rooms.index(self._last) if self._last in rooms else len(rooms)
        rooms[place : place + 1] = [] if stands is None else [stands]
        self._engine.say_of_hub(ROOMS, rooms)
        if stands is None or stands in self._all():  # it may be more than there is room for
            self._last = stands

    def _all(self) -> list[Value]:
        hub = self._engine.describe(self._engine.hub_id)
        said = hub.metadata.get(ROOMS) if hub is not None else None
        return [*said] if isinstance(said, list) else []
