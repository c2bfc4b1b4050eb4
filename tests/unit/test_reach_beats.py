"""When hubs of a room tell each other that they are there: together, and no more than twice as often."""

from __future__ import annotations

import asyncio

from asyncsamp.hub.profiles.reach.beats import Beats

PAUSE = 0.2


class Hub:
    """A hub that beats, and is heard by others at once."""

    def __init__(self, pause: float = PAUSE, others: int = 2) -> None:
        self.beats = Beats(self._beat, pause=lambda: pause, others=lambda: others)
        self.hears_me: list[Hub] = []
        self.times: list[float] = []
        self._beaten = asyncio.Event()

    def _beat(self) -> None:
        self.times.append(self.beats._last)  # the clock, read once more, may be far ahead of it
        for other in self.hears_me:
            other.beats.heard()
        self._beaten.set()

    async def next_beat(self) -> float:
        self._beaten.clear()
        async with asyncio.timeout(10):
            await self._beaten.wait()
        return self.times[-1]


def meet(*hubs: Hub) -> None:
    for hub in hubs:
        hub.hears_me = [other for other in hubs if other is not hub]


async def test_hubs_that_began_apart_beat_together() -> None:
    """Each of them with the last ones of the others, after at most two of its beats alone."""
    loop = asyncio.get_running_loop()
    hubs = [Hub() for _ in range(3)]
    meet(*hubs)
    for number, hub in enumerate(hubs):  # a third of a pause apart
        loop.call_later(number * PAUSE / 3, hub.beats.start)
    try:
        for _ in range(5):
            await hubs[-1].next_beat()
        await asyncio.sleep(0)  # who heard it beats in the next turn
        latest = [hub.times[-1] for hub in hubs]
        assert max(latest) - min(latest) < PAUSE / 10
    finally:
        for hub in hubs:
            hub.beats.stop()


async def test_who_hears_others_all_the_time_beats_twice_as_often_at_most() -> None:
    hub = Hub(pause=0.1)
    hub.beats.start()
    try:
        async with asyncio.timeout(30):
            while len(hub.times) < 5:
                hub.beats.heard()
                await asyncio.sleep(0)
    finally:
        hub.beats.stop()
    apart = [after - before for before, after in zip(hub.times, hub.times[1:], strict=False)]
    assert min(apart) >= 0.05 - 0.001


async def test_in_a_large_room_each_keeps_its_own_time() -> None:
    hub = Hub(pause=0.1, others=60)
    hub.beats.start()
    begun = hub.beats._last
    await asyncio.sleep(0.06)
    hub.beats.heard()
    try:
        assert await hub.next_beat() - begun >= 0.1 - 0.001
    finally:
        hub.beats.stop()


async def test_after_the_end_nothing_beats_any_more() -> None:
    hub = Hub(pause=0.02)
    hub.beats.start()
    await hub.next_beat()
    hub.beats.stop()
    hub.beats.heard()
    count = len(hub.times)
    await asyncio.sleep(0.05)
    assert len(hub.times) == count
    hub.beats.stop()
