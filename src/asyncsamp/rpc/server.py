"""The HTTP server under every profile and every client's callback endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from .._util.hosts import url_host
from . import descriptors
from .connection_limit import ConnectionLimit
from .front import Front, PlainRequests
from .listener import Listener
from .offload import MAX_BODY

__all__ = ["Handler", "RpcServer"]

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger("asyncsamp.rpc")

_KEEPALIVE = 3600.0
"""Seconds that a silent connection is kept. Clients notice by its end that their hub was killed, and a
browser holds one open, silent, while it asks its user for permission."""

_LINGER = 5.0
"""Seconds in which an unwanted body is read and dropped, so that the refusal is not lost in a reset."""

_PORT_TRIES = 10
"""How often a free port is sought that is free on all hosts."""


class RpcServer:
    """One port on one or several hosts, whose requests all go to `handler`.

    A caller that vanishes has its handler cancelled.

    Args:
        handler: Answers a request, by aiohttp.
        hosts: Where to listen.
        port: The port; 0 takes a free one, the same on all hosts.
        backlog: Connections that the system holds until they are accepted.
        max_body: Bytes of a body; larger ones are not read.
        max_connections: Above so many, by default what the process has files for, silent and idle ones are
            closed; where all are at work, newcomers wait for a second and are then refused (503).
        plain: Answers what is plain, without aiohttp (see `front`); everything else goes to `handler`.
        name: What tasks and errors call the server.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        hosts: Sequence[str] = ("127.0.0.1",),
        port: int = 0,
        backlog: int = 1024,
        max_body: int = MAX_BODY,
        max_connections: int | None = None,
        plain: PlainRequests | None = None,
        name: str = "rpc",
    ) -> None:
        if not hosts:
            raise ValueError("an RpcServer needs a host to listen on, such as 127.0.0.1")
        self._handler = handler
        self._plain = plain
        self._hosts = tuple(hosts)
        self._port = port
        self._backlog = backlog
        self._max_body = max_body
        self._max_connections = max_connections
        self.limit = ConnectionLimit(0)
        self.working: set[asyncio.Future[Any]] = set()
        self._fronts: set[Front] = set()
        self._name = name
        self._task_name = f"asyncsamp-{name}-request"
        self.web: _WebServer | None = None
        self._listeners: list[Listener] = []

    @property
    def port(self) -> int:
        """The port listened on; before `start`, the one that was asked for."""
        return self._port

    @property
    def url_host(self) -> str:
        """The first host as it stands in a URL; for all interfaces, the loopback address."""
        return url_host(self._hosts[0])

    async def start(self) -> None:
        """Begin to listen.

        If it fails or is cancelled, no socket is left.

        Raises:
            OSError: An address cannot be had; it says which, and why.
        """
        if self.web is not None:
            raise RuntimeError(f"the {self._name} server is running already")
        addresses = await self._resolve()
        sockets = self._bind(addresses)
        self._port = sockets[0].getsockname()[1]
        most = descriptors.share() if self._max_connections is None else self._max_connections
        self.limit = ConnectionLimit(most, self._resume)
        descriptors.hold(self.limit)
        self.web = self.make_web()
        self._listeners = [Listener(sock, self.limit, self.make_front, self._backlog) for sock in sockets]
        try:
            for listener in self._listeners:
                await listener.start()
        except BaseException:
            await self.close(0)
            raise

    async def close(self, timeout: float = 1.0) -> None:
        """Stop: requests under way have some time to end, then they are cancelled.

        Never takes much longer than `timeout`, whatever handlers and peers do. Cancelled meanwhile, it breaks
        off what is under way: no connection is left. May be called again.

        Args:
            timeout: Seconds for requests under way.
        """
        web_server, self.web = self.web, None
        if web_server is None:
            return
        transports: list[asyncio.Transport | None] = []
        try:
            await self._stop_accepting()
            transports = self._transports(web_server)
            web_server.pre_shutdown()
            for front in list(self._fronts):
                front.close()
            await self._end_handlers(timeout)
            # By now nothing is left to wait for, so that aiohttp, which waits twice, waits not at all.
            await web_server.shutdown(_A_MOMENT)
        finally:
            self._break_off(web_server, transports or self._transports(web_server))
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(self._task_name)
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        connection = request.protocol
        assert isinstance(connection, _Handler)
        self.limit.asked(connection.front, request.content)
        return await self._handler(request)

    # ---- for the connections

    def make_front(self) -> Front:
        """Return what serves a new connection."""
        return Front(self, self._plain, max_body=self._max_body)

    def make_web(self) -> _WebServer:
        """Return what stands behind the connections' fronts."""
        return _WebServer(self._handle, self._max_body)

    def opened(self, front: Front) -> None:
        """Take note of a connection.

        Args:
            front: The connection.
        """
        self._fronts.add(front)
        if self.web is None:
            # It was accepted just before the listener was closed, and nobody would close it later.
            front.abort()

    def left(self, front: Front) -> None:
        """Take note that a connection has ended, or is handed over.

        Args:
            front: The connection.
        """
        self._fronts.discard(front)

    def handler_for(self, front: Front) -> web.RequestHandler:
        """Return aiohttp's handler for a connection that is not plain.

        Args:
            front: The connection.
        """
        assert self.web is not None
        return self.web.handler_for(front, self.limit)

    # ---- inside

    def _resume(self) -> None:
        for listener in self._listeners:
            listener.resume()

    async def _stop_accepting(self) -> None:
        """Accept nothing more, and let what is being accepted begin, with the requests that have come."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        for listener in listeners:
            await listener.begun()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _transports(self, web_server: _WebServer) -> list[asyncio.Transport | None]:
        return [
            *(handler.transport for handler in web_server.connections),
            *(front.transport for front in self._fronts),
        ]

    def _break_off(self, web_server: _WebServer, transports: list[asyncio.Transport | None]) -> None:
        """Close what is open still."""
        for task in self.working:
            task.cancel()
        for handler in web_server.connections:
            handler.force_close()
        for front in list(self._fronts):
            front.force_close()
        for transport in transports:
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()  # a peer that does not read its answer

    async def _end_handlers(self, timeout: float) -> None:
        if self.working and timeout > 0:
            await asyncio.wait(self.working, timeout=timeout)
        if self.working:
            for task in self.working:
                task.cancel()
            await asyncio.wait(self.working, timeout=_A_WHILE)

    async def _resolve(self) -> list[tuple[str, str]]:
        """Return (host as given, address) for each address to listen on."""
        loop = asyncio.get_running_loop()
        addresses: list[tuple[str, str]] = []
        for host in self._hosts:
            if host == "" or _is_literal(host):
                addresses.append((host, host))
                continue
            try:
                infos = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError as error:
                raise OSError(error.errno, f"cannot listen on {host}: {error.strerror}") from None
            except UnicodeError as error:
                raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {host!r}: {error}") from None
            addresses += [(host, str(info[4][0])) for info in infos]
        return list(dict.fromkeys(addresses))

    def _bind(self, addresses: list[tuple[str, str]]) -> list[socket.socket]:
        for attempt in range(_PORT_TRIES):
            try:
                return self._bind_all(addresses)
            except OSError as error:
                # Somebody else has the free port that the first host gave us on another host.
                again = self._port == 0 and len(addresses) > 1 and error.errno == errno.EADDRINUSE
                if not again or attempt == _PORT_TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _bind_all(self, addresses: list[tuple[str, str]]) -> list[socket.socket]:
        port = self._port
        with contextlib.ExitStack() as undo:
            sockets = []
            for host, address in addresses:
                try:
                    sock = undo.enter_context(_bound(address, port))
                except OSError as error:
                    reason = os.strerror(error.errno) if error.errno else str(error)
                    raise OSError(
                        error.errno, f"cannot listen on {host or 'all interfaces'} port {port}: {reason}"
                    ) from None
                port = sock.getsockname()[1]
                sockets.append(sock)
            undo.pop_all()
        return sockets


_A_MOMENT = 0.01
_TURNS = 3
"""Turns of the loop in which a request that has come is read."""
_A_WHILE = 0.25
"""Seconds for cancelled handlers to come to their end."""


class _WebServer(web.Server):
    """aiohttp's low-level server, whose handlers take over from the fronts."""

    def __init__(self, handler: Handler, max_body: int) -> None:
        super().__init__(handler, handler_cancellation=True, request_factory=self._make_limited_request)
        self._max_body = max_body
        self._our_loop = asyncio.get_running_loop()

    def handler_for(self, front: Front, limit: ConnectionLimit) -> _Handler:
        """Return a handler for the connection of `front`."""
        return _Handler(
            self,
            front,
            limit,
            loop=self._our_loop,
            keepalive_timeout=_KEEPALIVE,
            lingering_time=_LINGER,
            access_log=None,
            logger=_log,
            auto_decompress=False,  # nothing that SAMP's programs send is compressed, and bombs are
        )

    def _make_limited_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._our_loop, client_max_size=self._max_body
        )


class _Handler(web.RequestHandler):
    """aiohttp's handler of one connection, which the limit goes on to count as that of its front."""

    __slots__ = ("_limit", "front")

    def __init__(self, manager: web.Server, front: Front, limit: ConnectionLimit, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.front = front
        self._limit = limit

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer; aiohttp calls it too, with none, to go on after a pause."""
        if data:
            self._limit.heard(self.front)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end of the connection."""
        super().connection_lost(exc)
        self._limit.closed(self.front)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer; the connection is idle afterwards."""
        if not self._limit.may_stay(self.front):
            resp.force_close()
        if not resp.prepared:
            resp.headers["Server"] = "asyncsamp"  # aiohttp names its version and Python's
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._limit.answered(self.front)

    def log_exception(self, *args: Any, exc_info: BaseException | None = None, **kwargs: Any) -> None:
        """Log what aiohttp could not handle. What a stranger sends is not our error, and is not logged."""
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            self.logger.info("refused a request that is not valid HTTP (%s)", type(exc_info).__name__)
        else:
            self.logger.error(*args, exc_info=exc_info or True, **kwargs)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock
