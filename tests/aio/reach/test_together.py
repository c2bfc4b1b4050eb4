"""Messages that share frames, and such as cross as they came: what goes wrong with one harms no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Client
from asyncsamp.delivery import DeliverNotification, Delivery
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.wire import Messages, RemoteClient, Several, Sync, dump_item
from asyncsamp.values import RawMap, ValueMap
from asyncsamp.xmlrpc import encode_value, read_message

from ..couriers import FakeCourier
from ..nats_server import PATIENCE
from .rooms import LIMITS, Place, name_of, open_room, stranger, until

ODD: ValueMap = {"samp.name": "odd", "samp.icon.url": "http://a\u2100b/x"}
"""With a URL that urllib does not read."""


def note(number: int, **more: str) -> ValueMap:
    return {"samp.mtype": "test.note", "samp.params": {"number": str(number), **more}}


def as_it_came(message: ValueMap) -> RawMap:
    came = read_message(encode_value(message).xml.encode("ascii"))
    assert came is not None
    return came


async def a_listener(place: Place, name: str, courier: FakeCourier) -> str:
    """Register a client that is reached by `courier`; returns its public id."""
    engine = place.hub.engine
    client = engine.register(courier)
    engine.set_callable(client, True)
    await engine.operate(client, "declareMetadata", [{"samp.name": name}])
    await engine.operate(client, "declareSubscriptions", [{"test.note": {}}])
    return client


def text_of(delivery: Delivery) -> str:
    assert isinstance(delivery, DeliverNotification)
    params = delivery.message["samp.params"]
    assert isinstance(params, dict)
    return str(params["text"])


async def seen_from(watcher: Client, name: str) -> str:
    seen = await watcher.find(name, timeout=PATIENCE)
    await until(lambda: seen.subscribes("test.note"))
    return seen.public_id


async def test_a_client_with_an_odd_url_hides_no_other(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here = await room.join("here")
        await here.client("good")
        odd = await here.client("odd")
        await here.hub.engine.operate(odd.public_id, "declareMetadata", [ODD])
        there = await room.join("there")
        watcher = await there.client("watcher")
        assert (await watcher.find("good @here", timeout=PATIENCE)).name == "good @here"
        seen = await watcher.find("odd @here", timeout=PATIENCE)
        assert str(seen.metadata["samp.icon.url"]).startswith("http://127.0.0.1:")


@pytest.mark.parametrize("small", [True, False], ids=["small", "usual"])
async def test_all_that_one_turn_accepts_arrives(small: bool, tmp_path: Path) -> None:
    limits = replace(LIMITS, outbox=10, reach_window=20 if small else LIMITS.reach_window)
    async with open_room(tmp_path) as room:
        here = await room.join("here", limits=replace(limits, outbox=1_000))
        there = await room.join("there", limits=limits)
        courier = FakeCourier()
        courier.hold = lambda delivery: True
        await a_listener(there, "slow", courier)
        sender = await here.client("sender")
        slow = await seen_from(sender, "slow @there")
        for number in range(120):  # as from many clients at once
            message = as_it_came(note(number))
            here.hub.engine.begin(sender.public_id, "notify", [slow, message], hold=False)
        await courier.until(lambda: courier.under_way)
        courier.let_go()
        await courier.until(lambda: len(courier.taken) == 120)
        assert courier.numbers == list(range(120))


async def test_a_message_that_is_longer_as_json_arrives(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_body=1_000_000)
    async with open_room(tmp_path) as room:
        here, there = await room.join("here", limits=limits), await room.join("there", limits=limits)
        courier = FakeCourier()
        await a_listener(there, "tool", courier)
        sender = await here.client("sender")
        tool = await seen_from(sender, "tool @there")
        for text in ('"' * 900_000, "\n" * 150_000):
            message = as_it_came(note(1, text=text))
            await here.hub.engine.operate(sender.public_id, "notify", [tool, message])
        await courier.until(lambda: len(courier.taken) == 2)
        assert [text_of(each) for each in courier.taken] == ['"' * 900_000, "\n" * 150_000]


async def test_more_messages_in_a_frame_than_may_be_end_the_peer(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        hub, courier = await name_of(bus, here), FakeCourier()
        tool = await a_listener(here, "tool", courier)
        line = Outgoing("0a", frames=1, size=1)

        def say(item: Sync | Several) -> None:
            for payload in line.put(*dump_item(item), 1 << 20):
                bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)

        say(Sync("far", [RemoteClient("c1", {"samp.name": "one"}, {})]))
        watcher = await here.client("watcher")
        await watcher.find("one @far", timeout=PATIENCE)
        say(Several([Messages("c1", [(tool, None)], note(number)) for number in range(100)]))
        await courier.until(lambda: len(courier.taken) == 100)
        say(Several([Messages("c1", [(tool, None)], note(number)) for number in range(101)]))
        await until(lambda: "far" not in here.reach.hubs)
        assert courier.numbers == list(range(100))
