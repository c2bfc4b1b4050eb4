"""A client that takes calls and never answers, in a process of its own, to be killed: LOCKFILE NAME.

It writes a line for each call.
"""

from __future__ import annotations

import asyncio
import sys

from asyncsamp import Client, Message


async def main(lockfile: str, name: str) -> None:
    """Run it until the process is ended."""
    async with Client(name, lockfile=lockfile) as client:

        @client.on("test.never")
        async def never(message: Message) -> None:
            print("called", flush=True)
            await asyncio.Event().wait()

        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
