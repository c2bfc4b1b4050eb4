"""Send an image from memory to every tool that takes images, and tell who got it. Start DS9 first."""

import asyncio
import sys

import numpy

from asyncsamp import Client, SampError


async def main() -> None:
    image = numpy.add.outer(numpy.arange(300.0), numpy.arange(200.0))
    async with Client("sender") as client:
        sent = await client.send_image(image, name="slope")
        print("sent to", *sent.names)


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    pass
