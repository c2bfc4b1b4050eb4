"""Files by what they are, not by what they are called."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from .._util.threads import in_daemon_thread
from ..errors import FaultCode, FaultError
from .named import file_itself

__all__ = ["found", "identities", "resolved"]

_PATIENCE = 2.0
"""Seconds for the system to say what a path means: one on a server that is away takes minutes."""

_MOST = 8
"""Threads that may wait for the system; each is left behind until it gets its answer."""

_places = threading.BoundedSemaphore(_MOST)


async def identities(paths: Sequence[str]) -> list[str]:
    """Return the names, as `named.file_itself` makes them, of those of `paths` that exist.

    Cancelling is safe.

    Raises:
        FaultError: The system does not say in time what a path means.
    """
    try:
        if not _places.acquire(blocking=False):
            raise TimeoutError
        async with asyncio.timeout(_PATIENCE):
            return await in_daemon_thread(partial(_look, paths))
    except TimeoutError:
        raise FaultError(
            "the hub cannot tell in time what a path in the message means; send it without that path",
            code=FaultCode.NOT_ALLOWED,
        ) from None


def resolved(path: str) -> str:
    """Return `path` without links. Blocks."""
    return os.path.realpath(path)


def found(paths: Iterable[str]) -> dict[str, str]:
    """Return those of `paths` that exist, with their names as `named.file_itself` makes them. Blocks."""
    names = {}
    for path in paths:
        with suppress(OSError, ValueError):  # there is none, or it is not a valid path
            status = Path(path).stat()
            names[path] = file_itself(status.st_dev, status.st_ino)
    return names


def _look(paths: Sequence[str]) -> list[str]:
    try:
        return list(found(paths).values())
    finally:
        _places.release()
