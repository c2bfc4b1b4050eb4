"""Large bodies are read straight into their place, without aiohttp, if they show a key; and always end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
from collections.abc import AsyncIterator

import pytest

from asyncsamp.rpc import XmlRpcServer, front
from asyncsamp.values import Value
from asyncsamp.xmlrpc import load_response
from tests.aio.raw import answered
from tests.aio.wire import call_body, connect, post
from tests.installed import require_module

KEY = "k-" + "1" * 32
LARGE = "x" * 300_000


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[XmlRpcServer]:
    def dispatch(method: str, params: list[Value]) -> Value:
        return [str(len(str(param))) for param in params]

    served = XmlRpcServer(dispatch, lambda begun: KEY.encode() in begun, max_body=1 << 20, name="test")
    await served.start()
    try:
        yield served
    finally:
        await served.close()


def request(text: str = LARGE, key: str = KEY) -> bytes:
    return post(call_body("count", key, text))


async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], *pieces: bytes) -> object:
    reader, writer = streams
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        for _ in range(20):  # turns of the loop, in which the server reads this piece alone
            await asyncio.sleep(0)
    status, body = await answered(reader)
    return load_response(body) if status == 200 else status


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *places, len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("places", [(), (150,), (5_000,), (90, 4_000, 70_000), (-1,)], ids=str)
async def test_a_large_body_is_answered_without_aiohttp(places: tuple[int, ...]) -> None:
    async with server() as served, connect(served.port) as streams:
        for _ in range(2):
            data = request()
            assert await ask(streams, *cut(data, *(at % len(data) for at in places))) == ["34", "300000"]
            assert await ask(streams, request("small")) == ["34", "5"]
        assert not served.server.web or not served.server.web.connections


async def test_a_small_body_that_comes_in_pieces_is_answered_without_aiohttp() -> None:
    async with server() as served, connect(served.port) as streams:
        data = request("small")
        head = data.index(b"\r\n\r\n") + 4
        for places in ((head,), (head, head + 1), (head + 3, head + 60), (head + 90, len(data) - 1)):
            assert await ask(streams, *cut(data, *places)) == ["34", "5"]
        assert not served.server.web or not served.server.web.connections


@pytest.mark.parametrize("places", [(), (150,), (3_000, 50_000)], ids=str)
async def test_who_shows_no_key_is_refused(places: tuple[int, ...]) -> None:
    async with server() as served, connect(served.port) as streams:
        assert await ask(streams, *cut(request(key="k-" + "2" * 32), *places)[:3]) == 403


async def test_a_body_above_the_limit_is_refused() -> None:
    async with server() as served, connect(served.port) as streams:
        assert await ask(streams, request("x" * (1 << 20))) == 413


async def test_what_is_sent_behind_a_large_body_is_answered_in_turn() -> None:
    async with server() as served, connect(served.port) as streams:
        streams[1].write(request() + request("two"))
        assert load_response((await answered(streams[0]))[1]) == ["34", "300000"]
        assert load_response((await answered(streams[0]))[1]) == ["34", "3"]


async def test_a_body_that_stands_still_ends_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_PATIENCE", 1.0)
    async with server() as served:
        for data in (request(), request("small")):
            async with connect(served.port) as (reader, writer):
                writer.write(data[:-10])
                async with asyncio.timeout(30):
                    assert await reader.read() == b""


async def test_a_caller_that_leaves_in_the_middle_is_forgotten() -> None:
    async with server() as served:
        for data in (request(), request("small")):
            async with connect(served.port) as (_, writer):
                writer.write(data[:-10])
                await writer.drain()
        async with connect(served.port) as streams:
            assert await ask(streams, request("small")) == ["34", "5"]
        async with asyncio.timeout(30):
            while len(served.server.limit) > 1:
                await asyncio.sleep(0)


async def test_uvloop_reads_them_too() -> None:
    require_module("uvloop", "uvloop")
    uvloop = importlib.import_module("uvloop")

    async def main() -> None:
        async with server() as served, connect(served.port) as streams:
            for _ in range(3):
                assert await ask(streams, *cut(request(), 150, 9_000)) == ["34", "300000"]
                assert await ask(streams, request("small")) == ["34", "5"]

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(run)
