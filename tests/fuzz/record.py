"""`python -m tests.fuzz.record`: record what real peers send to a hub, as a corpus for fuzzing.

Each peer speaks through a proxy of one connection at a time with a real hub. Secrets and keys are
replaced by `SECRET` and `KEY` of the targets, ports by `PORT`; of requests alike in peer and method one is
kept. Needs the peers of `tests/interop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from asyncsamp import Client, Hub
from asyncsamp.lockfile import Lockfile, render_lockfile
from tests.fuzz.targets import KEY, PORT, SECRET
from tests.interop.conversation import until_subscribed
from tests.interop.peers import DS9_NAME, calc_storm, ds9, message_sender, raw_ds9, scripted_peer

CORPUS = Path(__file__).parent / "corpus"


class Recorder:
    """A proxy in front of a hub that keeps what goes in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sent: list[bytearray] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        sent = bytearray()
        self.sent.append(sent)
        hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(_pump(reader, hub_writer, sent), _pump(hub_reader, writer, bytearray()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray) -> None:
    try:
        while data := await reader.read(65536):
            copy += data
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def recorded(name: str, folder: Path) -> AsyncIterator[Path]:
    """Give the lockfile of a hub behind a recorder; afterwards write what was recorded."""
    async with Hub(lockfile=folder / f"{name}.hub", port=0) as hub:
        port = int(hub.url.rpartition(":")[2].partition("/")[0])
        recorder = Recorder(port)
        async with await asyncio.start_server(recorder.serve, "127.0.0.1", 0) as server:
            own = server.sockets[0].getsockname()[1]
            lockfile = folder / f"{name}.samp"
            published = Lockfile(hub._standard.secret, f"http://127.0.0.1:{own}/xmlrpc", extra={})
            lockfile.write_text(render_lockfile(published))
            async with Client("target", lockfile=hub.lockfile) as target:

                @target.on("*")
                async def handle(message: object) -> dict[str, str]:
                    return {"value": "1"}

                await target.settled()
                yield lockfile
            keep(name, recorder.sent, hub._standard.secret)
            await recorder.close()


def keep(peer: str, connections: list[bytearray], secret: str) -> None:
    """Write one file for each method, without secrets."""
    seen: set[bytes] = set()
    for sent in connections:
        for request in re.split(rb"(?=POST /)", bytes(sent)):
            method = re.search(rb"<methodName>\s*([\w.]+)", request)
            if method is None or method[1] in seen:
                continue
            seen.add(method[1])
            clean = request.replace(secret.encode(), SECRET.encode())
            clean = re.sub(rb"k-[A-Za-z0-9_-]{32}", KEY.encode(), clean)
            clean = re.sub(rb"(127\.0\.0\.1|localhost):\d{5}", b"\\g<1>:%d" % PORT, clean)
            body = clean[clean.index(b"<?xml") :]
            for kind, content in (("http", clean), ("xmlrpc", body)):
                digest = hashlib.sha256(content).hexdigest()[:8]
                name = method[1].decode().rpartition(".")[2]
                (CORPUS / kind / f"{peer}-{name}-{digest}").write_bytes(content)


async def _jsamp(lockfile: Path, folder: Path) -> None:
    for mode in ("sync", "async", "notify"):
        await calc_storm(lockfile, folder, clients=2, queries=1, mode=mode)
    await message_sender(lockfile, folder, "table.load.votable", {"url": "file:///a b.vot"}, mode="async")


async def _asyncsamp(lockfile: Path, folder: Path) -> None:
    async with Client("ours", lockfile=lockfile) as client:
        found = await client.find("target")
        await client.call(found, "a.b", {"text": "<&>\n", "list": [1, [2.5]], "map": {"": {}}})
        await client.call_and_wait(found, "a.b", {}, timeout=10)
        await client.notify(found, "a.b", {"x": " "})
        await client.notify_all("a.b")
        async for _ in client.call_all("a.b", {"y": True}):
            pass


def _python(kind: str) -> Callable[[Path, Path], Awaitable[None]]:
    async def speak(lockfile: Path, folder: Path) -> None:
        async with scripted_peer(kind, lockfile, folder) as peer:
            message = {"samp.mtype": "test.echo", "samp.params": {"a": ["1", {"b": ""}], "ä": "<&>\n"}}
            await peer.ask("declare_subscriptions", {"test.echo": {}, "table.load.*": {"x": "1"}})
            target = next(c for c in await peer.ask("get_registered_clients") if c != "hub")
            await peer.ask("declare_metadata", {"samp.name": "peer", "author.name": "ä"})
            await peer.ask("get_metadata", target)
            await peer.ask("get_subscriptions", target)
            await peer.ask("get_subscribed_clients", "test.echo")
            await peer.ask("notify_all", message)
            await peer.ask("call", target, "tag-1", message)
            await peer.ask("call_all", "tag-2", message)
            await peer.ask("call_and_wait", target, message, "10")

    return speak


async def _ds9(lockfile: Path, folder: Path) -> None:
    async with Client("watch", lockfile=lockfile.with_suffix(".hub")) as client, ds9(lockfile, folder):
        found = await client.find(DS9_NAME, timeout=60)
        await until_subscribed(client, found, "ds9.get")
        await client.call(found, "ds9.get", {"cmd": "version"}, timeout=20)


async def _raw_ds9(lockfile: Path, folder: Path) -> None:
    async with raw_ds9(lockfile) as raw:
        message = {"samp.mtype": "test.echo", "samp.params": {"a": "ä"}}
        await raw.call("samp.hub.callAll", raw.key, "tag", message)
        await raw.call("samp.hub.notifyAll", raw.key, message)


async def main() -> None:
    """Record all peers, or those named in the arguments."""
    peers: dict[str, Callable[[Path, Path], Awaitable[None]]] = {
        "jsamp": _jsamp,
        "pyvo": _python("pyvo"),
        "asyncsamp": _asyncsamp,
        "ds9": _ds9,
        "rawds9": _raw_ds9,
    }
    for kind in ("http", "xmlrpc"):
        (CORPUS / kind).mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or peers:
        with tempfile.TemporaryDirectory() as folder:
            async with recorded(name, Path(folder)) as lockfile:
                await peers[name](lockfile, Path(folder))
        print(name, "recorded", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
