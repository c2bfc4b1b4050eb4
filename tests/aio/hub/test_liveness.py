"""Who owes an answer is looked at, and nobody else, and not when nobody does (HUB-60)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from asyncsamp.hub.liveness import LivenessMonitor
from asyncsamp.limits import Limits

from ..connections import turns_until

LIMITS = Limits(vigil_interval=0.002, refused_pause=0.001, refused_connections=3)


@dataclass
class World:
    """What a liveness sees of the hub."""

    owing: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    looks: list[str] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False

    def who_owes(self) -> list[str]:
        return list(self.owing)

    async def is_alive(self, client: str) -> bool:
        self.looks.append(client)
        if self.broken:
            raise RuntimeError("cannot look")
        return client not in self.dead

    def remove(self, client: str, reason: str) -> None:
        self.owing.remove(client)
        self.removed.append((client, reason))


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def liveness(world: World) -> AsyncIterator[LivenessMonitor]:
    liveness = LivenessMonitor(LIMITS, world.who_owes, world.is_alive, world.remove)
    yield liveness
    await asyncio.gather(*liveness.close(), return_exceptions=True)


def tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "asyncsamp-liveness"]


async def test_there_is_no_task_before_it_begins_and_one_afterwards(
    liveness: LivenessMonitor, world: World
) -> None:
    assert tasks() == []
    liveness.begin()
    liveness.begin()
    assert len(tasks()) == 1


async def test_it_ends_when_nobody_owes_anything_and_can_begin_again(
    liveness: LivenessMonitor, world: World
) -> None:
    for _ in range(2):
        liveness.begin()
        await turns_until(lambda: not tasks())
    assert world.looks == []


async def test_only_those_who_owe_are_looked_at_again_and_again(
    liveness: LivenessMonitor, world: World
) -> None:
    world.owing = ["c1", "c2"]
    liveness.begin()
    await turns_until(lambda: world.looks.count("c2") == 3)
    assert set(world.looks) == {"c1", "c2"}
    assert world.removed == []
    world.owing.clear()
    await turns_until(lambda: not tasks())


async def test_one_refusal_is_not_enough(liveness: LivenessMonitor, world: World) -> None:
    world.owing, world.dead = ["c1"], {"c1"}
    liveness.begin()
    await turns_until(lambda: len(world.looks) == 2)
    world.dead.clear()
    await turns_until(lambda: len(world.looks) > 4)
    assert world.removed == []


async def test_after_as_many_as_a_delivery_is_allowed_the_client_is_removed(
    liveness: LivenessMonitor, world: World
) -> None:
    world.owing, world.dead = ["c1", "c2"], {"c2"}
    liveness.begin()
    await turns_until(lambda: world.removed)
    assert world.removed == [("c2", "nobody listens any more where it should")]
    assert world.looks.count("c2") == LIMITS.refused_connections


async def test_one_that_cannot_be_looked_at_stays_and_the_others_are_looked_at(
    liveness: LivenessMonitor, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.owing, world.broken = ["c1", "c2"], True
    liveness.begin()
    await turns_until(lambda: world.looks.count("c2") == 2)
    assert world.looks.count("c1") >= 2
    assert world.removed == []
    assert "cannot tell whether client c1 is there" in caplog.text


async def test_why_all_stood_still_may_be_the_machine_or_a_program(
    liveness: LivenessMonitor, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.hub.liveness.STANDSTILL", -1.0)
    world.owing.append("c1")
    liveness.begin()
    await turns_until(lambda: len(world.looks) > 1)
    assert " s: this machine slept or was busy, or something blocked the loop" in caplog.text


async def test_closed_it_ends_and_does_not_begin_again(liveness: LivenessMonitor, world: World) -> None:
    world.owing = ["c1"]
    liveness.begin()
    ended = liveness.close()
    assert len(ended) == 1
    liveness.begin()
    await asyncio.wait(ended)
    liveness.begin()
    assert tasks() == []
    assert liveness.close() == []


async def test_all_may_be_looked_at_once(liveness: LivenessMonitor, world: World) -> None:
    world.owing, world.dead = ["c1", "c2"], {"c1"}
    await liveness.check_all(["c1", "c2", "c3"])
    assert sorted(world.looks) == ["c1", "c1", "c1", "c2", "c3"]
    assert [client for client, _ in world.removed] == ["c1"]
    assert tasks() == []
