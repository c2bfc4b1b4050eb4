"""Two clients on a hub of their own, and helpers for what they send each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from asyncsamp import Client, Hub


@contextlib.asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[tuple[Client, Client]]:
    """Run a hub with a sender and a receiver."""
    lockfile = folder / "samp"
    async with (
        Hub(lockfile=lockfile),
        Client("Sender", lockfile=lockfile) as sender,
        Client("Receiver", lockfile=lockfile) as receiver,
    ):
        yield sender, receiver
