"""Data as file:// URLs, for tools on the same machine that cannot or need not use HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path

from ..._util import file_urls
from ..._util.processes import lives
from ..._util.threads import to_its_end
from ...rpc import descriptors

__all__ = ["LocalFiles"]

_LONGEST_STEM, _LONGEST_ENDING = 180, 10
"""Bytes of a file's name, and of what stands behind its last dot."""

_MOST_DESCRIPTORS = 256
"""Descriptors that files in memory may take of the process, also of those that have been let go."""

_FOLDER = re.compile(r"asyncsamp-(\d+)-\w+")


class LocalFiles:
    """Bytes that have a file:// URL while this process lives.

    On Linux they are files without a folder, in memory, which the kernel takes away with the
    process, however it ends. Elsewhere, and where there have been many, they are temporary files:
    removed by `close`, and, after a kill -9, by the next process that needs any.
    """

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._paths: dict[str, Path] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._folder: Path | None = None

    def __len__(self) -> int:
        return len(self._descriptors) + len(self._paths)

    async def put(self, data: bytes, name: str) -> str:
        """Return the URL of a new file that holds `data`. When it is cancelled there is no file."""
        return await to_its_end(partial(self._put, data, _short(name)), self._remove)

    def expire(self, url: str, seconds: float) -> None:
        """Take a file away `seconds` from now, unless its time is set; nothing if it is not ours."""
        if url not in self._timers and (url in self._descriptors or url in self._paths):
            self._timers[url] = asyncio.get_running_loop().call_later(seconds, self.drop, url)

    def drop(self, url: str) -> bool:
        """Take a file away; False if it is not ours."""
        timer = self._timers.pop(url, None)
        if timer is not None:
            timer.cancel()
        if url in self._paths:
            # A folder on a disk: not in the loop.
            asyncio.get_running_loop().run_in_executor(None, self._remove, url)
            return True
        return self._remove(url)

    async def close(self) -> None:
        """Take all away."""
        for url in [*self._descriptors, *self._timers]:
            self.drop(url)
        self._paths.clear()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _remove(self, url: str) -> bool:
        path, descriptor = self._paths.pop(url, None), self._descriptors.pop(url, None)
        if path is not None:
            shutil.rmtree(path.parent, ignore_errors=True)
        if descriptor is not None:
            _retire(descriptor)
        return path is not None or descriptor is not None

    def _put(self, data: bytes, name: str) -> str:
        if _may_be_in_memory(len(self._descriptors)):
            return self._put_in_memory(data, name)
        if self._folder is None:
            _sweep()
            self._folder = Path(tempfile.mkdtemp(prefix=f"asyncsamp-{os.getpid()}-"))
        path = Path(tempfile.mkdtemp(dir=self._folder)) / Path(name).name
        path.write_bytes(data)
        self._paths[file_urls.make(str(path))] = path
        return file_urls.make(str(path))

    def _put_in_memory(self, data: bytes, name: str) -> str:
        descriptor = os.memfd_create(name)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
        except BaseException:
            os.close(descriptor)
            raise
        url = file_urls.make(f"/proc/{os.getpid()}/fd/{descriptor}")
        self._descriptors[url] = descriptor
        return url


def _may_be_in_memory(those_there: int) -> bool:
    if not (hasattr(os, "memfd_create") and hasattr(os, "eventfd") and Path("/proc/self/fd").is_dir()):
        return False
    allowed = descriptors.allowed()
    most = _MOST_DESCRIPTORS if allowed is None else min(_MOST_DESCRIPTORS, allowed // 4)
    return those_there + len(_retired) < most


_retired: set[int] = set()
"""Descriptors of this process that stand for files which have been let go."""


def _retire(descriptor: int) -> None:
    """Let the file go, and keep its number: else the URL would come to mean the next file that is opened.

    What takes its place cannot be opened by anybody.
    """
    _retired.add(descriptor)
    nothing = os.eventfd(0)
    try:
        os.dup2(nothing, descriptor, inheritable=False)
    finally:
        os.close(nothing)


def _short(name: str) -> str:
    """Return a name that a file can have: the kernel takes 255 bytes, less for one in memory."""
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > _LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    return stem.encode()[:_LONGEST_STEM].decode(errors="ignore") + dot + ending


def _sweep() -> None:
    """Remove what processes left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("asyncsamp-*"):
        found = _FOLDER.fullmatch(folder.name)
        if found and not lives(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)
