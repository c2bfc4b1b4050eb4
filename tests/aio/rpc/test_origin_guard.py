"""Who may use the port of the Standard Profile, how much, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp import Client, Hub, Limits, xmlrpc
from asyncsamp._util.sizing import estimate_size, measure_size
from asyncsamp.errors import FaultCode, RegistrationError
from asyncsamp.hub.rate_limit import RateLimit
from asyncsamp.rpc import OriginGuard, RpcServer, answer
from asyncsamp.rpc import connection_limit as crowd_module
from asyncsamp.rpc import endpoint as endpoint_module
from asyncsamp.rpc import listener as listener_module
from asyncsamp.rpc.errors import NO_ROOM
from asyncsamp.values import Value

from ..raw import PING, answered, ping_works, port_of, post, register, stranger
from ..wire import connect


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        yield hub


class TestWebPages:
    """Failure 2 of other hubs: no look at Host and Origin, so that any web page can speak with the hub."""

    @pytest.mark.parametrize(
        ("header", "says"),
        [
            ("Origin: https://evil.example", b"it has the header Origin"),
            ("Origin: null", b"it has the header Origin"),
            ("origin: http://127.0.0.1", b"it has the header Origin"),
            ("Sec-Fetch-Site: cross-site", b"it has the header Sec-Fetch-Site"),
            ("Sec-Fetch-Site: same-origin", b"it has the header Sec-Fetch-Site"),
            ("Host: evil.example", b"its Host is not this machine"),
            ("Host: evil.example:{port}", b"its Host is not this machine"),
            ("Host: localhost.evil.example", b"its Host is not this machine"),
            ("Host: 127.0.0.1.evil.example", b"its Host is not this machine"),
            ("Host: 192.0.2.1:{port}", b"its Host is not this machine"),
            ("Host: [2001:db8::1]", b"its Host is not this machine"),
            ("Host: 127.0.0.1:x", b"its Host is not this machine"),
            ("Host: [::1", b"its Host is not this machine"),
            ("Host: ", b"its Host is not this machine"),
        ],
    )
    async def test_they_are_refused_before_the_body_is_read(self, hub: Hub, header: str, says: bytes) -> None:
        request = post(PING, header.format(port=port_of(hub)), length=1_000_000)
        status, body = await stranger(hub, request[: -len(PING)])  # of the body nothing is ever sent
        assert (status, says in body) == (403, True)
        assert len(body) < 200

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "localhost.", "localhost:"),
            *("127.1.2.3", "[::1]:{port}", "[::ffff:127.0.0.1]", socket.gethostname()),
        ],
    )
    async def test_this_machine_is_no_foreign_host(self, hub: Hub, host: str) -> None:
        assert (await stranger(hub, post(PING, f"Host: {host.format(port=port_of(hub))}")))[0] == 200

    async def test_ds9_names_no_host(self, hub: Hub) -> None:  # TOL-3
        assert (await stranger(hub, post(PING, version="1.0")))[0] == 200
        ds9 = b"POST /xmlrpc HTTP/1.0\nContent-Type: text/xml\nContent-length: %d\n\n" % len(PING)
        assert (await stranger(hub, ds9 + PING))[0] == 200

    async def test_in_http_1_1_a_host_must_be_named_once(self, hub: Hub) -> None:
        bare = post(PING).replace(b"Host: 127.0.0.1\r\n", b"")
        assert (await stranger(hub, bare))[0] == 400
        twice = post(PING, "Host: 127.0.0.1", "Host: evil.example")
        assert (await stranger(hub, twice))[0] in (400, 403)

    async def test_a_preflight_is_refused(self, hub: Hub) -> None:
        request = post(b"", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
        assert (await stranger(hub, request.replace(b"POST /", b"OPTIONS /")))[0] == 403

    async def test_the_log_has_one_line_and_nothing_that_was_sent(
        self, hub: Hub, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(5):
            await stranger(hub, post(PING, "Origin: https://evil.example"))
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.name for record in warnings] == ["asyncsamp.rpc"]
        assert "refused a request: it has the header Origin" in warnings[0].getMessage()
        assert "evil" not in caplog.text

    async def test_at_a_callback_endpoint_too(self, hub: Hub) -> None:
        async with Client("one", lockfile=hub.lockfile) as client:
            await client.get_clients()
            callback = hub._standard._callbacks[client.public_id]
            body = xmlrpc.dump_call("samp.client.receiveNotification", ["no key", "x", {}])
            assert (await stranger(callback, post(body)))[0] == 200
            assert (await stranger(callback, post(body, "Origin: https://evil.example")))[0] == 403
            assert (await stranger(callback, post(body, "Host: evil.example")))[0] == 403

    async def test_on_all_interfaces_this_machine_is_where_the_caller_came_in(self) -> None:
        guard = OriginGuard("0.0.0.0")

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            guard.check(request)
            return web.Response(text="in")

        async with RpcServer(handle, hosts=("0.0.0.0",)) as server, connect(server.port, "127.0.0.2") as ends:
            reader, writer = ends
            for host, status in (("127.0.0.2", 200), ("192.0.2.7", 403)):
                writer.write(post(b"", f"Host: {host}"))
                assert (await answered(reader))[0] == status


class TestLargeBodies:
    async def call_echo(self, size: int, key: str) -> bytes:
        return xmlrpc.dump_call("samp.hub.declareMetadata", [key, {"x": "y" * size}])

    async def test_a_stranger_may_not_fill_the_memory(self, hub: Hub) -> None:
        body = await self.call_echo(200_000, "k-" + 32 * "0")
        status, says = await stranger(hub, post(body, length=60_000_000))
        assert (status, says) == (403, b"above 65536 bytes a known private key must come first\n")
        ds9 = b"POST /xmlrpc HTTP/1.0\nContent-length: 60000000\n\n"
        assert (await stranger(hub, ds9 + body))[0] == 403

    async def test_a_client_may_send_what_it_likes(self, hub: Hub) -> None:
        key, _ = await register(hub)
        for body in (await self.call_echo(200_000, key), await self.call_echo(200_000, key)):
            assert (await stranger(hub, post(body)))[0] == 200
        utf16 = body.decode().replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-16"?>')
        assert (await stranger(hub, post(utf16.encode("utf-16"))))[0] == 200

    async def test_a_key_that_is_not_known_any_more(self, hub: Hub) -> None:
        key, client = await register(hub)
        hub.engine.disconnect(client, "test")
        assert (await stranger(hub, post(await self.call_echo(100_000, key))))[0] == 403

    async def test_at_a_callback_endpoint_too(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        text = "x" * 300_000
        async with Client("one", lockfile=hub.lockfile) as one, Client("two", lockfile=hub.lockfile) as two:
            async with one.messages("a.b") as stream:
                await two.notify(one.public_id, "a.b", {"text": text})
                assert (await anext(stream)).params == {"text": text}
            callback = hub._standard._callbacks[one.public_id]
            body = xmlrpc.dump_call("samp.client.receiveNotification", ["no key", "x", {"a": text}])
            assert (await stranger(callback, post(body)))[0] == 403

    async def test_other_servers_need_not_ask(self) -> None:
        async def echo(method: str, params: list[Value]) -> Value:
            return str(len(str(params[0])))

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await answer(request, echo)

        async with RpcServer(handle) as server:
            url = f"http://127.0.0.1:{server.port}/"
            assert (await stranger(url, post(xmlrpc.dump_call("echo", ["x" * 100_000]))))[0] == 200
        assert endpoint_module.STRANGERS_BODY == 65_536


class TestConnections:
    """Failure 11 of other hubs: 300 idle sockets hold 300 threads, and lock the others out."""

    async def silent(self, port: int, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]

    async def test_the_longest_silent_one_makes_room(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crowd_module, "_A_MOMENT", -1.0)  # new connections need not be old to be silent

        async def hello(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text="hello")

        async with RpcServer(hello, max_connections=10) as server, connect(server.port) as (reader, writer):
            writer.write(post(b""))
            assert (await answered(reader))[0] == 200
            crowd = await self.silent(server.port, 30)
            async with asyncio.timeout(30):
                for gone, _ in crowd[:20]:
                    assert (await gone.read()).startswith(b"HTTP/1.1 503 ")
            writer.write(post(b""))  # who has spoken stays
            assert (await answered(reader))[0] == 200
            for _, own in crowd:
                own.close()
        lines = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert [line.getMessage() for line in lines] == [
            "more than 10 connections; those silent for longest are closed"
        ]

    async def test_then_the_longest_idle_one_or_half_sent_but_none_at_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crowd_module, "_STANDSTILL", -1.0)
        monkeypatch.setattr(listener_module, "_URGENT", 0.0)
        begun, release = asyncio.Semaphore(0), asyncio.Event()

        async def work(request: web.BaseRequest) -> web.StreamResponse:
            if await request.read() == b"wait":
                begun.release()
                await release.wait()
            return web.Response(text="done")

        async with (
            RpcServer(work, max_connections=3) as server,
            connect(server.port) as (at_work, one),
            connect(server.port) as (half, two),
            connect(server.port) as (idle, three),
        ):
            one.write(post(b"wait"))
            await begun.acquire()
            two.write(post(b"half", length=100))
            three.write(post(b""))
            assert (await answered(idle))[0] == 200
            newcomers = []
            for gone in (idle, half):
                newcomers.append(await asyncio.open_connection("127.0.0.1", server.port))
                newcomers[-1][1].write(post(b"wait"))
                await begun.acquire()
                async with asyncio.timeout(30):
                    assert await gone.read() == b""
            release.set()
            for reader in (at_work, newcomers[0][0], newcomers[1][0]):
                assert (await answered(reader))[0] == 200
            for _, writer in newcomers:
                writer.close()

    async def test_if_all_are_at_work_the_newcomer_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listener_module, "_PATIENCE", 0.05)
        release, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def work(request: web.BaseRequest) -> web.StreamResponse:
            begun.release()
            await release.wait()
            return web.Response(text="done")

        async with (
            RpcServer(work, max_connections=2) as server,
            connect(server.port) as (first, one),
            connect(server.port) as (second, two),
        ):
            for writer in (one, two):
                writer.write(post(b""))
                await begun.acquire()
            async with connect(server.port) as (newcomer, writer), asyncio.timeout(30):
                writer.write(post(b"x" * 100_000))
                head = (await newcomer.read()).partition(b"\r\n")[0]
            assert head == b"HTTP/1.1 503 " + NO_ROOM.encode()
            release.set()
            assert [(await answered(reader))[0] for reader in (first, second)] == [200, 200]

    @pytest.mark.both_loops
    async def test_while_newcomers_wait_it_is_looked_for_room_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not at each turn of the loop, which took a core."""
        monkeypatch.setattr(listener_module, "_PATIENCE", 1.0)
        looks: list[bool] = []
        has_room = crowd_module.ConnectionLimit.has_room

        def counted(limit: crowd_module.ConnectionLimit, coming: int, *, urgent: bool) -> bool:
            looks.append(urgent)
            return has_room(limit, coming, urgent=urgent)

        monkeypatch.setattr(crowd_module.ConnectionLimit, "has_room", counted)
        release, begun = asyncio.Event(), asyncio.Event()

        async def work(request: web.BaseRequest) -> web.StreamResponse:
            begun.set()
            await release.wait()
            return web.Response(text="done")

        async with RpcServer(work, max_connections=1) as server, connect(server.port) as (first, one):
            one.write(post(b""))
            await begun.wait()
            async with connect(server.port) as (newcomer, other), asyncio.timeout(30):
                looks.clear()
                other.write(post(b""))
                assert b" 503 " in await newcomer.readline()
            assert 2 <= len(looks) <= 20
            release.set()
            assert (await answered(first))[0] == 200
        lines = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert ["there is no room for another connection" in line.getMessage() for line in lines] == [True]

    async def test_who_waits_for_room_is_let_in_when_another_one_ends(self) -> None:
        release, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def work(request: web.BaseRequest) -> web.StreamResponse:
            begun.release()
            await release.wait()
            return web.Response(text="done")

        async with (
            RpcServer(work, max_connections=1) as server,
            connect(server.port) as (first, one),
            connect(server.port) as (second, two),
        ):
            for writer in (one, two):
                writer.write(post(b""))
            await begun.acquire()
            release.set()
            assert [(await answered(reader))[0] for reader in (first, second)] == [200, 200]

    async def test_a_quarter_is_closed_after_each_answer(self) -> None:
        async def hello(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text="hello")

        async with RpcServer(hello, max_connections=4) as server, contextlib.AsyncExitStack() as stack:
            ends = [await stack.enter_async_context(connect(server.port)) for _ in range(4)]
            for reader, writer in ends:
                writer.write(post(b""))
                assert (await answered(reader))[0] == 200
            assert await ends[3][0].read() == b""
            for reader, writer in ends[:3]:
                writer.write(post(b""))
                assert (await answered(reader))[0] == 200


class TestRegistrations:
    def test_a_burst_and_then_so_many_each_second(self) -> None:
        rate = RateLimit(8.0, 3)
        assert [rate.take(100.0) for _ in range(4)] == [True, True, True, False]
        assert [rate.take(100.125), rate.take(100.125), rate.take(1000.0)] == [True, False, True]
        assert [rate.take(1000.0) for _ in range(3)] == [True, True, False]

    async def test_too_many_at_once_are_refused_and_told_why(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        limits = Limits(registration_burst=2, registrations_per_second=0.001)
        async with Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub:
            await register(hub)
            _, client = await register(hub)
            with pytest.raises(
                RegistrationError, match="too many clients have registered in a short time"
            ) as e:
                await Client("third", lockfile=hub.lockfile).register()
            assert e.value.code == FaultCode.LIMIT_REACHED
            hub.engine.disconnect(client, "leaving makes no room for registering again at once")
            with pytest.raises(RegistrationError):
                await Client("third", lockfile=hub.lockfile).register()
        assert "too many clients register at once" in caplog.text

    async def test_a_hundred_clients_at_once_are_no_attack(self, hub: Hub) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(register(hub)) for _ in range(100)]
        assert len({task.result()[1] for task in tasks}) == 100


class TestCallbacks:
    @pytest.mark.parametrize("host", ["192.0.2.1", "evil.example", "localhost.evil.example", "[2001:db8::1]"])
    async def test_off_the_machine_there_is_a_warning(
        self, hub: Hub, host: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, client = await register(hub, f"http://{host}:1/")
        assert f"client {client} is called back at an address that may be off this machine" in caplog.text

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9", socket.gethostname()])
    async def test_on_it_there_is_none(self, hub: Hub, host: str, caplog: pytest.LogCaptureFixture) -> None:
        await register(hub, f"http://{host}:1/")
        assert "may be off" not in caplog.text


class TestWeight:
    def test_of_values(self) -> None:
        assert 1000 <= estimate_size("x" * 1000) < 1100
        big: Value = {"rows": [["1.5", "x" * 50] for _ in range(10_000)]}
        assert 500_000 < estimate_size(big) < 5_000_000
        wide: Value = {f"key{n}": {f"k{m}": "v" for m in range(200)} for n in range(200)}
        assert 1_000_000 < estimate_size(wide) < 20_000_000

    def test_nothing_is_left_out_of_a_measure(self) -> None:
        assert measure_size("x" * 1000, 10_000) == 1_060
        assert measure_size({"ab": ["c", "d"]}, 10_000) == 60 + 62 + 60 + 2 * 61
        uneven: Value = [*["x"] * 150, *["x" * 100_000] * 50, *["x"] * 101]  # of which a sample may miss some
        assert measure_size(uneven, 10_000_000) > 5_000_000
        large: list[Value] = [
            "x" * 20_000,
            ["x"] * 1_000,
            {str(n): "" for n in range(1_000)},
            {"a": {"b": "x" * 20_000}},
        ]
        for much in large:
            assert measure_size(much, 10_000) > 10_000

    async def test_an_outbox_is_bounded_by_it(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        limits = Limits(outbox_weight=100_000, delivery_patience=60)
        release = asyncio.Event()
        taken: list[int] = []

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            await release.wait()
            taken.append(len(body))
            return web.Response(body=xmlrpc.dump_response(""))

        async with (
            RpcServer(slow) as server,
            Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub,
            Client("sender", lockfile=hub.lockfile) as sender,
        ):
            _, client = await register(hub, f"http://127.0.0.1:{server.port}/", **{"a.b": {}})
            told = [await sender.notify_all("a.b", {"text": "x" * 30_000}) for _ in range(10)]
            assert [bool(to) for to in told] == [True] * 5 + [False] * 5  # one under way, four waiting
            assert f"client {client} does not take its messages: 4 wait" in caplog.text
            release.set()
            async with asyncio.timeout(30):
                while not await sender.notify_all("a.b", {}):
                    await ping_works(hub)
            assert len(taken) >= 3
