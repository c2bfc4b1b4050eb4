"""A peer that speaks on the wire as DS9's Tcl code does, byte for byte in what matters.

It sends HTTP/1.0 with bare line feeds and no Host, answers HTTP/1.1 with bare line feeds and hangs up
without having said so, counts characters where HTTP counts bytes, and works inside the delivery: its
reply goes out before its answer to receiveCall. What the real DS9 could not read goes to `complaints`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import xmlrpc.client
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from .process import PeerError

READ_SECONDS = 30.0

Response = dict[str, Any]


class RawDs9:
    """A client on raw sockets; made by `raw_ds9`."""

    def __init__(self, lockfile_text: str, respond: Callable[[dict[str, Any]], Response]) -> None:
        lines = [line for line in lockfile_text.splitlines() if not line.startswith("#")]
        self.lockfile = dict(line.split("=", 1) for line in lines)
        self.received: list[tuple[str, list[Any]]] = []
        self.complaints: list[str] = []
        self.key = ""
        self.public_id = ""
        self._respond = respond
        self._more = asyncio.Condition()

    async def register(self, port: int) -> None:
        """Register and declare, in DS9's order; its callback URL has no path."""
        registration = await self.call("samp.hub.register", self.lockfile["samp.secret"])
        self.key, self.public_id = registration["samp.private-key"], registration["samp.self-id"]
        await self.call("samp.hub.declareMetadata", self.key, {"samp.name": "raw", "ds9.version": "ds9"})
        await self.call("samp.hub.setXmlrpcCallback", self.key, f"http://127.0.0.1:{port}")
        subscriptions: dict[str, Any] = {"samp.app.ping": {}, "ds9.get": {}, "ds9.set": {}}
        await self.call("samp.hub.declareSubscriptions", self.key, subscriptions)

    async def call(self, method: str, *params: Any) -> Any:
        """Do one hub operation over a connection of its own; raises `xmlrpc.client.Fault`."""
        url = urlsplit(self.lockfile["samp.hub.xmlrpc.url"])
        body = method_call(method, *params)
        head = f"POST /{url.path[1:]} HTTP/1.0\nContent-Type: text/xml\nContent-length: {len(body)}\n\n"
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        async with asyncio.timeout(READ_SECONDS), _closing(writer):
            writer.write((head + body).encode())
            status, answer = await self._read(reader)
        if not re.match(r"HTTP/\d\.\d 200 .", status):
            raise PeerError(f"{method} was answered {status!r}")
        return xmlrpc.client.loads(answer)[0][0]

    async def wait_for(self, count: int) -> list[tuple[str, list[Any]]]:
        """Wait until `count` deliveries have come, and return all: (method, parameters)."""
        async with asyncio.timeout(READ_SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and hang up."""
        async with _closing(writer):
            try:
                _, body = await self._read(reader)
            except EOFError:
                return  # a connection on which nothing is said harms nobody
            except PeerError as error:
                self.complaints.append(str(error))
                return
            await self._answer(body)
            answer = method_response("OK")
            head = f"HTTP/1.1 200 OK\nContent-Type: text/xml\nContent-length: {len(answer)}\n\n"
            writer.write((head + answer).encode())
            await writer.drain()

    async def _answer(self, body: str) -> None:
        params, method = xmlrpc.client.loads(body)
        assert method is not None
        arguments: list[Any] = list(params)
        if method == "samp.client.receiveCall":
            await self.call("samp.hub.reply", self.key, arguments[2], self._respond(arguments[3]))
        async with self._more:
            self.received.append((method, arguments))
            self._more.notify_all()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        """Read as DS9 does: the body begins after the first blank line *anywhere*."""
        data = await reader.read(4096)
        if not data:
            raise EOFError
        while not (end := re.search(rb"\n\n|\r\n\r\n", data)):
            data += await _some(reader)
        head, body = data[: end.start()].decode("ascii"), data[end.end() :]
        length = re.search(r"(?im)^content-length:\s*(\d+)\s*$", head)
        if length is None:
            raise PeerError(f"DS9 needs a Content-Length: {head!r}")
        while len(body) < int(length[1]):
            body += await _some(reader)
        text = body.decode("utf-8")
        self.complaints += stumbles(head, text, int(length[1]))
        return head.split("\n")[0].rstrip("\r"), text


@contextlib.asynccontextmanager
async def raw_ds9(
    lockfile: Path, respond: Callable[[dict[str, Any]], Response] = lambda _: ok({})
) -> AsyncIterator[RawDs9]:
    """Register such a client on the hub of `lockfile`; `respond` makes the response to a message."""
    client = RawDs9(await asyncio.to_thread(lockfile.read_text), respond)
    server = await asyncio.start_server(client.serve, "127.0.0.1", 0, backlog=1024)
    async with server:
        await client.register(server.sockets[0].getsockname()[1])
        yield client


def ok(result: dict[str, Any]) -> Response:
    """Return a successful response."""
    return {"samp.status": "samp.ok", "samp.result": result}


def stumbles(head: str, body: str, length: int) -> list[str]:
    """Return what DS9 would stumble over in a message that was sent to it."""
    found: dict[str, bool] = {
        "a self-closing tag": "/>" in body,
        "a comment, a DTD or CDATA": "<!" in body,
        "more than ASCII": not body.isascii(),
        "a blank line": re.search(r"\n\r?\n", body) is not None,
        "no XML declaration": not body.startswith("<?xml version="),
        "a chunked body": re.search(r"(?i)transfer-encoding", head) is not None,
        "a length that is not the body's": len(body) != length,
    }
    return [f"{what} in {head!r} {body!r}" for what, is_there in found.items() if is_there]


def method_call(method: str, *params: Any) -> str:
    """Return a call as DS9 writes it."""
    marked = "".join(f"\t\t\t<param>\n{_value(param, 4)}\n\t\t\t</param>\n" for param in params)
    name = f"\t<methodName>{method}</methodName>\n"
    return f'<?xml version="1.0"?>\n<methodCall>\n{name}\t\t<params>\n{marked}\t\t</params>\n</methodCall>\n'


def method_response(text: str) -> str:
    """Return an answer as DS9 writes it."""
    param = f"\t<params>\n\t\t<param>\n{_value(text, 3)}\n\t\t</param>\n\t</params>\n"
    return f'<?xml version="1.0"?>\n<methodResponse>\n{param}</methodResponse>\n'


def _value(value: Any, depth: int) -> str:
    tabs = "\t" * depth
    if isinstance(value, str):
        return f"{tabs}<value><string>{escape(value)}</string></value>"
    if isinstance(value, Mapping):
        members = "".join(_member(key, item, depth + 2) for key, item in value.items())
        inner = f"{tabs}\t<struct>\n{members}{tabs}\t</struct>\n"
    else:
        items = "".join(f"{_value(item, depth + 3)}\n" for item in value)
        inner = f"{tabs}\t<array>\n{tabs}\t\t<data>\n{items}{tabs}\t\t</data>\n{tabs}\t</array>\n"
    return f"{tabs}<value>\n{inner}{tabs}</value>\n"


def _member(key: str, item: Any, depth: int) -> str:
    tabs = "\t" * depth
    return f"{tabs}<member>\n{tabs}\t<name>{key}</name>\n{_value(item, depth + 1)}\n{tabs}</member>\n"


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(4096)
    if not data:
        raise PeerError("the connection was closed in the middle of a message")
    return data


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close the connection at the end, whatever happened to it."""
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
