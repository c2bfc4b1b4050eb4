"""A running hub, and clients that reach it in one way or another: the houses that client tests run in.

To run the client's suite over another connection, add its way to `WAYS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from asyncsamp import (
    Client,
    DirectConnection,
    Hub,
    Limits,
    OriginStore,
    StandardConnection,
    WebConnection,
    WebProfile,
    allow_all,
)
from asyncsamp.interfaces import Connection

__all__ = ["HASTY", "LIMITS", "WAYS", "House", "open_house", "turns_until"]

LIMITS = Limits(
    close_timeout=5,
    refused_pause=0.01,
    reconnect_first=0.01,
    reconnect_last=0.05,
    hub_check_interval=0.05,
    shutdown_patience=5,
)
"""Short pauses, so that a test which waits for one does not wait long.

What ends a goodbye that nobody answers is long: a busy machine stands still for a second now and then.
"""

HASTY = replace(LIMITS, close_timeout=0.1)
"""For a client whose handlers never end. Its goodbye may be lost, which a test must not mind."""


class House:
    """A hub on a lockfile of its own. Clients that joined leave when the house is closed."""

    def __init__(self, way: str, lockfile: Path, limits: Limits) -> None:
        self.way = way
        self.lockfile = lockfile
        self.limits = limits
        self.web = WebProfile(consent=allow_all, port=0, mtypes=None, store=OriginStore())
        profiles = [self.web] if way == "web" else []
        self.hub = Hub(lockfile=lockfile, limits=limits, profiles=profiles)
        self._stack = AsyncExitStack()

    def connection(self) -> Connection:
        """Return a new way to the hub."""
        return WAYS[self.way](self)

    def client(self, name: str = "client", **options: Any) -> Client:
        """Return a client that has not registered."""
        return Client(name, **{"connection": self.connection(), "limits": self.limits, **options})

    async def join(self, name: str = "client", **options: Any) -> Client:
        """Return a client that has registered, and will leave when the house is closed."""
        return await self.enter(self.client(name, **options))

    async def enter(self, client: Client) -> Client:
        """Register a client, which will leave when the house is closed."""
        return await self._stack.enter_async_context(client)

    async def close(self) -> None:
        """Let the clients leave, and stop the hub."""
        try:
            await self._stack.aclose()
        finally:
            await self.hub.shutdown()


WAYS: dict[str, Callable[[House], Connection]] = {
    "direct": lambda house: DirectConnection(house.hub),
    "standard": lambda house: StandardConnection(lockfile=house.lockfile, limits=house.limits),
    "web": lambda house: WebConnection(port=house.web.port, limits=house.limits),
}


@asynccontextmanager
async def open_house(way: str, folder: Path, **limits: Any) -> AsyncIterator[House]:
    """Start a hub, and stop it at the end."""
    house = House(way, folder / "x.samp", replace(LIMITS, **limits))
    await house.hub.start()
    try:
        yield house
    finally:
        await house.close()


async def turns_until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Let the loop turn until `condition()` holds, for what nothing else announces."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0)
