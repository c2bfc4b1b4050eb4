"""An XML-RPC endpoint for programs: one port, its guards, and a dispatcher behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web

from .. import xmlrpc
from ..values import Value
from ..xmlrpc import Encoded
from .endpoint import READY, Dispatch, answer, fault_document
from .offload import MAX_BODY, dump_response, is_large
from .origin_guard import OriginGuard
from .request_head import RequestHead
from .server import RpcServer

__all__ = ["XmlRpcServer"]


class XmlRpcServer:
    """A port of this machine that answers XML-RPC requests of programs, and refuses web pages.

    Args:
        dispatch: Does what a method asks for. What it returns at once is answered at once; what it returns
            to be awaited runs in a task of its own, which is cancelled when the caller vanishes.
        knows_key: Whether the beginning of a body shows a private key that is known: who has none may send
            64 KiB at most.
        host: Where to listen.
        port: The port; 0 takes a free one.
        max_body: Bytes of one request.
        name: What tasks and errors call the server.
        owner: Whose error it is, in a fault, when `dispatch` fails.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        knows_key: Callable[[bytes], bool],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_body: int = MAX_BODY,
        name: str = "rpc",
        owner: str = "the hub",
    ) -> None:
        self._dispatch = dispatch
        self._knows_key = knows_key
        self._owner = owner
        self._task_name = f"asyncsamp-{name}-request"
        self._guard = OriginGuard(host)
        self.server = RpcServer(
            self._handle, hosts=(host,), port=port, max_body=max_body, plain=self, name=name
        )

    @property
    def port(self) -> int:
        """The port listened on; before `start`, the one that was asked for."""
        return self.server.port

    @property
    def url(self) -> str:
        """The endpoint, as others are told of it."""
        return f"http://{self.server.url_host}:{self.server.port}/xmlrpc"

    async def start(self) -> None:
        """Begin to listen. Raises OSError, saying which address cannot be had and why."""
        await self.server.start()

    async def close(self) -> None:
        """Stop, within a second or so. May be called again."""
        await self.server.close()

    # ---- what is plain

    def admits(self, head: RequestHead, transport: asyncio.Transport) -> bool:
        """Whether a request names this machine as its Host."""
        return head.host is None or self._guard.allows(head.host, transport)

    def respond(self, body: bytes) -> bytes | asyncio.Future[Any]:
        """Answer the body of a request, at once where the dispatcher does."""
        try:
            method, params = xmlrpc.load_call(body)
            result = self._dispatch(method, params)
            if isinstance(result, READY) and not is_large(result):
                return xmlrpc.dump_response(result)
        except Exception as error:
            return fault_document(error, self._owner)
        if isinstance(result, asyncio.Future):
            return result
        task = asyncio.get_running_loop().create_task(self._finish(result), name=self._task_name)
        if isinstance(result, Coroutine):
            # Cancelled before its first step, the task would leave it unawaited.
            task.add_done_callback(lambda _: result.close())
        return task

    def document(self, answered: asyncio.Future[Any]) -> bytes:
        """Return the document for an answer that was waited for."""
        try:
            result = answered.result()
            return result if isinstance(result, bytes) else xmlrpc.dump_response(result)
        except Exception as error:
            return fault_document(error, self._owner)

    async def _finish(self, result: Value | Encoded | Awaitable[Value | Encoded]) -> bytes:
        try:
            return await dump_response(result if isinstance(result, READY) else await result)
        except Exception as error:
            return fault_document(error, self._owner)

    # ---- everything else

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._guard.check(request)
        return await answer(request, self._dispatch, admit=self._knows_key, owner=self._owner)
