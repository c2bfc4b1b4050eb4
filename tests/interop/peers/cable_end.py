"""The second machine's end of a cable: SOCKET PORT FOLDER.

It runs in a network and mount namespace of its own, of which it makes a machine: a loopback where a
connection to PORT comes out of SOCKET, and an empty folder in the place of FOLDER.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys


async def main(path: str, port: int, folder: str) -> None:
    """Serve until it is ended."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, out = await asyncio.open_unix_connection(path)
            await asyncio.gather(_forward(reader, out), _forward(there, writer))

    async with await asyncio.start_server(connect, "127.0.0.1", port, limit=1 << 20) as server:
        print("ready", flush=True)
        await server.serve_forever()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
