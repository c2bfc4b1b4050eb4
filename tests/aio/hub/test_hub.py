"""The hub that a user holds: its start, its life and its end (HUB-1, HUB-2, HUB-9, HUB-10, HUB-62)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Client, DirectConnection, Hub, Limits, xmlrpc
from asyncsamp.delivery import DeliverNotification, Delivery
from asyncsamp.errors import FaultCode, HubRunningError, LocalProtocolError, LockfileError
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.idle_timeout import IdleTimeout
from asyncsamp.interfaces import Engine
from asyncsamp.lockfile import Lockfile, parse_lockfile
from asyncsamp.values import ValueMap

from ..callees import Callee
from ..cancelling import each_await
from ..connections import turns_until
from ..couriers import FakeCourier
from ..raw import call, ping_works, port_of, post, register, stranger

LIMITS = Limits(refused_pause=0.001, shutdown_patience=10)
NOTE: ValueMap = {"samp.mtype": "test.note", "samp.params": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.samp"


def make_hub(path: Path, **options: object) -> Hub:
    return Hub(lockfile=path, **{"limits": LIMITS, **options})  # type: ignore[arg-type]


async def read(path: Path) -> Lockfile:
    return parse_lockfile(await asyncio.to_thread(path.read_text))


async def exists(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


def listening(port: int) -> bool:
    """Whether somebody takes connections at that port of the loopback address."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class FakeProfile:
    """A profile that notes what the hub does with it."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.stopped = 0
        self.on_start: BaseException | None = None
        self.on_stop: BaseException | None = None
        self.starting = asyncio.Event()
        self.may_start = asyncio.Event()
        self.may_start.set()

    async def start(self, engine: Engine) -> None:
        self.starting.set()
        await self.may_start.wait()
        if self.on_start is not None:
            raise self.on_start
        self.engine = engine

    async def stop(self) -> None:
        self.stopped += 1
        if self.on_stop is not None:
            raise self.on_stop


class TestRunning:
    async def test_it_serves_from_start_to_shutdown(self, path: Path) -> None:
        hub = make_hub(path)
        assert not hub.running
        assert await hub.start() is hub
        assert hub.running
        await ping_works(hub)
        await hub.shutdown()
        assert not hub.running
        assert not listening(port_of(hub))
        assert not await exists(path)

    async def test_the_lockfile_names_it_and_is_its_owners_alone(self, path: Path) -> None:  # STD-53..57
        async with make_hub(path, label="mine") as hub:
            lockfile = await read(path)
            assert hub.lockfile == path
            assert (lockfile.url, lockfile.version) == (hub.url, "1.3")
            assert lockfile.extra == {"org.asyncsamp.hub.pid": str(os.getpid()), "hub.label": "mine"}
            assert len(lockfile.secret) == 32
            mode = stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode)
            assert mode == 0o600

    async def test_the_environment_says_where_and_else_the_home_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # STD-50, STD-51
        async with Hub(limits=LIMITS):
            assert await exists(tmp_path / ".samp")
        monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path}/other")
        async with Hub(limits=LIMITS) as hub:
            assert hub.lockfile == tmp_path / "other"
            assert await exists(tmp_path / "other")

    async def test_it_shows_where_it_is_and_no_secret(self, path: Path) -> None:  # HUB-71
        hub = make_hub(path)
        assert repr(hub) == f"<Hub not running, lockfile {path}>"
        async with hub:
            assert repr(hub) == f"<Hub at {hub.url}, lockfile {path}>"
        assert repr(hub) == f"<Hub not running, lockfile {path}>"

    async def test_its_metadata_can_be_given(self, path: Path) -> None:  # HUB-51
        async with make_hub(path, label="one", metadata={"samp.name": "Ours", "n": 1}) as hub:
            key, _ = await register(hub)
            assert await call(hub, "getMetadata", key, "hub") == {
                "samp.name": "Ours",
                "samp.description.text": "asyncsamp hub 'one'",
                "n": "1",
            }

    async def test_what_needs_a_running_hub_says_so(self, path: Path) -> None:
        hub = make_hub(path)
        with pytest.raises(RuntimeError, match="the hub is not running; use 'async with Hub"):
            _ = hub.engine
        with pytest.raises(RuntimeError, match="the hub is not running; use 'async with Hub"):
            await hub.serve_forever()
        with pytest.raises(RuntimeError, match="no URL before it is started"):
            _ = hub.url
        await hub.shutdown()  # nothing to do

    async def test_it_cannot_be_started_twice_at_a_time(self, path: Path) -> None:
        async with make_hub(path) as hub:
            with pytest.raises(RuntimeError, match="the hub is running already"):
                await hub.start()
            await ping_works(hub)

    async def test_it_can_be_started_again_with_new_secrets(self, path: Path) -> None:  # HUB-72
        hub = make_hub(path)
        seen = set()
        old_key = "none"
        for _ in range(3):
            async with hub:
                seen.add((await read(path)).secret)
                refused = xmlrpc.load_response(
                    (await stranger(hub, post(xmlrpc.dump_call("samp.hub.unregister", [old_key]))))[1]
                )
                assert isinstance(refused, xmlrpc.Fault)
                assert refused.code == FaultCode.NOT_REGISTERED
                old_key, client = await register(hub)
                assert client == "c1"
        assert len(seen) == 3

    async def test_serving_for_ever_ends_with_the_hub(self, path: Path) -> None:
        async with make_hub(path) as hub:
            given_up = asyncio.ensure_future(hub.serve_forever())
            serving = asyncio.ensure_future(hub.serve_forever())
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            assert hub.running
            assert not serving.done()
            await hub.shutdown()
            await serving
        await hub.serve_forever()  # it has been shut down


def test_it_can_be_started_again_in_another_loop(tmp_path: Path) -> None:
    hub = make_hub(tmp_path / "x.samp")

    async def run() -> None:
        async with hub, Callee() as callee:
            for _ in range(2):
                await register(hub, callee.url, **{"test.note": {}})
            key, _ = await register(hub)
            await call(hub, "notifyAll", key, NOTE)
            await callee.until(2)

    for _ in range(2):
        with asyncio.Runner() as runner:
            runner.run(run())


class TestNoStart:
    """What keeps a hub from starting, and that nothing is left of it then."""

    async def test_another_hub_at_the_lockfile(self, path: Path) -> None:  # HUB-1, STD-60
        async with make_hub(path) as first:
            second = make_hub(path)
            with pytest.raises(HubRunningError) as error:
                await second.start()
            assert (error.value.lockfile, error.value.url) == (str(path), first.url)
            assert not second.running
            assert not listening(port_of(second))
            assert (await read(path)).url == first.url
            await ping_works(first)
        async with second:  # now it can
            await ping_works(second)

    async def test_another_hub_at_the_lockfile_and_the_port(self, path: Path) -> None:
        async with make_hub(path) as first:
            with pytest.raises(HubRunningError) as error:
                await make_hub(path, port=port_of(first)).start()
            assert error.value.url == first.url
            assert error.value.__suppress_context__
            assert (await read(path)).url == first.url

    @pytest.mark.parametrize("content", [None, "", "garbage", "samp.secret=x"])
    async def test_a_stranger_at_the_port(self, path: Path, content: str | None) -> None:
        if content is not None:
            await asyncio.to_thread(path.write_text, content)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: Address already"):
                await make_hub(path, port=port).start()
        assert await exists(path) is (content is not None)

    async def test_a_stranger_at_the_port_and_a_dead_hub_at_the_lockfile(self, path: Path) -> None:
        async with make_hub(path) as dead:
            text = await asyncio.to_thread(path.read_text)
        await asyncio.to_thread(path.write_text, text)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            hub = make_hub(path, port=taken.getsockname()[1])
            with pytest.raises(OSError, match="cannot listen on"):
                await hub.start()
        assert (await read(path)).url == dead.url

    async def test_a_lockfile_that_cannot_be_written(self, tmp_path: Path) -> None:
        await asyncio.to_thread((tmp_path / "file").write_text, "")
        hub = make_hub(tmp_path / "file" / "x.samp")
        with pytest.raises(LockfileError):
            await hub.start()
        assert not listening(port_of(hub))

    async def test_a_lockfile_at_a_url(self, monkeypatch: pytest.MonkeyPatch) -> None:  # STD-59
        monkeypatch.setenv("SAMP_HUB", "std-lockurl:http://127.0.0.1:9/x.samp")
        hub = Hub(limits=LIMITS)
        assert hub.lockfile is None
        with pytest.raises(LockfileError, match="a hub cannot write to a URL that is not a file's"):
            await hub.start()
        assert not listening(port_of(hub))

    async def test_another_profiles_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:  # STD-52
        monkeypatch.setenv("SAMP_HUB", "jsamp-class:x.y.Z")
        with pytest.raises(LockfileError, match="asyncsamp knows nothing of 'jsamp-class'"):
            Hub()

    async def test_a_label_that_the_lockfile_cannot_hold(self, path: Path) -> None:
        with pytest.raises(LocalProtocolError):
            make_hub(path, label="é")
        hub = make_hub(path, label="a=b")
        with pytest.raises(LocalProtocolError, match=r"hub\.label"):
            await hub.start()
        assert not listening(port_of(hub))

    async def test_metadata_that_is_none(self, path: Path) -> None:
        with pytest.raises(LocalProtocolError, match=r"metadata\['x'\]"):
            make_hub(path, metadata={"x": None})

    async def test_a_host_that_is_not_ours(self, path: Path) -> None:
        with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1"):
            await make_hub(path, host="192.0.2.1").start()
        assert not await exists(path)

    async def test_it_may_be_cancelled_at_any_point_and_leaves_nothing(self, path: Path) -> None:
        hub = make_hub(path)

        async def run() -> None:
            await hub.start()

        cancelled = 0
        async for _ in each_await(run):
            cancelled += 1
            await hub.shutdown()
            assert not hub.running
            assert not await exists(path)
        assert cancelled > 3
        await ping_works(hub)
        await hub.shutdown()

    async def test_cancelled_twice_it_comes_to_its_end_all_the_same(self, path: Path) -> None:
        profile = FakeProfile()
        profile.may_start.clear()
        hub = make_hub(path, profiles=[profile])
        starting = asyncio.ensure_future(hub.start())
        await profile.starting.wait()
        starting.cancel()
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
        await hub.serve_forever()
        assert not listening(port_of(hub))


class TestProfiles:
    async def test_they_are_served_beside_the_standard_one(self, path: Path) -> None:  # HUB-11
        profile = FakeProfile()
        async with make_hub(path, profiles=[profile]) as hub:
            assert profile.engine is hub.engine
            await ping_works(hub)
            assert profile.stopped == 0
        assert profile.stopped == 1

    async def test_one_that_cannot_start_ends_those_that_have(self, path: Path) -> None:
        good, bad = FakeProfile(), FakeProfile()
        bad.on_start = OSError(98, "Address already in use")
        hub = make_hub(path, profiles=[good, bad])
        with pytest.raises(OSError, match="Address already in use"):
            await hub.start()
        assert (good.stopped, bad.stopped) == (1, 0)
        assert not listening(port_of(hub))
        assert not await exists(path)

    async def test_one_that_cannot_stop_does_not_keep_the_others(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        bad, good = FakeProfile(), FakeProfile()
        bad.on_stop = ValueError("stuck")
        hub = make_hub(path, profiles=[bad, good])
        async with hub:
            pass
        assert good.stopped == 1
        assert not listening(port_of(hub))
        assert "a profile did not stop properly" in caplog.text
        assert "ValueError: stuck" in caplog.text


class TestShutdown:
    async def test_clients_are_told_and_waits_end(self, path: Path) -> None:  # HUB-9, HUB-62
        async with Callee() as callee:
            hub = await make_hub(path).start()
            _, client = await register(hub, callee.url, **{"samp.hub.event.shutdown": {}, "test.note": {}})
            key, _ = await register(hub)
            body = xmlrpc.dump_call("samp.hub.callAndWait", [key, client, NOTE, "0"])
            waiting = asyncio.ensure_future(stranger(hub, post(body)))
            await callee.until(1)
            await hub.shutdown()
            fault = xmlrpc.load_response((await waiting)[1])
            assert fault == xmlrpc.Fault(FaultCode.SHUTTING_DOWN, "the hub is shutting down")
            assert callee.received[-1][1][1:] == [
                "hub",
                {"samp.mtype": "samp.hub.event.shutdown", "samp.params": {}},
            ]

    async def test_a_client_that_hangs_does_not_hold_it_up(self, path: Path) -> None:
        hanging = asyncio.Event()

        async def answer(method: str, params: object) -> bytes:
            await hanging.wait()
            return b""

        async with Callee() as callee:
            callee.answer = answer
            hub = await Hub(lockfile=path).start()  # with the patience that users have
            key, client = await register(hub, callee.url, **{"*": {}})
            await call(hub, "notify", key, client, NOTE)
            await callee.until(1)
            async with asyncio.timeout(20):
                await hub.shutdown()
            hanging.set()
        assert not await exists(path)

    async def test_it_goes_on_when_its_caller_gives_up(self, path: Path) -> None:
        hub = await make_hub(path).start()
        first = asyncio.ensure_future(hub.shutdown())
        await asyncio.sleep(0)
        assert not hub.running
        first.cancel()
        await asyncio.wait([first])
        await asyncio.gather(hub.shutdown(), hub.shutdown())
        assert not await exists(path)
        assert not listening(port_of(hub))

    async def test_a_hub_that_is_starting_is_stopped_as_soon_as_it_has_started(self, path: Path) -> None:
        profile = FakeProfile()
        profile.may_start.clear()
        hub = make_hub(path, profiles=[profile])
        starting = asyncio.ensure_future(hub.start())
        await profile.starting.wait()
        assert not hub.running
        stopping = asyncio.ensure_future(hub.shutdown())
        await asyncio.sleep(0)
        profile.may_start.set()
        await asyncio.gather(starting, stopping)
        assert not hub.running
        assert profile.stopped == 1
        assert not await exists(path)

    async def test_a_hub_whose_start_fails_meanwhile_has_nothing_to_stop(self, path: Path) -> None:
        profile = FakeProfile()
        profile.may_start.clear()
        profile.on_start = ValueError("no")
        hub = make_hub(path, profiles=[profile])
        starting = asyncio.ensure_future(hub.start())
        await profile.starting.wait()
        stopping = asyncio.ensure_future(hub.shutdown())
        await asyncio.sleep(0)
        profile.may_start.set()
        with pytest.raises(ValueError, match="no"):
            await starting
        await stopping
        assert not listening(port_of(hub))

    async def test_a_lockfile_that_is_not_ours_any_more_stays(self, path: Path) -> None:  # HUB-10, STD-64
        other = "samp.secret=other\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\n"
        async with make_hub(path):
            await asyncio.to_thread(path.write_text, other)
        assert await asyncio.to_thread(path.read_text) == other

    async def test_a_lockfile_that_is_gone_is_no_trouble(self, path: Path) -> None:
        async with make_hub(path):
            await asyncio.to_thread(path.unlink)


class TestIdle:
    async def test_an_idle_hub_stops(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async with make_hub(path, timeout=0.02) as hub, asyncio.timeout(30):
            await hub.serve_forever()
        assert not hub.running
        assert not await exists(path)

    async def test_an_idle_client_is_removed_and_told(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:  # HUB-63, MTYPE-25
        async with make_hub(path, client_timeout=60) as hub, Callee() as callee:
            _, client = await register(hub, callee.url, **{"samp.hub.disconnect": {}})
            hub.engine.last_active[client] -= 61
            assert hub._idle is not None
            hub._idle.close()
            hub._idle._look()
            received = await callee.until(1)
            assert received[0][1][1:] == [
                "hub",
                {"samp.mtype": "samp.hub.disconnect", "samp.params": {"reason": "idle for 60 s"}},
            ]
            assert hub.engine.clients == []
            assert f"client {client} is removed: idle for 60 s" in caplog.text
            assert hub.running

    async def test_without_limits_there_is_no_timer(self, path: Path) -> None:
        async with make_hub(path) as hub:
            assert hub._idle is None


class TestIdleWatch:
    """The timer itself, with a clock that the test sets."""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[HubEngine]:
        engine = HubEngine(LIMITS, {})
        yield engine
        await engine.shut_down()

    @staticmethod
    def look(watch: IdleTimeout, at: float) -> float:
        """Let the watch look as if it were `at`; return in how many seconds it looks again."""
        loop = watch._loop
        watch.close()
        now, loop.time = loop.time, lambda: at  # type: ignore[method-assign]
        try:
            watch._look()
        finally:
            loop.time = now  # type: ignore[method-assign]
        return watch._timer.when() - at

    async def test_activity_puts_the_end_off(self, engine: HubEngine) -> None:
        stops: list[float] = []
        watch = IdleTimeout(engine, 100.0, 0.0, lambda: stops.append(1))
        start = watch._since
        assert self.look(watch, start + 40) == pytest.approx(60)
        engine.last_operation = start + 70
        assert self.look(watch, start + 100) == pytest.approx(70)
        assert stops == []
        self.look(watch, start + 170)
        assert stops == [1]
        watch.close()

    async def test_each_client_has_its_own_time(self, engine: HubEngine) -> None:
        one, two = engine.register(FakeCourier()), engine.register(FakeCourier())
        watch = IdleTimeout(engine, 0.0, 100.0, lambda: None)
        engine.last_active.update({one: 1000.0, two: 1050.0})
        assert self.look(watch, 1090.0) == pytest.approx(10)
        assert engine.clients == [one, two]
        assert self.look(watch, 1100.0) == pytest.approx(50)
        assert engine.clients == [two]
        self.look(watch, 1150.0)
        assert engine.clients == []
        assert self.look(watch, 1160.0) == pytest.approx(100)  # who comes then has that long
        watch.close()

    async def test_who_listens_is_not_idle(self, engine: HubEngine) -> None:
        client = engine.register(FakeCourier())
        watch = IdleTimeout(engine, 0.0, 100.0, lambda: None)
        engine.last_active[client] = 1000.0
        with engine.listening(client):
            with engine.listening(client):
                pass
            self.look(watch, engine.last_active[client] + 200)
        assert engine.clients == [client]
        ended = engine.last_active[client]
        assert self.look(watch, ended + 99) == pytest.approx(1)
        with engine.listening(client):
            engine.disconnect(client, "enough")
        assert engine.idle_since() == {}
        watch.close()

    @pytest.mark.both_loops
    async def test_who_waits_for_an_answer_is_not_idle_nor_is_the_hub(self, engine: HubEngine) -> None:
        courier = FakeCourier()
        one, two = engine.register(FakeCourier()), engine.register(courier)
        engine.set_callable(two, True)
        await engine.operate(two, "declareSubscriptions", [{"test.note": {}}])
        stopped: list[None] = []
        watch = IdleTimeout(engine, 100.0, 100.0, lambda: stopped.append(None))
        message: ValueMap = {"samp.mtype": "test.note"}
        waiting = asyncio.ensure_future(engine.operate(one, "callAndWait", [two, message, "0"]))
        await courier.until(lambda: courier.calls)
        self.look(watch, engine.last_active[one] + 200)
        assert (engine.clients, stopped) == ([one], [])
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        self.look(watch, engine.last_active[one] + 99)
        assert (engine.clients, stopped) == ([one], [])
        self.look(watch, engine.last_active[one] + 400)
        assert stopped == [None]
        watch.close()

    async def test_the_nearer_of_both_ends_counts(self, engine: HubEngine) -> None:
        client = engine.register(FakeCourier())
        watch = IdleTimeout(engine, 100.0, 30.0, lambda: None)
        start = watch._since
        engine.last_active[client] = start
        assert watch._timer.when() - start == pytest.approx(30)
        assert self.look(watch, start + 20) == pytest.approx(10)
        assert self.look(watch, start + 80) == pytest.approx(20)
        watch.close()


async def test_the_log_tells_of_start_and_stop_at_info(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with make_hub(path) as hub:
        url = hub.url
    texts = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert texts == [f"hub started at {url}, lockfile {path}", f"hub at {url} is shutting down"]


async def test_each_hub_has_limits_of_its_own(path: Path) -> None:
    async with make_hub(path, limits=replace(LIMITS, max_clients=7)) as hub:
        assert hub.limits.max_clients == hub.engine.limits.max_clients == 7
    assert Hub(lockfile=path).limits == Limits()


async def test_several_hubs_live_side_by_side(tmp_path: Path) -> None:  # STD-67
    async with make_hub(tmp_path / "a") as one, make_hub(tmp_path / "b") as two:
        await register(one)
        await ping_works(two)
        assert two.engine.clients == []
        await turns_until(lambda: one.engine.clients == ["c1"])


class _Slow:
    """Takes two milliseconds for each message."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def deliver(self, delivery: Delivery) -> None:
        await asyncio.sleep(0.002)
        assert isinstance(delivery, DeliverNotification)
        self.seen.append(delivery.message)

    async def is_alive(self, client: str) -> bool:
        return True

    def has_unread(self, client: str) -> bool:
        return False

    def forget(self, client: str) -> None:
        pass


async def test_a_fast_sender_of_the_hubs_process_does_not_flood_who_is_slower(path: Path) -> None:
    """It is held as any other; only who receives in the hub's process may have many waiting."""
    courier = _Slow()
    async with (
        Hub(lockfile=path, limits=Limits(outbox=200)) as hub,
        Client("sender", connection=DirectConnection(hub)) as sender,
    ):
        receiver = hub.engine.register(courier)
        hub.engine.set_callable(receiver, True)
        await hub.engine.operate(receiver, "declareSubscriptions", [{"test.number": {}}])
        for number in range(400):
            await sender.notify(receiver, "test.number", {"n": number})
        await turns_until(lambda: len(courier.seen) == 400)
