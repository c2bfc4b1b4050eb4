"""A hub for the command, which runs as a process: piped, or on a terminal of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, Hub

from ..aio.conftest import _detector, _home, _no_blocking, _no_secret_in_logs, _nothing_left, hangups_end
from .command import Command

__all__ = ["_detector", "_home", "_no_blocking", "_no_secret_in_logs", "_nothing_left", "hangups_end"]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / ".samp", label="mine") as hub:
        yield hub


@pytest.fixture
async def peer(hub: Hub) -> AsyncIterator[Client]:
    """A client that the command meets."""
    async with Client("viewer", lockfile=hub.lockfile) as peer:
        yield peer


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command, in a home of its own."""
    return Command(tmp_path)
