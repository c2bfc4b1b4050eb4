"""How long what crosses a room takes, and what a room costs that nobody uses.

The short form asks for what holds on a machine that does other things, too; with --long it is measured with
hubs in processes of their own, and asked for what the documentation says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time

import pytest

from asyncsamp import Client, Hub, Limits, Message, RemoteClient
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.values import ValueMap
from benchmarks.rooms import notify_leanly

from ..hub_process import hub_process
from ..nats_server import PATIENCE, running_server
from .rooms import until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(120)]

IN_ORDER = 5_000
HUBS = 10


@asynccontextmanager
async def two_hubs(folder: Path, *, long: bool) -> AsyncIterator[tuple[Path, Path]]:
    """Run two hubs in one room, with the limits that users have; gives their lockfiles."""
    here, there = folder / "here.samp", folder / "there.samp"
    async with running_server(folder / "server") as server, AsyncExitStack() as stack:
        for lockfile in (here, there):
            if long:
                options = ("--join", server.url, "--reach-label", lockfile.stem, "--reach-mtypes", "all")
                await stack.enter_async_context(hub_process(lockfile, 0, *options))
            else:
                reach = Reach(invitation_of_url(server.url), label=lockfile.stem, mtypes=None)
                await stack.enter_async_context(Hub(lockfile=lockfile, profiles=[reach]))
        yield here, there


@asynccontextmanager
async def an_echo(name: str, lockfile: Path) -> AsyncIterator[Client]:
    """Register a client that answers."""
    async with Client(name, lockfile=lockfile) as client:

        @client.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        await client.settled()
        yield client


async def seen(client: Client, name: str) -> RemoteClient:
    """Return the client of that name once it takes the test's messages."""
    other = await client.find(name, timeout=PATIENCE)
    await until(lambda: other.subscribes("test.echo"))
    return other


async def timed(work: Callable[[], Awaitable[object]], count: int) -> list[float]:
    """Return how many seconds each of `count` took, one after another."""
    taken = []
    for _ in range(count):
        begun = perf_counter()
        await work()
        taken.append(perf_counter() - begun)
    return taken


async def test_a_call_across_takes_less_than_four_of_one_hub(long: bool, tmp_path: Path) -> None:
    async with (
        two_hubs(tmp_path, long=long) as (here, there),
        an_echo("near", here),
        an_echo("far", there),
        Client("sender", lockfile=here) as sender,
    ):
        near, far = await seen(sender, "near"), await seen(sender, "far @there")

        def call(to: RemoteClient) -> Callable[[], Awaitable[object]]:
            return lambda: sender.call_and_wait(to, "test.echo", {"k": "v"}, timeout=PATIENCE)

        own: list[float] = []
        across: list[float] = []
        for _ in range(20 if long else 4):  # by turns, so that both have the same neighbours
            own += await timed(call(near), 100)
            across += await timed(call(far), 100)
        print(f"callAndWait p50 {median(own) * 1000:.2f} ms on one hub, {median(across) * 1000:.2f} across")
        print(f"p99 across {quantiles(across, n=100)[98] * 1000:.2f} ms")
        assert median(across) < (4 if long else 12) * median(own)
        if long:
            assert quantiles(across, n=100)[98] < 0.005


async def test_who_registers_there_is_seen_here_at_once(long: bool, tmp_path: Path) -> None:
    async with two_hubs(tmp_path, long=long) as (here, there), Client("watcher", lockfile=here) as watcher:
        taken = []
        async with watcher.messages("samp.hub.event.metadata") as declared:
            for number in range(100 if long else 20):
                async with Client(f"tool {number}", lockfile=there):
                    registered = perf_counter()
                    async with asyncio.timeout(PATIENCE):
                        async for event in declared:
                            told = event.params["metadata"]
                            assert isinstance(told, dict)
                            if told.get("samp.name") == f"tool {number} @there":
                                break
                    taken.append(perf_counter() - registered)
        print(f"registered there, known here: p50 {median(taken) * 1000:.2f} ms")
        assert median(taken) < (0.020 if long else 0.5)


async def test_thousands_of_notifications_come_in_order(long: bool, tmp_path: Path) -> None:
    """With --long by clients that cost next to nothing, beside as many within one hub, by turns.

    `python -m benchmarks --reach` measures the rate itself, on a quiet machine: 5,000 a second and more.
    """
    if long:
        asyncio.get_running_loop().set_debug(False)
        async with two_hubs(tmp_path, long=True) as (here, there):
            own, across = [], []
            for _ in range(3):
                own.append(await notify_leanly(here, here, ""))
                across.append(await notify_leanly(here, there, " @there"))
        rates = [max(rate for rate, _ in each) for each in (own, across)]
        print(f"{rates[0]:,.0f} notifications a second in one hub, {rates[1]:,.0f} across")
        assert [wrong for _, wrong in across] == [""] * 3
        assert rates[1] > 0.75 * rates[0]
        return
    async with (
        two_hubs(tmp_path, long=False) as (here, there),
        an_echo("tool", there) as tool,
        Client("sender", lockfile=here) as sender,
        tool.messages("test.echo", limit=2 * IN_ORDER) as came,
    ):
        to = await seen(sender, "tool @there")
        begun = perf_counter()
        for number in range(IN_ORDER):
            await sender.notify(to, "test.echo", {"n": str(number)})
        numbers = [int(str((await anext(came)).params["n"])) for _ in range(IN_ORDER)]
        rate = IN_ORDER / (perf_counter() - begun)
        print(f"{rate:,.0f} notifications a second, one after another")
        assert numbers == list(range(IN_ORDER))


async def test_a_room_that_nobody_uses_costs_next_to_nothing(long: bool, tmp_path: Path) -> None:
    """Ten hubs in this process, which does nothing else meanwhile: processor time, not the clock's."""
    asyncio.get_running_loop().set_debug(not long)  # which users do not have, and doubles what a turn costs
    async with running_server(tmp_path / "server") as server, AsyncExitStack() as stack:
        joined = []
        for number in range(HUBS):
            reach = Reach(invitation_of_url(server.url), label=f"h{number}")
            lockfile = tmp_path / f"{number}.samp"
            await stack.enter_async_context(
                Hub(lockfile=lockfile, profiles=[reach], limits=Limits(close_timeout=0.05))
            )
            joined.append(reach)
        await until(lambda: all(len(reach.hubs) == HUBS - 1 for reach in joined))
        await asyncio.sleep(1)  # what they say to each other at first
        seconds = 20 if long else 3
        used = process_time()
        await asyncio.sleep(seconds)
        share = (process_time() - used) / seconds / HUBS
        print(f"an idle hub of {HUBS} takes {share:.3%} of a core")
        assert share < (0.002 if long else 0.03)  # pytest and busy neighbours make it more
