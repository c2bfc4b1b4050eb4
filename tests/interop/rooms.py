"""Machines in one room: hubs in processes of their own, with a real nats-server between them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from ..aio.nats_server import NatsServer, running_server
from ..aio.reach.relay import running_relay
from ..installed import require_program, require_root, skip_or_fail
from .peers import own_hub
from .peers.java import java_command
from .peers.process import Process, process, running_at

__all__ = ["at", "attached", "bridge", "joined_hub", "room", "second_machine"]


@contextlib.asynccontextmanager
async def room(folder: Path) -> AsyncIterator[NatsServer]:
    """Run the server of a room without accounts."""
    async with running_server(folder / "nats") as server:
        yield server


Entered = TypeVar("Entered")


@contextlib.asynccontextmanager
async def at(place: Sequence[str], program: AbstractAsyncContextManager[Entered]) -> AsyncIterator[Entered]:
    """Start a program there; what is started later is not there."""
    async with contextlib.AsyncExitStack() as stack:
        with running_at(place):
            entered = await stack.enter_async_context(program)
        yield entered


@contextlib.asynccontextmanager
async def second_machine(server: NatsServer, folder: Path, hidden: Path) -> AsyncIterator[list[str]]:
    """Make a machine with a network and a file system of its own, and one cable to the server of the room.

    There its port is the server's, by a relay, and `hidden` is empty.

    Gives what a command begins with that runs there; see `at`.
    """
    require_root()
    for program, package in (
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
        ("mount", "mount"),
        ("ip", "iproute2"),
    ):
        require_program(program, package)
    await _require_namespaces()
    cable = folder / "cable"
    far = ["unshare", "--net", "--mount", sys.executable, str(Path(__file__).parent / "peers/cable_end.py")]
    far += [str(cable), str(server.port), str(hidden)]
    async with (
        running_relay(server.port, cable),
        process(far, name="second machine", home=folder) as machine,
    ):
        await machine.line("ready")
        yield ["nsenter", "--target", str(machine.pid), "--net", "--mount"]


async def _require_namespaces() -> None:
    """Skip the test where machines cannot be made; in most containers not even root may."""
    trying = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--mount", "true"), stderr=asyncio.subprocess.PIPE
    )
    _, said = await trying.communicate()
    if trying.returncode != 0:
        skip_or_fail(f"no machine can be made here: {said.decode(errors='replace').strip()}")


@contextlib.asynccontextmanager
async def joined_hub(server: NatsServer, home: Path, label: str, *options: str) -> AsyncIterator[Path]:
    """Run `python -m asyncsamp.hub --join` as the machine `label`; gives its lockfile."""
    lockfile = home / f"{label}.samp"
    join = ("--join", server.url, "--reach-label", label, "--reach-mtypes", "all", "--no-web-profile")
    async with own_hub(lockfile, home, *join, *options):
        yield lockfile


@contextlib.asynccontextmanager
async def attached(
    server: NatsServer, lockfile: Path, home: Path, label: str, *options: str, join: str = ""
) -> AsyncIterator[Process]:
    """Run `python -m asyncsamp.reach attach` on the hub of `lockfile`, by default for all mtypes."""
    command = [sys.executable, "-m", "asyncsamp.reach", "attach", "--lockfile", str(lockfile)]
    command += ["--join", join or server.url, "--reach-label", label]
    command += options or ("--reach-mtypes", "all")
    async with process(command, name="attach", home=home) as running:
        await running.line("are in the room")
        yield running


@contextlib.asynccontextmanager
async def bridge(lockfiles: Sequence[Path], home: Path) -> AsyncIterator[Process]:
    """Run JSAMP's bridge between hubs."""
    arguments = [word for lockfile in lockfiles for word in ("-sampfile", str(lockfile))]
    command = java_command(home, "org.astrogrid.samp.bridge.Bridge", "-nostandard", *arguments)
    async with process(command, name="JSAMP bridge", home=home) as running:
        yield running
