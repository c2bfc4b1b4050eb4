"""Origins whose pages the user allowed for good, in a file of the user's own (WEB-51)."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from ...._util.private_files import make_folder, replace_private

__all__ = ["OriginStore", "default_path", "rememberable"]

log = logging.getLogger("asyncsamp.hub")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[0-9a-z._~%:\[\]-]{1,255}")
_MAX_SIZE = 1024 * 1024

_HEAD = "# Web pages of these origins may register with the SAMP hub without a question.\n"


def rememberable(origin: str) -> bool:
    """Whether `origin` names a site. "null" is any file, and a program's claim is worth nothing."""
    return _ORIGIN.fullmatch(origin) is not None


def default_path() -> Path:
    """Return where this user's file is: in $XDG_CONFIG_HOME, ~/.config, or what the system has for it."""
    if os.name == "nt":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "asyncsamp" / "web-origins"


class OriginStore:
    """The file of allowed origins, one a line; without `path` they are kept for this run only.

    It is read anew each time, so that a choice that is taken back counts at once in a running hub.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: list[str] = []
        self._turn = asyncio.Lock()

    @property
    def path(self) -> Path | None:
        """Where the origins are kept."""
        return self._path

    async def has(self, origin: str) -> bool:
        """Whether `origin` was allowed for good."""
        return origin in await asyncio.to_thread(self.read)

    async def add(self, origin: str) -> None:
        """Allow `origin` for good. A file that cannot be written is only logged: the answer counts now."""
        async with self._turn:
            try:
                await asyncio.to_thread(self._change, lambda origins: [*origins, origin])
            except OSError as error:
                log.warning("cannot remember web origin %s: %s", origin, error)

    def read(self) -> list[str]:
        """Return the origins, in the order in which they were allowed. Reads the file."""
        if self._path is None:
            return self._kept
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_MAX_SIZE).split()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("cannot read the allowed web origins: %s", error)
            return []
        return list(dict.fromkeys(line for line in lines if rememberable(line)))

    def remove(self, origin: str) -> bool:
        """Take the permission of `origin` back; return whether there was one. Writes the file."""
        wanted = origin.strip().rstrip("/").lower()
        if wanted not in self.read():
            return False
        self._change(lambda origins: [known for known in origins if known != wanted])
        return True

    def _change(self, change: Callable[[list[str]], list[str]]) -> None:
        origins = list(dict.fromkeys(change(self.read())))
        if self._path is None:
            self._kept = origins
            return
        make_folder(self._path.parent, parents=True)
        replace_private(self._path, (_HEAD + "".join(f"{origin}\n" for origin in origins)).encode())
