"""A hub with a state file is killed at any moment: no change is lost that it has answered.

Six times here; with --long two hundred times.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asyncsamp import xmlrpc
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.values import Value

from ..aio.raw import post, stranger
from ..interop.peers import own_hub
from ..ports import lasting_port

CLIENTS = 8
CHANGES = 60
"""Requests between two kills, at most."""


@dataclass(eq=False)
class Caller:
    """A client, and what the hub has answered to it."""

    key: str
    public_id: str
    metadata: int = 0
    subscriptions: int = 0
    leaving: bool = False


@dataclass
class Callers:
    """Clients that come, declare and leave; they keep no connection, and tell the hub nothing twice."""

    url: str
    secret: str
    requests: int = 0
    changes: int = 0
    there: list[Caller] = field(default_factory=list)
    left: list[Caller] = field(default_factory=list)

    async def ask(self, method: str, *params: Value) -> Value | xmlrpc.Fault:
        self.requests += 1
        status, body = await stranger(self.url, post(xmlrpc.dump_call(f"samp.hub.{method}", params)))
        if status != 200:
            raise ConnectionError("the hub is gone")
        return xmlrpc.load_response(body)

    async def change(self) -> None:
        """Change one thing after the other until the hub is gone."""
        with contextlib.suppress(OSError):
            while True:
                registration = await self.ask("register", self.secret)
                assert isinstance(registration, dict), registration
                caller = Caller(str(registration["samp.private-key"]), str(registration["samp.self-id"]))
                self.there.append(caller)
                for _ in range(3):
                    self.changes += 1
                    number = self.changes
                    assert await self.ask("declareMetadata", caller.key, {"n": str(number)}) == ""
                    caller.metadata = number
                    assert await self.ask("declareSubscriptions", caller.key, {f"n.n{number}": {}}) == ""
                    caller.subscriptions = number
                if len(self.there) > CLIENTS:
                    first = self.there[0]
                    first.leaving = True
                    assert await self.ask("unregister", first.key) == ""
                    self.left.append(self.there.pop(0))

    async def until(self, requests: int) -> None:
        """Wait until so many have been sent; the last one is under way then."""
        async with asyncio.timeout(60):
            while self.requests < requests:
                await asyncio.sleep(0)

    async def look(self) -> None:
        """Fail unless the hub knows all that it has answered, and nobody who has left."""
        for caller in list(self.there):
            metadata = await self.ask("getMetadata", caller.key, caller.public_id)
            if caller.leaving and isinstance(metadata, xmlrpc.Fault):
                self.there.remove(caller)  # it has left, without an answer
                continue
            caller.leaving = False
            subscriptions = await self.ask("getSubscriptions", caller.key, caller.public_id)
            assert isinstance(metadata, dict), metadata
            assert isinstance(subscriptions, dict), subscriptions
            assert int(str(metadata.get("n", 0))) >= caller.metadata
            assert max([0, *(int(key[3:]) for key in subscriptions)]) >= caller.subscriptions
        for caller in self.left:
            assert isinstance(await self.ask("getRegisteredClients", caller.key), xmlrpc.Fault)
        del self.left[:]


@pytest.mark.timeout(900)
async def test_no_change_is_lost_that_was_answered(tmp_path: Path, long: bool) -> None:
    kills = 200 if long else 6
    lockfile = tmp_path / "hub.samp"
    options = "--no-web-profile", "--state", str(tmp_path / "state.json")
    moments = random.Random(7)
    callers: Callers | None = None
    for _ in range(kills):
        port = [] if callers else ["--port", str(lasting_port())]  # later it knows it by its state
        async with own_hub(lockfile, tmp_path, *options, *port) as hub:
            if callers is None:
                published = parse_lockfile(await asyncio.to_thread(lockfile.read_text))
                callers = Callers(published.url, published.secret)
            else:
                await callers.look()
            changing = asyncio.create_task(callers.change())
            await callers.until(callers.requests + moments.randint(1, CHANGES))
            for _ in range(moments.randint(0, 30)):
                await asyncio.sleep(0)
            await hub.kill()
            await changing
    assert callers is not None
    async with own_hub(lockfile, tmp_path, *options):
        await callers.look()
        print(f"{kills} kills, {callers.changes} changes of each kind, none lost")
        assert callers.changes > kills
