"""Who watches a hub sees who comes and goes, and the fate of every message; who does not costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, ClientEvent, Hub, HubEventStream, Limits, MessageEvent, Response
from asyncsamp.delivery import DeliverNotification
from asyncsamp.errors import FaultError
from asyncsamp.hub.core import CallEnded
from asyncsamp.hub.observer import HubEvent, Observers, describe_event
from asyncsamp.values import Message, ValueMap

from ..connections import turns_until
from ..couriers import FakeCourier

LIMITS = Limits(refused_pause=0.001, vigil_interval=0.01, shutdown_patience=10)
HASTY = Limits(close_timeout=0.5)


@contextlib.asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Hub, Client, Client]]:
    """Run a hub with a sender, and a receiver that answers `test.ask`, but not `test.never`."""
    lockfile = folder / "samp"
    async with (
        Hub(lockfile=lockfile, limits=LIMITS) as hub,
        Client("Sender", lockfile=lockfile) as sender,
        Client("Receiver", lockfile=lockfile, limits=HASTY) as receiver,
    ):

        @receiver.on("test.ask")
        async def ask(message: Message) -> dict[str, Any]:
            return {"said": message.params["x"]}

        @receiver.on("test.never")
        async def never(message: Message) -> None:
            await asyncio.Event().wait()

        await receiver.settled()
        yield hub, sender, receiver


async def until(events: HubEventStream, what: str, mtype: str = "") -> list[HubEvent]:
    """Return what happens, up to an event of that kind, of a message of that mtype if one is given."""
    seen: list[HubEvent] = []
    async with asyncio.timeout(30):
        async for event in events:
            seen.append(event)
            if event.what == what and (not mtype or messages([event], mtype)):
                return seen
    raise AssertionError(f"the stream ended after {seen}")


def messages(events: list[HubEvent], mtype: str) -> list[MessageEvent]:
    return [event for event in events if isinstance(event, MessageEvent) and event.mtype == mtype]


async def test_a_call_is_seen_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with house(tmp_path) as (hub, sender, receiver), hub.events() as events:
        await sender.call(receiver.public_id, "test.ask", {"x": "1"})
        seen = messages(await until(events, "answered"), "test.ask")
    assert {event.what for event in seen} - {"delivered"} == {"sent", "answered"}
    assert seen[0].what == "sent"
    assert seen[0].content["samp.params"] == {"x": "1"}
    assert seen[-1].content["samp.result"] == {"said": "1"}
    assert {(event.sender, event.recipient) for event in seen} == {("c1", "c2")}
    assert len({(event.number, event.msg_id) for event in seen}) == 1
    assert seen[0].msg_id
    assert 0 <= seen[0].seconds <= seen[-1].seconds < 30


async def test_a_notification_is_delivered(tmp_path: Path) -> None:
    async with house(tmp_path) as (hub, sender, receiver), hub.events() as events:
        await sender.notify(receiver.public_id, "test.ask", {"x": "1"})
        seen = messages(await until(events, "delivered", "test.ask"), "test.ask")
        assert [(event.what, event.msg_id, event.error) for event in seen] == [
            ("sent", "", ""),
            ("delivered", "", ""),
        ]
        assert hub.engine._observers.notifications == {}


async def test_a_call_that_nobody_waits_for_and_one_whose_recipient_leaves(tmp_path: Path) -> None:
    async with house(tmp_path) as (hub, sender, receiver), hub.events() as events:
        with pytest.raises(TimeoutError):
            await sender.call_and_wait(receiver.public_id, "test.never", timeout=1)
        seen = messages(await until(events, "abandoned"), "test.never")
        assert seen[-1].what == "abandoned"
        waiting = asyncio.ensure_future(sender.call(receiver.public_id, "test.never"))
        await until(events, "delivered", "test.never")
        hub.engine.disconnect(receiver.public_id, "enough")
        seen = messages(await until(events, "failed", "test.never"), "test.never")
        assert [(event.what, event.error) for event in seen if event.what != "sent"] == [
            ("failed", "Receiver (c2): left before it answered (enough)")
        ]
        await asyncio.gather(waiting, return_exceptions=True)
        assert hub.engine._observers.calls == {}


async def test_who_comes_and_goes_is_seen(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    async with Hub(lockfile=lockfile, limits=LIMITS) as hub:
        events = hub.events()
        async with Client("Guest", lockfile=lockfile):
            assert hub.clients["c1"].name == "Guest"
            assert hub.clients["c1"].metadata["samp.name"] == "Guest"
        seen = [event for event in await until(events, "unregistered") if isinstance(event, ClientEvent)]
        assert seen[0] == ClientEvent("registered", "c1", "")
        assert ClientEvent("metadata", "c1", "Guest") in seen
        assert seen[-1] == ClientEvent("unregistered", "c1", "Guest")
        assert hub.clients == {}
        events.close()


async def test_a_stream_ends_with_the_hub_and_when_it_is_closed(tmp_path: Path) -> None:
    hub = Hub(lockfile=tmp_path / "samp", limits=LIMITS)
    with pytest.raises(RuntimeError, match="the hub is not running"):
        hub.events()
    async with hub:
        closed, left = hub.events(), hub.events()
        waiting = asyncio.ensure_future(anext(left))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two readers"):
            await anext(left)
        closed.close()
        assert [event async for event in closed] == []
        assert closed.closed
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert repr(left) == "<HubEventStream 0 waiting, 0 missed>"


async def test_a_slow_reader_misses_the_oldest_and_holds_up_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as (hub, sender, receiver), hub.events(limit=3) as events:
        for number in range(5):
            await sender.call(receiver.public_id, "test.ask", {"x": str(number)})
        # The last delivery may be seen after its answer.
        await turns_until(lambda: events.missed >= 12)
        seen = [await anext(events) for _ in range(3)]
        assert "answered" in {event.what for event in seen[-2:]}
        assert all(event.content != {} for event in messages(seen, "test.ask"))


async def test_when_nobody_watches_nothing_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsamp.hub")
    async with house(tmp_path) as (hub, sender, receiver):
        async with hub.events():
            pass
        await sender.call(receiver.public_id, "test.ask", {"x": "1"})
        engine = hub.engine
        assert engine._observers.callbacks == []
        assert engine._core.take_observed() == []
        assert engine._observers.count == 0
        assert not engine._observers.calls
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, MessageEvent)] == []


async def test_one_who_watches_and_fails_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as (hub, sender, receiver):

        def fails(event: HubEvent) -> None:
            raise KeyError("oops")

        end = hub.engine.observe(fails)
        assert (await sender.call(receiver.public_id, "test.ask", {"x": "1"})).ok
        end()
        end()
        assert "a watcher of the hub failed" in caplog.text


async def test_debug_logs_every_message_and_info_the_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asyncsamp.hub")
    abandoned = asyncio.Event()

    def watch(event: HubEvent) -> None:
        if isinstance(event, MessageEvent) and event.what == "abandoned":
            abandoned.set()

    async with house(tmp_path) as (hub, sender, receiver):
        hub.engine.observe(watch)
        await sender.call(receiver.public_id, "test.ask", {"x": "y" * 100_000})
        with pytest.raises(TimeoutError):
            await sender.call_and_wait(receiver.public_id, "test.never", timeout=1)
        async with asyncio.timeout(30):
            await abandoned.wait()  # who ends his half of a connection may wait for the answer yet
    hubs = [record for record in caplog.records if record.name == "asyncsamp.hub"]
    assert "client c2 is Receiver" in [one.getMessage() for one in hubs if one.levelno == logging.INFO]
    lines = [one.getMessage() for one in hubs if one.levelno == logging.DEBUG]
    asked = [line for line in lines if ": test.ask, call " in line]
    head = "client c1 (Sender) -> client c2 (Receiver): test.ask, call "
    assert all(line.startswith(head) for line in asked)
    assert sum(", answered after " in line and "'samp.ok'" in line for line in asked) == 1
    assert any(", abandoned after " in line for line in lines)
    assert max(len(line) for line in lines) < 400


async def test_at_info_no_message_is_watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsamp.hub")
    async with house(tmp_path) as (hub, _, _):
        assert hub.engine._observers.callbacks == []


def test_a_line_of_the_log_is_short_whatever_it_is_of() -> None:
    content: ValueMap = {"samp.params": {"rows": ["1"] * 1_000_000, "map": {"a": ["b"]}}}
    sent = MessageEvent("sent", 1, "c1", "c2", "a.b", "", content, 0.0)
    line = describe_event(sent, lambda client: client.upper())
    assert line.startswith("C1 -> C2: a.b, notification, sent: {rows: ['1', '1', ")
    assert len(line) < 260
    failed = MessageEvent("failed", 1, "c1", "c2", "a.b", "m1", content, 0.0123, "gone\naway")
    assert describe_event(failed, str) == "c1 -> c2: a.b, call m1, failed after 12.3 ms: gone away"
    answered = Response.failure("no").to_map()
    told = MessageEvent("answered", 1, "c1", "c2", "a.b", "m1", answered, 1.0)
    words = "{samp.status: 'samp.error', samp.error: {samp.errortxt: 'no'}}"
    assert describe_event(told, str).endswith(f"answered after 1000.0 ms: {words}")


def test_what_ended_before_it_was_watched_is_not_told() -> None:
    seen: list[HubEvent] = []
    observers = Observers(lambda: 0.0)
    remove = observers.add(seen.append)

    observers.observed(CallEnded("m1", None))
    observers.delivered(DeliverNotification("c1", "c2", {"samp.mtype": "a"}))
    assert seen == []
    remove()
    remove()


async def test_who_watches_clients_only_is_told_before_register_returns_and_nothing_of_messages(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as (hub, sender, _):
        engine = hub.engine
        seen: list[tuple[str, str, bool]] = []

        def watch(what: str, client: str) -> None:
            seen.append((what, client, engine.courier_of(client) is courier))

        end = engine.observe_clients(watch)
        courier = FakeCourier()
        client = engine.register(courier, remote=True)
        assert seen == [("registered", client, True)]
        engine.set_callable(client, True)
        await engine.operate(client, "declareMetadata", [{"samp.name": "x"}])
        await sender.notify("Receiver", "test.ask", {"x": "1"})
        await engine.operate(client, "unregister", [])
        assert [what for what, _, _ in seen] == ["registered", "callable", "metadata", "unregistered"]
        assert {told for _, told, _ in seen} == {client}
        end()
        engine.register(courier, remote=True)
        assert len(seen) == 4
        assert engine.courier_of("c999") is None


async def test_clients_of_other_hubs_do_not_use_up_the_registrations_of_a_second(tmp_path: Path) -> None:
    limits = Limits(registrations_per_second=0.001, registration_burst=1)
    async with Hub(lockfile=tmp_path / "samp", limits=limits) as hub:
        for _ in range(5):
            hub.engine.register(FakeCourier(), remote=True)
        hub.engine.register(FakeCourier())
        with pytest.raises(FaultError, match="too many clients"):
            hub.engine.register(FakeCourier())
