"""Hubs in one room over a real nats-server, and clients on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from asyncsamp import Client, Hub, Limits, RemoteClient
from asyncsamp.hub.profiles.reach.bus import BusServer, NatsBus
from asyncsamp.hub.profiles.reach.invitation import Invitation, invitation_of_url
from asyncsamp.hub.profiles.reach.profile import Reach

from ..nats_server import PATIENCE, NatsServer, running_server

__all__ = [
    "LIMITS",
    "Machines",
    "Place",
    "RoomHouse",
    "find",
    "name_of",
    "names",
    "open_room",
    "stranger",
    "until",
]

LIMITS = Limits(
    close_timeout=10,
    shutdown_patience=5,
    reconnect_first=0.01,
    reach_beat=0.1,
    reach_here=0.3,
    reach_refused=1.0,
    reach_patience=10.0,  # a busy machine may stand still for two
    reach_grace=1.0,
    reach_resend=0.2,
)


class Place:
    """A machine: a hub that has joined, and its clients."""

    def __init__(self, label: str, reach: Reach, hub: Hub, stack: AsyncExitStack) -> None:
        self.label = label
        self.reach = reach
        self.hub = hub
        self._stack = stack

    async def client(self, name: str, **options: Any) -> Client:
        client = Client(name, lockfile=self.hub.lockfile, **{"limits": LIMITS, **options})
        return await self._stack.enter_async_context(client)


class Machines:
    """Hubs that join rooms. All are closed with the stack."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._count = 0

    async def enter(
        self,
        label: str,
        invitation: Invitation,
        *,
        limits: Limits = LIMITS,
        profiles: Callable[[], list[Any]] = list,
        **options: Any,
    ) -> Place:
        """Join by an invitation; `options` are those of `Reach`."""
        self._count += 1
        reach = Reach(invitation, label=label, **options)
        hub = Hub(lockfile=self._folder / f"samp-{self._count}", profiles=[reach, *profiles()], limits=limits)
        await self._stack.enter_async_context(hub)
        return Place(label, reach, hub, self._stack)


class RoomHouse(Machines):
    """A server without accounts, and hubs that join its room."""

    def __init__(self, server: NatsServer, folder: Path, stack: AsyncExitStack) -> None:
        super().__init__(folder, stack)
        self.server = server

    async def join(self, label: str, *, invitation: Invitation | None = None, **options: Any) -> Place:
        """Join, by default with everything allowed."""
        invitation = invitation or invitation_of_url(self.server.url)
        return await self.enter(label, invitation, **{"mtypes": None, **options})


@asynccontextmanager
async def open_room(folder: Path, config: str = "", *, program: str = "") -> AsyncIterator[RoomHouse]:
    """Run a server, by default any that is installed, for hubs to `join`."""
    async with (
        running_server(folder / "server", config, program=program) as server,
        AsyncExitStack() as stack,
    ):
        yield RoomHouse(server, folder, stack)


@asynccontextmanager
async def stranger(room: RoomHouse, *, listens: bool = True) -> AsyncIterator[NatsBus]:
    """Somebody who is at the server, and `listens` for all hubs, so that none of them seems to be gone."""
    ready = asyncio.Event()
    bus = NatsBus(BusServer(url=room.server.url), back=ready.set)
    await bus.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
        if listens:
            bus.subscribe("samp.room.*.*.to.anybody.*", lambda _: None)
        yield bus
    finally:
        await bus.close()


async def name_of(bus: NatsBus, place: Place) -> str:
    """Return what the room calls the hub of a place."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    end = bus.subscribe("samp.room.anybody.*.here", lambda message: heard.put_nowait(message.subject))
    async with asyncio.timeout(PATIENCE):
        hub = ".".join((await heard.get()).split(".")[2:4])
    end()
    return hub


async def until(true: Callable[[], object], what: str = "") -> None:
    """Wait until something is so, which nobody tells of."""
    async with asyncio.timeout(3 * PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


def names(client: Client) -> set[str]:
    """Return the names of those whom a client sees."""
    return {other.name for other in client.clients.values()}


def find(client: Client, name: str) -> RemoteClient:
    return next(other for other in client.clients.values() if other.name == name)
