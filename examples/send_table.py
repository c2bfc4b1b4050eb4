"""Send a table from memory to every tool that takes tables, and tell who got it. Start TOPCAT first."""

import asyncio
import sys

from astropy.table import Table

from asyncsamp import Client, SampError


async def main() -> None:
    table = Table({"ra": [10.68, 10.67], "dec": [41.27, 40.87], "name": ["M 31", "M 32"]})
    async with Client("sender") as client:
        sent = await client.send_table(table, name="galaxies")
        print("sent to", *sent.names)


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    pass
