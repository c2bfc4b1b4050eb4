"""Data as file:// URLs, for tools on the same machine that cannot or need not use HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

__all__ = ["LocalFiles", "file_url"]

_FOLDER = re.compile(r"asyncsamp-(\d+)-\w+")


def file_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of a file, with an empty host, as all tools read it (MTYPE-72)."""
    return "file://" + quote(str(Path(path).absolute()))


class LocalFiles:
    """Bytes that have a file:// URL while this process lives.

    On Linux they are files without a folder, in memory, which the kernel takes away with the
    process, however it ends. Elsewhere they are temporary files: removed by `close`, and,
    after a kill -9, by the next process that needs any.
    """

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._folder: Path | None = None

    async def put(self, data: bytes, name: str) -> str:
        """Return the URL of a new file that holds `data`."""
        return await asyncio.to_thread(self._put, data, name)

    def drop(self, url: str) -> bool:
        """Take a file away; False if it is none of ours."""
        descriptor = self._descriptors.pop(url, None)
        if descriptor is not None:
            os.close(descriptor)
            return True
        return False

    async def close(self) -> None:
        """Take all away."""
        for url in list(self._descriptors):
            self.drop(url)
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _put(self, data: bytes, name: str) -> str:
        if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
            return self._put_in_memory(data, name)
        if self._folder is None:
            _sweep()
            self._folder = Path(tempfile.mkdtemp(prefix=f"asyncsamp-{os.getpid()}-"))
        path = Path(tempfile.mkdtemp(dir=self._folder)) / Path(name).name
        path.write_bytes(data)
        return file_url(path)

    def _put_in_memory(self, data: bytes, name: str) -> str:
        descriptor = os.memfd_create(name)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
        except BaseException:
            os.close(descriptor)
            raise
        url = file_url(f"/proc/{os.getpid()}/fd/{descriptor}")
        self._descriptors[url] = descriptor
        return url


def _sweep() -> None:
    """Remove what processes left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("asyncsamp-*"):
        found = _FOLDER.fullmatch(folder.name)
        if found and not _lives(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
