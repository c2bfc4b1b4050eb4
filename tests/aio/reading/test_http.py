"""Reading of http URLs: what is left when it ends."""

from __future__ import annotations

import asyncio

from aiohttp import web

from asyncsamp.reading.http import HttpReader

from ..cancelling import each_await
from ..web_server import Server


async def test_an_end_that_was_cancelled_leaves_no_connection_open() -> None:
    """Nor does one that comes while something is being read; the fixtures look for what is left."""
    going_on = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/whole":
            return web.Response(body=b"table")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await going_on.wait()
        return response

    async with Server(serve) as base:
        reader = HttpReader(frozenset())

        async def read(path: str) -> bytes:
            async with reader.open(base + path, "GET", {}) as opened:
                return b"".join([piece async for piece in opened.pieces])

        async def use_and_close() -> None:
            await reader.close()

        assert await read("/whole") == b"table"
        slow = asyncio.create_task(read("/slow"))
        await asyncio.sleep(0)
        async for _ in each_await(use_and_close):
            assert await read("/whole") == b"table"
        slow.cancel()
        await asyncio.wait((slow,))
        going_on.set()
        await reader.close()
