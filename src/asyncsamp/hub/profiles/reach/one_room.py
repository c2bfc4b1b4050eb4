"""The room of a hub that a notebook has started: it may be another one while the hub runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ....interfaces import Engine

if TYPE_CHECKING:
    from .profile import Reach

__all__ = ["OneRoom"]

_running: WeakValueDictionary[tuple[int, str], OneRoom] = WeakValueDictionary()


class OneRoom:
    """A profile that joins one room at a time, or none.

    It belongs to the event loop in which it was made.

    Args:
        place: Where the hub is published.
        room: What is joined when the hub starts.
    """

    def __init__(self, place: str, room: Reach | None = None) -> None:
        self.room = room
        self._loop = asyncio.get_running_loop()
        self._key = id(self._loop), place
        self._engine: Engine | None = None
        self._turn = asyncio.Lock()
        self._change: asyncio.Task[None] | None = None

    @staticmethod
    def running_at(place: str) -> OneRoom | None:
        """Return that of the hub which this process runs in the running loop, and publishes at `place`."""
        loop = asyncio.get_running_loop()
        found = _running.get((id(loop), place))
        return found if found is not None and found._loop is loop else None

    async def start(self, engine: Engine) -> None:
        """Join the room, if there is one. Raises as `Reach.start`."""
        async with self._turn:
            if self.room is not None:
                await self.room.start(engine)
            self._engine = engine
            _running[self._key] = self

    async def stop(self) -> None:
        """Leave the room. If it is cancelled, call it again."""
        if _running.get(self._key) is self:
            del _running[self._key]
        async with self._turn:
            if self.room is not None:
                await self.room.stop()
            self._engine = None

    async def change(self, room: Reach) -> None:
        """Leave the room, and join another one; only that is noted if the hub does not run.

        If it is cancelled, it goes on to its end.

        Args:
            room: The other one.

        Raises:
            MissingExtraError: nats-py is not installed.
            LocalProtocolError: A seed or a certificate cannot be read; the hub is in no room then.
            OSError: No port can be opened; the same.
        """
        work = self._exchange(room)
        self._change = asyncio.get_running_loop().create_task(work, name="asyncsamp-reach-change")
        await asyncio.shield(self._change)

    async def _exchange(self, room: Reach) -> None:
        async with self._turn:
            if self._engine is None:
                self.room = room
                return
            if self.room is not None:
                await self.room.stop()
                self.room = None
            await room.start(self._engine)
            self.room = room
