"""The limit of Python on this machine: bodies go from socket to socket by bare asyncio.

`python -m benchmarks.relay [uvloop]` prints its URL; a POST to /PORT/PATH goes to
http://127.0.0.1:PORT/PATH. Heads are made before; it reads no more of HTTP than the length of a body.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Any, cast

from .running import run, say_ready

_DONE = (
    b'<?xml version="1.0"?>\n<methodResponse><params><param><value><string></string></value></param></params>'
    b"</methodResponse>\n"
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_DONE), _DONE)
)


class _Messages(asyncio.Protocol):
    """Cuts a stream into HTTP messages with a Content-Length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if hasattr(transport, "max_size"):  # as the hub does; see asyncsamp.rpc.read_size
            cast("Any", transport).max_size = 64 * 1024

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._held[:end])
            whole = end + 4 + int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
            if len(self._held) < whole:
                return
            body = bytes(self._held[end + 4 : whole])
            del self._held[:whole]
            self.message(head, body)

    def message(self, head: bytes, body: bytes) -> None:
        """Take one message."""


class _Out(_Messages):
    """A kept connection to a callback; answers come in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: deque[asyncio.Transport] = deque()

    def message(self, head: bytes, body: bytes) -> None:
        self.waiting.popleft().write(_ANSWER)


class _In(_Messages):
    """A connection of a sender; it is answered when the callback has answered."""

    def __init__(self, outs: dict[bytes, _Out | list[tuple[asyncio.Transport, bytes]]]) -> None:
        super().__init__()
        self._outs = outs

    def message(self, head: bytes, body: bytes) -> None:
        assert self.transport is not None
        path = head.split(None, 2)[1]
        request = (
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b"
        )
        port, _, rest = path[1:].partition(b"/")
        whole = request % (b"/" + rest, len(body), body)
        out = self._outs.get(path)
        if isinstance(out, _Out) and out.transport is not None:
            out.waiting.append(self.transport)
            out.transport.write(whole)
        elif isinstance(out, list):
            out.append((self.transport, whole))
        else:
            self._outs[path] = [(self.transport, whole)]
            asyncio.ensure_future(self._connect(path, int(port)))  # noqa: RUF006 - kept by its connection

    async def _connect(self, path: bytes, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, out = await loop.create_connection(_Out, "127.0.0.1", port)
        waiting = self._outs[path]
        assert isinstance(waiting, list)
        self._outs[path] = out
        for sender, whole in waiting:
            out.waiting.append(sender)
            transport.write(whole)


async def _serve() -> None:
    outs: dict[bytes, _Out | list[tuple[asyncio.Transport, bytes]]] = {}
    server = await asyncio.get_running_loop().create_server(lambda: _In(outs), "127.0.0.1", 0)
    await say_ready(server.sockets[0].getsockname()[1])


def main() -> None:
    """Serve until killed; on uvloop if the only argument says so."""
    run(_serve(), uvloop=sys.argv[1:] == ["uvloop"])


if __name__ == "__main__":
    main()
