"""Servers and clients for the tests of rpc that do on the wire exactly what a script says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

from asyncsamp import xmlrpc

__all__ = ["Conversation", "ScriptedServer", "call_body", "connect", "http_answer", "post", "result_body"]


def result_body(text: str = "done") -> bytes:
    """Return the body of an answer."""
    return xmlrpc.dump_response(text)


def call_body(method: str = "echo", *params: str) -> bytes:
    """Return the body of a request."""
    return xmlrpc.dump_call(method, params)


def post(body: bytes, *headers: str, path: str = "/xmlrpc", version: str = "1.1") -> bytes:
    """Return a whole request, whose headers may be odd."""
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: 127.0.0.1",
        *headers,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def http_answer(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK", end: str = "\r\n") -> bytes:
    """Return an answer with the right Content-Length."""
    lines = [status, "Content-Type: text/xml", f"Content-Length: {len(body)}", *headers, "", ""]
    return end.join(lines).encode() + body


class Conversation:
    """One accepted connection, for a script."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one request and return its body; b"" if the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self.head = head
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return await self.reader.readexactly(length)

    async def say(self, *pieces: bytes) -> None:
        """Send each piece as a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def until_closed(self) -> bytes:
        """Wait until the client has closed; return what it sent meanwhile."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self) -> None:
        """End the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Conversation], Awaitable[None]]


class ScriptedServer:
    """A server on loopback that runs `script` for each connection and closes it afterwards."""

    def __init__(self, script: Script, *, host: str = "127.0.0.1") -> None:
        self.script = script
        self.host = host
        self.accepted = 0
        self.bodies: list[bytes] = []
        self.errors: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is, with a path."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/xmlrpc"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self.errors and error is None:
            raise self.errors[0]

    async def all_said(self) -> None:
        """Wait until every conversation is over and its connection closed."""
        await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Stop listening and end all conversations."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            await self.script(Conversation(self.accepted, reader, writer))
        except asyncio.CancelledError:
            pass  # the streams of Python 3.11 complain of a callback that is cancelled
        except Exception as error:
            self.errors.append(error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def connect(
    port: int, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a raw connection as a client."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
