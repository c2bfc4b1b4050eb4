"""What one member, or anybody in a room without accounts, can take of what is there for all."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp.hub.profiles.reach.bus import BusMessage, NatsBus
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.subjects import Subjects
from asyncsamp.hub.profiles.reach.wire import (
    NO_STREAM,
    Frame,
    Messages,
    RemoteClient,
    Sync,
    dump_ack,
    dump_frames,
    dump_here,
    dump_item,
    load_payload,
)
from asyncsamp.values import ValueMap

from ..couriers import FakeCourier
from ..nats_server import PATIENCE
from .rooms import LIMITS, Machines, Place, name_of, open_room, stranger, until
from .serving_program import Member, served_room

FEW = replace(LIMITS, reach_hubs=4, reach_clients=8)

MANY = 1_000
"""Hubs that a stranger invents."""

AT_ONCE = 100 + LIMITS.reach_hubs
"""How many of them are met in one moment."""

NOTE: ValueMap = {"samp.mtype": "test.note", "samp.params": {"number": "1"}}


@pytest.mark.timeout(120)
async def test_hubs_that_say_nothing_but_that_they_are_here_shut_nobody_out(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here", limits=FEW)
        hub, watcher = await name_of(bus, here), await here.client("watcher")
        for number in range(FEW.reach_hubs):
            bus.publish(f"samp.room.anybody.{number:08x}.here", dump_here("idle"))
        await until(lambda: len(here.reach.hubs) == FEW.reach_hubs)
        there = await room.join("there")
        await there.client("tool")
        await watcher.find("tool @there", timeout=PATIENCE)
        for number in range(100, 120):
            bus.publish(f"samp.room.anybody.{number:08x}.here", dump_here("more"))
        greeting = dump_frames("0a", 1, *dump_item(Sync("last", [])), 1 << 20)[0]
        bus.publish(f"samp.room.anybody.00000200.to.{hub}", greeting)
        await until(lambda: "last" in here.reach.hubs)
        assert "there" in here.reach.hubs
        assert len(here.reach.hubs) <= FEW.reach_hubs


@pytest.mark.timeout(120)
async def test_a_member_with_an_account_takes_half_at_most(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice", "bob", "mallory") as room, AsyncExitStack() as stack:
        machines = Machines(tmp_path, stack)
        alice = await machines.enter("a", await room.invitation("alice"), limits=FEW)
        watcher = await alice.client("watcher")
        async with Member(await room.invitation("mallory")) as mallory:
            assert await mallory.joined()
            mallory.bus.subscribe("samp.m31.*.*.to.mallory.>", lambda _: None)
            heard: set[str] = set()
            mallory.bus.subscribe("samp.m31.alice.*.here", lambda message: heard.add(message.subject))
            await until(lambda: heard)
            hub = ".".join(heard.pop().split(".")[2:4])
            many = Sync("evil", [RemoteClient(f"c{n}", {}, {}) for n in range(20)])
            for number in range(10):
                subjects = Subjects("m31", f"mallory.{number:08x}")
                mallory.bus.publish(subjects.frames(hub), dump_frames("0a", 1, *dump_item(many), 1 << 20)[0])
            await mallory.flushed()
            await until(lambda: sum(alice.reach.hubs.values()) >= FEW.reach_clients // 2)
            bob = await machines.enter("b", await room.invitation("bob"))
            await bob.client("tool")
            await watcher.find("tool @b", timeout=PATIENCE)
            evil = {label: count for label, count in alice.reach.hubs.items() if label != "b"}
            assert len(evil) == FEW.reach_hubs // 2
            assert sum(evil.values()) == FEW.reach_clients // 2


@pytest.mark.timeout(120)
async def test_a_message_to_more_clients_than_there_can_be_ends_its_hub(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here", limits=replace(LIMITS, max_clients=5))
        hub = await name_of(bus, here)
        items: list[Sync | Messages] = [Sync("evil", [RemoteClient("c1", {}, {})])]
        items += [Messages("c1", [(f"c{n}", None) for n in range(count)], NOTE) for count in (5, 6)]
        payloads = [dump_frames("0a", n, *dump_item(item), 1 << 20)[0] for n, item in enumerate(items, 1)]
        for payload in payloads[:2]:
            bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)
        await until(lambda: here.reach.hubs == {"evil": 1})
        bus.publish(f"samp.room.anybody.00000001.to.{hub}", payloads[2])
        await until(lambda: not here.reach.hubs)
        assert "to more clients than" in caplog.text


@pytest.mark.timeout(120)
async def test_the_same_message_twice_at_once_arrives_twice(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        courier, engine = FakeCourier(), there.hub.engine
        tool = engine.register(courier)
        engine.set_callable(tool, True)
        await engine.operate(tool, "declareMetadata", [{"samp.name": "tool"}])
        await engine.operate(tool, "declareSubscriptions", [{"test.note": {}}])
        sender = await here.client("sender")
        seen = await sender.find("tool @there", timeout=PATIENCE)
        await until(lambda: seen.subscribes("test.note"))
        for _ in range(3):
            here.hub.engine.begin(sender.public_id, "notify", [seen.public_id, NOTE], hold=False)
        await courier.until(lambda: courier.numbers == [1, 1, 1])
        assert there.reach.hubs == {"here": 1}


@pytest.mark.timeout(120)
async def test_a_hub_that_comes_while_the_room_is_left_is_not_met(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        async with AsyncExitStack() as stack:
            machines = Machines(tmp_path, stack)
            here = await machines.enter("here", invitation_of_url(room.server.url), limits=LIMITS)
            flooding = asyncio.create_task(come(bus))
            await until(lambda: len(here.reach.hubs) > 3)
        flooding.cancel()
        await asyncio.wait((flooding,))
        assert not here.reach.hubs


async def come(bus: NatsBus) -> None:
    """Say for one new hub after the other that it is here."""
    number = 0
    while True:
        bus.publish(f"samp.room.anybody.{number:08x}.here", dump_here("late"))
        number += 1
        await asyncio.sleep(0.001)


@pytest.mark.timeout(120)
async def test_what_is_no_frame_costs_a_word_of_the_log_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of hubs without number, each of which says one thing."""
    caplog.set_level(logging.INFO, "asyncsamp.reach")
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, told = await name_of(bus, here), heard_from(bus, here, "anybody")
        caplog.clear()
        for number in range(MANY):
            bus.publish(f"samp.room.anybody.{number:08x}.{'here' if number % 2 else f'to.{hub}'}", b"x")
            await asyncio.sleep(0)
        bus.publish("samp.room.anybody.ffffffff.here", dump_here("last"))
        await until(lambda: here.reach.hubs)
        await until(lambda: told)
        assert not [subject for subject in told if not subject.endswith("ffffffff")]
        assert "cannot be understood" in caplog.text
        assert len(caplog.records) < 30


@pytest.mark.timeout(120)
async def test_hubs_that_are_invented_are_not_all_told_who_is_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And none of them is remembered: whoever has something to be remembered is."""
    caplog.set_level(logging.INFO, "asyncsamp.reach")
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, told = await name_of(bus, here), heard_from(bus, here, "anybody")
        greeting = dump_frames("0a", 1, *dump_item(Sync("real", [])), 1 << 20)[0]
        bus.publish(f"samp.room.anybody.ffffffff.to.{hub}", greeting)
        await until(lambda: here.reach.hubs == {"real": 0})
        here.reach._lose(here.reach._peers["anybody.ffffffff"], "it is a test", False)
        for number in range(MANY):
            bus.publish(f"samp.room.anybody.{number:08x}.here", dump_here("idle"))
            await asyncio.sleep(0)
        await until(lambda: len({*told}) > AT_ONCE / 2)
        await until(lambda: "come faster than they are met" in caplog.text)
        await asyncio.sleep(0.5)
        assert len({*told}) < AT_ONCE + 20
        assert {*here.reach._remembered} == {"anybody.ffffffff"}


@pytest.mark.timeout(120)
async def test_who_says_again_and_again_that_it_knows_nothing_is_told_ever_less_often(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, told = await name_of(bus, here), 0

        def count(message: BusMessage) -> None:
            nonlocal told
            told += isinstance(load_payload(message.payload), Frame)

        bus.subscribe(f"samp.room.{hub}.to.anybody.00000001", count)
        for _ in range(80):
            bus.publish(f"samp.room.anybody.00000001.to.{hub}", dump_ack(NO_STREAM, 0))
            await asyncio.sleep(0.05)
        assert 2 <= told <= 4, "at once, and after 0.5, 1.5 and 3.5 s"


@pytest.mark.timeout(120)
async def test_a_member_that_invents_hubs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Each comes and goes again, so that its share of the hubs is never used up."""
    async with served_room(tmp_path, "alice", "bob", "mallory") as room, AsyncExitStack() as stack:
        machines = Machines(tmp_path, stack)
        alice = await machines.enter("a", await room.invitation("alice"))
        watcher = await alice.client("watcher")
        async with Member(await room.invitation("mallory")) as mallory:
            assert await mallory.joined()
            told = heard_from(mallory.bus, alice, "mallory")
            for number in range(MANY):
                subjects = Subjects("m31", f"mallory.{number:08x}")
                mallory.bus.publish(subjects.here, dump_here("evil"))
                mallory.bus.publish(subjects.bye, b"")
                await asyncio.sleep(0)
            await mallory.flushed()
            await until(lambda: len({*told}) > AT_ONCE / 2)
            bob = await machines.enter("b", await room.invitation("bob"))
            await bob.client("tool")
            await watcher.find("tool @b", timeout=PATIENCE)
            assert len({*told}) < AT_ONCE + 20


def heard_from(bus: NatsBus, place: Place, member: str) -> list[str]:
    """Return a list of the subjects on which a hub speaks to hubs of a member, which grows."""
    assert place.reach._context is not None
    room, hub = place.reach.invitation.room, place.reach._context.subjects.hub
    told: list[str] = []
    bus.subscribe(f"samp.{room}.{hub}.to.{member}.*", lambda message: told.append(message.subject))
    return told
