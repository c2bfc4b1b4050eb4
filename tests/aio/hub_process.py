"""`python -m asyncsamp.hub` as a real child process, to be stopped or killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..ports import lasting_port

__all__ = ["HubProcess", "hub_process"]


class HubProcess:
    """A hub that has said that it is ready."""

    def __init__(self, process: asyncio.subprocess.Process, ready: str) -> None:
        self.process = process
        self.ready = ready

    @property
    def port(self) -> int:
        """The port of its Standard Profile."""
        return int(self.ready.partition("http://127.0.0.1:")[2].partition("/")[0])

    async def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Stop it politely; return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@asynccontextmanager
async def hub_process(lockfile: Path, port: int = 0, *options: str) -> AsyncIterator[HubProcess]:
    """Run a hub until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if name != "SAMP_HUB"}
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "asyncsamp.hub",
            "--lockfile",
            str(lockfile),
            "--port",
            str(port or lasting_port()),
            "--no-web-profile",
            *options,
        ),
        env={**environment, "HOME": str(lockfile.parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    hub = HubProcess(process, (await process.stdout.readline()).decode())
    try:
        assert hub.ready.startswith("SAMP hub ready"), hub.ready
        yield hub
    finally:
        await hub.stop()
