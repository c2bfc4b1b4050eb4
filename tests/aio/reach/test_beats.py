"""What hubs of a room say while nobody uses it: all of them at the same moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from asyncsamp.hub.profiles.reach.bus import BusMessage

from ..nats_server import PATIENCE
from .rooms import LIMITS, open_room, stranger, until

BEAT = 0.6
SLOW = replace(LIMITS, reach_beat=BEAT)


async def test_hubs_beat_together(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    said: dict[str, list[float]] = defaultdict(list)

    def note(message: BusMessage) -> None:
        said[".".join(message.subject.split(".")[2:4])].append(loop.time())

    async with open_room(tmp_path) as room:
        places = []
        for label in ("one", "two", "three"):  # they begin at different times
            places.append(await room.join(label, limits=SLOW))
            await asyncio.sleep(BEAT / 3)
        await until(lambda: all(len(place.reach.hubs) == 2 for place in places))
        async with stranger(room, listens=False) as bus:
            bus.subscribe("samp.room.*.*.to.>", note)

            def together() -> bool:
                latest = [times[-1] for times in said.values()]
                pause = [times[-1] - times[-3] for times in said.values() if len(times) > 2]  # two to each
                return len(pause) == 3 and min(pause) > BEAT / 2.5 and max(latest) - min(latest) < BEAT / 6

            await until(together)


async def test_a_hub_that_was_alone_beats_as_soon_as_another_comes(tmp_path: Path) -> None:
    """Alone it needs no beat; a call to a hub that is killed is answered in time all the same."""
    said: list[str] = []
    async with open_room(tmp_path) as room, stranger(room) as bus:
        bus.subscribe("samp.room.*.*.to.>", lambda message: said.append(message.subject.split(".")[3]))
        limits = replace(LIMITS, reach_here=30.0)
        one = await room.join("one", limits=limits)
        await until(lambda: one.reach.connected)
        two = await room.join("two", limits=limits)
        await until(lambda: one.reach.hubs and two.reach.hubs)
        said.clear()
        await until(lambda: len(set(said)) == 2 and len(said) > 10)


async def test_a_hub_that_is_alone_says_so_now_and_then(tmp_path: Path) -> None:
    """For those who have lost sight of it; each time that its limits say, and not each second time."""
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[float] = asyncio.Queue()
    async with open_room(tmp_path) as room, stranger(room) as bus:
        bus.subscribe("samp.room.*.*.here", lambda _: said.put_nowait(loop.time()))
        await room.join("one", limits=replace(LIMITS, reach_here=0.5))
        async with asyncio.timeout(PATIENCE):
            times = [await said.get() for _ in range(5)]
    apart = [after - before for before, after in pairwise(times)]
    assert min(apart[1:]) < 0.9  # a busy machine stands still now and then
