"""asyncsamp.client.tracker: the live view of the other clients, whatever events come when (CLIENT-12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from asyncsamp.client.tracker import OtherClients
from asyncsamp.errors import HubLostError, UnknownClientError
from asyncsamp.values import Value, ValueMap


class ScriptedHub:
    """Answers what a view asks; `on_ask` is called with every question first."""

    def __init__(self, clients: dict[str, ValueMap], ids: Value | None = None) -> None:
        self.clients = clients
        self.ids: Value = [*clients] if ids is None else ids
        self.asked: list[str] = []
        self.on_ask: Callable[[str, str], None] = lambda operation, client: None
        self.open = self.most_open = 0

    async def __call__(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        client = str(params[0]) if params else ""
        self.asked.append(f"{operation} {client}".strip())
        self.on_ask(operation, client)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0)
        self.open -= 1
        if operation == "getRegisteredClients":
            return self.ids
        if client not in self.clients:
            raise UnknownClientError(f"no client {client}")
        return {"samp.name": client.upper()} if operation == "getMetadata" else self.clients[client]


@pytest.fixture
def others() -> OtherClients:
    others = OtherClients()
    others.self_id = "c1"
    return others


def test_a_client_is_seen_declares_and_leaves(others: OtherClients) -> None:
    others.seen("c2")
    assert list(others) == []  # it has not said its name yet
    client = others.named("c2")
    assert client is not None
    assert (client.public_id, client.name, client.metadata, client.subscriptions) == ("c2", "", {}, {})
    assert repr(client) == "<RemoteClient c2 ''>"
    others.declared("c2", metadata={"samp.name": "Two"})
    assert others["c2"] is client
    others.declared("c2", subscriptions={"a.*": {}})
    assert client.name == "Two"
    assert client.subscribes("a.b")
    assert not client.subscribes("a")
    assert client.registered
    assert list(others) == ["c2"]
    assert repr(others) == "<OtherClients [<RemoteClient c2 'Two'>]>"
    others.left("c2")
    assert not client.registered
    assert repr(client) == "<RemoteClient c2 'Two', gone>"
    assert client.metadata == {"samp.name": "Two"}
    assert len(others) == 0


def test_a_name_that_is_no_text(others: OtherClients) -> None:
    others.declared("c2", metadata={"samp.name": ["x"]})
    assert others["c2"].name == ""


def test_a_later_declaration_replaces_the_earlier(others: OtherClients) -> None:
    """META-2: no merging."""
    others.declared("c2", metadata={"samp.name": "Two", "x": "1"}, subscriptions={"a": {}})
    others.declared("c2", metadata={"samp.name": "Deux"}, subscriptions={})
    assert others["c2"].metadata == {"samp.name": "Deux"}
    assert others["c2"].subscriptions == {}


def test_events_about_ourselves_do_not_count(others: OtherClients) -> None:
    """MTYPE-26."""
    others.seen("c1")
    others.declared("c1", metadata={"samp.name": "me"})
    others.left("c1")
    assert dict(others) == {}


def test_events_may_come_late_twice_or_about_strangers(others: OtherClients) -> None:
    """MSG-36."""
    others.left("c9")
    others.declared("c9", metadata={"samp.name": "late"})
    others.seen("c9")
    assert "c9" not in others
    others.seen("c2")
    client = others.named("c2")
    others.seen("c2")
    assert others.named("c2") is client
    others.declared("c2", subscriptions={})
    assert others.named("c2") is client
    others.declared("c2", metadata={})
    others.seen("c2")
    assert others["c2"] is client


def test_those_who_left_are_forgotten_in_the_end(others: OtherClients) -> None:
    for number in range(2, 1000):
        others.left(f"c{number}")
    others.declared("c2", metadata={})
    others.declared("c999", metadata={})
    assert list(others) == ["c2"]


def test_a_new_hub_uses_the_old_ids_again(others: OtherClients) -> None:
    others.declared("c2", metadata={})
    before = others["c2"]
    others.forget_all()
    assert not before.registered
    others.declared("c2", metadata={})
    assert others["c2"] is not before


# ---- finding


@pytest.fixture
def crowd(others: OtherClients) -> OtherClients:
    for public_id, name in [("c2", "TOPCAT"), ("c3", "Aladin"), ("c4", "aladin"), ("c5", "Straße")]:
        others.declared(public_id, metadata={"samp.name": name})
    return others


@pytest.mark.parametrize(
    ("name", "found"), [("topcat", "c2"), ("c3", "c3"), ("STRASSE", "c5"), ("hub", None), ("C2", None)]
)
def test_named(crowd: OtherClients, name: str, found: str | None) -> None:
    client = crowd.named(name)
    assert (client and client.public_id) == found


def test_two_of_a_name(crowd: OtherClients) -> None:
    with pytest.raises(UnknownClientError) as caught:
        crowd.named("ALADIN")
    assert str(caught.value) == "2 clients are named 'ALADIN': c3, c4; use a public id"


async def test_find_what_is_there(crowd: OtherClients) -> None:
    assert (await crowd.find("topcat", 0)).public_id == "c2"


async def test_find_says_who_is_there(others: OtherClients) -> None:
    with pytest.raises(UnknownClientError) as caught:
        await others.find("ds9", 0)
    assert str(caught.value) == "no client named 'ds9' is registered; there are: none"
    others.declared("c2", metadata={"samp.name": "TOPCAT"})
    with pytest.raises(UnknownClientError) as caught:
        await others.find("ds9", 0)
    assert str(caught.value) == "no client named 'ds9' is registered; there are: 'TOPCAT' (c2)"


async def test_find_says_how_long_it_has_waited_and_what_may_be_meant(others: OtherClients) -> None:
    others.declared("c2", metadata={"samp.name": "TOPCAT"})
    others.declared("c3", metadata={"samp.name": "SAOImageDS9"})
    with pytest.raises(UnknownClientError) as caught:
        await others.find("topcta", 0.01)
    text = "no client named 'topcta' came within 0.01 s; there are: 'TOPCAT' (c2), 'SAOImageDS9' (c3)"
    assert str(caught.value) == f"{text}; did you mean 'TOPCAT'?"
    with pytest.raises(UnknownClientError, match=r"; did you mean 'ds9'\?$"):
        others.pick("ds99")


async def test_find_waits(others: OtherClients) -> None:
    async with asyncio.TaskGroup() as group:
        two = [group.create_task(others.find("ds9", 10)) for _ in range(2)]
        await asyncio.sleep(0)
        others.seen("c2")  # it has not said its name yet
        await asyncio.sleep(0)
        others.declared("c2", metadata={"samp.name": "DS9"})
    assert {task.result().public_id for task in two} == {"c2"}


def test_find_waits_in_any_loop() -> None:
    others = OtherClients()

    async def look() -> None:
        with pytest.raises(UnknownClientError):
            await others.find("ds9", 0.001)

    asyncio.run(look())
    others.forget_all()
    asyncio.run(look())


# ---- taking stock


async def test_taking_stock_asks_about_everybody(others: OtherClients) -> None:
    hub = ScriptedHub({"hub": {}, "c2": {"a.b": {}}})
    await others.take_stock(hub)
    assert {client.name for client in others.values()} == {"HUB", "C2"}
    assert others["c2"].subscriptions == {"a.b": {}}
    assert len(hub.asked) == 5


async def test_taking_stock_asks_a_few_at_once(others: OtherClients) -> None:
    hub = ScriptedHub({f"c{number}": {} for number in range(2, 52)})
    await others.take_stock(hub)
    assert len(others) == 50
    assert hub.most_open == 8


async def test_who_leaves_meanwhile_is_left_out(others: OtherClients) -> None:
    hub = ScriptedHub({"c2": {}, "c3": {}})

    def leave(operation: str, client: str) -> None:
        if operation == "getMetadata" and client == "c2":
            hub.clients.pop("c2", None)
            others.left("c2")

    hub.on_ask = leave
    await others.take_stock(hub)
    assert list(others) == ["c3"]


async def test_events_that_come_meanwhile_know_better(others: OtherClients) -> None:
    hub = ScriptedHub({"c2": {"old": {}}})

    def declare(operation: str, client: str) -> None:
        if operation == "getSubscriptions":
            others.declared("c2", metadata={"samp.name": "new"}, subscriptions={"new": {}})

    hub.on_ask = declare
    await others.take_stock(hub)
    assert others["c2"].name == "new"
    assert others["c2"].subscriptions == {"new": {}}


async def test_who_left_before_the_answer_came_stays_away(others: OtherClients) -> None:
    hub = ScriptedHub({"c2": {}})

    def leave(operation: str, client: str) -> None:
        if operation == "getSubscriptions":
            others.left("c2")

    hub.on_ask = leave
    await others.take_stock(hub)
    assert "c2" not in others


@pytest.mark.parametrize("ids", [{}, "c2", [["c2"], {}]])
async def test_a_list_of_clients_that_is_none(others: OtherClients, ids: Value) -> None:
    await others.take_stock(ScriptedHub({"c2": {}}, ids))
    assert len(others) == 0


async def test_a_hub_that_is_lost_meanwhile_is_one_plain_error(others: OtherClients) -> None:
    hub = ScriptedHub({f"c{number}": {} for number in range(2, 20)})

    def lose(operation: str, client: str) -> None:
        if operation == "getMetadata":
            raise HubLostError("http://x/", operation)

    hub.on_ask = lose
    with pytest.raises(HubLostError):
        await others.take_stock(hub)


async def test_taking_stock_can_be_cancelled(others: OtherClients) -> None:
    hub = ScriptedHub({f"c{number}": {} for number in range(2, 20)})
    task = asyncio.ensure_future(others.take_stock(hub))

    def cancel(operation: str, client: str) -> None:
        if client == "c5":
            task.cancel()

    hub.on_ask = cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert others.named("c19") is not None
    assert len(others) < 18
    hub.on_ask = lambda operation, client: None
    await others.take_stock(hub)
    assert len(others) == 18


def test_those_without_a_name_are_found_by_no_name() -> None:
    others = OtherClients()
    for public_id in ("c1", "c2"):
        others.first_seen(public_id, {}, {})
    assert others.named("c3") is None
    assert others.id_of("c3") == "c3"
    assert others.named("") is None
