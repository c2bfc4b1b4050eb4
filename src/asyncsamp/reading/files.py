"""A file of this machine, read in pieces off the loop."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
from collections.abc import AsyncGenerator, Iterable
from functools import partial

from .._util import file_urls
from .._util.threads import to_its_end
from ..errors import DataError

__all__ = ["PIECE", "FileReader", "open_file", "open_first", "unreadable"]

PIECE = 256 * 1024
"""Bytes read at once: what is in memory for one reader."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A named pipe would block whoever opens it without O_NONBLOCK."""


class FileReader:
    """An open file.

    Attributes:
        path: Where it is.
        size: How many bytes it had when it was opened.
        modified: When it was changed, in seconds since 1970.
        identity: Device and inode: what it is, whatever it is called.
    """

    def __init__(self, path: str, descriptor: int, status: os.stat_result) -> None:
        self.path = path
        self.size = status.st_size
        self.modified = status.st_mtime
        self.identity = status.st_dev, status.st_ino
        self._descriptor = descriptor

    async def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes (None: to the end) from `start` on, in pieces. Cancelling is safe.

        Raises:
            OSError: The file cannot be read, or has become shorter.
        """
        length = self.size - start if length is None else length
        while length > 0:
            piece = await to_its_end(partial(self.read_at, start, min(PIECE, length)))
            yield piece
            start += len(piece)
            length -= len(piece)

    def read_at(self, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start` on. Blocks; raises as `pieces` does."""
        if hasattr(os, "pread"):
            piece = os.pread(self._descriptor, length, start)
        else:  # Windows
            os.lseek(self._descriptor, start, os.SEEK_SET)
            piece = os.read(self._descriptor, length)
        if not piece and length:
            raise OSError(errno.EIO, "the file has become shorter", self.path)
        return piece

    def read_all(self) -> bytes:
        """Return the whole of what it had when it was opened. Blocks; raises as `pieces` does."""
        data = io.BytesIO()
        while data.tell() < self.size:
            data.write(self.read_at(data.tell(), min(PIECE, self.size - data.tell())))
        return data.getvalue()  # which copies nothing

    async def close(self) -> None:
        """Close it. When it is cancelled the file is closed all the same."""
        await asyncio.shield(asyncio.to_thread(self.close_now))

    def close_now(self) -> None:
        """Close it. Blocks."""
        os.close(self._descriptor)


async def open_file(paths: Iterable[str]) -> FileReader:
    """Open the first of `paths` that is a plain file, off the loop. Cancelling is safe: nothing stays open.

    Raises:
        FileNotFoundError: None of them exists.
        OSError: One exists and cannot be read, or is a folder or a device.
    """
    return await to_its_end(partial(open_first, tuple(paths)), FileReader.close_now)


def open_first(paths: Iterable[str]) -> FileReader:
    """As `open_file`, for a thread."""
    failure: OSError | None = None
    for path in paths:
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            if failure is None or isinstance(failure, FileNotFoundError):
                failure = error
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return FileReader(path, descriptor, status)
        os.close(descriptor)
        failure = PermissionError(errno.EACCES, "not a plain file", path)
    raise failure or FileNotFoundError(errno.ENOENT, "the URL names no file")


def unreadable(place: str, error: OSError) -> DataError:
    """Return what to raise for a path that could not be read, as the user wrote it."""
    path = str(error.filename or place)
    hint = file_urls.meant_for_the_web(path) if isinstance(error, FileNotFoundError) else ""
    return DataError(f"cannot read {path}: {error.strerror or error}{hint}")
