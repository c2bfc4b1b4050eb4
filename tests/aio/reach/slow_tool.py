"""A client that takes messages slowly, in a process of its own, to be frozen: LOCKFILE NAME SECONDS.

It says how many it has got by each line; END is the last one.
"""

from __future__ import annotations

import asyncio
import sys
import time

from asyncsamp import Client, Message


async def main(lockfile: str, name: str, seconds: float) -> None:
    """Register, and write the number of each message."""
    ended = asyncio.Event()
    async with Client(name, lockfile=lockfile) as client:

        @client.on("test.n")
        async def take(message: Message) -> None:
            time.sleep(seconds)  # it is busy, and reads nothing meanwhile
            number = str(message.params["n"])
            print(number, flush=True)
            if number == "end":
                ended.set()

        await client.settled()
        print("ready", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
