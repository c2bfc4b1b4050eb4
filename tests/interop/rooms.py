"""Machines in one room: hubs in processes of their own, with a real nats-server between them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ..aio.nats_server import NatsServer, running_server
from .peers import own_hub
from .peers.java import java_command
from .peers.process import Process, process

__all__ = ["attached", "bridge", "joined_hub", "room"]


@contextlib.asynccontextmanager
async def room(folder: Path) -> AsyncIterator[NatsServer]:
    """Run the server of a room without accounts."""
    async with running_server(folder / "nats") as server:
        yield server


@contextlib.asynccontextmanager
async def joined_hub(server: NatsServer, home: Path, label: str, *options: str) -> AsyncIterator[Path]:
    """Run `python -m asyncsamp.hub --join` as the machine `label`; gives its lockfile."""
    lockfile = home / f"{label}.samp"
    join = ("--join", server.url, "--reach-label", label, "--reach-mtypes", "all", "--no-web-profile")
    async with own_hub(lockfile, home, *join, *options):
        yield lockfile


@contextlib.asynccontextmanager
async def attached(
    server: NatsServer, lockfile: Path, home: Path, label: str, *, join: str = ""
) -> AsyncIterator[Process]:
    """Run `python -m asyncsamp.reach attach` on the hub of `lockfile`."""
    command = [sys.executable, "-m", "asyncsamp.reach", "attach", "--lockfile", str(lockfile)]
    command += ["--join", join or server.url, "--reach-label", label, "--reach-mtypes", "all"]
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
