"""The callback endpoint of a client of no make: it notes what the hub says, and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from asyncsamp import xmlrpc
from asyncsamp.rpc import RpcServer
from asyncsamp.values import Value

__all__ = ["Callee"]

SECONDS = 30.0


class Callee:
    """`answer` is called for each request with its method and params, and returns the body of the answer."""

    def __init__(self) -> None:
        self.received: list[tuple[str, list[Value]]] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.answer: Callable[[str, list[Value]], Awaitable[bytes]] = self._void
        self._server = RpcServer(self._handle, name="callee")
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    @property
    def url(self) -> str:
        """What to give to setXmlrpcCallback."""
        return f"http://127.0.0.1:{self.port}/hidden-path"

    def answers(self, body: bytes) -> None:
        """Let every answer have this body."""

        async def answer(method: str, params: list[Value]) -> bytes:
            return body

        self.answer = answer

    async def until(self, count: int) -> list[tuple[str, list[Value]]]:
        """Return what was received, once it is as much."""
        async with asyncio.timeout(SECONDS):
            while len(self.received) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.received

    async def close(self) -> None:
        """Listen no more."""
        await self._server.close(0)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _void(self, method: str, params: list[Value]) -> bytes:
        return xmlrpc.dump_response("")

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        call = xmlrpc.load_call(body)
        self.bodies.append(body)
        self.paths.append(request.path)
        self.received.append(call)
        self._changed.set()
        return web.Response(body=await self.answer(*call), content_type="text/xml")
