"""Two clients on a hub of their own, and helpers for what they send each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from asyncsamp import Client, Hub, Limits


@contextlib.asynccontextmanager
async def pair(folder: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Client, Client]]:
    """Run a hub with a sender and a receiver."""
    lockfile = folder / "samp"
    async with (
        Hub(lockfile=lockfile),
        Client("Sender", lockfile=lockfile) as sender,
        Client("Receiver", lockfile=lockfile, limits=limits) as receiver,
    ):
        yield sender, receiver
