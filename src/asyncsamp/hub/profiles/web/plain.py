"""Requests of programs that speak the Web Profile: answered without aiohttp where they are plain.

Pages are not among them: a browser says where a request comes from, and such a request is not plain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from ...._util.hosts import is_loopback_number
from ....rpc import Caller, RequestHead, respond
from ....values import Value
from ....xmlrpc import Encoded
from .cors import may_be_called
from .request import WebRequest

__all__ = ["PlainCallers"]


class _Service(Protocol):
    """What is needed of the service."""

    def admits(self, begun: bytes) -> bool: ...

    async def dispatch(self, exchange: WebRequest, method: str, params: list[Value]) -> Value | Encoded: ...


class PlainCallers:
    """Answers plain requests; see `rpc.PlainRequests`.

    Args:
        service: Who does what is asked for.
        port: Gives the port of the profile, which each request must name.
    """

    headers = "Vary: Origin\r\n"

    def __init__(self, service: _Service, port: Callable[[], int]) -> None:
        self._service = service
        self._port = port
        self._exchanges: dict[asyncio.Future[Any], WebRequest] = {}

    def admits(self, head: RequestHead, transport: asyncio.Transport) -> bool:
        """Whether a request comes from this machine and is for it."""
        peer = transport.get_extra_info("peername")
        return bool(peer) and is_loopback_number(str(peer[0])) and may_be_called(head.host, self._port())

    def knows(self, begun: bytes) -> bool:
        """Whether the key of a registered client stands at the beginning of a body."""
        return self._service.admits(begun)

    def respond(self, body: bytes, caller: Caller) -> asyncio.Future[Any]:
        """Answer the body of a request, in a task."""
        base = f"http://{caller.host or f'127.0.0.1:{self._port()}'}"
        exchange = WebRequest(self._service, base, lambda: caller.transport)
        task = asyncio.get_running_loop().create_task(
            respond(body, exchange.dispatch), name="asyncsamp-web-request"
        )
        self._exchanges[task] = exchange
        return task

    def document(self, answered: asyncio.Future[Any]) -> bytes:
        """Return the answer, which is written next."""
        self._exchanges[answered].answered()
        document: bytes = answered.result()
        return document

    def written(self, answered: asyncio.Future[Any]) -> None:
        """The answer has left: what a pull was given leaves its queue (WEB-26)."""
        exchange = self._exchanges.pop(answered)
        exchange.written()
        exchange.end()

    def dropped(self, answered: asyncio.Future[Any]) -> None:
        """Take note that the caller has gone: what a pull was given stays in its queue."""
        exchange = self._exchanges.pop(answered)
        exchange.broken_off()
        exchange.end()

    def serves_half_closed(self) -> bool:
        """Whether a caller that sends no more is still answered: no, it looks like one that has gone."""
        return False
