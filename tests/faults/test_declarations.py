"""Clients that declare, or send, very much: the memory that it takes, and how long the others wait."""

from __future__ import annotations

import asyncio
import statistics
import sys
from pathlib import Path

import pytest

from asyncsamp import Client, Limits, xmlrpc
from asyncsamp.errors import FaultCode
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.values import Value

from ..aio.raw import answered, post
from ..aio.wire import connect
from ..interop.peers import own_hub, process
from .limited import memory

LARGE = 20_000_000
ROOT = Path(__file__).parents[2]


class Declarer:
    """A client that declares what it likes, by one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._key = ""

    def request(self, method: str, *params: Value) -> bytes:
        keyed = [self._key, *params] if self._key else list(params)
        return post(xmlrpc.dump_call(f"samp.hub.{method}", keyed))

    async def ask(self, method: str, *params: Value) -> Value | xmlrpc.Fault:
        return await self.send(self.request(method, *params))

    async def send(self, request: bytes) -> Value | xmlrpc.Fault:
        self._writer.write(request)
        status, body = await answered(self._reader)
        assert status == 200
        return xmlrpc.load_response(body)

    async def register(self, secret: str) -> None:
        registration = await self.ask("register", secret)
        assert isinstance(registration, dict)
        self._key = str(registration["samp.private-key"])


@pytest.mark.timeout(120)
async def test_what_clients_declare_takes_little_memory(tmp_path: Path, long: bool) -> None:
    lockfile = tmp_path / "hub.samp"
    async with own_hub(lockfile, tmp_path, "--no-web-profile") as hub:
        published = parse_lockfile(await asyncio.to_thread(lockfile.read_text))
        port = int(published.url.rpartition(":")[2].partition("/")[0])
        before = memory(hub.pid)
        for number in range(25 if long else 8):
            async with connect(port) as connection:
                declarer = Declarer(*connection)
                await declarer.register(published.secret)
                refused = await declarer.ask("declareMetadata", {"x": "x" * LARGE})
                assert isinstance(refused, xmlrpc.Fault)
                assert refused.code == FaultCode.LIMIT_REACHED
                assert "take more than 4.1943 MB of memory" in refused.text
                assert await declarer.ask("declareMetadata", {"samp.name": f"n{number}"}) == ""
        after = memory(hub.pid)
    print(f"memory: {before} MB before, {after} MB after")
    assert after - before < 80  # the last request, and the room that the allocator keeps


@pytest.mark.timeout(120)
async def test_a_stream_that_nobody_reads_takes_little_memory(tmp_path: Path, long: bool) -> None:
    lockfile = tmp_path / "hub.samp"
    size, most = (LARGE, Limits().stream_bytes) if long else (2_000_000, 16_000_000)
    limits = Limits(stream_bytes=most)
    async with (
        own_hub(lockfile, tmp_path, "--no-web-profile"),
        Client("sender", lockfile=lockfile) as sender,
        Client("reader", lockfile=lockfile, limits=limits) as reader,
        reader.messages("a.b") as stream,
    ):
        before = memory("self")
        for number in range(40):
            await sender.call_and_wait(reader.public_id, "samp.app.ping")  # what was sent has come
            await sender.notify(reader.public_id, "a.b", {"n": number, "x": "x" * size})
        await sender.call_and_wait(reader.public_id, "samp.app.ping")
        after = memory("self")
        assert 3 <= len(stream) <= 1 + most // size
        assert stream.dropped == 40 - len(stream)
        first = await anext(stream)
        assert int(str(first.params["n"])) == stream.dropped
    print(f"memory: {before} MB before, {after} MB after")
    assert after - before < (most + 4 * size) / 1e6 + 20


@pytest.mark.timeout(120)
@pytest.mark.alone
async def test_the_others_hardly_wait_for_one_with_very_much_metadata(tmp_path: Path, long: bool) -> None:
    """With a state file: what has changed is encoded beside the event loop."""
    lockfile = tmp_path / "hub.samp"
    options = "--no-web-profile", "--state", str(tmp_path / "state.json")
    command = [sys.executable, "-m", "tests.faults.declare", str(lockfile), "30000", "400000"]
    async with own_hub(lockfile, tmp_path, *options), Client("other", lockfile=lockfile) as other:

        async def p99(seconds: float) -> float:
            """Return for how long calls wait, but for one in a hundred."""
            clock = asyncio.get_running_loop().time
            times: list[float] = []
            end = clock() + seconds
            while clock() < end or len(times) < 300:  # with less, a single pause of the machine would tell
                begun = clock()
                await other.call_and_wait(other.hub_id, "samp.app.ping")
                times.append(clock() - begun)
            return statistics.quantiles(times, n=100)[-1]

        alone = await p99(1.0)
        async with process(command, name="declare", home=tmp_path, path=ROOT) as declaring:
            await declaring.line("^begun", timeout=60)
            for _ in range(1 if long else 3):
                beside = await p99(30.0 if long else 2.0)
                print(f"p99 {alone * 1e3:.0f} ms alone, {beside * 1e3:.0f} ms beside them")
                if beside < 0.25 + 5 * alone:  # a busy machine is slow
                    return
    pytest.fail("the others wait")
