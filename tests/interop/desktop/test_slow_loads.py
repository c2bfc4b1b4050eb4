"""A tool that loads from a slow server is left alone: it answers, and takes the next command.

DS9 answers a call only when the image is in, and a second connection meanwhile makes its load fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from asyncsamp import Client, Hub, RemoteClient

from ..peers import Process, Screen, aladin_on, ds9_on, screen, topcat_on
from .meeting import aladin_ready, found
from .sky import image, stars

pytestmark = pytest.mark.timeout(300)

STALL = 12.0
"""Seconds: sixteen looks of the hub whether the tool is still there."""


class Tool(NamedTuple):
    """How a tool is started, what it loads, and a command that it answers at once."""

    name: str
    lockfile: str
    start: Callable[[Screen, Path, Path], AbstractAsyncContextManager[Process]]
    source: Callable[[bytes, Path], AbstractAsyncContextManager[str]]
    load: str
    command: str
    params: dict[str, str]


@contextlib.asynccontextmanager
async def slow_server(content: bytes, folder: Path) -> AsyncIterator[str]:
    """Serve `content` at a URL; in its middle each answer stalls."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.0 200 OK\r\nContent-Type: image/fits\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(head.encode())
            if not request.startswith(b"HEAD"):
                half = len(content) // 2
                writer.write(content[:half])
                await writer.drain()
                await asyncio.sleep(STALL)
                writer.write(content[half:])
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sky.fits"


@contextlib.asynccontextmanager
async def slow_pipe(content: bytes, folder: Path) -> AsyncIterator[str]:
    """Give the URL of a pipe out of which `content` comes, with a stall in the middle.

    Aladin is started such that it asks no server, and reads files only.
    """
    whole, pipe = folder / "whole.fits", folder / "sky.fits"
    await asyncio.to_thread(whole.write_bytes, content)
    os.mkfifo(pipe)
    half = len(content) // 2
    feed = f"exec > {pipe}; head -c {half} {whole}; sleep {STALL:g}; tail -c +{half + 1} {whole}"
    feeder = await asyncio.create_subprocess_exec("sh", "-c", feed)
    try:
        yield f"file://localhost{pipe}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            feeder.kill()
        await feeder.wait()


def fits_of(mtype: str) -> bytes:
    """Return the file that is to be loaded."""
    file = io.BytesIO()
    if mtype == "image.load.fits":
        image().writeto(file)
    else:
        stars().write(file, format="fits")
    return file.getvalue()


async def ready(client: Client, tool: Tool, display: Screen) -> RemoteClient:
    """Wait until the tool takes what it is to load."""
    if tool.name == "Aladin":
        return await aladin_ready(client, display)
    return await found(client, tool.name, tool.load)


TOOLS = [
    Tool("SAOImageDS9", "hub.samp", ds9_on, slow_server, "image.load.fits", "ds9.get", {"cmd": "fits size"}),
    Tool("topcat", "hub.samp", topcat_on, slow_server, "table.load.fits", "samp.app.ping", {}),
    Tool("Aladin", ".samp", aladin_on, slow_pipe, "image.load.fits", "samp.app.ping", {}),
]


@pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])
async def test_a_tool_that_loads_for_long_is_not_disturbed(tool: Tool, tmp_path: Path) -> None:
    lockfile = tmp_path / tool.lockfile
    clock = asyncio.get_running_loop().time
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        tool.source(fits_of(tool.load), tmp_path) as url,
        screen(tmp_path) as display,
        tool.start(display, lockfile, tmp_path) as running,
    ):
        there = await ready(client, tool, display)
        begun = clock()
        loaded = await client.call_and_wait(
            there.public_id, tool.load, {"url": url, "name": "sky"}, timeout=60
        )
        assert clock() - begun > STALL - 1
        assert loaded.ok
        answered = await client.call_and_wait(there.public_id, tool.command, tool.params, timeout=30)
        assert answered.ok
        if tool.command == "ds9.get":
            assert answered.result["value"]
    printed = "\n".join(running.stdout.lines + running.stderr.lines)
    assert "Premature eof" not in printed
