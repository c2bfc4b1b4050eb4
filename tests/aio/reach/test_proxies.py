"""Clients of other hubs: what they may send here, which the user removes, and what is lost with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from asyncsamp import Client, Message, NotSubscribedError
from asyncsamp.hub.mtype_limits import WEB_MTYPES
from asyncsamp.hub.profiles.reach.bus import BusMessage, NatsBus
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.proxies import Proxies
from asyncsamp.hub.profiles.reach.wire import (
    ClientIs,
    ClientLeft,
    Frame,
    Item,
    Messages,
    RemoteClient,
    Reply,
    Sync,
    dump_ack,
    dump_item,
    load_item,
    load_payload,
)
from asyncsamp.values import ValueMap

from ..nats_server import PATIENCE
from .rooms import LIMITS, find, name_of, names, open_room, stranger, until


class FarHub:
    """A hub of the room that says what a test wants it to, and acknowledges what a test wants it to."""

    def __init__(self, bus: NatsBus, to: str, incarnation: int = 1) -> None:
        self._bus = bus
        self._to = to
        self._name = f"anybody.{incarnation:08x}"
        self._line = Outgoing("0a", frames=1_000, size=1 << 20)
        self.streams: dict[str, int] = {}
        self.replies: list[Reply] = []
        bus.subscribe(f"samp.room.*.*.to.{self._name}", self._listen)

    def _listen(self, message: BusMessage) -> None:
        came = load_payload(message.payload)
        if isinstance(came, Frame):
            self.streams[came.stream] = came.number
            item = load_item(came.kind, came.body)
            if isinstance(item, Reply):
                self.replies.append(item)

    def begin(self, *clients: RemoteClient, stream: str = "0a") -> None:
        """Begin a stream."""
        self._line = Outgoing(stream, frames=1_000, size=1 << 20)
        self.say(Sync("far", list(clients)))

    def say(self, *items: Item) -> None:
        for item in items:
            self.publish(self._line.put(*dump_item(item), 1 << 20))

    def publish(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._bus.publish(f"samp.room.{self._name}.to.{self._to}", payload)

    async def acknowledge(self) -> None:
        """Say that all that has come is taken, at least its beginning."""
        await until(lambda: self.streams)
        stream, number = list(self.streams.items())[-1]
        self.publish([dump_ack(stream, number)])


def told(client: str, name: str, *mtypes: str) -> RemoteClient:
    return RemoteClient(client, {"samp.name": name}, {mtype: {} for mtype in mtypes})


async def test_who_is_disconnected_by_the_user_stays_away_until_it_registers_anew(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        seen = await notebook.find("tool @laptop", timeout=PATIENCE)
        cluster.hub.engine.disconnect(seen.public_id, "disconnected by the user")  # as the hub's page does
        await until(lambda: not seen.registered)
        await tool.declare_metadata({"samp.name": "tool", "more": "1"})
        await laptop.client("later")
        await notebook.find("later @laptop", timeout=PATIENCE)  # which is told after it
        assert "tool @laptop" not in names(notebook)
        assert tool.registered, "it is one of its own hub all the same"
        await tool.unregister()
        await tool.register()
        await notebook.find("tool @laptop", timeout=PATIENCE)


async def test_who_is_disconnected_stays_away_while_its_hub_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the hubs lose each other in between; when its hub is started anew it is another client."""
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here")
        watcher, hub = await here.client("watcher"), await name_of(bus, here)
        far = FarHub(bus, hub)
        far.begin(told("c1", "one"), told("c2", "two"))
        seen = await watcher.find("one @far", timeout=PATIENCE)
        await watcher.find("two @far", timeout=PATIENCE)
        here.hub.engine.disconnect(seen.public_id, "disconnected by the user")
        await far.acknowledge()
        far.begin(told("c1", "one"), told("c2", "two"), told("c3", "three"), stream="0b")
        await watcher.find("three @far", timeout=PATIENCE)
        assert "is given up: it has lost sight of this hub" in caplog.text
        assert names(watcher) >= {"two @far", "three @far"}
        assert "one @far" not in names(watcher)
        far.say(ClientLeft("c1"), ClientIs(told("c1", "one")))
        await watcher.find("one @far", timeout=PATIENCE)
        here.hub.engine.disconnect(find(watcher, "one @far").public_id, "disconnected by the user")
        FarHub(bus, hub, incarnation=2).begin(told("c1", "one"))
        await watcher.find("one @far-2", timeout=PATIENCE)
        await until(lambda: "one @far" not in names(watcher))


async def test_what_is_lost_with_a_hub_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is under way, and what waits for room in the window."""
    caplog.set_level(logging.WARNING, "asyncsamp.reach")
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here", limits=replace(LIMITS, reach_window=4))
        sender, hub = await here.client("sender"), await name_of(bus, here)
        far, other, third = (FarHub(bus, hub, incarnation=number) for number in (1, 2, 3))
        far.begin(told("c1", "one", "test.n"), told("c2", "two", "test.n"))
        third.begin(told("c1", "single", "*"))
        other.begin(told("c1", "another", "*"))
        await sender.find("another", timeout=PATIENCE)
        for name in ("one @far", "two @far"):
            seen = await sender.find(name, timeout=PATIENCE)
            await until(partial(seen.subscribes, "test.n"))
            for number in range(7):
                await sender.notify(seen, "test.n", {"n": str(number)})
        far.publish([b"nonsense"])
        await until(lambda: "one @far" not in names(sender))
        other.publish([b"nonsense"])
        single = await sender.find("single", timeout=PATIENCE)
        await until(partial(single.subscribes, "test.n"))
        await sender.notify(single, "test.n", {})
        third.publish([b"nonsense"])
        await until(lambda: not here.reach.hubs)
    given_up = [record.getMessage() for record in caplog.records if "is given up" in record.getMessage()]
    assert len(given_up) == 3
    assert given_up[0].endswith("; 14 messages that were accepted for it are lost")
    assert "lost" not in given_up[1]
    assert given_up[2].endswith("; 1 message that was accepted for it is lost")


async def test_a_tool_says_itself_what_other_hubs_may_send_it(tmp_path: Path) -> None:
    """By x-samp.mostly-harmless, as it does for web pages; a hub that sends what is hidden is refused."""
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here, there = await room.join("here", mtypes=WEB_MTYPES), await room.join("there")
        tool, came = Client("tool", lockfile=here.hub.lockfile), []
        annotations = {"test.ok": "1", "table.load.votable": "0", "coord.point": "", "test.bad": ""}

        async def take(message: Message) -> None:
            came.append(message.mtype)

        for mtype, harmless in annotations.items():
            tool.on(mtype, annotation={"x-samp.mostly-harmless": harmless} if harmless else None)(take)
        async with tool:
            caller = await there.client("caller")
            seen = await caller.find("tool @here", timeout=PATIENCE)
            await until(lambda: seen.subscribes("test.ok"))
            assert {mtype for mtype in annotations if seen.subscribes(mtype)} == {"test.ok", "coord.point"}
            for mtype in ("test.ok", "coord.point"):
                assert (await caller.call(seen, mtype, {}, timeout=PATIENCE)).ok
            for mtype in ("table.load.votable", "test.bad"):
                with pytest.raises(NotSubscribedError):
                    await caller.call(seen, mtype, {}, timeout=PATIENCE)
            far = FarHub(bus, await name_of(bus, here))
            far.begin(told("c1", "liar"))
            for mtype in annotations:
                message: ValueMap = {"samp.mtype": mtype, "samp.params": {}}
                far.say(Messages("c1", [(tool.public_id, mtype)], message))
            await until(lambda: len(far.replies) == 4)
        said = {reply.msg_id: reply.response["samp.status"] for reply in far.replies}
        assert {mtype for mtype, status in said.items() if status == "samp.ok"} == {"test.ok", "coord.point"}
        assert came == ["test.ok", "coord.point"] * 2


async def test_a_hub_that_shows_clients_without_number_holds_up_nobody(tmp_path: Path) -> None:
    """Also while none of them is taken in."""
    async with open_room(tmp_path) as room:
        here = await room.join("here")
        context = here.reach._context
        assert context is not None
        proxies = Proxies(context, "anybody.00000001", lambda: "far", lambda: False)
        turns, clients = 0, [told(f"c{number}", "") for number in range(10_000)]
        syncing = asyncio.create_task(proxies.sync(clients))
        while not syncing.done():
            await asyncio.sleep(0)
            turns += 1
        await syncing
    assert turns >= 100


async def test_what_is_too_much_of_a_client_is_not_even_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million names of mtypes would hold the hub up for a second. What else it says is declared."""
    looked: list[str] = []

    def is_subscription(name: str) -> bool:
        looked.append(name)
        return True

    monkeypatch.setattr("asyncsamp.hub.profiles.reach.proxies.is_subscription", is_subscription)
    async with open_room(tmp_path) as room:
        here = await room.join("here")
        context = here.reach._context
        assert context is not None
        proxies = Proxies(context, "anybody.00000001", lambda: "far", lambda: True)
        await proxies.show(told("c1", "one", "test.a"))
        assert looked == ["test.a"]
        await proxies.show(told("c1", "two", *(f"test.n{number}" for number in range(100_000))))
        (client,) = proxies.by_client
        standing = here.hub.engine.describe(client)
        assert standing is not None
        assert standing.metadata["samp.name"] == "two @far"
        assert list(standing.subscriptions) == ["test.a"]
        proxies.remove_all("the test is over")
    assert looked == ["test.a"]
