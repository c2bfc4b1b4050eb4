"""What a tool writes: its end is shown when the tool dies while it starts; it does not grow for ever."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module

from .._util.foreign_text import plain_line

fcntl = import_module("fcntl") if os.name == "posix" else None

__all__ = ["Output"]

_LAST_LINES = 10
"""Lines of a tool's output that are shown when it dies while it starts."""

_LINE_LENGTH = 200

_END = 64 * 1024
"""Bytes of the output in which these lines are looked for."""

_MOST = 1024 * 1024
"""Bytes of a tool's output that are kept: some write for days."""


class Output:
    """A file without a name, into which a tool writes what nobody reads but when it dies. Blocking.

    It outlives this process, as the tool does: the other end of a pipe would not, and the tool would die of
    that or wait for ever.
    """

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` does
        if fcntl is not None:
            # Else what is written after `bound` would stand where it had stood, behind a hole.
            flags = fcntl.fcntl(self.file, fcntl.F_GETFL)
            fcntl.fcntl(self.file, fcntl.F_SETFL, flags | os.O_APPEND)

    def last_words(self) -> str:
        """Return its last lines, as they may be shown on a terminal."""
        size = os.fstat(self.file.fileno()).st_size
        self.file.seek(max(0, size - _END))
        lines = self.file.read(_END).splitlines()[-_LAST_LINES:]
        return "\n".join(plain_line(line.decode("utf-8", "replace"), _LINE_LENGTH) for line in lines)

    def bound(self) -> None:
        """Empty it if it has grown large; not on Windows, where a tool would write behind a hole."""
        if fcntl is not None and os.fstat(self.file.fileno()).st_size > _MOST:
            os.ftruncate(self.file.fileno(), 0)

    def close(self) -> None:
        """Let go of it; the tool goes on writing into it."""
        self.file.close()
