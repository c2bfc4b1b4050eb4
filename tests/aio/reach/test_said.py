"""What a hub says of its rooms to its own clients, and how often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncsamp.hub.profiles.reach import wire
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.interfaces import ROOMS
from asyncsamp.values import Value

from .rooms import Place, name_of, open_room, stranger, until


def said(place: Place) -> Value:
    """Return what the hub says of its rooms."""
    engine = place.hub.engine
    hub = engine.describe(engine.hub_id)
    assert hub is not None
    return hub.metadata.get(ROOMS, [])


def entry(*hubs: str) -> Value:
    """Return what a hub says that is connected to a room, and meets those there."""
    return {"name": "room", "connected": "1", "hubs": [*hubs]}


@pytest.mark.timeout(120)
async def test_a_hub_that_changes_its_label_all_the_time_is_told_now_and_then(tmp_path: Path) -> None:
    """At once the first time, and the last label in the end."""
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, engine, changes = await name_of(bus, here), here.hub.engine, 0
        loop = asyncio.get_running_loop()

        def changed(what: str, client: str) -> None:
            nonlocal changes
            changes += client == engine.hub_id

        await until(lambda: said(here) == [entry()])
        engine.observe_clients(changed)
        line, begun = Outgoing("0a", frames=1, size=1), loop.time()
        for number in range(500):
            (payload,) = line.put(*wire.dump_item(wire.Sync(f"label{number:03}", [])), 1 << 20)
            bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)
            await asyncio.sleep(0.002)
        await until(lambda: said(here) == [entry("label499")])
        assert 2 <= changes <= 2 + (loop.time() - begun) / 0.5


@pytest.mark.timeout(120)
async def test_who_comes_first_is_told_before_its_clients_are_here(tmp_path: Path) -> None:
    """Who finds one of them there, and another one not, is not told that no other hub is in the room."""
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, engine, told = await name_of(bus, here), here.hub.engine, []
        await until(lambda: said(here) == [entry()])

        def happened(what: str, client: str) -> None:
            if client != engine.hub_id:
                told.append(said(here))

        engine.observe_clients(happened)
        greeting = wire.Sync("far", [wire.RemoteClient("c1", {"samp.name": "tool"}, {})])
        (payload,) = Outgoing("0a", frames=1, size=1).put(*wire.dump_item(greeting), 1 << 20)
        bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)
        await until(lambda: told)
        assert told[0] == [entry("far")]
        bus.publish("samp.room.anybody.00000001.bye", b"")
        await until(lambda: said(here) == [entry()])


@pytest.mark.timeout(120)
async def test_two_rooms_of_one_name_have_an_entry_each(tmp_path: Path) -> None:
    async with open_room(tmp_path / "1") as one, open_room(tmp_path / "2") as two:
        second = Reach(invitation_of_url(two.server.url), label="middle")
        middle = await one.join("middle", profiles=lambda: [second])
        await until(lambda: said(middle) == [entry(), entry()])
        await two.join("right")
        await until(lambda: said(middle) in ([entry("right"), entry()], [entry(), entry("right")]))
        await one.join("left")
        await until(
            lambda: {repr(each) for each in said(middle)} == {repr(entry(n)) for n in ("left", "right")}
        )
        await second.stop()
        assert said(middle) == [entry("left")]
        await second.stop()
        await middle.reach.stop()
        assert said(middle) == []
