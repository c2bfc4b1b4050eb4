"""A file of this machine, read in pieces off the loop, for the URL translator (WEB-30, WEB-34)."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from pathlib import PurePath
from urllib.parse import unquote_to_bytes

from aiohttp import web

from ...._util.threads import to_its_end

__all__ = ["FileReader", "byte_range", "open_file", "path_of"]

PIECE = 256 * 1024
"""Bytes read at once: what is in memory for one download."""

_TYPES = {
    ".fits": "application/fits",
    ".fit": "application/fits",
    ".fts": "application/fits",
    ".vot": "application/x-votable+xml",
    ".votable": "application/x-votable+xml",
    ".xml": "text/xml",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".pdf": "application/pdf",
    ".parquet": "application/vnd.apache.parquet",
}

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_THIS_MACHINE = ("", "localhost", "127.0.0.1")


def path_of(url: str) -> list[str]:
    """Return the paths that a file URL may mean, the likeliest first.

    Programs write `file:///p`, `file:/p`, `file://localhost//p`, percent-encoded or not. Empty if it
    is on another machine or no path at all.
    """
    rest = url.strip()[len("file:") :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in _THIS_MACHINE:
            return []
        rest = slash + path
    rest = "/" + rest.lstrip("/")
    bare = rest.partition("#")[0]
    try:
        decoded = [os.fsdecode(unquote_to_bytes(os.fsencode(text))) for text in (bare, rest)]
    except UnicodeError:
        return []
    found = [decoded[0], bare, decoded[1], rest]
    if os.name == "nt":
        found = [re.sub(r"^/([A-Za-z])[:|]", r"\1:", path) for path in found]
    return [path for path in dict.fromkeys(found) if "\0" not in path]


@dataclass(frozen=True, slots=True)
class FileReader:
    """An open file: its descriptor, its size, its kind, and when it was changed."""

    descriptor: int
    size: int
    content_type: str
    modified: float

    @property
    def headers(self) -> dict[str, str]:
        """What is told about it."""
        return {
            "Content-Type": self.content_type,
            "Accept-Ranges": "bytes",
            "Last-Modified": formatdate(self.modified, usegmt=True),
        }

    async def pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield `length` bytes from `start` on, in pieces. Raises OSError if it has fewer by now."""
        while length > 0:
            piece = await to_its_end(partial(_read_at, self.descriptor, min(PIECE, length), start))
            if not piece:
                raise OSError(errno.EIO, "the file has become shorter")
            yield piece
            start += len(piece)
            length -= len(piece)

    async def close(self) -> None:
        """Close it."""
        await asyncio.to_thread(os.close, self.descriptor)


def _read_at(descriptor: int, length: int, start: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # Windows
    return os.read(descriptor, length)


async def open_file(url: str) -> FileReader:
    """Open what a file URL means. Raises `web.HTTPException` with a reason: 403, 404."""
    return await to_its_end(partial(_open, path_of(url)), lambda file: os.close(file.descriptor))


def _open(paths: list[str]) -> FileReader:
    denied = False
    for path in paths:
        try:
            # A named pipe would block whoever opens it.
            descriptor = os.open(
                path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            )
        except OSError as error:
            denied = denied or error.errno in (errno.EACCES, errno.EPERM)
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            kind = _TYPES.get(PurePath(path).suffix.lower(), "application/octet-stream")
            return FileReader(descriptor, status.st_size, kind, status.st_mtime)
        os.close(descriptor)
        denied = True
    if denied:
        raise web.HTTPForbidden(text="the file cannot be read, or is no plain file\n")
    raise web.HTTPNotFound(text="there is no such file (any more)\n")


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and length that a Range header asks for, None if it asks for none that is understood.

    Raises `web.HTTPRequestRangeNotSatisfiable` for a range beyond the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        error = web.HTTPRequestRangeNotSatisfiable(text="the file is not that long\n")
        error.headers["Content-Range"] = f"bytes */{size}"
        raise error
    return start, end - start
