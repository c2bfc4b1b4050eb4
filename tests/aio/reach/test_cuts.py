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

from asyncsamp import Client, HubFaultError, Message, MessageStream, RemoteClient
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url

from ...ports import lasting_port
from ..hub_process import hub_process
from ..nats_server import PATIENCE, NatsServer, debians_server, running_server, wheels_server
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


@dataclass
class Way:
    """One of the two directions: who sends to whom, and what has come there."""

    sender: Client
    to: RemoteClient
    came: MessageStream

    async def called(self) -> bool:
        """Make a call that is open while the cut is made; return whether it was answered."""
        return (await self.sender.call(self.to, "test.slow", timeout=120)).ok

    async def arrived(self) -> list[int]:
        """Return the numbers that have come, up to the end."""
        got = []
        async with asyncio.timeout(60):
            while (number := str((await anext(self.came)).params["n"])) != END:
                got.append(int(number))
        return got


@asynccontextmanager
async def way(sender: Client, receiver: Client, answer: asyncio.Event) -> AsyncIterator[Way]:
    """Let the receiver take numbers, and calls that it answers at `answer`."""

    @receiver.on("test.slow")
    async def slow(message: Message) -> None:
        await answer.wait()

    async with receiver.messages("test.n", limit=1_000_000) as came:
        seen = await sender.find(receiver.name, timeout=3 * PATIENCE)
        await until(lambda: seen.subscribes("test.n") and seen.subscribes("test.slow"))
        yield Way(sender, seen, came)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("cut", "nats_program"),
    [*((cut, wheels_server) for cut in CUTS), (killed, debians_server), (leaf_away, debians_server)],
    indirect=["nats_program"],
)
async def test_what_is_accepted_arrives_once_and_in_order(
    cut: Callable[[Parts], Awaitable[None]], nats_program: str, long: bool, tmp_path: Path
) -> None:
    """In both directions, in which messages are sent at the same time."""
    answer = asyncio.Event()
    async with (
        two_machines(tmp_path, nats_program, long=long, leaf=cut is leaf_away, process=cut is frozen_hub) as (
            parts,
            here,
            there,
        ),
        way(here, there, answer) as out,
        way(there, here, answer) as back,
    ):
        for _ in range(RUNS if long else 1):
            answer.clear()
            calling = [asyncio.create_task(each.called()) for each in (out, back)]
            cutting = asyncio.ensure_future(cut(parts))
            accepted = await asyncio.gather(*(accepted_meanwhile(cutting, each) for each in (out, back)))
            answer.set()
            for each, numbers in zip((out, back), accepted, strict=True):
                assert await each.arrived() == numbers
                assert find(each.sender, each.to.name) is each.to, "it was given up meanwhile"
            assert await asyncio.gather(*calling) == [True, True]


async def accepted_meanwhile(cutting: asyncio.Future[None], way: Way) -> list[int]:
    """Send numbers while a cut is made, and for a while after it; return those that were accepted."""
    accepted: list[int] = []
    number = 0
    rest = 200
    while not cutting.done() or rest:
        rest -= cutting.done()
        if await took(way, number):
            accepted.append(number)
        await asyncio.sleep(0.001)
        number += 1
    await cutting
    async with asyncio.timeout(60):
        while not await took(way, END):
            await asyncio.sleep(0.05)
    return accepted


async def took(way: Way, number: int | str) -> bool:
    try:
        await way.sender.notify(way.to.public_id, "test.n", {"n": str(number)})
    except HubFaultError:
        await asyncio.sleep(0.01)
        return False
    return True


@asynccontextmanager
async def two_machines(
    folder: Path, program: str, *, long: bool, leaf: bool, process: bool
) -> AsyncIterator[tuple[Parts, Client, Client]]:
    """Run a hub on each, A's first, and a client on each hub."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = lasting_port()
        config = f'leafnodes {{ listen: "127.0.0.1:{port}" }}\n' if leaf else ""
        server = far = await enter(running_server(folder / "server", config, program=program))
        if leaf:
            dial = f'leafnodes {{ reconnect: 1, remotes: [{{ url: "nats://127.0.0.1:{port}" }}] }}\n'
            far = await enter(running_server(folder / "far", dial, program=program))
        relay = await enter(running_relay(server.port))
        machines = Machines(folder, stack)
        everything = ("--reach-mtypes", "all")
        pid = 0
        if long or process:
            there = folder / "b.samp"
            pid = (
                await enter(hub_process(there, 0, "--join", far.url, "--reach-label", "b", *everything))
            ).process.pid
        else:
            place = await machines.enter("b", invitation_of_url(far.url), mtypes=None, limits=PATIENT)
            assert place.hub.lockfile is not None
            there = place.hub.lockfile
        if long:
            here = folder / "a.samp"
            await enter(hub_process(here, 0, "--join", relay.url, "--reach-label", "a", *everything))
        else:
            first = await machines.enter("a", invitation_of_url(relay.url), mtypes=None, limits=PATIENT)
            assert first.hub.lockfile is not None
            here = first.hub.lockfile
        parts = Parts(server, far, relay, pid, 1.0 if long else 0.1)
        far_client = await enter(Client("there", lockfile=there))
        yield parts, await enter(Client("here", lockfile=here)), far_client
