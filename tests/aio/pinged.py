"""A real HTTP server on loopback that answers like the hub behind a lockfile, or unlike one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

ANSWER = (
    '<?xml version="1.0"?><methodResponse><params><param><value><string></string></value></param></params>'
    "</methodResponse>"
)
FAULT = (
    '<?xml version="1.0"?><methodResponse><fault><value><struct>'
    "<member><name>faultCode</name><value><int>1</int></value></member>"
    "<member><name>faultString</name><value><string>no</string></value></member>"
    "</struct></value></fault></methodResponse>"
)


class Pinged:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.text = ANSWER
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.requests.append(await request.text())
        self.asked.set()
        await self.may_answer.wait()
        return web.Response(status=self.status, text=self.text, content_type="text/xml")


@asynccontextmanager
async def pinged() -> AsyncIterator[Pinged]:
    """Run a server that answers every request alike; its end waits for nobody."""
    server = Pinged()
    runner = web.ServerRunner(web.Server(server.handle, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/xmlrpc"
    try:
        yield server
    finally:
        server.may_answer.set()
        await runner.cleanup()
