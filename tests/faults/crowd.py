"""Many clients of one process, as a script: `python -m tests.faults.crowd LOCKFILE COUNT`.

It says "ready" when all are registered; for each hub that goes, "lost" once all have noticed, and for each
that comes, "back" once all are registered again, both with the system's monotonic clock.
"""

from __future__ import annotations

import asyncio
import sys
import time

from asyncsamp import Client, HubChange


async def main(lockfile: str, count: int) -> None:
    clients = [Client(f"n{number}", lockfile=lockfile, wait_for_hub=30) for number in range(count)]
    changes: asyncio.Queue[HubChange] = asyncio.Queue()

    async def watch(client: Client) -> None:
        async for change in client.hub_changes():
            changes.put_nowait(change)

    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(watch(client)) for client in clients]
        await asyncio.gather(*(client.register() for client in clients))
        for _ in clients:
            assert (await changes.get()).connected
        print("ready", flush=True)
        connected = count
        while not any(task.done() for task in watching):
            connected += 1 if (await changes.get()).connected else -1
            if connected in (0, count):
                print("back" if connected else "lost", time.monotonic(), flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
