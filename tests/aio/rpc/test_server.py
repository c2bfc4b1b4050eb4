"""The HTTP server: addresses, vanishing callers, idle sockets, and an end within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time

import pytest
from aiohttp import web

from asyncsamp.rpc import RpcServer
from asyncsamp.rpc import server as server_module
from tests.aio.wire import connect

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text="hello")


async def ask(port: int, host: str = "127.0.0.1") -> bytes:
    async with connect(port, host) as (reader, writer):
        writer.write(GET)
        return await reader.readuntil(b"hello")


class Pending:
    """A handler that begins and does not end by itself."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.stubborn = stubborn
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            if not self.stubborn:
                raise
            with contextlib.suppress(asyncio.CancelledError):
                await self.release.wait()
        return web.Response(text="hello")


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]


async def test_it_answers_on_a_free_port_and_stops() -> None:
    server = RpcServer(hello, name="test")
    assert server.port == 0
    async with server:
        assert server.port > 0
        assert (await ask(server.port)).startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(ConnectionRefusedError):
        await ask(server.port)
    await server.close()
    assert names_of_tasks() == set()


async def test_it_can_be_started_again_but_not_twice() -> None:
    server = RpcServer(hello, name="test")
    async with server:
        with pytest.raises(RuntimeError, match="the test server is running already"):
            await server.start()
    async with server:
        assert await ask(server.port)


async def test_one_port_on_several_hosts() -> None:
    async with RpcServer(hello, hosts=["127.0.0.1", "::1", "127.0.0.2", "127.0.0.1"], name="test") as server:
        for host in ("127.0.0.1", "::1", "127.0.0.2"):
            assert await ask(server.port, host)


async def test_a_name_is_resolved_to_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(host: str, port: None, *, type: int) -> list[object]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "::1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    async with RpcServer(hello, hosts=["both.test"], name="test") as server:
        assert await ask(server.port, "127.0.0.1")
        assert await ask(server.port, "::1")


async def test_all_interfaces() -> None:
    async with RpcServer(hello, hosts=[""], name="test") as server:
        assert server.url_host == "127.0.0.1"
        assert await ask(server.port, "127.0.0.2")


@pytest.mark.parametrize(
    ("host", "in_url"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
    ],
)
def test_the_host_as_it_stands_in_a_url(host: str, in_url: str) -> None:
    assert RpcServer(hello, hosts=[host]).url_host == in_url


def test_no_host_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a host to listen on"):
        RpcServer(hello, hosts=[])


async def test_a_taken_port_is_named_and_nothing_stays_bound() -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        server = RpcServer(hello, hosts=["127.0.0.1", "127.0.0.2"], port=port, name="test")
        with pytest.raises(
            OSError, match=f"cannot listen on 127.0.0.2 port {port}: Address already"
        ) as refused:
            await server.start()
        assert refused.value.errno == errno.EADDRINUSE
        async with RpcServer(hello, hosts=["127.0.0.1"], port=port, name="test") as again:
            assert await ask(again.port)


async def test_a_free_port_that_is_taken_on_another_host_is_exchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = server_module._bound
    with contextlib.ExitStack() as others:

        def take_the_first(address: str, port: int) -> socket.socket:
            if address == "127.0.0.2" and len(taken) < 1:
                taken.append(port)
                others.enter_context(socket.create_server((address, port)))
            return real(address, port)

        taken: list[int] = []
        monkeypatch.setattr(server_module, "_bound", take_the_first)
        async with RpcServer(hello, hosts=["127.0.0.1", "127.0.0.2"], name="test") as server:
            assert server.port not in taken
            assert await ask(server.port, "127.0.0.2")


async def test_no_free_port_on_both_hosts_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    real = server_module._bound
    with contextlib.ExitStack() as others:

        def take_all(address: str, port: int) -> socket.socket:
            if address == "127.0.0.2":
                others.enter_context(socket.create_server((address, port)))
            return real(address, port)

        monkeypatch.setattr(server_module, "_bound", take_all)
        with pytest.raises(OSError, match="Address already in use"):
            await RpcServer(hello, hosts=["127.0.0.1", "127.0.0.2"], name="test").start()


@pytest.mark.parametrize(
    ("host", "says"), [("192.0.2.1", "cannot listen on 192.0.2.1 port 0: Cannot assign"), ("x..y", "label")]
)
async def test_an_address_that_is_not_ours(host: str, says: str) -> None:
    with pytest.raises(OSError, match="cannot listen on") as refused:
        await RpcServer(hello, hosts=[host], name="test").start()
    assert says in str(refused.value)


async def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(host: str, port: None, *, type: int) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(OSError, match="cannot listen on nowhere: Name or service not known"):
        await RpcServer(hello, hosts=["nowhere"], name="test").start()


async def test_a_vanishing_caller_has_its_handler_cancelled() -> None:
    pending = Pending()
    async with RpcServer(pending, name="test") as server:
        async with connect(server.port) as (_, writer):
            writer.write(GET)
            await pending.begun.wait()
            assert "asyncsamp-test-request" in names_of_tasks()
        await pending.cancelled.wait()


async def test_300_idle_sockets_disturb_nobody() -> None:
    async with RpcServer(hello, name="test") as server, contextlib.AsyncExitStack() as idle:
        connections = [await idle.enter_async_context(connect(server.port)) for _ in range(300)]
        assert await ask(server.port)
        connections[7][1].write(GET)  # and none was hung up on
        assert await connections[7][0].readuntil(b"hello")
    assert names_of_tasks() == set()


async def test_closing_ends_idle_connections() -> None:
    server = RpcServer(hello, name="test")
    await server.start()
    async with connect(server.port) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"hello")
        await server.close()
        assert await reader.read() == b""


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_being_accepted_when_it_closes_is_closed_too(turns: int) -> None:
    server = RpcServer(hello, name="test")
    await server.start()
    with contextlib.ExitStack() as undo:
        socks = [undo.enter_context(socket.socket()) for _ in range(3)]
        for sock in socks:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", server.port))
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.close()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            for sock in socks:
                with contextlib.suppress(ConnectionError):
                    assert await loop.sock_recv(sock, 1) == b""


async def test_a_request_under_way_may_end_while_the_server_closes() -> None:
    pending = Pending()
    server = RpcServer(pending, name="test")
    await server.start()
    async with connect(server.port) as (reader, writer):
        writer.write(GET)
        await pending.begun.wait()
        closing = asyncio.create_task(server.close(timeout=10))
        asyncio.get_running_loop().call_soon(pending.release.set)
        assert (await reader.read()).endswith(b"hello")
        await closing
    assert not pending.cancelled.is_set()


@pytest.mark.parametrize("timeout", [0.0, 0.05])
@pytest.mark.alone
async def test_a_pending_handler_is_cancelled_after_the_timeout(timeout: float) -> None:
    pending = Pending()
    server = RpcServer(pending, name="test")
    await server.start()
    async with connect(server.port) as (reader, writer):
        writer.write(GET)
        await pending.begun.wait()
        started = time.monotonic()
        await server.close(timeout)
        assert time.monotonic() - started < timeout + 10
        assert pending.cancelled.is_set()
        assert await reader.read() == b""
    assert names_of_tasks() == set()


@pytest.mark.alone
async def test_a_stubborn_handler_does_not_hold_up_the_end() -> None:
    pending = Pending(stubborn=True)
    server = RpcServer(pending, name="test")
    await server.start()
    async with connect(server.port) as (reader, writer):
        writer.write(GET)
        await pending.begun.wait()
        started = time.monotonic()
        await server.close(0.01)
        assert time.monotonic() - started < 10
        assert await reader.read() == b""
    pending.release.set()


@pytest.mark.alone
async def test_a_peer_that_does_not_read_its_answer_is_dropped_at_the_end() -> None:
    written = asyncio.Event()

    async def flood(request: web.BaseRequest) -> web.Response:
        written.set()
        return web.Response(body=b"x" * 30_000_000)

    server = RpcServer(flood, name="test")
    await server.start()
    async with connect(server.port) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET)
        await written.wait()
        started = time.monotonic()
        await server.close(0.05)
        assert time.monotonic() - started < 10
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionResetError):
            assert len(await reader.read()) < 30_000_000
    assert names_of_tasks() == set()


async def test_leaving_the_block_by_an_error_stops_it_too() -> None:
    server = RpcServer(hello, name="test")
    with pytest.raises(KeyError):
        async with server:
            raise KeyError
    with pytest.raises(ConnectionRefusedError):
        await ask(server.port)
