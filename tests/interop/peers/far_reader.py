"""A tool that reads each table that it is sent, and keeps nothing: LOCKFILE.

It says "ready", and then for each URL what it has read, as JSON; before that "begun", once it has so many
bytes as the parameter "begun" says, and waits for a line. "method" and "range" are for the request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import urllib.request
from time import perf_counter

from asyncsamp import Client, Message


def read(url: str, method: str, asked: str, begun_at: int) -> dict[str, object]:
    """Read it to its end; blocks."""
    digest, size, first = hashlib.sha256(), 0, 0.0
    request = urllib.request.Request(url, method=method, headers={"Range": asked} if asked else {})
    begun = perf_counter()
    with urllib.request.urlopen(request) as source:
        while piece := source.read1(1 << 20):
            first = first or perf_counter() - begun
            digest.update(piece)
            size += len(piece)
            if 0 < begun_at <= size:
                print("begun", flush=True)
                sys.stdin.readline()
                begun_at = 0
        told = {name.lower(): value for name, value in source.headers.items()}
        return {
            "url": url,
            "status": source.status,
            "headers": told,
            "bytes": size,
            "sha256": digest.hexdigest(),
            "first": round(first, 4),
        }


async def load(message: Message) -> None:
    """Read it, and say so."""
    asked = {"method": "GET", "range": "", "begun": "0"} | message.params
    url, begun_at = str(asked["url"]), int(str(asked["begun"]))
    told = await asyncio.to_thread(read, url, str(asked["method"]), str(asked["range"]), begun_at)
    print(json.dumps(told), flush=True)


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
