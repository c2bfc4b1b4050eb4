"""A program with a hub of its own. Its client needs no socket; others find the hub by its lockfile."""

import asyncio
import sys

from asyncsamp import Client, DirectConnection, Hub, SampError


async def main() -> None:
    async with (
        Hub(lockfile="program.samp", label="of this program") as hub,
        Client("program", connection=DirectConnection(hub)) as program,
        Client("tool", lockfile=hub.lockfile) as tool,
    ):
        print("the hub is at", hub.url)
        for client in await tool.get_clients():
            print("it serves", client.public_id, client.name)
        response = await program.call(tool.public_id, "samp.app.ping")
        print("the tool answers", response.status)


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
