"""Operations that are cancelled at any moment leave nothing, here and at the hub, and disturb nobody.

Each is cancelled at each of its waits; with --long for a minute, many at once and at any turn of the loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message, SampError

from ..aio.cancelling import each_await
from .bystanders import bystanders, nothing_kept

Operation = Callable[[Client, str], Awaitable[object]]


async def broadcast(client: Client, other: str) -> None:
    async for _ in client.call_all("c.work", {"n": 1}):
        pass


async def read(client: Client, other: str) -> None:
    async with client.messages("c.note") as stream:
        await client.notify(client.public_id, "c.note")
        await anext(stream)


async def live(client: Client, other: str) -> None:
    """Come, do something, and leave."""
    async with Client("short", lockfile=client._lockfile) as short:
        await short.call(other, "c.work", {"n": 1})


OPERATIONS: dict[str, Operation] = {
    "notify": lambda client, other: client.notify(other, "c.work", {"n": 1}),
    "notify_all": lambda client, other: client.notify_all("c.work", {"n": 1}),
    "call": lambda client, other: client.call(other, "c.work", {"n": 1}),
    "call_and_wait": lambda client, other: client.call_and_wait(other, "c.work", {"n": 1}),
    "call_all": broadcast,
    "read": read,
    "declare": lambda client, other: client.declare_metadata({"x.y": "z"}),
    "get_clients": lambda client, other: client.get_clients(),
    "by name": lambda client, other: client.call("worker", "c.work"),
    "live": live,
}


@asynccontextmanager
async def scene(home: Path) -> AsyncIterator[tuple[Hub, Client, str]]:
    """A hub, bystanders, one who answers, and one whose operations are cancelled."""
    lockfile = home / "hub.samp"
    async with Hub(lockfile=lockfile) as hub, bystanders(lockfile):
        worker = Client("worker", lockfile=lockfile)

        @worker.on("c.work")
        async def work(message: Message) -> dict[str, object]:
            return dict(message.params)

        async with worker, Client("hasty", lockfile=lockfile) as client:
            yield hub, client, worker.public_id
            assert (await client.call(worker.public_id, "c.work", {"n": 2}, timeout=30)).result == {"n": "2"}
            assert len(client._inbox.calls) == 0
            async with asyncio.timeout(30):
                while hub.engine.owing().get(worker.public_id):
                    await asyncio.sleep(0)
                while len(hub.engine.clients) > 4:
                    await asyncio.sleep(0)
            nothing_kept(hub, clients=4)


@pytest.mark.both_loops
@pytest.mark.parametrize("name", OPERATIONS)
async def test_at_each_of_its_waits(name: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as (_, client, other):
        counted = 0

        async def run() -> None:
            await OPERATIONS[name](client, other)

        async for _ in each_await(run):
            counted += 1
        assert counted > 0


@pytest.mark.timeout(300)
async def test_many_at_once_and_at_any_turn(tmp_path: Path, long: bool) -> None:
    chance = random.Random(3)
    counts = {"cancelled": 0, "done": 0}

    async def hasten(client: Client, other: str) -> None:
        task = asyncio.ensure_future(OPERATIONS[chance.choice(list(OPERATIONS))](client, other))
        for _ in range(chance.randint(0, 60)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        counts["cancelled" if task.cancelled() else "done"] += 1
        if not task.cancelled() and task.exception() is not None:
            raise SampError(f"it failed, and was not cancelled: {task.exception()!r}")

    async with scene(tmp_path) as (_, client, other):
        end = asyncio.get_running_loop().time() + (60.0 if long else 1.0)
        while asyncio.get_running_loop().time() < end or counts["cancelled"] <= 20:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(hasten(client, other))
    print(f"{counts['cancelled']} operations were cancelled, {counts['done']} were done before")
    assert counts["cancelled"] > 20
