"""What goes out when a reader fails in the middle: never a second answer within the first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp.interfaces import Reader
from asyncsamp.reading.files import open_file
from asyncsamp.reading.serving import serve
from asyncsamp.rpc import RpcServer


@contextlib.asynccontextmanager
async def served(reader: Reader) -> AsyncIterator[int]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await serve(request, reader, {"Content-Type": "text/plain"}, what="a test")

    server = RpcServer(handle, name="reading")
    await server.start()
    try:
        yield server.port
    finally:
        await server.close()


async def get(port: int, head: str = "") -> bytes:
    """Return everything that the server sends until it ends the connection."""
    reading, writing = await asyncio.open_connection("127.0.0.1", port)
    writing.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())
    got = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            while piece := await reading.read(65536):
                got += piece
    writing.close()
    return got


class Broken:
    size: int | None
    modified: float | None = None

    def __init__(self, size: int | None, error: Exception) -> None:
        self.size = size
        self.error = error

    async def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        yield b"begun"
        raise self.error


@pytest.mark.parametrize("size", [None, 100])
@pytest.mark.parametrize("error", [OSError("disk"), ValueError("a bug"), ConnectionResetError()])
@pytest.mark.both_loops
async def test_an_error_in_the_middle_ends_the_connection(size: int | None, error: Exception) -> None:
    async with served(Broken(size, error)) as port:
        got = await get(port)
    assert got.count(b"HTTP/1.1") == 1
    assert b"404" not in got
    assert not got.endswith(b"0\r\n\r\n")


@pytest.mark.both_loops
async def test_a_file_that_becomes_shorter_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    reader = await open_file([str(path)])
    path.write_bytes(b"01234")
    try:
        async with served(reader) as port:
            got = await get(port)
    finally:
        await reader.close()
    assert b"Content-Length: 10\r\n" in got
    assert not got.endswith(b"56789")


async def test_a_file_that_has_not_changed_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    reader = await open_file([str(path)])
    try:
        async with served(reader) as port:
            whole = await get(port, "Connection: close\r\n")
            (date,) = [
                line[15:].decode() for line in whole.split(b"\r\n") if line.startswith(b"Last-Modified: ")
            ]
            asked = "Connection: close\r\nRange: bytes=4-\r\nIf-Range: "
            same = await get(port, f"{asked}{date}\r\n")
            changed = await get(port, f"{asked}Thu, 01 Jan 1970 00:00:00 GMT\r\n")
    finally:
        await reader.close()
    for answer in (whole, same, changed):
        assert b"Server: asyncsamp\r\n" in answer
    assert (same.split(b" ", 2)[1], same[-6:]) == (b"206", b"456789")
    assert (changed.split(b" ", 2)[1], changed[-10:]) == (b"200", b"0123456789")
