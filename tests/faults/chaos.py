"""A client that takes part in the chaos, as a script: `python -m tests.faults.chaos LOCKFILE NAME`.

It calls the others, several at once, until a line comes on its standard input; then it waits for its last
answers. Each line that it prints says one thing, with the number of a call: "sent"; how that has ended ("ok",
"failed" or "lost"); "took", where it was handled. "ready" and "done" stand at the beginning and the end.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from asyncsamp import CallTimeoutError, Client, Message, RemoteClient, SampError

AT_ONCE = 4
PATIENCE = 60.0
"""Seconds. Much longer than anything here takes: a call that ends by it was lost."""


def say(*words: object) -> None:
    print(*words, flush=True)


async def main(lockfile: str, name: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    client = Client(name, lockfile=lockfile, wait_for_hub=30)
    numbers = iter(range(sys.maxsize))

    @client.on("chaos.work")
    async def work(message: Message) -> dict[str, object]:
        say("took", message.params["n"])
        return {"n": message.params["n"]}

    async def somebody() -> RemoteClient | None:
        """Return one of the others; None if there is no hub, or nobody."""
        try:
            others = [other for other in await client.get_clients() if other.subscribes("chaos.work")]
        except SampError:
            return None
        return random.choice(others) if others else None

    async def call_others() -> None:
        while not stop.is_set():
            other = await somebody()
            if other is None:
                await asyncio.sleep(0.1)
                continue
            number = f"{os.getpid()}-{next(numbers)}"
            say("sent", number)
            try:
                answer = await client.call(other, "chaos.work", {"n": number}, timeout=PATIENCE)
                assert answer.result == {"n": number}
                say("ok", number)
            except CallTimeoutError as error:
                say("lost", number, error)
            except SampError as error:
                say("failed", number, error)

    async with client, asyncio.TaskGroup() as group:
        say("ready")
        for _ in range(AT_ONCE):
            group.create_task(call_others())
    say("done")


asyncio.run(main(*sys.argv[1:3]))
