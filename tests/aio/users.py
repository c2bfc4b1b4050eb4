"""Another user of this machine, for tests that run as root."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import pytest

NOBODY = 65534

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose a socket is")
ROOT = pytest.mark.usefixtures("as_root")
"""Only root can start a program as another user."""

_LISTEN = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    print(connection.recv(1 << 16), flush=True)
    connection.close()
"""


class Stranger:
    """The user nobody, who listens at `port` of the loopback and takes what comes."""

    def __init__(self, lines: asyncio.StreamReader, port: int) -> None:
        self._lines = lines
        self.port = port

    async def heard(self) -> str:
        """Return what the next connection brought, as Python writes bytes, once it has come."""
        return (await self._lines.readline()).decode().strip()


@contextlib.asynccontextmanager
async def nobody_listening(port: int = 0) -> AsyncIterator[Stranger]:
    """Let the user nobody listen."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _LISTEN, str(port), str(NOBODY)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Stranger(process.stdout, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.communicate()
