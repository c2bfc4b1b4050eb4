"""One program at a time. Blocking."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

fcntl = import_module("fcntl") if os.name == "posix" else None
msvcrt = import_module("msvcrt") if os.name == "nt" else None

__all__ = ["exclusive"]

_INTERVAL = 0.02
"""Seconds between two tries. The kernel's own waiting cannot be bounded."""

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


@contextmanager
def exclusive(path: Path, patience: float) -> Iterator[None]:
    """Wait until nobody else has the lock of the file `path`, and have it; where there are no locks go on.

    The file is made if it is missing, and stays. The kernel lets go of the lock when its holder dies.

    Args:
        path: The file.
        patience: How many seconds to wait.

    Raises:
        TimeoutError: Somebody else has it all the time.
        OSError: The file cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        end = time.monotonic() + patience
        while not _lock(descriptor):
            if time.monotonic() > end:
                raise TimeoutError(f"another program has locked {path}")
            time.sleep(_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Return whether we have the lock, or there are none on that file system."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return error.errno not in _HELD
    return True
