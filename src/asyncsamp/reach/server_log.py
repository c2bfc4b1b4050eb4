"""What a nats-server writes to its log. Blocking.

Whoever reaches the server has it write as much as he likes, and what he likes within a line: he need not be
let in.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from .._util.foreign_text import plain_line
from .accounts import LOG_SIZE

__all__ = ["ServerLog"]

_LINE = re.compile(r"\[\d+\] [\d/]+ [\d:.]+ \[([A-Z]{3})\] (.*)")

_RELOADED = "Reloaded server configuration"
_NOT_RELOADED = "Failed to reload server configuration"

_MOST = 2 * LOG_SIZE
"""Bytes that are read of a file: the server begins another one when it has reached its size."""


class ServerLog:
    """The log of one server.

    Args:
        path: The file that it writes to. What it has ended has a longer name, and the time in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1  # which is read, by its inode: it may be ended meanwhile
        self._offset = 0

    def go_to_end(self) -> None:
        """Read from behind what is there now."""
        with suppress(OSError):
            status = self._path.stat()
            self._file, self._offset = status.st_ino, status.st_size

    def followed(self) -> str | None:
        """Return why it has not taken a configuration, "" if it has; None if it says nothing new of that.

        What is new comes after what was read before, or after `go_to_end`.
        """
        for _, text in _lines(self._new()):
            if text.startswith(_RELOADED):
                return ""
            if text.startswith(_NOT_RELOADED):
                return plain_line(text.removeprefix(_NOT_RELOADED).lstrip(": "))
        return None

    def last(self) -> str:
        """Return its last error, else what it said last."""
        try:
            with self._path.open("rb") as file:
                lines = _lines(file.read(_MOST))
        except OSError:
            return ""
        told = [text for level, text in lines if level in ("FTL", "ERR")] or [text for _, text in lines]
        return plain_line(told[-1]) if told else ""

    def sweep(self) -> None:
        """Remove the files that it has ended."""
        for ended in self._ended():
            with suppress(OSError):
                ended.unlink()

    def _ended(self) -> list[Path]:
        """Return the files that it has ended, the oldest first."""
        return sorted(self._path.parent.glob(f"{self._path.name}.*"))

    def _new(self) -> bytes:
        """Return the whole lines that are new, however many files it has ended meanwhile."""
        data, found = b"", False
        for path in (*self._ended(), self._path):
            with suppress(OSError), path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                found = found or inode == self._file
                if found:
                    begin = self._offset if inode == self._file else 0
                    file.seek(begin)
                    piece = file.read(_MOST)
                    piece = piece[: piece.rfind(b"\n") + 1]
                    data += piece
                    self._file, self._offset = inode, begin + len(piece)
        return data


def _lines(data: bytes) -> list[tuple[str, str]]:
    """Return level and text of the lines that are the server's own."""
    lines = data.decode(errors="replace").split("\n")
    return [(match[1], match[2]) for line in lines if (match := _LINE.match(line))]
