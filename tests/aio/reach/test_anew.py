"""A hub that one side gives up while its line is cut: the other side learns of it, both meet anew, once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Client, Message
from asyncsamp.hub.profiles.reach.bus import BusMessage
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.subjects import speaker_of
from asyncsamp.hub.profiles.reach.wire import (
    NO_STREAM,
    Ack,
    Frame,
    Item,
    Messages,
    RemoteClient,
    Reply,
    Sync,
    dump_ack,
    dump_frames,
    dump_item,
    load_item,
    load_payload,
)
from asyncsamp.values import ValueMap

from ..nats_server import PATIENCE
from .relay import running_relay
from .rooms import LIMITS, find, name_of, names, open_room, stranger, until

SOON = replace(LIMITS, reach_refused=1.5)
"""The hub that stays gives the other one up; that one has the patience to keep it."""


@pytest.mark.timeout(120)
async def test_a_hub_that_was_given_up_during_a_cut_is_met_anew_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asyncsamp.reach")
    async with (
        open_room(tmp_path) as room,
        running_relay(room.server.port) as relay,
        stranger(room, listens=False) as bus,
    ):
        stays = await room.join("stays", limits=SOON)
        name, acknowledged = await name_of(bus, stays), asyncio.Event()

        def listen(message: BusMessage) -> None:
            came = load_payload(message.payload)
            if speaker_of(message.subject) == name and isinstance(came, Ack) and came.stream != NO_STREAM:
                acknowledged.set()

        end = bus.subscribe("samp.room.*.*.to.*.*", listen)
        cut = await room.join("cut", limits=SOON, invitation=invitation_of_url(relay.url))
        tool, caller = await cut.client("tool"), await stays.client("caller")

        @tool.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        await tool.settled()
        first = await caller.find("tool @cut", timeout=PATIENCE)
        await until(lambda: "caller @stays" in names(tool) and first.subscribes("test.echo"))
        async with asyncio.timeout(PATIENCE):
            await acknowledged.wait()
        end()
        await caller.call_and_wait(first, "test.echo", {}, timeout=PATIENCE)  # so that has come, too
        relay.cut()
        await until(lambda: not stays.reach.hubs and "tool @cut" not in names(caller))
        assert cut.reach.hubs == {"stays": 1}
        relay.go_on()
        await until(lambda: "the hub stays" in caplog.text, "the other side gives it up, too")
        await until(lambda: stays.reach.hubs == {"cut": 1} and cut.reach.hubs == {"stays": 1})
        await caller.find("tool @cut", timeout=PATIENCE)
        seen = find(caller, "tool @cut")
        await until(lambda: seen.subscribes("test.echo"))
        for number in range(30):
            answer = await caller.call_and_wait(seen, "test.echo", {"n": str(number)}, timeout=PATIENCE)
            assert answer.result == {"n": str(number)}
        assert find(caller, "tool @cut") is seen
    given_up = [record.getMessage() for record in caplog.records if "is given up" in record.getMessage()]
    assert len(given_up) == 2, given_up


@pytest.mark.timeout(120)
async def test_who_begins_anew_is_given_up_only_if_it_had_taken_something(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise it is sent all from the beginning: two that give each other up at once would never end."""
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        watcher, hub = await here.client("watcher"), await name_of(bus, here)
        streams: list[str] = []

        def listen(message: BusMessage) -> None:
            came = load_payload(message.payload)
            if isinstance(came, Frame) and came.stream not in streams:
                streams.append(came.stream)

        bus.subscribe("samp.room.*.*.to.anybody.00000001", listen)

        def say(payload: bytes) -> None:
            bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)

        def begin(stream: str, client: str) -> None:
            sync = Sync("far", [RemoteClient("c1", {"samp.name": client}, {})])
            say(dump_frames(stream, 1, *dump_item(sync), 1 << 20)[0])

        begin("0a", "one")
        await watcher.find("one @far", timeout=PATIENCE)
        begin("0b", "two")
        await watcher.find("two @far", timeout=PATIENCE)
        assert len(streams) == 1
        assert "given up" not in caplog.text
        say(dump_ack(streams[0], 1))
        begin("0c", "three")
        await watcher.find("three @far", timeout=PATIENCE)
        await until(lambda: len(streams) == 2)
        assert caplog.text.count("is given up: it has lost sight of this hub") == 1
        for old in ("0a", "0b"):
            begin(old, "late")
        begin("0d", "four")
        await watcher.find("four @far", timeout=PATIENCE)
        assert len(streams) == 2
        assert here.reach.hubs == {"far": 1}


@pytest.mark.timeout(120)
async def test_what_was_taken_before_a_hub_was_given_up_is_not_taken_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It has heard no acknowledgement, and has not noticed: it begins the same stream again."""
    async with open_room(tmp_path) as room, stranger(room, listens=False) as bus:
        here = await room.join("here", limits=SOON)
        hub = await name_of(bus, here)
        tool = await here.client("tool")
        replies: dict[tuple[str, int], Reply] = {}  # a frame that is not acknowledged comes again

        def listen(message: BusMessage) -> None:
            came = load_payload(message.payload)
            if isinstance(came, Frame) and came.kind == "reply":
                reply = load_item(came.kind, came.body)
                assert isinstance(reply, Reply)
                replies[came.stream, came.number] = reply

        async with tool.messages("test.n", "test.call") as came:
            await tool.settled()
            end = bus.subscribe("samp.room.*.*.to.anybody.00000001", listen)
            line = Outgoing("0a", frames=100, size=100_000)
            payloads: list[bytes] = []

            def say(item: Item) -> None:
                new = line.put(*dump_item(item), 1 << 20)
                payloads.extend(new)
                for payload in new:
                    bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)

            def note(number: int) -> Messages:
                message: ValueMap = {"samp.mtype": "test.n", "samp.params": {"n": str(number)}}
                return Messages("c1", [(tool.public_id, None)], message)

            say(Sync("far", [RemoteClient("c1", {"samp.name": "one"}, {})]))
            await until(lambda: "one @far" in names(tool))
            say(note(1))
            call: ValueMap = {"samp.mtype": "test.call", "samp.params": {}}
            say(Messages("c1", [(tool.public_id, "m1")], call))
            async with asyncio.timeout(PATIENCE):
                assert [(await anext(came)).mtype for _ in range(2)] == ["test.n", "test.call"]
            end()  # nobody listens any more
            await until(lambda: "is given up" in caplog.text)
            bus.subscribe("samp.room.*.*.to.anybody.00000001", listen)
            for payload in payloads:
                bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)
            say(note(2))
            async with asyncio.timeout(PATIENCE):
                assert (await anext(came)).params == {"n": "2"}
            await until(lambda: replies)
        assert "one @far" in names(tool)
    (told,) = replies.values()
    assert (told.caller, told.msg_id) == ("c1", "m1")
    assert "lost each other" in str(told.response)


@pytest.mark.timeout(120)
async def test_hubs_meet_anew_if_the_server_comes_back_and_takes_less_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was cut for the server as it was would never pass, and nothing after it."""
    caplog.set_level(logging.WARNING, "asyncsamp.reach")
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        tool, sender = await there.client("tool"), await here.client("sender")
        async with tool.messages("test.n") as came:
            await tool.settled()
            seen = await sender.find("tool @there", timeout=PATIENCE)
            await until(lambda: seen.subscribes("test.n"))
            before = seen.public_id
            await room.server.kill()
            await until(lambda: not here.reach.connected)
            for text in ("x" * 600_000, "short"):
                await sender.notify(seen, "test.n", {"n": text})
            room.server.configure("max_payload: 131072\n")
            await room.server.start()
            await until(lambda: "is given up" in caplog.text)
            await until(lambda: here.reach.hubs == {"there": 1} and there.reach.hubs == {"here": 1})
            await until(lambda: _has_come_back(sender, "tool @there", before, "test.n"))
            for text in ("y" * 600_000, "after"):
                await sender.notify(find(sender, "tool @there"), "test.n", {"n": text})
            async with asyncio.timeout(PATIENCE):
                assert [(await anext(came)).params["n"] for _ in range(2)] == ["y" * 600_000, "after"]
    (given_up,) = [text for text in caplog.messages if "the hub there (" in text]
    assert "takes 131072 bytes at once now" in given_up
    assert "2 messages that were accepted for it are lost" in given_up


def _has_come_back(watcher: Client, name: str, before: str, mtype: str) -> bool:
    """Whether a client is there again by another public id, and takes an mtype."""
    return any(
        one.name == name and one.public_id != before and one.subscribes(mtype)
        for one in watcher.clients.values()
    )
