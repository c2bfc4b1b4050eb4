"""A stranger on a raw socket: sends to a hub exactly the bytes of a test."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from asyncsamp import Hub, xmlrpc
from asyncsamp.values import Value

from .wire import connect

__all__ = ["PING", "Stranger", "answered", "ping_works", "port_of", "post", "register", "stranger"]

SECONDS = 30.0

PING = xmlrpc.dump_call("samp.hub.ping", [])

Stranger = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def port_of(hub: Hub | str) -> int:
    """Return the port of the Standard Profile."""
    port = urlsplit(hub if isinstance(hub, str) else hub.url).port
    assert port is not None
    return port


def post(body: bytes, *headers: str, version: str = "1.1", length: int | None = None) -> bytes:
    """Return a request with these headers (none is added but the length and, in HTTP/1.1, a Host)."""
    lines = [f"POST /xmlrpc HTTP/{version}", *headers]
    if version == "1.1" and not any(line.lower().startswith("host:") for line in headers):
        lines.append("Host: 127.0.0.1")
    lines += [f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer: status and body; status 0 if the connection just ends."""
    async with asyncio.timeout(SECONDS):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return int(head.split()[1]), await reader.readexactly(length)


async def stranger(hub: Hub | str, *pieces: bytes) -> tuple[int, bytes]:
    """Connect, send each piece as a packet of its own, and return the answer."""
    async with connect(port_of(hub)) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        return await answered(reader)


async def call(hub: Hub | str, method: str, *params: Value) -> Value:
    """Do one operation as a well-behaved client of no make does, on a connection of its own."""
    status, body = await stranger(hub, post(xmlrpc.dump_call(f"samp.hub.{method}", params)))
    assert status == 200
    answer = xmlrpc.load_response(body)
    assert not isinstance(answer, xmlrpc.Fault), answer
    return answer


async def register(hub: Hub, callback: str = "", **subscriptions: dict[str, Value]) -> tuple[str, str]:
    """Register and return private key and public id; with a callback URL and subscriptions if given."""
    assert hub.lockfile is not None
    text = await asyncio.to_thread(hub.lockfile.read_text)
    secret = text.partition("samp.secret=")[2].split()[0]
    registration = await call(hub, "register", secret)
    assert isinstance(registration, dict)
    key = str(registration["samp.private-key"])
    if callback:
        await call(hub, "setXmlrpcCallback", key, callback)
    if subscriptions:
        await call(hub, "declareSubscriptions", key, dict(subscriptions))
    return key, str(registration["samp.self-id"])


async def ping_works(hub: Hub | str) -> None:
    """Fail unless the hub answers a ping within seconds."""
    assert (await stranger(hub, post(PING)))[0] == 200
