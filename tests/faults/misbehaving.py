"""Recipients that do with a delivery what no client should."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from asyncsamp import Hub, xmlrpc
from asyncsamp.values import Value

from ..aio.raw import register

__all__ = ["MANNERS", "Manner", "Recipient", "drip", "recipient", "well"]

Manner = Callable[["Recipient", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ANSWER = xmlrpc.dump_response("")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Recipient:
    """A registered client with a callback server on raw sockets."""

    manner: Manner
    forgetful: bool = False
    key: str = ""
    id: str = ""
    deliveries: list[tuple[str, list[object]]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection, in this recipient's manner."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                method, params = xmlrpc.load_call(await reader.readexactly(length))
                if not self.forgetful:
                    self.deliveries.append((method, list(params)))
                self.came.set()
                await self.manner(self, reader, writer)
        finally:
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def stop_listening(self) -> None:
        """Close the port and every connection, as a process does that dies."""
        if self.server is not None:
            self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def recipient(hub: Hub, manner: Manner, *mtypes: str) -> AsyncIterator[Recipient]:
    """Register such a client for `mtypes` (default: bad.*)."""
    peer = Recipient(manner)
    peer.server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, backlog=1024)
    port = peer.server.sockets[0].getsockname()[1]
    subscriptions: dict[str, dict[str, Value]] = {mtype: {} for mtype in mtypes or ("bad.*",)}
    peer.key, peer.id = await register(hub, f"http://127.0.0.1:{port}/", **subscriptions)
    try:
        yield peer
    finally:
        await peer.stop_listening()


async def _garbage(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 40)
    await writer.drain()
    await reader.read()


async def _no_xml(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD % 5 + b"hello")
    await reader.read()


async def _status_500(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def _half(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((HEAD % len(ANSWER) + ANSWER)[:-40])
    await writer.drain()


async def _silence(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _reset(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _endless(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<methodResponse>")
    while True:
        writer.write(b"<!-- and on -->" * 1000)
        await writer.drain()


async def _fault(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    fault = xmlrpc.dump_fault(1, "no")
    writer.write(HEAD % len(fault) + fault)
    await reader.read()


async def _bomb(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "a">]><methodResponse><fault>&a;</methodResponse>'
    writer.write(HEAD % len(bomb) + bomb)
    await reader.read()


MANNERS: dict[str, tuple[Manner, str]] = {
    "garbage": (_garbage, "the answer is not HTTP/1"),
    "no XML": (_no_xml, "cannot be understood"),
    "status 500": (_status_500, "the answer is HTTP 500 Oops"),
    "closing half way": (_half, "closed the connection before the answer was complete"),
    "never answering": (_silence, "did not answer in time"),
    "resetting": (_reset, "before the answer was complete"),
    "endless": (_endless, "the answer is larger than"),
    "a fault": (_fault, "answered with a fault: no"),
    "an entity": (_bomb, "cannot be understood"),
}
"""What a recipient does, and what its caller is told of it."""


async def drip(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer rightly, byte by byte."""
    for byte in HEAD % len(ANSWER) + ANSWER:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.001)


async def well(peer: Recipient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer rightly."""
    writer.write(HEAD % len(ANSWER) + ANSWER)
    await writer.drain()
