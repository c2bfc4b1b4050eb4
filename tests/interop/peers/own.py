"""Our own hub, in a process of its own, as a user starts it."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from .process import Process, process

KEY = re.compile(r"\b[kw]-[A-Za-z0-9_-]{32}")
"""A private key of our hub."""


@contextlib.asynccontextmanager
async def own_hub(lockfile: Path, home: Path, *options: str) -> AsyncIterator[Process]:
    """Run `python -m asyncsamp.hub` on `lockfile`."""
    command = [sys.executable, "-m", "asyncsamp.hub", "--lockfile", str(lockfile), "--port", "0", *options]
    async with process(command, name="asyncsamp.hub", home=home) as hub:
        await hub.line("http://127.0.0.1:")
        yield hub
        printed = "\n".join([*hub.stdout.lines, *hub.stderr.lines])
        assert not KEY.search(printed), "a private key was printed"
