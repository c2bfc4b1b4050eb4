"""asyncsamp.client.callback: the client's own endpoint, by raw XML-RPC (CLIENT-4, CLIENT-6, STD-30..32)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asyncsamp.client.callback import CallbackEndpoint, receive
from asyncsamp.errors import FaultCode, FaultError
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value, ValueMap

from ..cancelling import each_await

KEY = "k-1"
MESSAGE: ValueMap = {"samp.mtype": "a.b", "samp.params": {}}


class Taken:
    """A receiver that takes everything, and refuses when it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Value, ...]] = []
        self.refusal: Exception | None = None

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        self._take("notification", sender, message)

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        self._take("call", sender, msg_id, message)

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self._take("response", responder, msg_tag, response)

    def connection_lost(self, reason: str) -> None:
        self._take("lost", reason)

    def _take(self, *what: Value) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.taken.append(what)


@pytest.fixture
def receiver() -> Taken:
    return Taken()


@pytest.fixture
async def endpoint(receiver: Taken) -> AsyncIterator[CallbackEndpoint]:
    endpoint = CallbackEndpoint(receiver, KEY, host="127.0.0.1", max_body=10_000)
    await endpoint.start()
    yield endpoint
    await endpoint.close()


@pytest.fixture
async def sender() -> AsyncIterator[RpcClient]:
    sender = RpcClient()
    yield sender
    await sender.close()


async def test_what_the_hub_says_is_handed_on(
    endpoint: CallbackEndpoint, sender: RpcClient, receiver: Taken
) -> None:
    async def say(operation: str, *params: Value) -> Value:
        return await sender.call(endpoint.url, f"samp.client.{operation}", [KEY, *params], timeout=30)

    assert await say("receiveNotification", "hub", MESSAGE) == ""
    assert await say("receiveCall", "c2", "m1", MESSAGE) == ""
    assert await say("receiveResponse", "c2", "t1", {"samp.status": "samp.ok"}) == ""
    assert receiver.taken == [
        ("notification", "hub", MESSAGE),
        ("call", "c2", "m1", MESSAGE),
        ("response", "c2", "t1", {"samp.status": "samp.ok"}),
    ]


@pytest.mark.parametrize(
    ("method", "params", "code", "text"),
    [
        ("samp.hub.register", [KEY], FaultCode.UNKNOWN_METHOD, "there is no method 'samp.hub.register'"),
        ("receiveCall", [KEY], FaultCode.UNKNOWN_METHOD, "there is no method 'receiveCall'"),
        ("samp.client.x", [KEY], FaultCode.UNKNOWN_METHOD, "there is no method 'x'"),
        ("samp.client.receiveCall", [], FaultCode.NOT_REGISTERED, "this is not the private key of this"),
        ("samp.client.receiveCall", ["k-2"], FaultCode.NOT_REGISTERED, "this is not the private key"),
        ("samp.client.receiveCall", [[KEY]], FaultCode.NOT_REGISTERED, "this is not the private key"),
        ("samp.client.receiveCall", ["caf\xe9"], FaultCode.NOT_REGISTERED, "this is not the private key"),
        ("samp.client.receiveCall", [KEY, "c2", MESSAGE], FaultCode.BAD_PARAMETERS, "receiveCall: wrong"),
        (
            "samp.client.receiveNotification",
            [KEY, "c2", "x"],
            FaultCode.BAD_PARAMETERS,
            "receiveNotification",
        ),
        (
            "samp.client.receiveResponse",
            [KEY, "c", "t", {}, "x"],
            FaultCode.BAD_PARAMETERS,
            "receiveResponse",
        ),
    ],
)
async def test_what_is_refused(
    endpoint: CallbackEndpoint,
    sender: RpcClient,
    receiver: Taken,
    method: str,
    params: list[Value],
    code: FaultCode,
    text: str,
) -> None:
    with pytest.raises(FaultError) as caught:
        await sender.call(endpoint.url, method, params, timeout=30)
    assert caught.value.code == code
    assert caught.value.text.startswith(text)
    assert KEY not in caught.value.text
    assert receiver.taken == []


async def test_what_the_receiver_refuses_is_a_fault(
    endpoint: CallbackEndpoint, sender: RpcClient, receiver: Taken
) -> None:
    receiver.refusal = FaultError("not now", code=FaultCode.LIMIT_REACHED)
    with pytest.raises(FaultError, match="not now"):
        await sender.call(endpoint.url, "samp.client.receiveCall", [KEY, "c2", "m1", MESSAGE], timeout=30)


async def test_an_error_in_the_client_is_not_said_to_be_the_hubs(
    endpoint: CallbackEndpoint, sender: RpcClient, receiver: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.refusal = ZeroDivisionError("k-secret")
    for _ in range(2):  # the first request of a connection, and the next one
        with pytest.raises(FaultError) as caught:
            await sender.call(endpoint.url, "samp.client.receiveCall", [KEY, "c2", "m1", MESSAGE], timeout=30)
        assert (caught.value.code, caught.value.text) == (FaultCode.INTERNAL, "internal error in the client")
    assert "ZeroDivisionError" in caplog.text


def test_the_same_for_callbacks_that_are_pulled(receiver: Taken) -> None:
    receive(receiver, "receiveCall", ["c2", "m1", MESSAGE])
    assert receiver.taken == [("call", "c2", "m1", MESSAGE)]


async def test_an_address_that_is_not_ours(receiver: Taken) -> None:
    endpoint = CallbackEndpoint(receiver, KEY, host="192.0.2.1", max_body=100)
    with pytest.raises(OSError, match="cannot listen on"):
        await endpoint.start()
    await endpoint.close()


async def test_starting_can_be_cancelled(receiver: Taken) -> None:
    endpoint = CallbackEndpoint(receiver, KEY, host="localhost", max_body=100)
    cancelled = [number async for number in each_await(endpoint.start)]
    assert cancelled
    await endpoint.close()


async def test_an_old_key_counts_until_the_new_one_is_used(
    endpoint: CallbackEndpoint, sender: RpcClient, receiver: Taken
) -> None:
    async def say(key: str) -> Value:
        return await sender.call(
            endpoint.url, "samp.client.receiveNotification", [key, "hub", MESSAGE], timeout=5
        )

    with pytest.raises(FaultError):
        await say("k-2")
    endpoint.renew_key("k-2")
    assert await say(KEY) == ""  # it was on its way
    assert await say("k-2") == ""
    with pytest.raises(FaultError):
        await say(KEY)
    assert len(receiver.taken) == 2
