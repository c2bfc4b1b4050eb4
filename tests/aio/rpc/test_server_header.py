"""The header Server names no version: neither ours, nor aiohttp's, nor Python's."""

from __future__ import annotations

import pytest
from aiohttp import web

from asyncsamp.rpc import RpcServer
from tests.aio.wire import connect


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"no HTTP at all\r\n\r\n"])
@pytest.mark.both_loops
async def test_it_names_no_version(request_: bytes) -> None:
    async def hello(request: web.BaseRequest) -> web.Response:
        return web.Response(text="hello")

    async with RpcServer(hello) as server, connect(server.port) as (reader, writer):
        writer.write(request_)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b"server: asyncsamp\r\n" in head
    assert b"aiohttp" not in head
    assert b"python" not in head
