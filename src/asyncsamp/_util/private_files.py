"""Files that are their owner's alone, whole at every moment. Blocking: not for the loop."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["beside", "create_private", "replace_private"]

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
