"""The Java peers: JSAMP's hub and tools, and STILTS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from ...installed import require_file, require_program
from .process import Process, hub_variable, process

JAR = Path("/usr/share/java/jsamp.jar")

FAST_START = ("-Djava.awt.headless=true", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""These peers live for seconds: starting fast is worth more than running fast."""


def java_command(home: Path, *arguments: str) -> list[str]:
    """Return a command that runs Java with JSAMP on the class path, or skip.

    JSAMP takes the home folder from the password file, not from HOME, so it is told.
    """
    jar = require_file(JAR, "jsamp")
    java = require_program("java", "jsamp")
    return [java, *FAST_START, f"-Duser.home={home}", "-cp", str(jar), *arguments]


@contextlib.asynccontextmanager
async def jsamp_hub(lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run JSAMP's hub with the Standard Profile on `lockfile`."""
    command = java_command(
        home, "org.astrogrid.samp.hub.Hub", "-verbose", "-mode", "no-gui", "-profiles", "std"
    )
    async with process(command, name="JSAMP hub", home=home, env=hub_variable(lockfile)) as hub:
        await hub.line("Starting hub service", stderr=True)
        yield hub


async def hub_tester(lockfile: Path, home: Path, *, timeout: float = 120) -> None:
    """Run JSAMP's HubTester. It is silent when content, and dislikes company on the hub."""
    async with jsamp_tool("test.HubTester", [], lockfile, home) as tester:
        await tester.succeed(timeout)


async def calc_storm(
    lockfile: Path, home: Path, *, clients: int, queries: int, mode: str, timeout: float = 120
) -> str:
    """Run JSAMP's CalcStorm and return what it printed. It waits for ever if one message is lost."""
    arguments = ["-nclient", str(clients), "-nquery", str(queries), "-mode", mode]
    async with jsamp_tool("test.CalcStorm", arguments, lockfile, home) as storm:
        return await storm.succeed(timeout)


async def message_sender(
    lockfile: Path, home: Path, mtype: str, params: Mapping[str, str], *, mode: str, target: str | None = None
) -> str:
    """Run JSAMP's messagesender (to all, or to the client named `target`); returns the printed responses."""
    arguments = ["-mtype", mtype, "-mode", mode]
    for key, value in params.items():
        arguments += ["-param", key, value]
    if target is not None:
        arguments += ["-targetname", target]
    async with jsamp_tool("test.MessageSender", arguments, lockfile, home) as sender:
        return await sender.succeed(timeout=60)


@contextlib.asynccontextmanager
async def snooper(lockfile: Path, home: Path, mtype: str = "*") -> AsyncIterator[Process]:
    """Run JSAMP's snooper. It says nothing when ready: look for a client called "Snooper"."""
    async with jsamp_tool("test.Snooper", ["-mtype", mtype], lockfile, home) as tool:
        yield tool


@contextlib.asynccontextmanager
async def jsamp_tool(name: str, arguments: list[str], lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run one of JSAMP's own programs, by its class name under org.astrogrid.samp."""
    command = java_command(home, f"org.astrogrid.samp.{name}", *arguments)
    async with process(command, name=name, home=home, env=hub_variable(lockfile)) as tool:
        yield tool


@contextlib.asynccontextmanager
async def stilts_send(lockfile: Path, home: Path, table: Path, *, client: str = "") -> AsyncIterator[Process]:
    """Send a table with STILTS; it ends when everybody it called has replied."""
    stilts = require_program("stilts", "stilts")
    arguments = ["tpipe", f"in={table}", "omode=samp", *([f"client={client}"] if client else [])]
    command = [stilts, *FAST_START, f"-Duser.home={home}", *arguments]
    async with process(command, name="STILTS", home=home, env=hub_variable(lockfile)) as sender:
        yield sender


async def stilts_checksum(home: Path, table: str) -> str:
    """Let STILTS read a FITS table, by its path or URL, and return what it says of its rows."""
    stilts = require_program("stilts", "stilts")
    command = [stilts, *FAST_START, f"-Duser.home={home}", "tpipe", f"in={table}", "ifmt=fits"]
    async with process([*command, "omode=checksum"], name="STILTS", home=home) as reader:
        return await reader.succeed(timeout=120)
