"""Plain requests are answered in front of aiohttp, and everything else is handed over to it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from asyncsamp.errors import FaultError
from asyncsamp.rpc import RpcServer, XmlRpcServer
from asyncsamp.values import Value
from asyncsamp.xmlrpc import Fault, load_response
from tests.aio.wire import call_body, connect, post


class Endpoint:
    """Counts the requests that aiohttp has seen, and all; `wait` waits for `go`."""

    def __init__(self) -> None:
        self.handled = 0
        self.responded = 0
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    def dispatch(self, method: str, params: list[Value]) -> Value | Awaitable[Value]:
        self.responded += 1
        if method == "refuse":
            raise FaultError("no")
        if method == "wait":
            return self.wait(params[0])
        if method == "structured":
            return structured(params[0])
        return params[0]

    async def wait(self, value: Value) -> Value:
        self.waiting.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return value


async def structured(value: Value) -> Value:
    """Do what works in a task only."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        assert asyncio.current_task() is not None
        group.create_task(asyncio.sleep(0))
    return value


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
    server = XmlRpcServer(served.dispatch, lambda begun: False, max_body=max_body, name="test")
    make = web.BaseRequest.__init__

    def counting(self: web.BaseRequest, *args: Any, **kwargs: Any) -> None:
        served.handled += 1
        make(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web.BaseRequest, "__init__", counting)
        await server.start()
        try:
            async with connect(server.port) as streams:
                yield served, Caller(*streams), server.server
        finally:
            await server.close()


def echo(text: str, **options: Any) -> bytes:
    return post(call_body("echo", text), **options)


async def test_plain_requests_are_answered_from_the_first_on() -> None:
    async with endpoint() as (served, caller, _):
        for text in ("one", "two", "three"):
            assert await caller.ask(echo(text)) == text
        assert (served.handled, served.responded) == (0, 3)


async def test_the_answers_say_the_same_in_both_ways() -> None:
    async with endpoint() as (_, caller, _):
        heads = []
        for odd in ((), ("Accept-Encoding: gzip", "TE: trailers")):
            caller.writer.write(post(call_body("echo", "same"), *odd))
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


async def test_another_plain_head_is_answered_too() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        assert await caller.ask(echo("two", path="/RPC2")) == "two"
        assert (served.handled, served.responded) == (0, 2)


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
        assert (served.handled, served.responded) == (3, 4)


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
        assert served.responded == 1


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
        assert (served.handled, served.responded) == (0, 3)


async def test_a_caller_that_vanishes_has_its_response_cancelled() -> None:
    async with endpoint() as (served, caller, _):
        await caller.ask(echo("one"))
        caller.writer.write(post(call_body("wait", "late")))
        await served.waiting.wait()
        caller.writer.close()
        await served.cancelled.wait()


@pytest.mark.parametrize("method", ["echo", "wait"])
@pytest.mark.both_loops
async def test_a_caller_that_closes_its_sending_half_gets_its_answer(method: str) -> None:
    async with endpoint() as (served, caller, _):
        caller.writer.write(post(call_body(method, "done")))
        caller.writer.write_eof()  # as nc -N does
        if method == "wait":
            await served.waiting.wait()
            served.go.set()
        assert (await caller.answer())[1] == "done"
        assert await caller.reader.read() == b""


@pytest.mark.parametrize("ahead", ["echo", "wait"])
@pytest.mark.both_loops
async def test_a_refused_request_is_refused_again_behind_a_pipelined_one(ahead: str) -> None:
    refused = post(call_body("echo", "page"), "Origin: https://evil.example")
    async with endpoint() as (served, caller, server):
        caller.writer.write(post(call_body(ahead, "one")) + refused)
        if ahead == "wait":
            await served.waiting.wait()
            served.go.set()
        assert (await caller.answer())[1] == "one"
        assert b" 403 " in await caller.reader.readuntil(b"\r\n\r\n")
        async with connect(server.port) as (reader, writer):
            writer.write(refused + echo("two") + refused)
            assert b" 403 " in await reader.readuntil(b"\r\n\r\n")
            await reader.read()  # to the end
        assert served.responded == 1


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("what", ["a page", "another host"])
@pytest.mark.both_loops
async def test_what_came_before_its_turn_is_judged_as_well(what: str, times: int) -> None:
    if what == "a page":
        refused = post(call_body("echo", "page"), "Origin: https://evil.example")
    else:
        refused = echo("rebound").replace(b"Host: 127.0.0.1", b"Host: evil.example")
    async with endpoint() as (served, caller, _):
        assert await caller.ask(echo("plain")) == "plain"
        caller.writer.write(post(call_body("wait", "one")))
        await served.waiting.wait()
        caller.writer.write(refused * times)
        for _ in range(10):  # turns of the loop, in which the server reads it
            await asyncio.sleep(0)
        served.go.set()
        assert (await caller.answer())[1] == "one"
        assert b" 403 " in await caller.reader.readuntil(b"\r\n\r\n")
        await caller.reader.read()  # to the end
        assert served.responded == 2


async def test_a_caller_that_vanishes_at_once_leaves_nothing_unawaited() -> None:
    made: list[Coroutine[Any, Any, Value]] = []

    def dispatch(method: str, params: list[Value]) -> Awaitable[Value]:
        made.append(structured(params[0]))
        return made[0]

    endpoint = XmlRpcServer(dispatch, lambda begun: False)
    answer = endpoint.respond(call_body("wait", "late"), endpoint.server.make_front())
    assert isinstance(answer, asyncio.Task)
    answer.cancel()  # before its first step
    await asyncio.wait([answer])
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED


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


async def test_a_dispatcher_may_use_tasks_and_timeouts_on_every_request() -> None:
    async with endpoint() as (served, caller, _):
        for text in ("first", "second"):
            assert await caller.ask(post(call_body("structured", text))) == text
        odd = post(call_body("structured", "third"), "TE: trailers")
        assert await caller.ask(odd) == "third"
        assert served.handled == 1


@pytest.mark.both_loops
async def test_who_sends_no_more_gets_his_answer() -> None:
    async with endpoint() as (_, caller, _):
        caller.writer.write(echo("last"))
        caller.writer.write_eof()
        assert (await caller.answer())[1] == "last"
        assert await caller.reader.read() == b""


async def test_in_http_1_0_the_connection_ends_after_the_answer() -> None:
    async with endpoint() as (served, caller, _):
        caller.writer.write(echo("once", version="1.0"))
        head, value = await caller.answer()
        assert value == "once"
        assert head.startswith(b"HTTP/1.0 200 OK")
        assert await caller.reader.read() == b""
        assert served.handled == 0
