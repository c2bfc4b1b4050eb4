"""Clients that declare very much again and again: `python -m tests.faults.declare LOCKFILE COUNT ...`.

One for each COUNT, which is how many entries its metadata have. "begun" comes after the first answer of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from asyncsamp import FaultError
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value
from asyncsamp.xmlrpc import encode_value


async def declare(url: str, secret: str, count: int, begun: asyncio.Event) -> None:
    sender = RpcClient()
    try:
        registration = await sender.call(url, "samp.hub.register", [secret], timeout=60)
        assert isinstance(registration, dict)
        metadata: Value = {f"k{number}": "v" for number in range(count)}
        params = [registration["samp.private-key"], encode_value(metadata)]
        while True:
            with contextlib.suppress(FaultError):  # that it is too much
                await sender.call(url, "samp.hub.declareMetadata", params, timeout=60)
            begun.set()
    finally:
        await sender.close()


async def main(lockfile: str, counts: list[int]) -> None:
    published = parse_lockfile(Path(lockfile).read_text())
    async with asyncio.TaskGroup() as group:
        for count in counts:
            begun = asyncio.Event()
            group.create_task(declare(published.url, published.secret, count, begun))
            await begun.wait()
        print("begun", flush=True)


asyncio.run(main(sys.argv[1], [int(count) for count in sys.argv[2:]]))
