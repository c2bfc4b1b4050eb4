"""A network between a hub and its server, which can swallow everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path


class Relay:
    """Forwards a port; what it swallowed is gone, and so are the connections that lost it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._swallowing = False
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.times: list[float] = []  # when each connection came, by the loop's clock

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def swallow(self) -> None:
        """From now on nothing arrives, and nobody is told."""
        self._swallowing = True
        self._forwarding.clear()

    def cut(self) -> None:
        """End all connections, as both ends are told; new ones get nowhere until `go_on`."""
        self.swallow()
        for writer in self._writers:
            writer.transport.abort()

    def go_on(self) -> None:
        """Forward new connections; those that lost something are reset, as by a router that forgot them."""
        self._swallowing = False
        self._forwarding.set()
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.times.append(asyncio.get_running_loop().time())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        try:
            with contextlib.suppress(OSError):
                there, out = await asyncio.open_connection("127.0.0.1", self._target)
                ends.append(out)
                self._writers |= set(ends)
                ways = [
                    asyncio.ensure_future(self._forward(reader, out)),
                    asyncio.ensure_future(self._forward(there, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    await self._forwarding.wait()  # that one end has closed is swallowed, too
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._writers -= set(ends)
            for end in ends:
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self._swallowing:
                    writer.write(data)
                    await writer.drain()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def running_relay(target: int, path: Path | None = None) -> AsyncIterator[Relay]:
    """Forward any port to `target`, or a socket in the file system."""
    relay = Relay(target)
    if path is None:
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(relay.serve, path)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()
