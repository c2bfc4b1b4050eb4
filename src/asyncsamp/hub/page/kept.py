"""What the page must know after a crash of the hub, so that open browsers find it again: port and sessions.

The file is the user's own (0600), beside the hub's state file, and goes when the hub is stopped in order.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import NamedTuple

from ..._util.private_files import replace_private

__all__ = ["Kept", "KeptFile"]

log = logging.getLogger("asyncsamp.hub")

_MAX_SIZE = 64 * 1024


class Kept(NamedTuple):
    """The port of the page, and the key that belongs to each cookie."""

    port: int
    sessions: dict[str, str]


class KeptFile:
    """The file of one page; without `path` nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turn = asyncio.Lock()

    async def read(self) -> Kept:
        """Return what is kept; nothing if that cannot be read."""
        return Kept(0, {}) if self._path is None else await asyncio.to_thread(_read, self._path)

    async def write(self, kept: Kept) -> None:
        """Keep it. A file that cannot be written is only logged."""
        if self._path is None:
            return
        text = json.dumps({"port": kept.port, "sessions": kept.sessions})
        async with self._turn:
            try:
                await asyncio.to_thread(replace_private, self._path, text.encode())
            except OSError as error:
                log.warning("open pages of the hub will not find it after a crash: %s", error)

    async def remove(self) -> None:
        """Keep nothing: the hub was stopped in order."""
        if self._path is not None:
            async with self._turn:
                await asyncio.to_thread(self._path.unlink, missing_ok=True)


def _read(path: Path) -> Kept:
    try:
        with path.open("rb") as file:
            kept = json.loads(file.read(_MAX_SIZE))
        port, sessions = kept["port"], kept["sessions"]
    except FileNotFoundError:
        return Kept(0, {})
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        log.warning("the saved state of the hub's page cannot be read: %s", error)
        return Kept(0, {})
    right = isinstance(port, int) and 0 <= port < 65536 and isinstance(sessions, dict)
    if not right or not all(isinstance(key, str) and len(key) > 20 for key in sessions.values()):
        log.warning("the saved state of the hub's page in %s is damaged", path)
        return Kept(0, {})
    return Kept(port, sessions)
