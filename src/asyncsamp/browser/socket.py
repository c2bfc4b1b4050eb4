"""The relay by a WebSocket: for any page, and for kernels whose comm messages have to wait."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from ..rpc.quick_ack import hasten
from .relay import PageRelay

__all__ = ["PageSocket", "frame", "page_module", "unframe"]

log = logging.getLogger("asyncsamp.browser")

_MAX_MESSAGE = 4 * 1024 * 1024

_MAX_WAITING = 10_000
_MAX_WAITING_BYTES = 256 * 1024 * 1024
"""Messages, and their bytes, that wait for a page to read. One that reads none is a stranger, or asleep:
above either its connection is broken off."""

_HEAD = struct.Struct(">I")


@cache
def page_module(name: str = "relay.js") -> str:
    """Return the text of the JavaScript module for the page. Blocks once; it is small.

    Args:
        name: The module: "relay.js", or "socket.js", which needs it.
    """
    return resources.files(__package__).joinpath("files", name).read_text(encoding="utf-8")


class PageSocket:
    """A relay for a page of yours, which connects by a WebSocket.

        socket = PageSocket()
        app.router.add_get("/samp/relay", socket.handle)      # behind your own login
        app.router.add_get("/samp/{name}", socket.serve_module)
        client = Client("my application", connection=BrowserConnection(socket.relay))

    and in the page:

        import { connect } from "/samp/socket.js";
        connect("/samp/relay", (state, text) => { ... });

    Whoever may open the page may speak with its user's own hub, once that user consents; so each user
    has a `PageSocket` of his own.
    """

    def __init__(self) -> None:
        self.relay = PageRelay(self._send)
        self._lines: list[_Line] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve the WebSocket of one page until it is closed. If it is cancelled, the page has left.

        Args:
            request: The request for the WebSocket.

        Returns:
            What aiohttp wants of a handler.

        Raises:
            web.HTTPForbidden: The page is of another origin.
        """
        return await self.serve(request)

    async def serve(self, request: web.BaseRequest, *, any_origin: bool = False) -> web.StreamResponse:
        """Serve the WebSocket of one page, as `handle`. If it is cancelled, the page has left.

        Args:
            request: The request for the WebSocket.
            any_origin: Whether pages of every origin may: for where a token in the URL says who may.

        Returns:
            What aiohttp wants of a handler.

        Raises:
            web.HTTPForbidden: The page is of another origin.
        """
        if not any_origin and not _same_origin(request):
            raise web.HTTPForbidden(text="the page of another site may not use this relay\n")
        socket = web.WebSocketResponse(max_msg_size=_MAX_MESSAGE, heartbeat=20.0, compress=False)
        await socket.prepare(request)
        transport = request.transport
        assert transport is not None
        line = _Line(transport)
        self._lines.append(line)
        writing = asyncio.create_task(line.write(socket), name="asyncsamp-page-socket")
        try:
            async for message in socket:
                hasten(transport)  # a server on the way may hold back what comes next until then
                if message.type is WSMsgType.BINARY:
                    content, data = unframe(message.data)
                    if line.is_of(content):
                        self.relay.receive(content, data)
        finally:
            self._lines.remove(line)
            writing.cancel()
            self.relay.receive({"op": "bye", "page": line.page})  # of a crashed one, too
        return socket

    async def serve_module(self, request: web.Request) -> web.StreamResponse:
        """Serve relay.js and socket.js, the modules for the page. Cancelling is safe.

        Args:
            request: The request, whose `name` says which.

        Returns:
            The module.

        Raises:
            web.HTTPNotFound: It is not one of them.
        """
        name = request.match_info.get("name", "")
        if name not in ("relay.js", "socket.js"):
            raise web.HTTPNotFound
        text = await asyncio.to_thread(page_module, name)
        return web.Response(text=text, content_type="text/javascript")

    def _send(self, message: dict[str, Any], data: bytes | None) -> None:
        framed, page = frame(message, data), message.get("page")
        for line in self._lines:
            if page is None or page == line.page:
                line.put(framed)


class _Line:
    """One WebSocket: what is to be sent, and the one page that speaks by it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.page = ""
        self._transport = transport
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_MAX_WAITING)
        self._waiting = 0  # bytes of the queue

    def put(self, framed: bytes) -> None:
        """Send a message when its turn comes; nothing any more to a page that does not read."""
        if self._queue.full() or (self._waiting and self._waiting + len(framed) > _MAX_WAITING_BYTES):
            if not self._transport.is_closing():
                log.warning("a page does not read what it is sent: its connection is broken off")
                self._transport.abort()
            return
        self._waiting += len(framed)
        self._queue.put_nowait(framed)

    async def write(self, socket: web.WebSocketResponse) -> None:
        """Send for ever. Cancelling is safe."""
        try:
            while True:
                framed = await self._queue.get()
                self._waiting -= len(framed)
                await socket.send_bytes(framed)
        except ConnectionError:
            log.debug("the WebSocket of a page has ended")

    def is_of(self, message: object) -> bool:
        """Whether a message is of this page, which is the first that says its name."""
        page = message.get("page") if isinstance(message, dict) else None
        self.page = self.page or (page if isinstance(page, str) else "")
        return page == self.page != ""


def frame(message: dict[str, Any], data: bytes | None) -> bytes:
    """Return a message and its bytes as one: the length of the JSON text, the text, the bytes."""
    text = json.dumps(message).encode()
    return b"".join((_HEAD.pack(len(text)), text, data or b""))


def unframe(framed: bytes) -> tuple[object, bytes]:
    """Return what `frame` put together; (None, b"") for what is not valid."""
    if len(framed) < _HEAD.size:
        return None, b""
    (length,) = _HEAD.unpack_from(framed)
    end = _HEAD.size + length
    try:
        return json.loads(framed[_HEAD.size : end]), framed[end:]
    except (ValueError, RecursionError):
        return None, b""


def _same_origin(request: web.BaseRequest) -> bool:
    """Whether the page is of this very site; a program that says no Origin is not a page."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower()
