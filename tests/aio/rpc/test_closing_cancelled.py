"""A server whose closing is cancelled leaves no connection."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp import Client, Hub
from asyncsamp.rpc import RpcServer
from tests.aio.wire import connect

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("turns", range(1, 16))
async def test_at_whatever_turn_every_connection_ends(turns: int) -> None:
    async def hello(request: web.BaseRequest) -> web.Response:
        return web.Response(text="hello")

    server = RpcServer(hello, name="test")
    await server.start()
    async with contextlib.AsyncExitStack() as stack:
        kept = await stack.enter_async_context(connect(server.port))
        silent = await stack.enter_async_context(connect(server.port))
        kept[1].write(GET)
        await kept[0].readuntil(b"hello")
        closing = asyncio.create_task(server.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        async with asyncio.timeout(30):
            for reader, _ in (kept, silent):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""


@pytest.mark.parametrize("turns", range(1, 26))
async def test_a_client_whose_leaving_is_cancelled_leaves_no_connection(turns: int, tmp_path: Path) -> None:
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        leaving, peer = (Client(name, lockfile=hub.lockfile) for name in ("leaving", "peer"))
        async with peer:
            await leaving.register()
            async with leaving.messages("a.b") as stream:
                await peer.notify(leaving.public_id, "a.b", {})
                await anext(stream)  # so the hub keeps a connection to it
        task = asyncio.create_task(leaving.unregister())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        server, sender = hub._standard._server, hub._standard._sender
        assert server is not None
        assert sender is not None
        async with asyncio.timeout(30):
            while sender._open or len(server.server.limit):
                await asyncio.sleep(0)
