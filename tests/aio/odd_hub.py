"""A hub over real XML-RPC that answers each operation as a test tells it to, and calls its client back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from aiohttp import web

from asyncsamp.discovery import PID_NAME, PROVE, RENEW_KEY, make_proof
from asyncsamp.errors import FaultError
from asyncsamp.rpc import RpcClient, RpcServer, answer
from asyncsamp.values import Value

__all__ = ["OddHub", "odd_hub"]

Answer: TypeAlias = "Value | Exception | Callable[[list[Value]], Value | Awaitable[Value]]"

_REGISTRATION: Value = {"samp.private-key": "k-1", "samp.self-id": "cli#1", "samp.hub-id": "cli#hub"}


class OddHub:
    """What it answers is in `answers`, by operation: a value, an exception, or a function of the parameters.

    `asked` holds what came in. With `keeps` false it closes each connection, as JSAMP's hub does;
    with a `status` other than 200 it answers nothing else.
    """

    def __init__(self, lockfile: Path) -> None:
        self.lockfile = lockfile
        self.answers: dict[str, Answer] = {
            "register": _REGISTRATION,
            "call": "m1",
            "callAll": {},
            RENEW_KEY: "k-1",
        }
        self.answers[PROVE] = lambda params: make_proof("s", str(params[0]))
        self.asked: list[tuple[str, list[Value]]] = []
        self.seen = asyncio.Condition()
        self.keeps = True
        self.status = 200
        self._server = RpcServer(self._handle)
        self._sender = RpcClient()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/xmlrpc"

    async def start(self, port: int = 0) -> None:
        """Listen, at the same port as before if it is given, and write the lockfile."""
        self._server = RpcServer(self._handle, port=port)
        await self._server.start()
        self.lockfile.write_text(f"samp.secret=s\nsamp.hub.xmlrpc.url={self.url}\n{PID_NAME}=1\n")

    async def stop(self) -> int:
        """Be gone without a word; return the port."""
        await self._server.close(0)
        return self._server.port

    async def close(self) -> None:
        await self.stop()
        await self._sender.close()

    def operations(self) -> list[str]:
        """Return what was asked for, without the watch's questions and what shows whether it is the hub."""
        left_out = ("getMetadata", PROVE, RENEW_KEY)
        return [operation for operation, _ in self.asked if operation not in left_out]

    async def until(self, operation: str, times: int = 1) -> list[Value]:
        """Wait until `operation` was asked for so often; return the last parameters."""

        def found() -> list[list[Value]] | None:
            params = [params for asked, params in self.asked if asked == operation]
            return params if len(params) >= times else None

        async with self.seen:
            await self.seen.wait_for(found)
        params = found()
        assert params is not None
        return params[-1]

    async def tell(self, method: str, *params: Value, key: str = "k-1") -> Value:
        """Call the client back at the URL that it has given; return its answer."""
        url = (await self.until("setXmlrpcCallback"))[-1]
        return await self._sender.call(str(url), f"samp.client.{method}", [key, *params], timeout=10)

    async def notify(self, mtype: str, sender: str = "cli#hub", **params: Value) -> None:
        """Send the client a notification."""
        await self.tell("receiveNotification", sender, {"samp.mtype": mtype, "samp.params": dict(params)})

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.status != 200:
            await request.read()
            return web.Response(status=self.status)
        response = await answer(request, self._dispatch)
        if not self.keeps:
            del response.headers["Connection"]
            response.force_close()
        return response

    async def _dispatch(self, method: str, params: list[Value]) -> Value:
        operation = method.removeprefix("samp.hub.")
        async with self.seen:
            self.asked.append((operation, params))
            self.seen.notify_all()
        answered = self.answers.get(operation, "")
        if isinstance(answered, Exception):
            raise answered
        if not callable(answered):
            return answered
        value = answered(params)
        return await value if isinstance(value, Awaitable) else value


@asynccontextmanager
async def odd_hub(lockfile: Path) -> AsyncIterator[OddHub]:
    """Run an odd hub, published at `lockfile`."""
    hub = OddHub(lockfile)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.close()


def fault(text: str = "no", code: int = 1) -> FaultError:
    """Return a fault as other hubs make them: no code in common, any text."""
    return FaultError(text, code=code)
