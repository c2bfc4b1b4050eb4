"""A small web server, as another program has one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from asyncsamp.rpc import RpcServer

__all__ = ["Server"]

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """A small web server of "another program" that notes what it was asked."""

    def __init__(self, serve: Serve, *hosts: str) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self._serve = serve
        self._rpc = RpcServer(self._handle, hosts=hosts or ("127.0.0.1",), name="table")

    async def __aenter__(self) -> str:
        await self._rpc.start()
        return f"http://127.0.0.1:{self._rpc.port}"

    async def __aexit__(self, *error: object) -> None:
        await self._rpc.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers)))
        return await self._serve(request)
