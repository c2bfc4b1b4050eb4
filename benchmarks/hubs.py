"""The hubs under test as child processes: how to start them, what they need, what they use up."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from .crowd import Target

__all__ = ["KINDS", "HubError", "HubKind", "RunningHub"]

JSAMP_JAR = Path("/usr/share/java/jsamp.jar")
_START = 30.0  # seconds
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class HubError(Exception):
    """A hub did not start, or is not alive any more."""


@dataclass(frozen=True)
class HubKind:
    """One kind of hub. `missing` says how to install it, or nothing if it is here."""

    name: str
    title: str
    command: Callable[[Path], list[str]]
    missing: Callable[[], str]
    forwards: bool = False
    variables: Callable[[Path], dict[str, str]] = lambda lockfile: {}


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _jsamp(lockfile: Path) -> list[str]:
    java = ["java", "-Djava.awt.headless=true", f"-Duser.home={lockfile.parent}", "-cp", str(JSAMP_JAR)]
    return [*java, "org.astrogrid.samp.hub.Hub", "-mode", "no-gui", "-profiles", "std"]


def _needs_jsamp() -> str:
    here = which("java") and JSAMP_JAR.exists()
    return "" if here else "apt-get install -y --no-install-recommends jsamp"


def _needs_module(name: str, install: str) -> Callable[[], str]:
    return lambda: "" if importlib.util.find_spec(name) else install


_UVLOOP = _needs_module("uvloop", "pip install '.[fast]'")

KINDS = (
    HubKind(
        "asyncsamp",
        "asyncsamp, plain asyncio",
        lambda lockfile: _python("benchmarks.our_hub", str(lockfile)),
        lambda: "",
    ),
    HubKind(
        "asyncsamp-uvloop",
        "asyncsamp, uvloop",
        lambda lockfile: _python("benchmarks.our_hub", str(lockfile), "uvloop"),
        _UVLOOP,
    ),
    HubKind(
        "jsamp",
        "JSAMP",
        _jsamp,
        _needs_jsamp,
        variables=lambda lockfile: {"SAMP_HUB": f"std-lockurl:file://{lockfile}"},
    ),
    HubKind(
        "pyvo",
        "pyvo",
        lambda lockfile: _python("benchmarks.pyvo_hub", str(lockfile)),
        _needs_module("pyvo.samp" if importlib.util.find_spec("pyvo") else "pyvo", "pip install pyvo"),
    ),
    HubKind(
        "forwarder",
        "bare aiohttp forwarder",
        lambda lockfile: _python("benchmarks.forwarder"),
        lambda: "",
        forwards=True,
    ),
    HubKind(
        "forwarder-uvloop",
        "bare aiohttp forwarder, uvloop",
        lambda lockfile: _python("benchmarks.forwarder", "uvloop"),
        _UVLOOP,
        forwards=True,
    ),
    HubKind(
        "relay",
        "bare asyncio relay",
        lambda lockfile: _python("benchmarks.relay"),
        lambda: "",
        forwards=True,
    ),
    HubKind(
        "relay-uvloop",
        "bare asyncio relay, uvloop",
        lambda lockfile: _python("benchmarks.relay", "uvloop"),
        _UVLOOP,
        forwards=True,
    ),
)


class RunningHub:
    """A hub in a child process, in a folder of its own."""

    def __init__(self, kind: HubKind, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.target = Target("")

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def notice_end(self) -> None:
        """Give the end of the process, if it has ended, a moment to be known."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._process.wait()

    async def start(self) -> None:
        """Start it and wait until it can be used. Raises `HubError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lockfile = self._folder / "lockfile"
        lockfile.unlink(missing_ok=True)
        environment = os.environ | {"HOME": str(self._folder)} | self.kind.variables(lockfile)
        if not self.kind.variables(lockfile):
            environment.pop("SAMP_HUB", None)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.kind.command(lockfile), stdout=log, stderr=log, env=environment
            )
        try:
            async with asyncio.timeout(_START):
                while not self._ready(lockfile):
                    if not self.alive:
                        raise HubError(f"{self.kind.name} ended at once: {self.last_words()}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await self.stop()
            raise HubError(f"{self.kind.name} was not ready within {_START:g} s") from None

    def _ready(self, lockfile: Path) -> bool:
        if self.kind.forwards:
            found = re.search(r"ready at (\S+)", self._log.read_text(errors="replace"))
            if found:
                self.target = Target(found[1], forwards=True)
            return found is not None
        text = lockfile.read_text() if lockfile.exists() else ""
        secret = re.search(r"^samp\.secret=(.*)\n", text, re.MULTILINE)
        url = re.search(r"^samp\.hub\.xmlrpc\.url=(.*)\n", text, re.MULTILINE)
        if not (secret and url):
            return False
        self.target = Target(url[1].strip(), secret[1].strip())
        return True

    def freeze(self) -> None:
        """Let it stand still, to take no time from the one that is measured: pyvo's hub polls when idle."""
        if self.alive and hasattr(signal, "SIGSTOP"):
            os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.alive and hasattr(signal, "SIGCONT"):
            os.kill(self.pid, signal.SIGCONT)

    def ask(self) -> None:
        """Have our own hub print a link to its page."""
        os.kill(self.pid, signal.SIGUSR1)

    async def stop(self) -> None:
        """End it: SIGTERM, and after two seconds SIGKILL."""
        if self._process is None or self._process.returncode is not None:
            return
        self.thaw()
        self._process.terminate()
        try:
            async with asyncio.timeout(2.0):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The end of what it printed."""
        return self.output().strip()[-300:]

    def output(self) -> str:
        """All that it printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._folder / "output.txt"

    # ---- what it uses, by Linux' /proc; zero elsewhere

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self, peak: bool = False) -> float:
        """Resident megabytes now, or the most since `forget_peak`."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(rf"^{'VmHWM' if peak else 'VmRSS'}:\s+(\d+)", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew."""
        try:
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        except OSError:
            return
