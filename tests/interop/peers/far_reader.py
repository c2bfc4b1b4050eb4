"""A tool that reads each table that it is sent, and keeps nothing: LOCKFILE.

It says "ready", and then for each URL what it has read, as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import urllib.request
from time import perf_counter

from asyncsamp import Client, Message


def read(url: str) -> dict[str, object]:
    """Read it to its end; blocks."""
    digest, size, first = hashlib.sha256(), 0, 0.0
    begun = perf_counter()
    with urllib.request.urlopen(url) as source:
        while piece := source.read1(1 << 20):
            first = first or perf_counter() - begun
            digest.update(piece)
            size += len(piece)
    return {"url": url, "bytes": size, "sha256": digest.hexdigest(), "first": round(first, 4)}


async def load(message: Message) -> None:
    """Read it, and say so."""
    print(json.dumps(await asyncio.to_thread(read, str(message.params["url"]))), flush=True)


async def main(lockfile: str) -> None:
    """Serve until it is ended."""
    async with Client("reader", lockfile=lockfile) as client:
        for mtype in ("table.load.fits", "table.load.votable"):
            client.on(mtype)(load)
        await client.settled()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
