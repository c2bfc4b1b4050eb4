"""Two data ports with a real nats-server between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.reach.bus import BusServer, NatsBus
from asyncsamp.hub.profiles.reach.data import DataPort
from asyncsamp.hub.profiles.reach.subjects import Subjects
from asyncsamp.limits import Limits

from ..nats_server import PATIENCE, NatsServer, running_server

ROOM = "m31"


class Side:
    """One hub's engine, bus and data port, and a tool that reads."""

    def __init__(self, server: BusServer, member: str, *, offers: bool = True, named: bool = False) -> None:
        self.name = f"{member}.0123abcd"
        self.engine = HubEngine(Limits(), {})
        self.backs = asyncio.Event()
        self.bus = NatsBus(server, back=self._back)
        self.port = DataPort(self.engine, self.bus, Subjects(ROOM, self.name), offers=offers, named=named)
        self.tool = aiohttp.ClientSession(auto_decompress=False)

    def _back(self) -> None:
        self.backs.set()
        self.port.back()

    async def start(self) -> None:
        await self.bus.start()
        async with asyncio.timeout(PATIENCE):
            await self.backs.wait()
        await self.port.start()
        inbox = f"echo.{self.name}"  # by which the server is known to have the subscriptions
        heard = asyncio.Event()
        end = self.bus.subscribe(inbox, lambda message: heard.set())
        self.bus.publish(inbox, b"")
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
        end()

    async def close(self) -> None:
        await self.tool.close()
        await self.port.close()
        await self.bus.close()

    async def read(self, url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Read a URL as a tool does; return status, body and headers."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.tool.request(method, url, headers=sent) as answer:
            return answer.status, await answer.read(), dict(answer.headers)


class Sides:
    """What alice sends, bob gets."""

    def __init__(self, server: NatsServer, alice: Side, bob: Side) -> None:
        self.server = server
        self.alice = alice
        self.bob = bob

    def sent(self, url: str, *, trusted: bool = True) -> str:
        got = self.bob.port.urls.incoming(self.alice.port.urls.outgoing(url, trusted=trusted), site="")
        assert isinstance(got, str)
        assert got != url
        return got


@contextlib.asynccontextmanager
async def two_sides(
    folder: Path, config: str = "", *, offers: bool = True, named: bool = False, program: str = ""
) -> AsyncIterator[Sides]:
    async with (
        running_server(folder, config, program=program) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        sides = []
        for member in ("alice", "bob"):
            bus = BusServer(url=server.url)
            side = Side(bus, member, offers=offers, named=named)
            stack.push_async_callback(side.close)
            await side.start()
            sides.append(side)
        yield Sides(server, *sides)
