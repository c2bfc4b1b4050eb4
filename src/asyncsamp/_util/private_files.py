"""Files that are their owner's alone, whole at every moment. Blocking: not for the loop."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["beside", "create_private", "make_folder", "replace_private"]

# O_EXCL and O_NOFOLLOW: neither a file nor a link that somebody has put there is written through.
_CREATE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


def beside(path: Path) -> Path:
    """Return a name in the same folder that nobody else has."""
    return path.with_name(f".asyncsamp-{secrets.token_hex(8)}.tmp")


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
