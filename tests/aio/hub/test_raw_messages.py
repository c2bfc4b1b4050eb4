"""Messages that pass raw reach everybody as before, and cost the hub no more than their own bytes."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, DirectConnection, Hub, Message
from asyncsamp.hub.observer import HubEvent, MessageEvent
from asyncsamp.values import RawMap, Value, ValueMap
from tests.aio.callees import Callee
from tests.aio.raw import call, register

MTYPE = "test.echo"
LARGE = 3_000_000

PARAMS: list[ValueMap] = [
    {},
    {"a": "1 < 2 & 3 > 2", "b": ["x", ["y", {}], {"k": "v"}], "": ""},
    {"lines": "one\ntwo\n\nthree\r\n", "tab": "\t", "accent": "\u00e9\u4e2d"},
    {"text": "x" * 70_000, "rows": [str(row) for row in range(5_000)]},
    {"text": "&" * LARGE},
]


def message(params: ValueMap) -> ValueMap:
    return {"samp.mtype": MTYPE, "samp.params": params, "samp.extra": "kept"}


async def deliver(hub: Hub, callee: Callee, way: str, params: ValueMap) -> tuple[list[Value], bytes]:
    """Send a message by raw requests; return what was delivered: values, and the bytes of the message."""
    _, recipient = await register(hub, callee.url, **{MTYPE: {}})
    key, _ = await register(hub, callee.url)
    to = [] if way.endswith("All") else [recipient]
    tag = ["tag"] if way in ("call", "callAll") else []
    if way == "callAndWait":
        waiting = asyncio.ensure_future(call(hub, way, key, recipient, message(params), "10"))
        await callee.until(1)
        waiting.cancel()
        await asyncio.wait([waiting])
    else:
        await call(hub, way, key, *to, *tag, message(params))
    ((_, values),) = await callee.until(1)
    body = callee.bodies[0]
    return values[-1:], body[body.index(b"<value><struct>") :]


@pytest.mark.parametrize("way", ["notify", "notifyAll", "call", "callAll", "callAndWait"])
@pytest.mark.parametrize("params", PARAMS, ids=lambda params: "+".join(params) or "nothing")
async def test_both_ways_deliver_the_same_bytes(params: ValueMap, way: str, tmp_path: Path) -> None:
    seen = []
    for raw in (True, False):
        async with Hub(lockfile=tmp_path / "samp", pass_raw=raw) as hub, Callee() as callee:
            seen.append(await deliver(hub, callee, way, params))
    assert seen[0] == seen[1]
    assert seen[0][0] == [message(params)]


@pytest.fixture
async def house(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[tuple[Hub, Client]]:
    caplog.set_level(logging.INFO, "asyncsamp.hub")  # at DEBUG the hub reads every message, for its log
    lockfile = tmp_path / "samp"
    async with Hub(lockfile=lockfile) as hub, Client("sender", lockfile=lockfile) as sender:
        yield hub, sender


@pytest.mark.parametrize("params", PARAMS[:2] + PARAMS[3:], ids="+".join)
async def test_a_client_without_a_wire_gets_values(house: tuple[Hub, Client], params: ValueMap) -> None:
    hub, sender = house
    async with Client("direct", connection=DirectConnection(hub)) as direct:

        @direct.on(MTYPE)
        async def echo(message: Message) -> ValueMap:
            return {**message.params, "extra": message.extra}

        await direct.settled()
        response = await sender.call_and_wait(direct.public_id, MTYPE, params)
        assert response.result == {**params, "extra": {}}

        @sender.on("test.back")
        async def back(message: Message) -> ValueMap:
            return message.params

        await sender.settled()
        response = await direct.call_and_wait(sender.public_id, "test.back", params)
        assert response.result == params


async def test_who_watches_sees_values(house: tuple[Hub, Client]) -> None:
    hub, sender = house
    events: list[MessageEvent] = []

    def watch(event: HubEvent) -> None:
        if isinstance(event, MessageEvent):
            events.append(event)

    async with Callee() as callee:
        _, recipient = await register(hub, callee.url, **{MTYPE: {}})
        end = hub.engine.observe(watch)
        for params in PARAMS[:2] + PARAMS[3:]:
            await sender.notify(recipient, MTYPE, params)
        await callee.until(4)
        end()
    sent = [event.content for event in events if event.what == "sent"]
    assert [content["samp.params"] for content in sent] == PARAMS[:2] + PARAMS[3:]


async def test_a_message_without_a_reader_of_its_values_is_never_decoded(
    house: tuple[Hub, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, sender = house

    def refuse(self: RawMap) -> ValueMap:
        raise AssertionError("nobody needs its values")

    async with Callee() as one, Callee() as two:
        await register(hub, one.url, **{MTYPE: {}})
        await register(hub, two.url, **{MTYPE: {}})
        monkeypatch.setattr(RawMap, "values", refuse)
        await sender.notify_all(MTYPE, {"text": "x" * LARGE})
        for callee in (one, two):
            ((_, values),) = await callee.until(1)
            assert isinstance(values[2], dict)
            assert values[2]["samp.params"] == {"text": "x" * LARGE}


async def test_a_slow_reader_of_a_large_message_delays_nobody_and_is_bounded(
    house: tuple[Hub, Client],
) -> None:
    hub, sender = house
    silent = asyncio.Event()
    connected = 0

    async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        connected += 1
        await silent.wait()
        writer.close()

    slow = [await asyncio.start_server(never_reads, "127.0.0.1", 0) for _ in range(20)]
    text = "x" * LARGE
    async with Callee() as callee:
        for server in slow:
            port = server.sockets[0].getsockname()[1]
            await register(hub, f"http://127.0.0.1:{port}/", **{MTYPE: {}})
        await register(hub, callee.url, **{MTYPE: {}})
        gc.collect()
        tracemalloc.start()
        await sender.notify_all(MTYPE, {"text": text})
        await callee.until(1)
        callee.bodies.clear()
        callee.received.clear()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        silent.set()
        for server in slow:
            server.close()
    assert connected == len(slow)
    # Once for all, and what is under way to each: the pieces that the transport has copied.
    assert held < LARGE + len(slow) * 192 * 1024 + 1_000_000
