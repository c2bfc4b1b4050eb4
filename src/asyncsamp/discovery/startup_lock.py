"""Hubs that start take turns, by a lock on the folder of the lockfile (STD-63)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

from .._util.threads import to_its_end
from .reading import PING_TIMEOUT

fcntl = import_module("fcntl") if os.name == "posix" else None

__all__ = ["turn"]

log = logging.getLogger("asyncsamp.hub")

LOCK_PATIENCE = 2 * PING_TIMEOUT
"""Seconds to wait for another hub that starts in the same folder: it pings once, and then is done."""

LOCK_INTERVAL = 0.02
"""Seconds between two tries. The kernel's own waiting cannot be bounded or cancelled."""


@asynccontextmanager
async def turn(folder: Path) -> AsyncIterator[None]:
    """Wait until no other hub starts in the folder, but `LOCK_PATIENCE` at most; without locks go on."""
    descriptor: int | None = None
    try:
        async with asyncio.timeout(LOCK_PATIENCE):
            descriptor = await _acquire(folder)
    except TimeoutError:
        log.warning(
            "another program has locked %s for %g s; going on without the lock", folder, LOCK_PATIENCE
        )
    try:
        yield
    finally:
        _release(descriptor)


async def _acquire(folder: Path) -> int | None:
    while True:
        try:
            return await to_its_end(partial(_lock, folder), _release)
        except BlockingIOError:
            await asyncio.sleep(LOCK_INTERVAL)


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the lock, or None where folders cannot be locked.

    Raises `BlockingIOError` while another has it. The kernel lets go of it when its holder dies.
    """
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _release(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
