"""What can be shared: bytes, a file, or what a function gives when it is asked for."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

from ..._util.threads import to_its_end
from ...errors import DataError

__all__ = ["BytesContent", "CallContent", "Content", "FileContent", "Source", "as_content"]

CHUNK = 1024 * 1024
"""Bytes read and sent at a time: large enough to be quick, small enough to keep many readers in memory."""

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | Callable[[], Any]"
"""Bytes, a path, or a function (plain ones run off the loop) that gives bytes, a path, or an
iterable of bytes."""


class Content(Protocol):
    """Something that can be read in part."""

    async def size(self) -> int | None:
        """How many bytes; None if that is known only at the end. Raises `DataError` if it is gone."""
        ...

    def chunks(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop`."""
        ...


def as_content(source: Source) -> Content:
    """Return `source` as content. Raises `DataError` for what cannot be shared."""
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesContent(bytes(source))
    if isinstance(source, str | os.PathLike):
        return FileContent(Path(source))
    if callable(source):
        return CallContent(source)
    raise DataError(f"cannot share {type(source).__name__}: expected bytes, a path or a function")


class BytesContent:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def size(self) -> int | None:
        """Return how many."""
        return len(self.data)

    async def chunks(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield them."""
        view = memoryview(self.data)[start:stop]
        for begin in range(0, len(view), CHUNK):
            yield bytes(view[begin : begin + CHUNK])


class FileContent:
    """A file, read piece by piece off the loop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def size(self) -> int | None:
        """Return how long it is now."""
        return await asyncio.to_thread(self._size)

    def _size(self) -> int:
        if not self.path.is_file():
            raise DataError(f"there is no file {self.path}")
        return self.path.stat().st_size

    def _open(self) -> BinaryIO:
        return self.path.open("rb")

    async def chunks(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield its bytes."""
        file = await to_its_end(self._open, lambda opened: opened.close())
        try:
            await to_its_end(partial(file.seek, start))
            left = stop - start if stop is not None else None
            while left is None or left > 0:
                chunk = await to_its_end(partial(file.read, CHUNK if left is None else min(CHUNK, left)))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()


class CallContent:
    """What a function gives, asked anew for each reader."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    async def now(self) -> Content:
        """Call the function and return what it gave."""
        if inspect.iscoroutinefunction(self._function):
            given = await self._function()
        else:
            given = await asyncio.to_thread(self._function)
        if isinstance(given, bytes | bytearray | memoryview | str | os.PathLike):
            return as_content(given)
        if isinstance(given, AsyncIterator | Iterable) or hasattr(given, "__aiter__"):
            return _Stream(given)
        raise DataError(
            f"the function to share gave {type(given).__name__}, not bytes, a path or an iterable"
        )

    async def size(self) -> int | None:
        """Unknown before the function is called."""
        return None

    async def chunks(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield what it gives."""
        async for chunk in (await self.now()).chunks(start, stop):
            yield chunk


class _Stream:
    """An iterable of bytes, read once."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    async def size(self) -> int | None:
        return None

    async def chunks(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        if hasattr(self._chunks, "__aiter__"):
            async for chunk in self._chunks:
                yield bytes(chunk)
            return
        iterator = iter(self._chunks)
        while (chunk := await asyncio.to_thread(next, iterator, None)) is not None:
            yield bytes(chunk)
