"""An XML-RPC endpoint for programs: one port, its guards, and a dispatcher behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from aiohttp import web

from .. import xmlrpc
from ..values import RawMap, Value
from .endpoint import READY, Dispatch, Result, answer, fault_document, respond
from .front import Caller
from .offload import LARGE, MAX_BODY, dump_response, is_large, load_relayed
from .origin_guard import OriginGuard
from .request_head import RequestHead
from .server import RpcServer

__all__ = ["Relays", "XmlRpcServer"]

Relays: TypeAlias = "Callable[[str, list[Value | RawMap]], Result | Awaitable[Result]]"
"""Like `Dispatch`, with messages and responses as they came."""

_RELAYED_AT_ONCE = 2 * 1024 * 1024
"""Bytes of a body that is looked at in the loop, for a millisecond, where it is only relayed."""


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
        relays: Does the same as `dispatch`, but for calls that send a message or a response, which may pass
            as they came. None: all are decoded.
    """

    headers = ""

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
        relays: Relays | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._relays = relays
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
        """Begin to listen. If it is cancelled, no socket is left.

        Raises:
            OSError: The address cannot be had; it says which, and why.
        """
        await self.server.start()

    async def close(self) -> None:
        """Stop, within a second or so. May be called again.

        If it is cancelled, it breaks off what is under way.
        """
        await self.server.close()

    # ---- what is plain

    def admits(self, head: RequestHead, transport: asyncio.Transport) -> bool:
        """Return whether a request names this machine as its Host.

        Args:
            head: The head of the request.
            transport: Where it came.
        """
        return head.host is None or self._guard.allows(head.host, transport)

    def knows(self, begun: bytes) -> bool:
        """Return whether the beginning of a body shows a private key that is known.

        Args:
            begun: Its first bytes.
        """
        return self._knows_key(begun)

    def respond(self, body: bytes, caller: Caller) -> bytes | asyncio.Future[Any]:
        """Answer the body of a request, at once where the dispatcher does.

        Args:
            body: The whole body.
            caller: Who asks; not used.

        Returns:
            The document, or what will be done when the answer is there; see `document`.
        """
        if len(body) > self._at_once:
            return self._begin(self._respond_later(body))
        try:
            relayed = xmlrpc.read_relayed(body) if self._relays is not None else None
            if relayed is None and len(body) > LARGE:
                return self._begin(self._respond_later(body))
            result = self._do(relayed) if relayed is not None else self._dispatch(*xmlrpc.load_call(body))
            if isinstance(result, READY) and not is_large(result):
                return xmlrpc.dump_response(result)
        except Exception as error:
            return fault_document(error, self._owner)
        return result if isinstance(result, asyncio.Future) else self._begin(self._finish(result), result)

    def document(self, answered: asyncio.Future[Any]) -> bytes:
        """Return the document for an answer that was waited for.

        Args:
            answered: What `respond` returned, when it is done.
        """
        try:
            result = answered.result()
            return result if isinstance(result, bytes) else xmlrpc.dump_response(result)
        except Exception as error:
            return fault_document(error, self._owner)

    def written(self, answered: asyncio.Future[Any]) -> None:
        """Take note that an answer has left.

        Args:
            answered: What `respond` returned.
        """

    def dropped(self, answered: asyncio.Future[Any]) -> None:
        """Take note that nobody is there to be answered.

        Args:
            answered: What `respond` returned.
        """

    def serves_half_closed(self) -> bool:
        """Return True: a caller that sends no more is still answered, since some programs are done with
        sending then.
        """
        return True

    @property
    def _at_once(self) -> int:
        """Bytes of a body up to which it may be looked at in the loop."""
        return _RELAYED_AT_ONCE if self._relays is not None else LARGE

    def _do(self, relayed: tuple[str, list[Value | RawMap]]) -> Result | Awaitable[Result]:
        assert self._relays is not None
        return self._relays(*relayed)

    def _begin(
        self, answering: Coroutine[Any, Any, bytes], result: Result | Awaitable[Result] = ""
    ) -> asyncio.Task[bytes]:
        task = asyncio.get_running_loop().create_task(answering, name=self._task_name)
        if isinstance(result, Coroutine):
            # Cancelled before its first step, the task would leave it unawaited.
            task.add_done_callback(lambda _: result.close())
        return task

    async def _respond_later(self, body: bytes) -> bytes:
        """Answer a large body, which is read in a thread."""
        if self._relays is None or len(body) <= self._at_once:
            return await respond(body, self._dispatch, owner=self._owner)
        try:
            result = self._do(await load_relayed(body))
        except Exception as error:
            return fault_document(error, self._owner)
        return await self._finish(result)

    async def _finish(self, result: Result | Awaitable[Result]) -> bytes:
        try:
            return await dump_response(result if isinstance(result, READY) else await result)
        except Exception as error:
            return fault_document(error, self._owner)

    # ---- everything else

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._guard.check(request)
        return await answer(request, self._dispatch, admit=self._knows_key, owner=self._owner)
