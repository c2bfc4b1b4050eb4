"""A machine or a server that is gone for good, or for longer than a hub waits: who is told, and how soon.

The short form has hubs that lose patience sooner; with --long they have the limits that users have.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from asyncsamp import Client, HubFaultError, Limits, Message, ReplyError
from asyncsamp.hub.profiles.reach.wire import RemoteClient, Sync, dump_frames, dump_item

from ..hub_process import HubProcess, hub_process
from ..nats_server import PATIENCE
from .rooms import LIMITS, RoomHouse, names, open_room, stranger, until

pytestmark = pytest.mark.timeout(90)

USERS = Limits(close_timeout=0.05)
"""As users have them; nothing of it but the patience of 15 s is too long for a test."""

HASTY = replace(LIMITS, close_timeout=0.05)
"""Those of clients whose handlers never end, so that nobody waits for that when they leave."""

GONE = 17.0
BACK = 1.0
TOLD = 3.0
BUSY = 7.0
"""By so much more time may pass in the short form, since the machine does other things, too. With `TOLD`
it is less than the patience of users, after which a silent hub is given up anyway."""


def limits(*, long: bool) -> Limits:
    return USERS if long else replace(USERS, reach_patience=2.0, reach_grace=0.5, reach_beat=0.2)


@asynccontextmanager
async def far_hub(
    room: RoomHouse, folder: Path
) -> AsyncIterator[tuple[HubProcess, Client, asyncio.Queue[Message]]]:
    """Run a hub in a process of its own, and a tool on it that never answers; gives its calls, too."""
    lockfile = folder / "there.samp"
    options = ("--join", room.server.url, "--reach-label", "there", "--reach-mtypes", "all")
    async with hub_process(lockfile, 0, *options) as hub:
        tool = Client("tool", lockfile=lockfile, limits=HASTY)
        await tool.register()
        try:
            yield hub, tool, await never_answers(tool)
        finally:
            await tool.unregister()


async def never_answers(tool: Client) -> asyncio.Queue[Message]:
    """Let the tool take calls; gives those that have come."""
    came: asyncio.Queue[Message] = asyncio.Queue()

    @tool.on("test.never")
    async def never(message: Message) -> None:
        came.put_nowait(message)
        await asyncio.Event().wait()

    await tool.settled()
    return came


async def calling(client: Client) -> list[asyncio.Task[object]]:
    """Call the tool in both ways, and return what waits for its answers."""
    seen = await client.find("tool @there", timeout=PATIENCE)
    await until(lambda: seen.subscribes("test.never"))
    return [
        asyncio.create_task(client.call(seen, "test.never", timeout=60)),
        asyncio.create_task(client.call_and_wait(seen, "test.never", timeout=60)),
    ]


async def calls(client: Client, came: asyncio.Queue[Message]) -> list[asyncio.Task[object]]:
    """As `calling`, once both calls have come there."""
    made = await calling(client)
    async with asyncio.timeout(PATIENCE):
        for _ in made:
            await came.get()
    return made


async def told(waiting: list[asyncio.Task[object]], within: float) -> None:
    """See that each caller is told of the end within so many seconds."""
    async with asyncio.timeout(within):
        for task in waiting:
            with pytest.raises((HubFaultError, ReplyError), match="tool @there"):
                await task


async def test_a_hub_that_is_killed_is_told_to_its_callers(
    long: bool, nats_program: str, tmp_path: Path
) -> None:
    async with open_room(tmp_path, program=nats_program) as room:
        here = await room.join("here", limits=USERS)
        notebook = await here.client("notebook")
        async with far_hub(room, tmp_path) as (hub, _, came):
            waiting = await calls(notebook, came)
            await hub.kill()
            begun = monotonic()
            await told(waiting, TOLD if long else TOLD + BUSY)
            print(f"killed: told after {monotonic() - begun:.2f} s")
        await until(lambda: not here.reach.hubs)


async def test_a_client_that_is_killed_is_told_to_its_callers_at_another_hub(tmp_path: Path) -> None:
    """Its own hub sees that it is gone, which tells nobody by itself."""
    async with open_room(tmp_path) as room:
        here, there = await room.join("here", limits=USERS), await room.join("there", limits=USERS)
        notebook = await here.client("notebook")
        program = Path(__file__).with_name("silent_tool.py")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(program), str(there.hub.lockfile), "tool"), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            waiting = await calling(notebook)
            async with asyncio.timeout(PATIENCE):
                for _ in waiting:
                    assert await process.stdout.readline() == b"called\n"
        finally:
            process.kill()
            await process.communicate()
        begun = monotonic()
        await told(waiting, TOLD + BUSY)
        print(f"its client killed: told after {monotonic() - begun:.2f} s")
        assert here.reach.hubs == {"there": 0}, "the hub itself goes on"


async def test_a_caller_whose_hub_is_killed_leaves(long: bool, tmp_path: Path) -> None:
    """The other side of it: what the killed hub's clients have called goes on, and they are gone."""
    async with open_room(tmp_path) as room:
        here = await room.join("here", limits=USERS)
        worker, asked = await here.client("worker", limits=HASTY), asyncio.Event()

        @worker.on("test.work")
        async def work(message: Message) -> None:
            asked.set()
            await asyncio.Event().wait()

        await worker.settled()
        async with far_hub(room, tmp_path) as (hub, tool, _):
            seen = await tool.find("worker @here", timeout=PATIENCE)
            await until(lambda: seen.subscribes("test.work"))
            calling = asyncio.create_task(tool.call(seen, "test.work", timeout=60))
            async with asyncio.timeout(PATIENCE):
                await asked.wait()
            await hub.kill()
            async with asyncio.timeout(TOLD if long else TOLD + BUSY):
                while "tool @there" in names(worker):
                    await asyncio.sleep(0.01)
            calling.cancel()
            await asyncio.wait((calling,))
        assert (await (await here.client("another")).find("worker")).registered


async def test_a_machine_without_power_is_gone_and_comes_back(long: bool, tmp_path: Path) -> None:
    """It says nothing any more, and its connection stays: only silence tells."""
    async with open_room(tmp_path) as room:
        here = await room.join("here", limits=limits(long=long))
        notebook = await here.client("notebook")
        async with far_hub(room, tmp_path) as (hub, _, came):
            waiting = await calls(notebook, came)
            os.kill(hub.process.pid, signal.SIGSTOP)
            try:
                await told(waiting, GONE)
                await until(lambda: "tool @there" not in names(notebook))
                await asyncio.sleep(1.0)  # what it had said before must not bring it back
                assert not here.reach.hubs
            finally:
                os.kill(hub.process.pid, signal.SIGCONT)
            await back(lambda: "tool @there" in names(notebook), long=long)


async def test_a_server_that_is_away_for_long_parts_the_hubs_until_it_is_back(
    long: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its return is logged as loud as its loss."""
    caplog.set_level(logging.INFO, "asyncsamp.reach")
    async with open_room(tmp_path) as room:
        here = await room.join("here", limits=limits(long=long))
        there = await room.join("there", limits=limits(long=long))
        notebook, tool = await here.client("notebook"), await there.client("tool", limits=HASTY)
        waiting = await calls(notebook, await never_answers(tool))
        await room.server.kill()
        await told(waiting, GONE)
        await until(lambda: "tool @there" not in names(notebook))
        await until(lambda: "notebook @here" not in names(tool))
        await room.server.start()
        await back(lambda: "tool @there" in names(notebook) and "notebook @here" in names(tool), long=long)
        levels = [one.levelname for one in caplog.records if "connected to the server" in one.getMessage()]
        assert levels == ["INFO", "INFO", "WARNING", "WARNING"]


async def back(seen: Callable[[], bool], *, long: bool) -> None:
    """See that what was gone is here again at once."""
    begun = monotonic()
    async with asyncio.timeout(PATIENCE):
        while not seen():
            await asyncio.sleep(0.005)
    print(f"back after {monotonic() - begun:.2f} s")
    assert monotonic() - begun <= (BACK if long else BACK + BUSY)


async def test_what_comes_late_of_a_hub_that_said_goodbye_does_not_bring_it_back(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here = await room.join("here")
        async with stranger(room, listens=False) as bus:
            async with asyncio.timeout(PATIENCE):
                heard: asyncio.Queue[str] = asyncio.Queue()
                bus.subscribe("samp.room.anybody.*.here", lambda m: heard.put_nowait(m.subject))
                hub = ".".join((await heard.get()).split(".")[2:4])

            def say(sender: str, label: str) -> None:
                clients = [RemoteClient("c1", {"samp.name": "tool"}, {})]
                for payload in dump_frames("0a", 1, *dump_item(Sync(label, clients)), 1 << 20):
                    bus.publish(f"samp.room.{sender}.to.{hub}", payload)

            say("anybody.00000001", "late")
            await until(lambda: here.reach.hubs.get("late") == 1)
            bus.publish("samp.room.anybody.00000001.bye", b"")
            await until(lambda: not here.reach.hubs)
            say("anybody.00000001", "late")
            bus.publish("samp.room.anybody.00000001.here", b'{"v":"1","label":"late"}')
            say("anybody.00000002", "next")  # what comes after it has been taken
            await until(lambda: here.reach.hubs.get("next") == 1)
            assert set(here.reach.hubs) == {"next"}
