"""Point every tool at M31, and have one of them load a table. Start `receiver.py` first."""

import asyncio
import sys

from asyncsamp import Client, ReplyError, SampError


async def main() -> None:
    async with Client("sender") as client:
        told = await client.notify_all("coord.pointAt.sky", {"ra": 10.68, "dec": 41.27})
        print("pointed", len(told), "clients at M31")
        receiver = await client.find("receiver", timeout=10)
        try:
            response = await client.call(receiver, "table.load.votable", {"url": "file:///data/m31.vot"})
            print("the receiver loaded", response.result["rows"], "rows")
        except ReplyError as error:
            print("the receiver did not load it:", error.response.errortxt)


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
except KeyboardInterrupt:  # Ctrl-C
    pass
