"""Requests with a head that was served before: answered on the spot, and never otherwise than by aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from aiohttp import web

from asyncsamp.errors import FaultError
from asyncsamp.rpc import RpcServer, answer, respond
from asyncsamp.rpc.fast_path import HeadMemory
from asyncsamp.values import Value
from asyncsamp.xmlrpc import Fault, load_response
from tests.aio.wire import call_body, connect


def post(body: bytes, *headers: str, path: str = "/xmlrpc", version: str = "1.1") -> bytes:
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: 127.0.0.1",
        *headers,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


# ---------------------------------------------------------------------------------------- HeadMemory


def learnt(request: bytes, length: int, most: int = 1000) -> HeadMemory:
    memory = HeadMemory(most)
    assert memory.look_at(request)
    memory.learn(length)
    return memory


def test_the_same_head_with_another_length_is_known_again() -> None:
    memory = learnt(post(b"one"), 3)
    assert memory.body_of(post(b"three")) == b"three"
    assert memory.body_of(post(b"")) == b""


def test_nothing_is_known_before_it_was_served() -> None:
    memory = HeadMemory(1000)
    assert memory.look_at(post(b"one"))
    assert memory.body_of(post(b"one")) is None


@pytest.mark.parametrize(
    "request_",
    [
        post(b"three", "Origin: http://evil.example"),
        post(b"three", path="/other"),
        post(b"three")[:-1],
        post(b"three") + b"P",
        post(b"three").replace(b": 5", b": +5"),
        post(b"three").replace(b": 5", b": 5 "),
        post(b"three").replace(b": 5", b": "),
        post(b"three").replace(b": 5", b": 00000000005"),
        post(b"three").replace(b": 5", b": 5, 5"),
        post(b"x" * 1001),
        b"",
    ],
)
def test_anything_else_is_not_known(request_: bytes) -> None:
    assert learnt(post(b"one"), 3).body_of(request_) is None


@pytest.mark.parametrize(
    "request_",
    [
        post(b"one")[:-1],
        post(b"one") + b"x",
        post(b"one", "Content-Length: 3"),
        post(b"one", "Transfer-Encoding: chunked"),
        post(b"one", "Expect: 100-continue"),
        post(b"one", "Upgrade: h2c"),
        post(b"one", version="1.0"),
        post(b"one").replace(b"\r\n", b"\n"),
        post(b"one").replace(b"POST", b"PUT"),
        post(b"one", "X: " + "x" * 3000),
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_aiohttp_must_judge_each_time_is_no_candidate(request_: bytes) -> None:
    assert not HeadMemory(1000).look_at(request_)


def test_a_length_that_the_parser_read_otherwise_is_not_learnt() -> None:
    assert learnt(post(b"one"), 4).body_of(post(b"one")) is None


# ---------------------------------------------------------------------------------------- the server


class Endpoint:
    """Counts who answered; `wait` waits for `go`."""

    def __init__(self) -> None:
        self.handled = 0
        self.responded = 0
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.handled += 1
        return await answer(request, self.dispatch)

    def respond(self, body: bytes) -> Coroutine[Any, Any, bytes]:
        self.responded += 1
        return respond(body, self.dispatch)

    async def dispatch(self, method: str, params: list[Value]) -> Value:
        if method == "refuse":
            raise FaultError("no")
        if method == "wait":
            self.waiting.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return params[0]


class Caller:
    """A raw connection to an `Endpoint`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[bytes, Value | Fault]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return head, load_response(await self.reader.readexactly(length))

    async def ask(self, *pieces: bytes) -> Value | Fault:
        for piece in pieces:
            self.writer.write(piece)
            for _ in range(10):  # turns of the loop, in which the server reads this piece alone
                await asyncio.sleep(0)
        return (await self.answer())[1]


@contextlib.asynccontextmanager
async def endpoint(max_body: int = 1 << 20) -> AsyncIterator[tuple[Endpoint, Caller, RpcServer]]:
    served = Endpoint()
    async with (
        RpcServer(served.handle, respond=served.respond, max_body=max_body, name="test") as server,
        connect(server.port) as streams,
    ):
        yield served, Caller(*streams), server


def echo(text: str, **options: Any) -> bytes:
    return post(call_body("echo", text), **options)


async def test_after_the_first_request_the_same_head_is_answered_on_the_spot() -> None:
    async with endpoint() as (served, caller, _):
        for text in ("one", "two", "three"):
            assert await caller.ask(echo(text)) == text
        assert (served.handled, served.responded) == (1, 2)


async def test_the_answers_say_the_same_in_both_ways() -> None:
    async with endpoint() as (_, caller, _):
        heads = []
        for _ in range(2):
            caller.writer.write(echo("same"))
            head, value = await caller.answer()
            assert value == "same"
            lines = head.decode().lower().splitlines()
            heads.append((lines[0], sorted(line for line in lines[1:] if not line.startswith("date"))))
        assert heads[0] == heads[1]


async def test_a_fault_is_answered_and_the_connection_goes_on() -> None:
    async with endpoint() as (_, caller, _):
        await caller.ask(echo("one"))
        refused = await caller.ask(post(call_body("refuse")))
        assert isinstance(refused, Fault)
        garbled = await caller.ask(post(b"<methodCall>"))
        assert isinstance(garbled, Fault)
        assert await caller.ask(echo("two")) == "two"


async def test_another_head_is_the_handlers() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        assert await caller.ask(echo("two", path="/RPC2")) == "two"
        assert (served.handled, served.responded) == (2, 0)


async def test_a_head_that_was_refused_is_refused_again() -> None:
    async with endpoint() as (served, caller, _):
        for _ in range(2):
            caller.writer.write(echo("one", path="/nowhere"))
            head = await caller.reader.readuntil(b"\r\n\r\n")
            assert b" 404 " in head
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await caller.reader.readexactly(length)
        assert (served.handled, served.responded) == (2, 0)


async def test_requests_in_pieces_and_after_them_are_aiohttps() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        for text in ("two", "three"):
            request = echo(text)
            assert await caller.ask(request[:50], request[50:]) == text
        assert await caller.ask(echo("four")) == "four"
        assert (served.handled, served.responded) == (4, 0)


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with endpoint() as (_, caller, _):
        await caller.ask(echo("one"))
        caller.writer.write(echo("two") + echo("three") + echo("four"))
        assert [(await caller.answer())[1] for _ in range(3)] == ["two", "three", "four"]


async def test_a_body_above_the_bound_is_refused_as_ever() -> None:
    async with endpoint(max_body=500) as (served, caller, _):
        await caller.ask(echo("one"))
        caller.writer.write(echo("x" * 1000))
        assert b" 413 " in await caller.reader.readuntil(b"\r\n\r\n")
        assert served.responded == 0


async def test_what_has_to_wait_goes_on_in_a_task_of_ours() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        caller.writer.write(post(call_body("wait", "late")))
        await served.waiting.wait()
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "asyncsamp-test-request" in names
        caller.writer.write(echo("next"))  # before its turn
        served.go.set()
        assert [(await caller.answer())[1] for _ in range(2)] == ["late", "next"]
        assert (served.handled, served.responded) == (1, 2)


async def test_a_caller_that_vanishes_has_its_response_cancelled() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        caller.writer.write(post(call_body("wait", "late")))
        await served.waiting.wait()
        caller.writer.close()
        await served.cancelled.wait()


async def test_a_closing_server_lets_what_waits_be_answered() -> None:
    async with endpoint() as (served, caller, server):
        await caller.ask(echo("one"))
        caller.writer.write(post(call_body("wait", "late")))
        await served.waiting.wait()
        closing = asyncio.ensure_future(server.close())
        await asyncio.sleep(0)
        served.go.set()
        assert (await caller.answer())[1] == "late"
        assert await caller.reader.read() == b""
        await closing


async def test_a_closing_server_cancels_what_does_not_end() -> None:
    async with endpoint() as (served, caller, server):
        await caller.ask(echo("one"))
        caller.writer.write(post(call_body("wait", "late")))
        await served.waiting.wait()
        await server.close(timeout=0.0)
        assert served.cancelled.is_set()
        assert await caller.reader.read() == b""
