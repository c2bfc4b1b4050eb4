"""The hub as a client of itself: ping and queries, through the same machinery (HUB-50..52, MTYPE-40)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from asyncsamp.errors import FaultError
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.hub_client import HubClient
from asyncsamp.limits import Limits
from asyncsamp.values import Value, ValueMap

from ..couriers import FakeCourier

LIMITS = Limits(shutdown_patience=0.05)


@pytest.fixture
async def engine() -> AsyncIterator[HubEngine]:
    engine = HubEngine(LIMITS, {"samp.name": "Hub", "who": "me"})
    yield engine
    await engine.shut_down()


@pytest.fixture
async def client(engine: HubEngine) -> str:
    client = engine.register(FakeCourier())
    await engine.operate(client, "declareMetadata", [{"samp.name": "one", "who": "me", "odd": ["x"]}])
    return client


async def asked(engine: HubEngine, client: str, mtype: str, params: ValueMap) -> ValueMap:
    message: ValueMap = {"samp.mtype": mtype, "samp.params": params}
    response = await engine.operate(client, "callAndWait", ["hub", message, "5"])
    assert isinstance(response, dict)
    return response


async def test_it_has_metadata_and_exact_subscriptions(engine: HubEngine, client: str) -> None:
    assert await engine.operate(client, "getMetadata", ["hub"]) == {"samp.name": "Hub", "who": "me"}
    assert await engine.operate(client, "getSubscriptions", ["hub"]) == {
        "samp.app.ping": {},
        "samp.query.by-meta": {},
        "x-samp.query.by-meta": {},
    }


async def test_it_answers_a_ping(engine: HubEngine, client: str) -> None:  # HUB-51, HUB-52
    assert await asked(engine, client, "samp.app.ping", {}) == {"samp.status": "samp.ok", "samp.result": {}}


async def test_it_answers_an_asynchronous_call_by_its_id(engine: HubEngine) -> None:
    courier = FakeCourier()
    client = engine.register(courier)
    engine.set_callable(client, True)
    await engine.operate(client, "call", ["hub", "tag", {"samp.mtype": "samp.app.ping"}])
    await courier.until(lambda: courier.responses)
    assert courier.responses[0] == (client, "hub", "tag", {"samp.status": "samp.ok", "samp.result": {}})


async def test_it_answers_broadcasts_too(engine: HubEngine) -> None:
    courier = FakeCourier()
    client = engine.register(courier)
    engine.set_callable(client, True)
    called = await engine.operate(client, "callAll", ["tag", {"samp.mtype": "samp.app.ping"}])
    assert isinstance(called, dict)
    assert list(called) == ["hub"]
    await courier.until(lambda: courier.responses)


@pytest.mark.parametrize("prefix", ["samp", "x-samp"])  # DATA-14
@pytest.mark.parametrize(
    ("key", "value", "ids"),
    [
        ("samp.name", "one", ["c1"]),
        ("who", "me", ["hub", "c1"]),
        ("who", "Me", []),
        ("nothing", "", []),
        ("odd", "x", []),
        ("odd", ["x"], ["c1"]),
    ],
)
async def test_it_finds_clients_by_their_metadata(
    engine: HubEngine, client: str, prefix: str, key: str, value: Value, ids: list[str]
) -> None:
    response = await asked(engine, client, f"{prefix}.query.by-meta", {"key": key, "value": value})
    assert response == {"samp.status": "samp.ok", "samp.result": {"ids": ids}}


@pytest.mark.parametrize("params", [{}, {"key": "who"}, {"value": "me"}, {"key": ["who"], "value": "me"}])
async def test_a_query_without_key_and_value_is_answered_with_an_error(
    engine: HubEngine, client: str, params: ValueMap
) -> None:
    response = await asked(engine, client, "samp.query.by-meta", params)
    assert response["samp.status"] == "samp.error"
    assert "the parameters key and value are needed" in str(response["samp.error"])


async def test_a_notification_needs_no_answer(engine: HubEngine, client: str) -> None:
    await engine.operate(client, "notify", ["hub", {"samp.mtype": "samp.app.ping"}])
    await engine._deliveries._outboxes["hub"].drained()
    assert not engine._core._pending


async def test_a_caller_that_has_left_is_no_trouble(
    engine: HubEngine, client: str, caplog: pytest.LogCaptureFixture
) -> None:
    calling = asyncio.ensure_future(asked(engine, client, "samp.app.ping", {}))
    await asyncio.sleep(0)  # the call is in the hub's outbox, and not yet answered
    await engine.operate(client, "unregister", [])
    with pytest.raises(FaultError):
        await calling
    await engine._deliveries._outboxes["hub"].drained()
    assert "delivery" not in caplog.text


async def test_it_does_not_take_what_it_does_not_know(engine: HubEngine, client: str) -> None:
    with pytest.raises(FaultError, match="does not subscribe"):
        await asked(engine, client, "samp.hub.ping", {})


async def test_it_is_there_as_long_as_it_can_be_asked(engine: HubEngine) -> None:
    itself = engine._deliveries._couriers["hub"]
    assert isinstance(itself, HubClient)
    assert await itself.is_alive("hub")
