"""asyncsamp.client.connection: by the Standard Profile or directly to a hub (STD-10..13, STD-65)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    DirectConnection,
    FaultCode,
    FaultError,
    Hub,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    LockfileError,
    NotSubscribedError,
    RegistrationError,
    RemoteProtocolError,
    StandardConnection,
    UnknownClientError,
)
from asyncsamp.delivery import (
    DeliverCall,
    DeliverNotification,
    DeliverResponse,
    Delivery,
    DeliveryError,
)
from asyncsamp.interfaces import Connection, Registration
from asyncsamp.values import Value, ValueMap

from ..cancelling import each_await
from ..connections import LIMITS, House, turns_until
from ..odd_hub import OddHub, fault, odd_hub


class Listener:
    """A receiver whose calls can be awaited."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.refusal: Exception | None = None

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        self._take(sender, message)

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        self._take(sender, msg_id, message)

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self._take(responder, msg_tag, response)

    def connection_lost(self, reason: str) -> None:
        self._take(reason)

    def _take(self, *what: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.taken.put_nowait(what)


MESSAGE: ValueMap = {"samp.mtype": "a.b", "samp.params": {"n": "1"}}


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def connection(house: House) -> AsyncIterator[Connection]:
    connection = house.connection()
    yield connection
    await connection.close()


# ---- every connection


async def test_registering_and_operating(house: House, connection: Connection, listener: Listener) -> None:
    registration = await connection.register("test", listener)
    assert house.hub.engine.clients == [registration.self_id]
    assert registration == Registration(registration.self_id, "hub", registration.url_translator)
    assert bool(registration.url_translator) == (house.way == "web")
    assert await connection.ask_hub("declareMetadata", {"samp.name": "x"}) == ""
    assert await connection.ask_hub("getMetadata", registration.self_id) == {"samp.name": "x"}
    assert await connection.ask_hub("getRegisteredClients") == ["hub"]
    assert await connection.ask_hub("unregister") == ""
    assert house.hub.engine.clients == []


async def test_being_called(house: House, connection: Connection, listener: Listener) -> None:
    """CLIENT-2, CLIENT-4."""
    own = (await connection.register("test", listener)).self_id
    await connection.ask_hub("declareSubscriptions", {"a.b": {}})
    with pytest.raises(NotSubscribedError, match="cannot be called"):
        await connection.ask_hub("notify", own, MESSAGE)
    await connection.listen()
    await connection.listen()
    await connection.ask_hub("notify", own, MESSAGE)
    assert await listener.taken.get() == (own, MESSAGE)
    msg_id = await connection.ask_hub("call", own, "t1", MESSAGE)
    assert await listener.taken.get() == (own, msg_id, MESSAGE)
    response: ValueMap = {"samp.status": "samp.ok", "samp.result": {}}
    await connection.ask_hub("reply", str(msg_id), response)
    assert await listener.taken.get() == (own, "t1", response)


async def test_faults_are_errors(connection: Connection, listener: Listener) -> None:
    await connection.register("test", listener)
    with pytest.raises(UnknownClientError) as caught:
        await connection.ask_hub("getMetadata", "c99")
    assert caught.value.operation == "getMetadata"
    assert str(caught.value) == "the hub refused getMetadata: no client 'c99' is registered"
    with pytest.raises(HubFaultError) as other:
        await connection.ask_hub("frobnicate")
    assert other.value.code == FaultCode.UNKNOWN_METHOD


async def test_before_and_after(connection: Connection, listener: Listener) -> None:
    await connection.listen()
    assert not await connection.resume(), "there is nothing to go on with"
    with pytest.raises(HubLostError, match="during notifyAll: there is no connection to it"):
        await connection.ask_hub("notifyAll", MESSAGE)
    await connection.close()
    await connection.register("test", listener)
    await connection.close()
    await connection.close()
    with pytest.raises(HubLostError):
        await connection.ask_hub("notifyAll", MESSAGE)


async def test_registering_again(house: House, connection: Connection, listener: Listener) -> None:
    await connection.register("test", listener)
    await connection.listen()
    await connection.ask_hub("unregister")
    again = await connection.register("test", listener)
    await connection.listen()
    await connection.ask_hub("declareSubscriptions", {"a.b": {}})
    await connection.ask_hub("notify", again.self_id, MESSAGE)
    assert (await listener.taken.get())[1] == MESSAGE
    assert house.hub.engine.clients == [again.self_id]


async def test_what_is_refused_by_the_receiver_is_told_to_the_caller(
    house: House, connection: Connection, listener: Listener
) -> None:
    own = (await connection.register("test", listener)).self_id
    await connection.ask_hub("declareSubscriptions", {"a.b": {}})
    await connection.listen()
    listener.refusal = FaultError("not now", code=FaultCode.LIMIT_REACHED)
    if house.way == "web":  # there is no way to refuse but to answer
        response = await connection.ask_hub("callAndWait", own, MESSAGE, "10")
        assert isinstance(response, dict)
        assert response["samp.error"] == {"samp.errortxt": "not now"}
        return
    with pytest.raises(HubFaultError, match=r"did not take the call: .*not now"):
        await connection.ask_hub("callAndWait", own, MESSAGE, "10")


async def test_registering_can_be_cancelled(house: House, connection: Connection, listener: Listener) -> None:
    async for _ in each_await(lambda: connection.register("test", listener)):
        with pytest.raises(HubLostError):
            await connection.ask_hub("getRegisteredClients")
        assert house.hub.engine.clients == []  # whose request was out, has unregistered


async def test_becoming_callable_can_be_cancelled(connection: Connection, listener: Listener) -> None:
    own = (await connection.register("test", listener)).self_id
    async for _ in each_await(connection.listen):
        pass  # what it leaves is looked for when the test ends
    await connection.ask_hub("declareSubscriptions", {"a.b": {}})
    await connection.ask_hub("notify", own, MESSAGE)
    assert await listener.taken.get() == (own, MESSAGE)


async def test_closing_can_be_cancelled(house: House, connection: Connection, listener: Listener) -> None:
    async def stay() -> None:
        await connection.register("test", listener)
        await connection.listen()

    await stay()
    async for _ in each_await(connection.close):
        await stay()


# ---- the Standard Profile, with a hub that answers as it is told


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddHub]:
    async with odd_hub(tmp_path / "odd.samp") as hub:
        yield hub


@pytest.fixture
async def standard(odd: OddHub) -> AsyncIterator[StandardConnection]:
    connection = StandardConnection(lockfile=odd.lockfile, limits=LIMITS)
    yield connection
    await connection.close()


async def test_no_lockfile(tmp_path: Path, listener: Listener) -> None:
    connection = StandardConnection(lockfile=tmp_path / "none")
    assert repr(connection) == "<StandardConnection not connected>"
    assert connection.url == str(tmp_path / "none")
    with pytest.raises(HubNotFoundError, match=r"looked at .*/none"):
        await connection.register("test", listener)


async def test_a_lockfile_whose_hub_is_dead(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    """STD-65: the file stays."""
    await odd.stop()
    with pytest.raises(HubNotFoundError, match=f"odd.samp, but no hub answers at {odd.url}"):
        await standard.register("test", listener)
    assert odd.lockfile.exists()


async def test_a_variable_of_another_profile(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> None:
    monkeypatch.setenv("SAMP_HUB", "carrier-pigeon:north")
    connection = StandardConnection()
    assert repr(connection) == "<StandardConnection not connected>"
    with pytest.raises(LockfileError, match="SAMP_HUB"):
        await connection.register("test", listener)


async def test_a_hub_that_lets_nobody_in(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    odd.answers["register"] = fault("go away", 7)
    with pytest.raises(RegistrationError) as caught:
        await standard.register("test", listener)
    assert (caught.value.code, caught.value.text) == (7, "go away")
    assert odd.asked == [("register", ["s"])]


@pytest.mark.parametrize("answered", ["", [], {"samp.private-key": "k"}, {"samp.private-key": ["k"]}])
async def test_a_registration_that_is_none(
    odd: OddHub, standard: StandardConnection, listener: Listener, answered: Value
) -> None:
    odd.answers["register"] = answered
    with pytest.raises(RemoteProtocolError, match="lacks a private key or a public id"):
        await standard.register("test", listener)


@pytest.mark.parametrize(("given", "wanted"), [("http://t/", "http://t/"), (["odd"], "")])
async def test_a_url_translator(
    odd: OddHub, standard: StandardConnection, listener: Listener, given: Value, wanted: str
) -> None:
    odd.answers["register"] = {
        "samp.private-key": "k-1",
        "samp.self-id": "c1",
        "samp.hub-id": "h",
        "samp.url-translator": given,
    }
    assert await standard.register("test", listener) == Registration("c1", "h", wanted)
    assert repr(standard) == f"<StandardConnection {odd.url}>"
    assert standard.url == odd.url


async def test_two_at_once_open_one_endpoint(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    await standard.register("test", listener)
    await asyncio.gather(standard.listen(), standard.listen())
    assert odd.operations() == ["register", "setXmlrpcCallback"]
    await odd.tell("receiveNotification", "cli#2", MESSAGE)
    assert await listener.taken.get() == ("cli#2", MESSAGE)


async def test_a_callback_that_the_hub_refuses(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    await standard.register("test", listener)
    odd.answers["setXmlrpcCallback"] = fault("I do not call")
    for _ in range(2):
        with pytest.raises(HubFaultError, match="the hub refused setXmlrpcCallback: I do not call"):
            await standard.listen()
    odd.answers["setXmlrpcCallback"] = ""
    await standard.listen()
    assert len({params[1] for name, params in odd.asked if name == "setXmlrpcCallback"}) == 3


async def test_a_callback_host_that_is_not_ours(odd: OddHub, listener: Listener) -> None:
    connection = StandardConnection(lockfile=odd.lockfile, callback_host="192.0.2.1")
    await connection.register("test", listener)
    with pytest.raises(OSError, match="cannot listen on"):
        await connection.listen()
    await connection.close()


async def test_closing_while_the_endpoint_is_opened(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    await standard.register("test", listener)
    asked = asyncio.Event()

    async def never(params: list[Value]) -> Value:
        asked.set()
        await asyncio.Event().wait()
        return ""

    odd.answers["setXmlrpcCallback"] = never
    opening = asyncio.ensure_future(standard.listen())
    await asked.wait()
    await standard.close()
    with pytest.raises(HubLostError):
        await opening


async def test_a_hub_that_does_not_answer(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    async def never(params: list[Value]) -> Value:
        await asyncio.Event().wait()
        return ""

    odd.answers["notifyAll"] = never
    await standard.register("test", listener)
    with pytest.raises(HubLostError) as caught:
        await standard.ask_hub("notifyAll", MESSAGE, timeout=0.5)
    assert str(caught.value) == f"the SAMP hub at {odd.url} was lost during notifyAll: no answer within 0.5 s"
    assert listener.taken.empty(), "it may be slow; that is for the watch to find out"


async def test_a_hub_that_answers_nonsense(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    await standard.register("test", listener)
    odd.status = 500
    with pytest.raises(RemoteProtocolError, match="500"):
        await standard.ask_hub("notifyAll", MESSAGE)


async def test_a_hub_that_hangs_up(odd: OddHub, standard: StandardConnection, listener: Listener) -> None:
    asked = asyncio.Event()

    async def never(params: list[Value]) -> Value:
        asked.set()
        await asyncio.Event().wait()
        return ""

    odd.answers["notifyAll"] = never
    odd.keeps = False
    await standard.register("test", listener)
    sending = asyncio.ensure_future(standard.ask_hub("notifyAll", MESSAGE))
    await asked.wait()
    await odd.stop()
    with pytest.raises(HubLostError, match=r"during notifyAll: .*before the answer was complete"):
        await sending


# ---- the watch over the hub


async def test_a_hub_that_dies_is_noticed_at_once(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    """CLIENT-15, without polling."""
    await standard.register("test", listener)
    await odd.stop()
    assert await listener.taken.get() == ("it is gone without a word",)
    assert odd.operations() == ["register"]


async def test_a_hub_that_dies_is_noticed_by_an_operation(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    odd.keeps = False
    connection = StandardConnection(lockfile=odd.lockfile)  # asks again in 10 s only
    await connection.register("test", listener)
    await odd.stop()
    with pytest.raises(HubLostError, match="nobody listens there"):
        await connection.ask_hub("notifyAll", MESSAGE)
    assert await listener.taken.get() == ("nobody listens there (any more)",)
    await connection.close()


async def test_a_hub_that_keeps_no_connection_is_asked_now_and_then(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    odd.keeps = False
    await standard.register("test", listener)
    assert await odd.until("getMetadata", 3) == ["k-1", "cli#1"]
    await odd.stop()
    assert await listener.taken.get() == ("it is gone without a word",)


async def test_a_hub_that_was_started_again_at_the_same_port(
    odd: OddHub, standard: StandardConnection, listener: Listener
) -> None:
    """It would answer a ping, and knows us not."""
    await standard.register("test", listener)
    odd.answers["getMetadata"] = fault("who are you?")
    await odd.start(await odd.stop())
    assert await listener.taken.get() == ("it does not know this client any more",)


async def test_a_hub_that_answers_oddly_is_asked_again(
    odd: OddHub, standard: StandardConnection, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    odd.keeps = False
    await standard.register("test", listener)
    odd.status = 503
    await turns_until(lambda: "did not answer when asked" in caplog.text)
    odd.status = 200
    await odd.until("getMetadata", 2)
    assert listener.taken.empty()


@pytest.mark.both_loops
@pytest.mark.alone
async def test_a_killed_hub_that_resets_the_first_look_is_noticed_soon(
    odd: OddHub, listener: Listener
) -> None:
    """The kernel resets what a killed process had not accepted yet; only the look after it is refused."""
    standard = StandardConnection(lockfile=odd.lockfile)  # with the times that a user has
    try:
        await standard.register("test", listener)
        port = await odd.stop()
        async with resetting(port) as looked:
            await looked.wait()
        killed = asyncio.get_running_loop().time()
        assert await listener.taken.get() == ("it is gone without a word",)
        assert asyncio.get_running_loop().time() < killed + 6.0  # Limits().hub_check_interval is 10
    finally:
        await standard.close()


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.both_loops
async def test_a_server_that_is_not_a_hub_takes_the_port(
    odd: OddHub, standard: StandardConnection, listener: Listener, status: int
) -> None:
    await standard.register("test", listener)
    odd.status = status
    await odd.start(await odd.stop())
    told = await listener.taken.get()
    assert told == ("what listens there now does not answer as a hub does",)
    with pytest.raises(HubNotFoundError, match="no hub answers at"):
        await standard.register("test", listener)


# ---- the direct connection


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(lockfile=tmp_path / "x.samp", limits=LIMITS)


@asynccontextmanager
async def resetting(port: int) -> AsyncIterator[asyncio.Event]:
    """Listen at `port`, and reset each connection once a request has come; set the event then."""
    looked = asyncio.Event()

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()
        looked.set()

    server = await asyncio.start_server(reset, "127.0.0.1", port)
    yield looked
    server.close()


async def test_a_hub_that_does_not_run(hub: Hub, listener: Listener) -> None:
    connection = DirectConnection(hub)
    assert connection.url == "the hub in this process"
    assert repr(connection).startswith("<DirectConnection <Hub not running")
    with pytest.raises(HubNotFoundError, match="looked at this process"):
        await connection.register("test", listener)


async def test_nothing_is_shared_with_the_hub(hub: Hub, listener: Listener) -> None:
    async with hub:
        connection = DirectConnection(hub)
        own = (await connection.register("test", listener)).self_id
        metadata: ValueMap = {"x": ["1"]}
        await connection.ask_hub("declareMetadata", metadata)
        metadata["x"] = "changed"
        answered = await connection.ask_hub("getMetadata", own)
        assert answered == {"x": ["1"]}
        assert isinstance(answered, dict)
        answered["x"] = "changed"
        assert await connection.ask_hub("getMetadata", own) == {"x": ["1"]}
        await connection.close()


async def test_a_hub_that_stops_says_so(hub: Hub, listener: Listener) -> None:
    """Also to a client that is not callable, and gets no event."""
    connection = DirectConnection(hub)
    async with hub:
        await connection.register("test", listener)
    assert await listener.taken.get() == ("it has let this client go",)
    with pytest.raises(HubLostError):
        await connection.ask_hub("notifyAll", MESSAGE)
    await connection.close()
    assert listener.taken.empty()


async def test_a_client_that_is_thrown_out(hub: Hub, listener: Listener) -> None:
    async with hub:
        connection = DirectConnection(hub)
        own = (await connection.register("test", listener)).self_id
        hub.engine.disconnect(own, "bored")
        assert await listener.taken.get() == ("it has let this client go",)


async def test_closing_tells_the_hub(hub: Hub, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    async with hub:
        connection = DirectConnection(hub)
        await connection.register("test", listener)
        await connection.listen()
        await connection.close()
        assert hub.engine.clients == []
        assert listener.taken.empty()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


async def test_deliveries_after_the_end(hub: Hub, listener: Listener) -> None:
    connection = DirectConnection(hub)
    deliveries: list[Delivery] = [
        DeliverNotification("c1", "c2", MESSAGE),
        DeliverCall("c1", "c2", "m1", MESSAGE),
        DeliverResponse("c1", "c2", "t1", {}),
    ]
    for delivery in deliveries:
        with pytest.raises(DeliveryError) as caught:
            await connection.deliver(delivery)
        assert caught.value.gone
    assert not await connection.is_alive("c1")
    connection.forget("c1")
    async with hub:
        own = (await connection.register("test", listener)).self_id
        assert await connection.is_alive(own)
        connection.forget("somebody else")
        assert await connection.ask_hub("getRegisteredClients") == ["hub"]
        await connection.close()
        assert not await connection.is_alive(own)
