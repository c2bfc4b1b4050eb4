"""HTTP over asyncio's own sockets, as lean as a load generator needs it, for servers of any manners."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

__all__ = ["OK", "CallbackServer", "FaultError", "Link", "LinkError"]

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
_CLOSE = re.compile(rb"(?i)\r\nconnection:[ \t]*close")
_KEEP = re.compile(rb"(?i)\r\nconnection:[ \t]*keep-alive")
_FAULT_TEXT = re.compile(rb"faultString</name>\s*<value>\s*(?:<string>)?([^<]*)")

OK = (
    b'<?xml version="1.0"?>\n<methodResponse><params><param><value><string></string></value></param>'
    b"</params></methodResponse>\n"
)


class LinkError(Exception):
    """The server did not answer, or with no success."""


class FaultError(LinkError):
    """The hub answered with a fault."""


class Link:
    """Requests to one URL. Connections are kept if the server keeps them, else each serves once."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._address = (host, port)
        self._free: list[_Client] = []
        self._open: set[_Client] = set()
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: text/xml\r\nContent-Length: "
        ).encode("ascii")

    async def ask(self, body: bytes) -> bytes:
        """Post `body` and return the body of the answer. Raises `LinkError`."""
        client = await self._connection()
        try:
            answer = await client.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except BaseException:
            client.close()
            raise
        finally:
            if client.usable:
                self._free.append(client)
            else:
                self._open.discard(client)
        if b"<fault>" in answer:
            found = _FAULT_TEXT.search(answer)
            raise FaultError(found[1].decode("utf-8", "replace") if found else "a fault without a text")
        return answer

    def close(self) -> None:
        """Close every connection."""
        for client in self._open:
            client.close()

    async def _connection(self) -> _Client:
        while self._free:
            client = self._free.pop()
            if client.usable:
                return client
            self._open.discard(client)
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(_Client, *self._address)
        except OSError as error:
            raise LinkError(f"no connection to the hub: {error}") from error
        self._open.add(client)
        return client


class _Client(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bytes] | None = None
        self._buffer = bytearray()
        self._body_at = 0
        self._length: int | None = None
        self._keep = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> bytes:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._body_at and not self._read_head():
            return
        if self._length is not None and len(self._buffer) >= self._body_at + self._length:
            self._finish()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[: end + 2])
        self._body_at = end + 4
        length = _LENGTH.search(head)
        self._length = int(length[1]) if length else None
        self._keep = bool(_KEEP.search(head)) or (head.startswith(b"HTTP/1.1") and not _CLOSE.search(head))
        if b" 200 " not in head[:16]:
            self._fail(LinkError(f"the hub answered {head[:60]!r}"))
            self.close()
            return False
        return True

    def _finish(self) -> None:
        body = bytes(self._buffer[self._body_at :])
        self._buffer.clear()
        self._body_at = 0
        if not self._keep or self._length is None:
            self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(body)

    def _fail(self, error: LinkError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._body_at and self._length is None:
            self._finish()
        self._fail(LinkError(f"the hub closed the connection before it answered ({exc})"))


class CallbackServer:
    """One port where all generated clients are called back, each by a path of its own."""

    def __init__(self, handle: Callable[[str, bytes], None]) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()
        self.port = 0
        self.accepted = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make, "127.0.0.1", 0, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in list(self._connections):
            transport.abort()

    def _make(self) -> asyncio.Protocol:
        self.accepted += 1
        return _Served(self._handle, self._connections)


class _Served(asyncio.Protocol):
    def __init__(self, handle: Callable[[str, bytes], None], connections: set[asyncio.Transport]) -> None:
        self._handle = handle
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head = b""
        self._needs = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            if not self._head:
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                self._head = bytes(self._buffer[: end + 2])
                length = _LENGTH.search(self._head)
                self._needs = int(length[1]) if length else 0
                del self._buffer[: end + 4]
            if len(self._buffer) < self._needs:
                return
            body = bytes(self._buffer[: self._needs])
            del self._buffer[: self._needs]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        head, self._head = self._head, b""
        assert self._transport is not None
        keep = bool(_KEEP.search(head)) or (b" HTTP/1.1\r" in head and not _CLOSE.search(head))
        self._transport.write(_KEPT if keep else _CLOSED)
        if not keep:
            self._transport.close()
        self._handle(head.split(b" ", 2)[1].decode("ascii"), body)


def _answer_with(connection: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        connection,
        len(OK),
        OK,
    )


_KEPT = _answer_with(b"keep-alive")
_CLOSED = _answer_with(b"close")
