"""Files that are their owner's alone, whole at every moment. Blocking: not for the loop."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from .processes import lives

__all__ = ["beside", "create_private", "make_folder", "replace_private", "sweep"]

# O_EXCL and O_NOFOLLOW: neither a file nor a link that somebody has put there is written through.
_CREATE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


_RUN = secrets.token_hex(4)
"""Tells this process from an earlier one of the same number."""

_TEMPORARY = re.compile(r"\.asyncsamp-([0-9]+)-([0-9a-f]{8})-[0-9a-f]{8}\.tmp")


def beside(path: Path) -> Path:
    """Return a name in the same folder that nobody else has; `sweep` knows whose it is."""
    return path.with_name(f".asyncsamp-{os.getpid()}-{_RUN}-{secrets.token_hex(4)}.tmp")


def sweep(folder: Path) -> None:
    """Remove the temporary files that processes left in the folder when they were killed.

    They may hold keys. Those of a process that runs stay; where that cannot be known (Windows) all stay.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is not None and not _runs(int(match[1]), match[2]):
                with suppress(OSError):
                    Path(entry.path).unlink()


def _runs(process: int, run: str) -> bool:
    if process == os.getpid():  # in a container each hub may have the same number
        return run == _RUN
    return lives(process)


def create_private(path: Path, data: bytes) -> None:
    """Make a new file of mode 0600, from its first byte on (STD-57). Raises OSError."""
    with os.fdopen(os.open(path, _CREATE_FLAGS, 0o600), "wb") as file:
        file.write(data)


def make_folder(folder: Path, *, parents: bool = False) -> None:
    """Make a missing folder of mode 0700, but only below the user's own home.

    A home that does not exist, as `HOME=/nonexistent` of a service, or that is another user's, as under
    sudo, gets none: root could make folders there, and they would surprise their owner.

    Args:
        folder: The folder; one that exists is left as it is.
        parents: Whether folders between the home and this one may be made, too.

    Raises:
        OSError: It cannot be made. FileNotFoundError: it may not be made, as it is not below the home.
    """
    if folder.exists():
        return
    if not _below_own_home(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    folder.mkdir(0o700, parents=parents, exist_ok=True)


def _below_own_home(folder: Path) -> bool:
    try:
        home = Path.home()
        owner = home.stat().st_uid
    except (OSError, RuntimeError):  # there is none
        return False
    own = not hasattr(os, "getuid") or owner == os.getuid()
    return own and home != home.parent and home in Path(os.path.normpath(folder)).parents


def replace_private(path: Path, data: bytes) -> None:
    """Put a file of mode 0600 in the place of what is there, in one step.

    Raises OSError; then what was there is as it was, and no other file is left.
    """
    temporary = beside(path)
    try:
        create_private(temporary, data)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
