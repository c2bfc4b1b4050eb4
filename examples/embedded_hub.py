"""A program with a hub inside: other tools find it, and the program's own client needs no socket."""

import asyncio

from asyncsamp import Client, DirectConnection, Hub


async def main() -> None:
    async with (
        Hub(label="of this program") as hub,
        Client("program", connection=DirectConnection(hub)) as program,
        Client("tool") as tool,
    ):
        print("the hub is at", hub.url)
        for client in await tool.get_clients():
            print("it serves", client.public_id, client.name)
        response = await program.call(tool.public_id, "samp.app.ping")
        print("the tool answers", response.status)


asyncio.run(main())
