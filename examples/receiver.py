"""Load tables when asked to, and show where others point. Ctrl-C ends it."""

import asyncio
import sys

from asyncsamp import Client, Message, SampError, as_float
from asyncsamp.mtypes import CoordPointAtSky

client = Client("receiver", description="shows what it is told")


@client.on("table.load.votable")
async def load(message: Message) -> dict[str, int]:
    print("asked to load", message.params["url"], flush=True)
    return {"rows": 42}  # becomes samp.result; an exception would become samp.error


async def main() -> None:
    async with client, client.messages(CoordPointAtSky) as pointings:
        print("listening as", client.public_id, flush=True)
        async for message in pointings:
            ra, dec = as_float(message.params["ra"]), as_float(message.params["dec"])
            print(f"{message.sender} points at {ra:.2f} {dec:+.2f}", flush=True)


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
except KeyboardInterrupt:  # Ctrl-C
    pass
