"""A process that serves pings and publishes a lockfile, as a hub does: `python publisher.py LOCKFILE SECRET`.

It prints "ready", waits for a line, publishes, prints "published" or the error's class name, and
at the end of its input withdraws and prints what that gave.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from asyncsamp.discovery import locate, publish, withdraw
from asyncsamp.errors import SampError
from asyncsamp.lockfile import Lockfile
from asyncsamp.rpc.client import RpcClient

ANSWER = (
    '<?xml version="1.0"?><methodResponse><params><param><value><string></string></value></param></params>'
    "</methodResponse>"
)


async def answer(_: web.BaseRequest) -> web.Response:
    return web.Response(text=ANSWER, content_type="text/xml")


async def main(path: str, secret: str) -> None:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lockfile = Lockfile(secret, f"http://127.0.0.1:{runner.addresses[0][1]}/xmlrpc")
    location, sender = locate({}, path), RpcClient()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await publish(location, lockfile, sender)
        print("published", flush=True)
    except SampError as error:
        print(type(error).__name__, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(await withdraw(location, lockfile), flush=True)
    await sender.close()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
