"""The hub goes, politely or not, and comes back: our clients too, with all they had (CLIENT-9, 10, 15)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    Client,
    DirectConnection,
    FaultCode,
    Hub,
    HubFaultError,
    HubLostError,
    Limits,
    Message,
    NotRegisteredError,
    ReplyError,
    UnknownClientError,
)
from asyncsamp.values import Value

from ..connections import HASTY, LIMITS, House, turns_until
from ..hub_process import hub_process
from ..odd_hub import OddHub, fault, odd_hub


async def echo(message: Message) -> dict[str, Any]:
    return dict(message.params)


async def never(message: Message) -> None:
    await asyncio.Event().wait()


async def out(client: Client) -> None:
    """Wait until the client has noticed that its hub is gone."""
    await turns_until(lambda: not client.registered)


# ---- a hub that stops politely


async def test_handlers_streams_and_the_view_survive(house: House) -> None:
    client = await house.join("client")
    client.on("a.echo")(echo)
    stream = client.messages("a.note")
    await client.find("hub")
    await client.declare_metadata({"x": "1"})
    await house.hub.shutdown()
    await out(client)
    assert repr(client) == "<Client 'client' looking for a hub>"
    assert len(client.clients) == 0
    client.on("a.new")(echo)
    await client.declare_metadata({"x": "2"})
    await client.settled()
    await house.hub.start()
    await client.wait_registered(10)
    async with house.client("other") as other:
        view = await other.find("client")
        assert view.metadata == {"samp.name": "client", "x": "2"}
        for mtype in ("a.echo", "a.new"):
            assert (await other.call(view, mtype, {"n": 1})).result == {"n": "1"}
        await other.notify(view, "a.note", {"n": 2})
        assert (await anext(stream)).params == {"n": "2"}
        assert (await client.find("other", timeout=10)).public_id == other.public_id


async def test_a_view_from_the_last_hub_addresses_nobody_at_the_next(house: House) -> None:
    """The id that it has is somebody else's there."""
    client = await house.join("client")
    async with house.client("one", reconnect=False) as one:
        view = await client.find("one")
        await house.hub.shutdown()
        await out(client)
        await out(one)
    with pytest.raises(HubLostError):
        await client.call(view, "a.b")
    await house.hub.start()
    strangers = [house.client(name) for name in ("two", "three")]
    for each in strangers:
        each.on("a.b")(echo)
        await house.enter(each)
    await client.wait_registered(10)
    operations = [
        client.call(view, "a.b"),
        client.call_and_wait(view, "a.b"),
        client.notify(view, "a.b"),
        client.get_metadata(view),
        client.get_subscriptions(view),
    ]
    for operation in operations:
        with pytest.raises(UnknownClientError, match=r"^one \(\S+\) has left, or its hub has; find it again"):
            await operation


@pytest.mark.parametrize("name", ["", "one"])
async def test_a_message_that_waits_from_the_last_hub_has_no_name_of_the_next(
    house: House, name: str
) -> None:
    """The id of its sender is somebody else's there. The name stays if it was known."""
    client = await house.join("client")
    async with house.client("one", reconnect=False) as one:
        sender = one.public_id
        stream = client.messages("a.note")
        await client.settled()
        if name:
            await client.find(name)
        await one.notify(client.public_id, "a.note")
        await turns_until(lambda: len(stream))
        await house.hub.shutdown()
        await out(client)
        await out(one)
    await house.hub.start()
    for stranger in ("two", "three"):
        await house.join(stranger)
    await client.wait_registered(10)
    assert sender in [*await client.get_registered_clients(), client.public_id]
    message = await anext(stream)
    assert (message.sender, message.sender_name) == (sender, name)


async def test_calls_in_flight_fail(house: House) -> None:
    """DESIGN 5.6: with HubLostError, whichever way they were made."""
    client, other = await house.join("client"), house.client("other", reconnect=False, limits=HASTY)
    other.on("a.b")(never)
    await house.enter(other)
    calls = [
        asyncio.ensure_future(client.call(other.public_id, "a.b")),
        asyncio.ensure_future(client.call_and_wait(other.public_id, "a.b")),
        asyncio.ensure_future(anext(client.call_all("a.b"))),
    ]
    await turns_until(lambda: len(other._inbox._owed) == 3)
    await house.hub.shutdown()
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, HubLostError)
        assert isinstance(error, ConnectionError)


async def test_operations_meanwhile_say_that_the_hub_is_gone(house: House) -> None:
    client = await house.join("client")
    client.on("a.b")(echo)
    await client.settled()
    url = client._connection.url
    await house.hub.shutdown()
    await out(client)
    with pytest.raises(HubLostError) as caught:
        await client.notify_all("a.b")
    assert caught.value.url == url
    # A web client hears it by the event or by its pull, whichever ends first.
    assert str(caught.value).startswith(f"the SAMP hub at {url} was lost during notifyAll: it ")
    with pytest.raises(HubLostError):
        _ = client.public_id
    with pytest.raises(TimeoutError):
        await client.wait_registered(0.01)
    assert await client.register() is client, "it is looking already"
    assert not client.registered


async def test_unregister_ends_the_search(house: House) -> None:
    client = await house.join("client")
    client.on("a.b")(echo)
    await client.settled()
    await house.hub.shutdown()
    await out(client)
    waiting = asyncio.ensure_future(client.wait_registered(10))
    await asyncio.sleep(0)
    await client.unregister()
    with pytest.raises(NotRegisteredError):
        await waiting
    with pytest.raises(NotRegisteredError):
        await client.notify_all("a.b")
    await house.hub.start()
    assert house.hub.engine.clients == []


async def test_who_waits_while_the_client_leaves_is_told(house: House) -> None:
    client, caller = await house.join("client"), await house.join("caller")
    called = asyncio.Event()

    @client.on("a.b")
    async def wait(message: Message) -> None:
        called.set()
        await turns_until(lambda: "leaving" in repr(client))
        await client.wait_registered()

    await client.settled()
    calling = asyncio.ensure_future(caller.call(client.public_id, "a.b"))
    await called.wait()
    await client.unregister()
    with pytest.raises(ReplyError, match="NotRegisteredError: the client 'client' is not registered"):
        await calling


async def test_without_reconnect_it_ends(house: House) -> None:
    client = await house.join("client", reconnect=False)
    stream = client.messages("a.b")
    await client.settled()
    reading = asyncio.ensure_future(anext(stream, None))
    waiting = asyncio.ensure_future(client.wait_registered(10))
    await waiting
    await house.hub.shutdown()
    assert await reading is None, "who reads is not left waiting for ever"
    assert repr(client) == "<Client 'client' not registered>"
    for _ in range(2):
        with pytest.raises(HubLostError, match="it has shut down"):
            await client.notify_all("a.b")
    with pytest.raises(HubLostError):
        await client.wait_registered(10)
    await client.unregister()
    with pytest.raises(NotRegisteredError):
        await client.notify_all("a.b")


async def test_registering_again_by_hand(house: House) -> None:
    client = await house.join("client", reconnect=False)
    client.on("a.b")(echo)
    await client.settled()
    await house.hub.shutdown()
    await out(client)
    await house.hub.start()
    await client.register()
    assert house.hub.engine.clients == [client.public_id]
    assert (await client.call(client.public_id, "a.b", {"n": 1})).result == {"n": "1"}


async def test_a_client_that_is_thrown_out_does_not_come_back(house: House) -> None:
    """CLIENT-10."""
    client = await house.join("client")
    client.on("a.b")(echo)
    await client.settled()
    house.hub.engine.disconnect(client.public_id, "misbehaviour")
    await out(client)
    with pytest.raises(HubLostError, match="it disconnected this client: misbehaviour"):
        await client.notify_all("a.b")
    assert house.hub.engine.clients == []


async def test_a_client_that_was_thrown_out_silently_comes_back(house: House) -> None:
    """It has no ears for the reason, and learns it by its next operation (or the hub's idle time)."""
    client = await house.join("client")
    before = client.public_id
    house.hub.engine.disconnect(before, "idle")
    with pytest.raises((HubFaultError, HubLostError)):
        await client.notify_all("a.b")
    await client.wait_registered(10)
    assert client.public_id != before
    assert await client.notify_all("a.b") == []


async def test_reconnecting_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    client = await house.join("client")
    client.on("a.b")(echo)
    await client.settled()
    await house.hub.shutdown()
    await out(client)
    await house.hub.start()
    await client.wait_registered(10)
    log = [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "asyncsamp.client" and record.levelno > logging.DEBUG
    ]
    lost, back = [text for level, text in log if level == logging.WARNING]  # both at one level
    assert lost.startswith("client 'client' lost its hub: it ")
    assert back.startswith("client 'client' registered as ")
    assert len([text for level, text in log if level == logging.INFO and "registered as" in text]) == 1


# ---- a hub that is killed


async def test_who_leaves_does_not_care(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The hub is gone once more, and the client leaves before it notices, though it owes an answer."""
    async with odd_hub(tmp_path / "x.samp") as odd:
        client = await Client("client", lockfile=odd.lockfile, limits=LIMITS).register()
        port = await odd.stop()
        await out(client)
        await odd.start(port)
        await client.wait_registered(10)
        async with client.messages("a.b", answer=False) as stream:
            await odd.tell("receiveCall", "cli#2", "m1", {"samp.mtype": "a.b", "samp.params": {}})
            await anext(stream)
            await odd.stop()
            caplog.clear()
            await client.unregister()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("same_port", [True, False])
async def test_kill_9_and_a_new_hub(tmp_path: Path, same_port: bool) -> None:
    lockfile = tmp_path / "x.samp"
    client = Client("client", lockfile=lockfile, limits=HASTY)
    sender = Client("sender", lockfile=lockfile, limits=LIMITS)
    client.on("a.echo")(echo)
    client.on("a.never")(never)
    async with hub_process(lockfile) as hub:
        await client.register()
        await sender.register()
        calls = [
            asyncio.ensure_future(sender.call(client.public_id, "a.never")),
            asyncio.ensure_future(sender.call_and_wait(client.public_id, "a.never")),
        ]
        await turns_until(lambda: len(client._inbox._owed) == 2)
        await hub.kill()
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, HubLostError)
        await out(client)
    async with hub_process(lockfile, hub.port if same_port else 0):
        await asyncio.gather(client.wait_registered(30), sender.wait_registered(30))
        view = await sender.find("client", timeout=10)
        await turns_until(lambda: view.subscribes("a.echo"))
        assert (await sender.call(view, "a.echo", {"n": 1})).result == {"n": "1"}
        await client.unregister()
        await sender.unregister()


async def test_a_client_that_only_sends_comes_back_too(tmp_path: Path) -> None:
    lockfile = tmp_path / "x.samp"
    client = Client("client", lockfile=lockfile, limits=LIMITS)
    async with hub_process(lockfile) as hub:
        await client.register()
        await hub.kill()
        await out(client)
    async with hub_process(lockfile):
        await client.wait_registered(10)
        assert await client.notify_all("a.b") == []
        await client.unregister()


@pytest.mark.both_loops
async def test_a_call_that_comes_before_the_client_has_looked_is_answered(tmp_path: Path) -> None:
    lockfile, state = tmp_path / "x.samp", ("--state", str(tmp_path / "x.state"))
    client = Client("client", lockfile=lockfile, limits=Limits(reconnect_first=3600))
    client.on("a.echo")(echo)
    async with hub_process(lockfile, 0, *state) as hub:
        await client.register()
        await client.settled()
        before = client.public_id
        await hub.kill()
        await out(client)
    async with hub_process(lockfile, hub.port, *state), Client("sender", lockfile=lockfile) as sender:
        assert (await sender.call(before, "a.echo", {"n": 1}, timeout=10)).result == {"n": "1"}
        assert client.registered
        assert client.public_id == before
        await client.unregister()


# ---- a hub of another make, and one that forgot us


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddHub]:
    async with odd_hub(tmp_path / "odd.samp") as hub:
        yield hub


@pytest.fixture
async def client(odd: OddHub) -> AsyncIterator[Client]:
    client = Client("client", lockfile=odd.lockfile, limits=LIMITS)
    client.on("a.b")(echo)
    yield client
    await client.unregister()


async def test_a_hub_that_forgot_us(odd: OddHub, client: Client) -> None:
    await client.register()
    odd.answers["notifyAll"] = fault("who are you?", FaultCode.NOT_REGISTERED)
    with pytest.raises(HubFaultError, match="who are you"):
        await client.notify_all("a.b")
    await client.wait_registered(10)
    assert odd.operations() == [
        *("register", "declareMetadata", "setXmlrpcCallback", "declareSubscriptions"),
        "notifyAll",
        *("register", "declareMetadata", "setXmlrpcCallback", "declareSubscriptions"),
    ]


async def test_a_hub_that_stops_answers_so(odd: OddHub, client: Client) -> None:
    await client.register()
    odd.answers["notifyAll"] = fault("the hub is shutting down", FaultCode.SHUTTING_DOWN)
    with pytest.raises(HubLostError, match="lost during notifyAll: the hub is shutting down"):
        await client.notify_all("a.b")
    assert client.registered, "it has yet to go"


async def test_a_hub_that_refuses_for_a_while(odd: OddHub, client: Client) -> None:
    """Whatever goes wrong while the client comes back, it tries again."""
    await client.register()
    registration = odd.answers["register"]
    left: list[Any] = [*(fault("full"), fault("still full")), *(["nonsense"], registration), registration]

    def admit(params: list[Value]) -> Value:
        answered = left.pop(0)
        if isinstance(answered, Exception):
            raise answered
        value: Value = answered
        return value

    def declare(params: list[Value]) -> Value:
        if left:
            raise fault("not yet")
        return ""

    odd.answers["register"], odd.answers["declareSubscriptions"] = admit, declare
    await odd.notify("samp.hub.event.shutdown")
    await client.wait_registered(10)
    assert odd.operations().count("register") == 6
    assert odd.operations().count("unregister") == 1, "a hub that has let us in is told that we go"


async def test_a_bug_does_not_end_the_search(
    odd: OddHub, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await client.register()
    real = client._inbox.router.subscriptions
    bugs = [ZeroDivisionError("a bug"), KeyError("another")]

    def subscriptions(*args: Any) -> Any:
        if bugs:
            raise bugs.pop()
        return real(*args)

    monkeypatch.setattr(client._inbox.router, "subscriptions", subscriptions)
    await odd.notify("samp.hub.event.shutdown")
    await client.wait_registered(10)
    assert caplog.text.count("failed to register again; it goes on trying") == 2
    assert "a bug" in caplog.text


async def test_a_hub_that_goes_while_the_client_registers(odd: OddHub, client: Client) -> None:
    """The event outruns the last answer: there is no hub then, whatever that answer says."""

    async def declare(params: list[Value]) -> Value:
        await odd.notify("samp.hub.event.shutdown")
        return ""

    odd.answers["declareSubscriptions"] = declare
    with pytest.raises(HubLostError):
        await client.register()
    assert not client.registered
    odd.answers["declareSubscriptions"] = ""
    await client.register()
    assert client.registered


async def test_a_call_made_in_a_failed_attempt_is_not_left_waiting(odd: OddHub, client: Client) -> None:
    await client.register()
    calls: list[asyncio.Future[Any]] = []

    def declare(params: list[Value]) -> Value:
        if not calls:
            calls.append(asyncio.ensure_future(client.call("cli#2", "a.b")))
            raise fault("not yet")
        return ""

    odd.answers["declareMetadata"] = declare
    await odd.notify("samp.hub.event.shutdown")
    await client.wait_registered(10)
    with pytest.raises(HubLostError):
        await calls[0]


async def test_the_view_is_taken_anew_or_the_attempt_has_failed(odd: OddHub, client: Client) -> None:
    await client.register()
    odd.answers["getRegisteredClients"] = ["cli#hub", "cli#2"]
    odd.answers["getMetadata"] = {"samp.name": "two"}
    odd.answers["getSubscriptions"] = {}
    assert {other.public_id for other in await client.get_clients()} == {"cli#hub", "cli#2"}
    failures = [fault("not yet"), fault("not yet")]

    def registered(params: list[Value]) -> Value:
        if failures:
            raise failures.pop()
        return ["cli#hub", "cli#3"]

    odd.answers["getRegisteredClients"] = registered
    await odd.notify("samp.hub.event.shutdown")
    await client.wait_registered(10)
    assert set(client.clients) == {"cli#hub", "cli#3"}


# ---- a hub that comes back and knows us still


async def test_a_hub_that_knows_us_still(odd: OddHub, client: Client) -> None:
    """Hub(state=...): nothing is registered anew, and what is new is declared."""
    await client.register()
    await client.get_clients()
    stream = client.messages("a.note")
    await client.settled()
    asked = len(odd.operations())
    port = await odd.stop()
    await out(client)
    assert not stream.closed
    await client.declare_metadata({"x": "new"})
    client.on("a.new")(echo)
    odd.answers["getRegisteredClients"] = ["cli#9"]
    await odd.start(port)
    await client.wait_registered(10)
    assert odd.operations()[asked:] == [
        *("declareMetadata", "declareSubscriptions", "getRegisteredClients", "getSubscriptions"),
    ]
    assert (await odd.until("declareMetadata", 2))[1] == {"samp.name": "client", "x": "new"}
    assert set(client.clients) == {"cli#9"}
    await odd.notify("a.note", n="1")
    assert (await anext(stream)).params == {"n": "1"}
    await odd.stop()
    await out(client)
    await odd.start(port)
    await client.wait_registered(10)
    assert odd.operations().count("register") == 1


async def test_a_hub_that_takes_a_while_to_know_us(odd: OddHub, client: Client) -> None:
    await client.register()
    failures = [fault("not yet"), fault("not yet")]

    def declare(params: list[Value]) -> Value:
        if failures:
            raise failures.pop()
        return ""

    port = await odd.stop()
    await out(client)
    odd.answers["declareMetadata"] = declare
    await odd.start(port)
    await client.wait_registered(10)
    assert odd.operations().count("declareMetadata") == 4
    assert odd.operations().count("register") == 1


async def test_a_hub_that_came_back_elsewhere(odd: OddHub, client: Client) -> None:
    await client.register()
    before = odd.url
    await odd.stop()
    await out(client)
    await odd.start()
    assert odd.url != before
    await client.wait_registered(10)
    assert odd.operations().count("register") == 2


# ---- the direct connection


async def test_a_direct_client_that_only_sends_comes_back(tmp_path: Path) -> None:
    hub = Hub(lockfile=tmp_path / "x.samp", limits=LIMITS)
    async with hub:
        client = await Client("client", connection=DirectConnection(hub), limits=LIMITS).register()
    await out(client)
    async with hub:
        await client.wait_registered(10)
        assert hub.engine.clients == [client.public_id]
        with pytest.raises(UnknownClientError):
            await client.find("nobody")
        await client.unregister()
