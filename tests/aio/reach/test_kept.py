"""What a hub keeps for clients that do not take their messages, while a member does not keep to the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp.delivery import DeliverCall, DeliverNotification, Delivery
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.reach import wire
from asyncsamp.hub.profiles.reach.bus import BusMessage, NatsBus
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.wire import Frame, Item, Messages, Sync, dump_item, load_payload
from asyncsamp.limits import Limits
from asyncsamp.values import ValueMap

from ..couriers import FakeCourier
from .rooms import LIMITS, Place, RoomHouse, name_of, open_room, stranger, until

FULL = replace(LIMITS, outbox=20, reach_window=20, shutdown_patience=0.5)

HUB = "anybody.00000001"


class Stranger:
    """A hub that never acknowledges anything.

    Attributes:
        heard: The bodies that have come, by kind and by number.
        pauses: How often it was asked to pause.
    """

    def __init__(self, bus: NatsBus, hub: str) -> None:
        self._bus = bus
        self._hub = hub
        self._line = Outgoing("0a", frames=1, size=1)
        self.heard: defaultdict[str, dict[int, str]] = defaultdict(dict)
        self.pauses = 0
        bus.subscribe(f"samp.room.*.*.to.{HUB}", self._hear)

    def _hear(self, message: BusMessage) -> None:
        came = load_payload(message.payload)
        if isinstance(came, Frame):
            self.heard[came.kind][came.number] = came.body.decode()
            self.pauses += came.kind == "pause"

    def say(self, item: Item) -> None:
        for payload in self._line.put(*dump_item(item), 1 << 20):
            self._bus.publish(f"samp.room.{HUB}.to.{self._hub}", payload)

    def note(self, recipient: str, text: str = "", *, msg_id: str | None = None, sender: str = "c1") -> None:
        message: ValueMap = {"samp.mtype": "test.note", "samp.params": {"text": text}}
        self.say(Messages(sender, [(recipient, msg_id)], message))


@asynccontextmanager
async def met_by_a_stranger(
    room: RoomHouse, limits: Limits = FULL, *, clients: int = 1
) -> AsyncIterator[tuple[Place, Stranger]]:
    """Let a hub join, and a stranger who shows it clients: c1 and so on."""
    async with stranger(room) as bus:
        here = await room.join("here", limits=limits)
        far = Stranger(bus, await name_of(bus, here))
        far.say(Sync("far", [far_client(number + 1) for number in range(clients)]))
        await until(lambda: here.reach.hubs.get("far") == clients)
        yield here, far


def far_client(number: int) -> wire.RemoteClient:
    return wire.RemoteClient(f"c{number}", {"samp.name": "far"}, {"test.note": {}})


def text_of(delivery: Delivery) -> str:
    """Return the text that `Stranger.note` put into a message."""
    assert isinstance(delivery, DeliverCall | DeliverNotification)
    params = delivery.message["samp.params"]
    assert isinstance(params, dict)
    return str(params["text"])


async def slow_client(engine: HubEngine, name: str) -> tuple[str, FakeCourier]:
    """Register a client that takes nothing until it is let go."""
    courier = FakeCourier()
    courier.hold = lambda delivery: True
    client = engine.register(courier)
    engine.set_callable(client, True)
    await engine.operate(client, "declareMetadata", [{"samp.name": name}])
    await engine.operate(client, "declareSubscriptions", [{"test.note": {}}])
    return client, courier


@pytest.mark.timeout(120)
async def test_a_peer_that_is_given_up_over_what_was_kept_hides_no_news_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It acknowledges none of the answers that say that the recipient has left."""
    async with open_room(tmp_path) as room, met_by_a_stranger(room) as (here, far):
        there = await room.join("there", limits=FULL)
        slow = [(await slow_client(here.hub.engine, f"slow{n}"))[0] for n in range(3)]
        await until(lambda: there.reach.hubs.get("here") == 3)
        for number in range(FULL.outbox + 2 * FULL.reach_window):
            for client in slow:
                far.note(client, msg_id=f"{client}-{number}")
        far.say(Sync("further", [far_client(1)]))
        await until(lambda: "further" in here.reach.hubs)  # all before it has been taken
        for client in slow:
            here.hub.engine.disconnect(client, "the user does so")
        await until(lambda: "further" not in here.reach.hubs)
        await until(lambda: there.reach.hubs.get("here") == 0)
    assert "it does not acknowledge what it is sent" in caplog.text
    assert "a watcher of the hub failed" not in caplog.text


@pytest.mark.timeout(120)
async def test_a_call_of_who_takes_nothing_is_refused_and_stops_nothing_for_its_recipient(
    tmp_path: Path,
) -> None:
    """It is the caller that is full, since its hub takes no answers, and not who is called."""
    async with open_room(tmp_path) as room, met_by_a_stranger(room, clients=2) as (here, far):
        engine = here.hub.engine
        tool, courier = await slow_client(engine, "tool")
        courier.let_go()
        remote = next(one for one in engine.clients if engine.courier_of(one) is here.reach)
        while not (standing := engine.describe(remote)) or not standing.congested:
            await engine.operate(tool, "notify", [remote, {"samp.mtype": "test.note", "samp.params": {}}])
        far.note(tool, "call", msg_id="m1")
        far.note(tool, "note", sender="c2")
        await courier.until(lambda: courier.taken)
        await until(lambda: far.heard["reply"])
        assert courier.calls == []
    (reply,) = far.heard["reply"].values()
    assert '"m1"' in reply
    assert "does not take its messages" in reply


@pytest.mark.timeout(120)
async def test_a_peer_that_goes_on_though_it_was_asked_to_pause_fills_no_memory(tmp_path: Path) -> None:
    """What is kept of it has a bound in bytes: further calls are refused, and what was kept arrives."""
    limits = replace(FULL, reach_window_bytes=50_000, max_body=50_000)
    async with open_room(tmp_path) as room, met_by_a_stranger(room, limits) as (here, far):
        slow, courier = await slow_client(here.hub.engine, "slow")
        await until(lambda: "slow" in str(far.heard["client"]))
        count = 60
        for number in range(count):
            far.note(slow, f"{number:02d}" + "x" * 10_000, msg_id=f"m{number}")
        far.say(Sync("further", [far_client(1)]))
        await until(lambda: "further" in here.reach.hubs)  # all before it has been taken
        await until(lambda: far.heard["reply"])
        courier.let_go()
        await until(lambda: far.heard["go"])
        far.note(slow, "after")
        await courier.until(lambda: courier.mtypes)
        taken = [text_of(delivery)[:2] for delivery in courier.taken]
    replies = far.heard["reply"].values()
    assert len(replies) >= 20
    assert all("does not take its messages" in reply for reply in replies)
    assert taken == [f"{number:02d}" for number in range(count - len(replies))] + ["af"]


@pytest.mark.timeout(120)
async def test_a_peer_that_has_not_heard_that_it_should_pause_is_asked_again(tmp_path: Path) -> None:
    """It goes on for more than a window, so that it cannot have been under way; nothing of that is lost."""
    limits = replace(FULL, reach_window=100, reach_resend=1000.0)
    async with open_room(tmp_path) as room, met_by_a_stranger(room, limits) as (here, far):
        slow, courier = await slow_client(here.hub.engine, "slow")
        await until(lambda: "slow" in str(far.heard["client"]))
        for number in range(150):
            far.note(slow, str(number))
        far.say(Sync("window", [far_client(1)]))
        await until(lambda: "window" in here.reach.hubs)  # all before it has been taken
        await until(lambda: far.pauses)
        for number in range(150, 250):
            far.note(slow, str(number))
        far.say(Sync("further", [far_client(1)]))
        await until(lambda: "further" in here.reach.hubs)
        await until(lambda: far.pauses == 2, "it is asked again")
        courier.let_go()
        await courier.until(lambda: len(courier.taken) == 250)
        assert [text_of(delivery) for delivery in courier.taken] == [str(number) for number in range(250)]
        assert far.pauses == 2
