"""Cuts: what was accepted arrives, once and in order, and open calls are answered.

The short form has shorter cuts, and hubs that lose patience sooner; with --long they are as long as in
life, the hubs have processes of their own, and each cut is made thirty times.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from asyncsamp import Client, HubFaultError, Message
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.reach.server import free_port

from ..hub_process import hub_process
from ..nats_server import PATIENCE, NatsServer, running_server
from .relay import Relay, running_relay
from .rooms import LIMITS, Machines, find, until

RUNS = 30
END = "end"

PATIENT = replace(LIMITS, reach_refused=5.0)
"""On a busy machine one hub may be back at the server more than a second before the other."""


@dataclass
class Parts:
    """What can be cut: A's server and the way to it, B's server, and B's hub."""

    server: NatsServer
    far: NatsServer
    relay: Relay
    pid: int
    unit: float
    """Seconds that stand for one."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.unit)


async def killed(parts: Parts) -> None:
    await parts.server.kill()
    await parts.wait(2)
    await parts.server.start()


async def killed_four_times(parts: Parts) -> None:
    for _ in range(4):
        await parts.server.kill()
        await parts.wait(0.5)
        await parts.server.start()
        await parts.wait(1)


async def hung(parts: Parts) -> None:
    parts.server.freeze()
    await parts.wait(5)
    parts.server.thaw()


async def frozen_hub(parts: Parts) -> None:
    os.kill(parts.pid, signal.SIGSTOP)
    await parts.wait(5)
    os.kill(parts.pid, signal.SIGCONT)


async def swallowed(parts: Parts) -> None:
    parts.relay.swallow()
    await parts.wait(10)
    parts.relay.go_on()


async def leaf_away(parts: Parts) -> None:
    await parts.far.kill()
    await parts.wait(1)
    await parts.far.start()


CUTS: list[Callable[[Parts], Awaitable[None]]] = [
    killed,
    killed_four_times,
    hung,
    frozen_hub,
    swallowed,
    leaf_away,
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("cut", CUTS)
async def test_what_is_accepted_arrives_once_and_in_order(
    cut: Callable[[Parts], Awaitable[None]], long: bool, tmp_path: Path
) -> None:
    async with two_machines(tmp_path, long=long, leaf=cut is leaf_away, process=cut is frozen_hub) as (
        parts,
        sender,
        receiver,
    ):
        seen = await sender.find("receiver", timeout=3 * PATIENCE)
        answer = asyncio.Event()

        @receiver.on("test.slow")
        async def slow(message: Message) -> None:
            await answer.wait()

        async with receiver.messages("test.n", limit=1_000_000) as came:
            await until(lambda: seen.subscribes("test.n") and seen.subscribes("test.slow"))
            for _ in range(RUNS if long else 1):
                answer.clear()
                calling = asyncio.create_task(sender.call(seen, "test.slow", timeout=120))
                accepted = await accepted_meanwhile(cut(parts), parts, sender, seen.public_id)
                answer.set()
                got = []
                async with asyncio.timeout(60):
                    while (number := str((await anext(came)).params["n"])) != END:
                        got.append(int(number))
                    assert (await calling).ok
                assert got == accepted
                assert find(sender, seen.name) is seen, "it was given up meanwhile"


async def accepted_meanwhile(work: Awaitable[None], parts: Parts, sender: Client, to: str) -> list[int]:
    """Send numbers while a cut is made, and for a while after it; return those that were accepted."""
    cutting = asyncio.ensure_future(work)
    accepted: list[int] = []
    number = 0
    rest = 200
    while not cutting.done() or rest:
        rest -= cutting.done()
        if await took(sender, to, number):
            accepted.append(number)
        await asyncio.sleep(0.001)
        number += 1
    await cutting
    async with asyncio.timeout(60):
        while not await took(sender, to, END):
            await asyncio.sleep(0.05)
    return accepted


async def took(sender: Client, to: str, number: int | str) -> bool:
    try:
        await sender.notify(to, "test.n", {"n": str(number)})
    except HubFaultError:
        await asyncio.sleep(0.01)
        return False
    return True


@asynccontextmanager
async def two_machines(
    folder: Path, *, long: bool, leaf: bool, process: bool
) -> AsyncIterator[tuple[Parts, Client, Client]]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = free_port("127.0.0.1")
        config = f'leafnodes {{ listen: "127.0.0.1:{port}" }}\n' if leaf else ""
        server = far = await enter(running_server(folder / "server", config))
        if leaf:
            dial = f'leafnodes {{ reconnect: 1, remotes: [{{ url: "nats://127.0.0.1:{port}" }}] }}\n'
            far = await enter(running_server(folder / "far", dial))
        relay = await enter(running_relay(server.port))
        machines = Machines(folder, stack)
        options = ("--join", far.url, "--reach-label", "b", "--reach-mtypes", "all")
        pid = 0
        if long or process:
            there = folder / "b.samp"
            pid = (await enter(hub_process(there, 0, *options))).process.pid
        else:
            place = await machines.enter("b", invitation_of_url(far.url), mtypes=None, limits=PATIENT)
            assert place.hub.lockfile is not None
            there = place.hub.lockfile
        if long:
            here = folder / "a.samp"
            await enter(hub_process(here, 0, "--join", relay.url, "--reach-label", "a"))
        else:
            first = await machines.enter("a", invitation_of_url(relay.url), limits=PATIENT)
            assert first.hub.lockfile is not None
            here = first.hub.lockfile
        parts = Parts(server, far, relay, pid, 1.0 if long else 0.1)
        receiver = await enter(Client("receiver", lockfile=there))
        yield parts, await enter(Client("sender", lockfile=here)), receiver
