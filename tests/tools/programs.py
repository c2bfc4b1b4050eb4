"""Tools of the tests' own: small programs that a tools.toml names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

VIEWER = """
import asyncio, os, sys
from asyncsamp import Client

async def main():
    client = Client(sys.argv[1], reconnect=False)
    over = asyncio.Event()

    @client.on("table.load.votable", "table.load.fits", "image.load.fits")
    async def load(message):
        return {"loaded": message.params["url"], "pid": os.getpid()}

    @client.on("test.quit")
    async def leave(message):
        over.set()

    async with client:
        await over.wait()

asyncio.run(main())
"""

TWINS = """
import asyncio, os, sys
from asyncsamp import Client, Response

async def env(message):
    value = os.environ.get(message.params["name"])
    return {"value": value} if value else Response.failure("not set")

async def stranger(message):
    return Response.failure("not set")

async def main():
    over = asyncio.Event()
    first, second = Client("Twins", reconnect=False), Client("Twins", reconnect=False)
    first.on("client.env.get")(stranger)
    second.on("client.env.get")(env)

    @second.on("test.quit")
    async def leave(message):
        over.set()

    async with first, second:
        await over.wait()

asyncio.run(main())
"""
"""The first client of that name is not the one that was started, as far as it says."""

DIES = """
import sys
for number in range(20):
    print("line", number)
print("\\x1b[31mno display", file=sys.stderr)
sys.exit(3)
"""


def write_tools(folder: Path) -> Path:
    """Write a tools.toml with a viewer that registers, a tool that dies, one that hangs and one missing."""
    (folder / "viewer.py").write_text(VIEWER)
    (folder / "dies.py").write_text(DIES)
    (folder / "twins.py").write_text(TWINS)
    takes = ["table.load.votable", "table.load.fits", "image.load.fits"]
    path = folder / "tools.toml"
    path.write_text(
        f"""
[viewer]
samp-name = "The Viewer"
command = {json.dumps([sys.executable, str(folder / "viewer.py"), "The Viewer"])}
takes = {json.dumps(takes)}

[dies]
command = {json.dumps([sys.executable, "-u", str(folder / "dies.py")])}

[twins]
command = {json.dumps([sys.executable, str(folder / "twins.py")])}

[hangs]
command = ["sleep", "30"]

[missing]
command = ["no-such-program-anywhere"]
"""
    )
    return path
