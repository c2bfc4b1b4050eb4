"""What can be shared: bytes, a file, or what a function gives when it is asked for."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from ..._util import file_urls
from ...errors import DataError
from ...interfaces import Content, OpenContent
from ...reading.files import PIECE, open_file, unreadable

__all__ = ["BytesContent", "CallContent", "Content", "FileContent", "Source", "as_content"]

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | Callable[[], Any]"
"""Bytes, a path, or a function (plain ones run off the loop) that gives bytes, a path, or an
iterable of bytes."""


def as_content(source: Source) -> Content:
    """Return `source` as content. Raises `DataError` for what cannot be shared."""
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesContent(bytes(source))
    if isinstance(source, str | os.PathLike):
        return FileContent(Path(source).expanduser())
    if callable(source):
        return CallContent(source)
    raise DataError(f"cannot share {type(source).__name__}: expected bytes, a path or a function")


class BytesContent:
    """Bytes in memory; its own reader."""

    modified: float | None = None

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size: int | None = len(data)

    async def open(self) -> OpenContent:
        """Return itself."""
        return self

    async def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield them."""
        view = memoryview(self.data)[start : None if length is None else start + length]
        for begin in range(0, len(view), PIECE):
            yield bytes(view[begin : begin + PIECE])

    async def close(self) -> None:
        """Keep them: others may read."""


class FileContent:
    """A file, read piece by piece off the loop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self) -> OpenContent:
        """Open the file."""
        try:
            return await open_file([str(self.path)])
        except FileNotFoundError:
            hint = file_urls.meant_for_the_web(str(self.path))
            raise DataError(f"there is no file {self.path}{hint}") from None
        except OSError as error:
            raise unreadable(str(self.path), error) from None

    def url(self) -> str:
        """Return its file:// URL."""
        return file_urls.make(str(self.path.absolute()))

    async def check(self) -> None:
        """Raise `DataError` if the file cannot be read."""
        await (await self.open()).close()


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

    async def open(self) -> OpenContent:
        """Call the function, and open what it gave."""
        return await (await self.now()).open()


class _Stream:
    """An iterable of bytes, read once; its own reader."""

    size: int | None = None
    modified: float | None = None

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    async def open(self) -> OpenContent:
        return self

    async def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        if hasattr(self._chunks, "__aiter__"):
            async for chunk in self._chunks:
                yield bytes(chunk)
            return
        iterator = iter(self._chunks)
        while (chunk := await asyncio.to_thread(next, iterator, None)) is not None:
            yield bytes(chunk)

    async def close(self) -> None:
        """Leave it: it was read to its end, or will not be."""
