"""Clients at their edges: cancelled anywhere, left from inside, used in odd places and at odd times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    CallTimeoutError,
    Client,
    FaultCode,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    Message,
    NotRegisteredError,
    ReplyError,
    Response,
    UnknownClientError,
)
from asyncsamp.values import Value

from ..cancelling import each_await
from ..connections import HASTY, LIMITS, House, turns_until
from ..hub_process import hub_process
from ..odd_hub import OddHub, fault, odd_hub


async def nothing(message: Message) -> None: ...


# ---- cancelled


@pytest.mark.parametrize("listening", [False, True])
async def test_registering_can_be_cancelled(house: House, listening: bool) -> None:
    client = house.client()
    if listening:
        client.on("a.b")(nothing)
    async for _ in each_await(client.register):
        assert not client.registered
        with pytest.raises(NotRegisteredError):
            await client.notify_all("a.b")
    assert client.registered
    assert client.public_id in house.hub.engine.clients
    await client.unregister()
    # One may stay: the hub let it in, and it never heard of it. It has no ears, and disturbs nobody.
    assert len(house.hub.engine.clients) <= 1


async def test_unregistering_can_be_cancelled(house: House) -> None:
    client = house.client(limits=replace(house.limits, close_timeout=0.5))
    client.on("a.b")(nothing)
    client.on("a.never")(_never)
    await client.register()
    cancelled = 0
    async for _ in each_await(client.unregister):
        cancelled += 1
        assert not client.registered
        assert client.messages("a.b").closed is False
        await client.register()
        await client.notify(client.public_id, "a.never")
        await turns_until(lambda: len(client._inbox._tasks) == 1)
    assert cancelled
    await turns_until(lambda: house.hub.engine.clients == [])


async def _never(message: Message) -> None:
    await asyncio.Event().wait()


async def test_leaving_says_goodbye_though_it_is_cancelled_while_it_waits(house: House) -> None:
    client, sender = await house.join("client"), await house.join("sender")
    client.on("a.never")(_never)
    await client.settled()
    calling = asyncio.ensure_future(sender.call(client.public_id, "a.never"))
    await turns_until(lambda: len(client._inbox._tasks) == 1)
    leaving = asyncio.ensure_future(client.unregister())
    await turns_until(lambda: client._inbox._closing)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert house.hub.engine.clients == [sender.public_id]
    with pytest.raises(ReplyError, match="cancelled before it ended"):
        await calling


@pytest.mark.parametrize("operation", ["call", "call_and_wait", "notify", "notify_all", "find", "settled"])
async def test_operations_can_be_cancelled(house: House, operation: str) -> None:
    client, other = await house.join("client"), await house.join("other")
    other.on("a.b")(nothing)
    await other.settled()

    async def operate() -> object:
        client.on("a.new")(nothing)
        doing = getattr(client, operation)
        if operation == "settled":
            return await doing()
        if operation == "find":
            return await doing("other")
        return await (doing("a.b") if operation == "notify_all" else doing(other.public_id, "a.b"))

    async for _ in each_await(operate):
        assert len(client._inbox.calls) == 0
    assert await client.call(other.public_id, "a.b") == Response()
    await client.settled()
    assert "a.new" in await other.get_subscriptions(client.public_id)


async def test_a_call_for_all_can_be_cancelled(house: House) -> None:
    client, other = await house.join("client"), await house.join("other")
    other.on("a.b")(nothing)
    await other.settled()

    async def call() -> list[str]:
        return [public_id async for public_id, _ in client.call_all("a.b")]

    async for _ in each_await(call):
        assert len(client._inbox.calls) == 0
    assert await call() == [other.public_id]


async def test_cancelling_one_call_leaves_the_endpoint_to_the_others(house: House) -> None:
    """The first asynchronous call opens it; a second one waits for the same."""
    client, other = await house.join("client"), await house.join("other")
    other.on("a.b")(nothing)
    await other.settled()
    first = asyncio.ensure_future(client.call(other.public_id, "a.b"))
    second = asyncio.ensure_future(client.call(other.public_id, "a.b"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Response()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_async_with_that_is_cancelled(house: House) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with house.client() as client, client.messages("a.b"):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.hub.engine.clients == []


async def test_calls_that_a_reader_has_not_answered_are_answered_when_we_leave(house: House) -> None:
    client, sender = await house.join("client"), await house.join("sender")
    stream = client.messages("a.b", answer=False)
    await client.settled()
    calling = [asyncio.ensure_future(sender.call(client.public_id, "a.b")) for _ in range(2)]
    await client.reply(await anext(stream))
    await anext(stream)
    await client.unregister()
    refused = [
        error for error in await asyncio.gather(*calling, return_exceptions=True) if error != Response()
    ]
    assert len(refused) == 1
    assert isinstance(refused[0], ReplyError)
    assert refused[0].response.errortxt == "the client left before it answered"


async def test_leaving_does_not_wait_for_a_hub_that_takes_no_answers(odd: OddHub) -> None:
    client = Client("client", lockfile=odd.lockfile, limits=replace(LIMITS, close_timeout=1))
    await client.register()
    stream = client.messages("a.b", answer=False)
    await client.settled()
    await odd.tell("receiveCall", "cli#2", "m1", {"samp.mtype": "a.b", "samp.params": {}})
    await anext(stream)

    async def never(params: list[Value]) -> Value:
        await asyncio.Event().wait()
        return ""

    odd.answers["reply"] = never
    async with asyncio.timeout(30):
        await client.unregister()
    assert odd.operations()[-2:] == ["reply", "unregister"]


# ---- from inside a handler


async def test_a_handler_may_unregister(house: House) -> None:
    client, sender = await house.join("client"), await house.join("sender")
    left = asyncio.Event()

    @client.on("app.quit")
    async def quit_(message: Message) -> dict[str, str]:
        await client.unregister()
        left.set()
        return {"too": "late"}

    await client.settled()
    with pytest.raises(ReplyError, match="left before it answered"):
        await sender.call(client.public_id, "app.quit")
    await left.wait()
    assert not client.registered
    await client.unregister()


async def test_a_handler_may_unregister_while_the_client_leaves(house: House) -> None:
    client = await house.join("client")
    begun, go_on = asyncio.Event(), asyncio.Event()
    left: list[str] = []

    @client.on("app.quit")
    async def quit_(message: Message) -> None:
        begun.set()
        await go_on.wait()
        await client.unregister()
        left.append("without waiting for itself")

    await client.settled()
    await client.notify(client.public_id, "app.quit")
    await begun.wait()
    leaving = asyncio.ensure_future(client.unregister())
    await turns_until(lambda: client._inbox._closing)
    go_on.set()
    await leaving
    assert left == ["without waiting for itself"]


async def test_a_handler_may_call_and_register_handlers(house: House) -> None:
    client, other = await house.join("client"), await house.join("other")

    @client.on("a.b")
    async def forward(message: Message) -> Response:
        client.on("a.later")(nothing)
        client.off("a.b")
        return await client.call(message.sender, "a.back", message.params)

    @other.on("a.back")
    async def back(message: Message) -> dict[str, Any]:
        return {"and": "back", **message.params}

    await client.settled()
    await other.settled()
    response = await other.call(client.public_id, "a.b", {"n": 1})
    assert response.result == {"and": "back", "n": "1"}
    assert (await other.call(client.public_id, "a.later")).ok


async def test_while_it_leaves_handlers_may_still_use_the_hub(house: House) -> None:
    # The handler asks the hub while `close_timeout` runs, which a busy machine does not do in 50 ms.
    client = await house.join("client", limits=replace(house.limits, close_timeout=10))
    begun, go_on = asyncio.Event(), asyncio.Event()
    done: list[list[str]] = []

    @client.on("a.b")
    async def handler(message: Message) -> None:
        begun.set()
        await go_on.wait()
        done.append(await client.notify_all("a.farewell"))

    await client.settled()
    await client.notify(client.public_id, "a.b")
    await begun.wait()
    leaving = asyncio.ensure_future(client.unregister())
    await turns_until(lambda: client._inbox._closing)
    with pytest.raises((HubFaultError, ReplyError), match="about to leave"):
        await client.call(client.public_id, "a.b")
    go_on.set()
    await leaving
    assert done == [[]]


async def test_our_own_calls_end_when_we_leave(house: House) -> None:
    client, other = await house.join("client"), await house.join("other", limits=HASTY)
    other.on("a.never")(_never)
    await other.settled()
    calling = asyncio.ensure_future(client.call(other.public_id, "a.never"))
    await turns_until(lambda: len(other._inbox._tasks) == 1)
    await client.unregister()
    with pytest.raises(NotRegisteredError, match="so it cannot receive a response"):
        await calling


async def test_a_stream_with_unread_calls_at_the_end(house: House) -> None:
    client, sender = house.client("client"), await house.join("sender")
    async with client:
        async with client.messages("a.b") as stream:
            calling = asyncio.ensure_future(sender.call(client.public_id, "a.b"))
            await turns_until(lambda: len(stream))
        with pytest.raises(ReplyError, match="closed before it was read"):
            await calling


async def test_what_is_sent_to_a_client_before_its_registration_is_over(house: House) -> None:
    client, sender = house.client("client"), await house.join("sender")
    seen: asyncio.Queue[Message] = asyncio.Queue()

    @client.on("a.b")
    async def handler(message: Message) -> None:
        seen.put_nowait(message)

    async def send() -> None:
        view = await sender.find("client", timeout=10)
        await turns_until(lambda: view.subscribes("a.b"))
        await sender.notify(view, "a.b")

    sending = asyncio.ensure_future(send())
    async with client:
        await sending
        assert (await seen.get()).sender == sender.public_id


# ---- other loops, other tasks, other times


def test_a_client_in_a_second_loop(tmp_path: Path) -> None:
    """A script with two asyncio.run; in the first everything is used, and contended for."""
    lockfile = tmp_path / "x.samp"
    client = Client("client", lockfile=lockfile, start_hub=True, limits=LIMITS)
    client.on("a.b")(nothing)

    async def use() -> None:
        await asyncio.gather(client.register(), client.register())
        assert await client.call(client.public_id, "a.b") == Response()
        await asyncio.gather(client.find("hub"), client.find("hub", timeout=10))
        await asyncio.gather(client.unregister(), client.unregister())

    for _ in range(2):
        asyncio.run(use(), debug=True)
    assert not lockfile.exists()


def test_a_script_that_forgets_to_unregister(tmp_path: Path) -> None:
    """CLIENT-7: the end of asyncio.run does it."""
    lockfile = tmp_path / "x.samp"
    client = Client("client", lockfile=lockfile, limits=LIMITS)
    client.on("a.b")(nothing)

    async def script(ready: asyncio.Future[None]) -> None:
        await client.register()
        client.messages("a.c")
        ready.set_result(None)
        await asyncio.Event().wait()

    async def main() -> None:
        async with hub_process(lockfile), Client("witness", lockfile=lockfile, limits=LIMITS) as witness:
            await witness.get_clients()
            ready = asyncio.get_running_loop().create_future()
            forgetful = asyncio.ensure_future(script(ready))
            await ready
            view = await witness.find("client", timeout=10)
            # What asyncio.run does at its end, with all tasks but those of the witness.
            session = client._session
            assert session is not None
            assert session._supervisor is not None
            forgetful.cancel()
            session._supervisor.cancel()
            await asyncio.wait({forgetful, session._supervisor})
            await turns_until(lambda: not view.registered)

    asyncio.run(main(), debug=True)
    assert not client.registered


def test_the_same_with_asyncio_run_itself(tmp_path: Path) -> None:
    client = Client("client", lockfile=tmp_path / "x.samp", start_hub=True, limits=LIMITS)
    client.on("a.b")(nothing)
    stream = client.messages("a.c")

    async def script() -> None:
        await client.register()

    asyncio.run(script(), debug=True)
    assert not client.registered
    assert stream.closed

    async def again() -> None:
        async with client:
            assert await client.call(client.public_id, "a.b") == Response()

    asyncio.run(again(), debug=True)


async def test_a_handler_that_is_set_just_before_leaving_is_no_trouble(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub is told of it while the client leaves."""
    for turns in range(8):
        client = await house.client().register()
        client.on("a.b")(nothing)
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.unregister()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_handlers_set_in_a_running_loop_before_registering(house: House) -> None:
    client = house.client()
    client.on("a.b")(nothing)
    stream = client.messages("a.c")
    await client.settled()
    async with stream, client:
        await client.notify(client.public_id, "a.c")
        assert (await anext(stream)).mtype == "a.c"


async def test_a_registration_that_fails_leaves_handlers_and_streams_alone(tmp_path: Path) -> None:
    lockfile = tmp_path / "x.samp"
    client = Client("client", lockfile=lockfile, limits=LIMITS)
    stream = client.messages("a.b")
    with pytest.raises(HubNotFoundError):
        await client.register()
    assert not stream.closed
    async with odd_hub(lockfile) as hub:
        async with client:
            await hub.notify("a.b", sender="cli#2")
            assert (await anext(stream)).sender == "cli#2"
        assert hub.operations()[-1] == "unregister"
    assert stream.closed


# ---- hubs that refuse, and odd hubs


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddHub]:
    async with odd_hub(tmp_path / "odd.samp") as hub:
        yield hub


@pytest.fixture
async def client(odd: OddHub) -> AsyncIterator[Client]:
    client = Client("client", lockfile=odd.lockfile, limits=LIMITS)
    yield client
    await client.unregister()


async def test_metadata_that_the_hub_refuses(odd: OddHub, client: Client) -> None:
    odd.answers["declareMetadata"] = fault("a bad icon")
    with pytest.raises(HubFaultError, match="the hub refused declareMetadata: a bad icon"):
        await client.register()
    assert odd.operations() == ["register", "declareMetadata", "unregister"]
    assert not client.registered


async def test_subscriptions_that_the_hub_refuses(
    odd: OddHub, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is for who waits, and in the log; it comes again until it is mended."""
    await client.register()
    odd.answers["declareSubscriptions"] = fault("too many")
    client.on("a.b")(nothing)
    for _ in range(2):
        with pytest.raises(HubFaultError, match="the hub refused declareSubscriptions: too many"):
            await client.settled()
    assert "client 'client' could not declare its subscriptions" in caplog.text
    with pytest.raises(HubFaultError):
        async with client.messages("a.c") as stream:
            pytest.fail("it was entered")
    with pytest.raises(HubFaultError):
        await client.call("cli#2", "a.b")
    odd.answers["declareSubscriptions"] = ""
    async with client.messages("a.c") as stream:
        assert not stream.closed
    declared = await odd.until("declareSubscriptions")
    assert isinstance(declared[1], dict)
    assert "a.b" in declared[1]


async def test_settled_waits_for_what_changed_meanwhile(odd: OddHub, client: Client) -> None:
    await client.register()
    client.on("a.b")(nothing)
    assert client._session is not None
    telling = client._session.declarations._telling
    assert telling is not None
    telling.add_done_callback(lambda _: client.on("a.c")(nothing))
    await client.settled()
    declared = (await odd.until("declareSubscriptions", 2))[1]
    assert isinstance(declared, dict)
    assert {"a.b", "a.c"} < set(declared)


async def test_a_handler_that_began_before_the_registration_failed(odd: OddHub, client: Client) -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    @client.on("a.b")
    async def handler(message: Message) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def declare(params: list[Value]) -> Value:
        await odd.notify("a.b", sender="cli#2")
        await begun.wait()
        raise fault("no")

    odd.answers["declareSubscriptions"] = declare
    with pytest.raises(HubFaultError):
        await client.register()
    assert ended == ["cancelled"]


async def test_a_callback_host_that_is_not_ours(odd: OddHub) -> None:
    client = Client("client", lockfile=odd.lockfile, callback_host="192.0.2.1", limits=LIMITS)
    client.on("a.b")(nothing)
    with pytest.raises(OSError, match="cannot listen on"):
        await client.register()
    assert odd.operations() == ["register", "declareMetadata", "unregister"]


async def test_a_hub_that_does_not_say_who_is_there(odd: OddHub, client: Client) -> None:
    await client.register()
    go = asyncio.Event()

    async def late(params: list[Value]) -> Value:
        await go.wait()
        return {}

    odd.answers.update(callAll=late, getRegisteredClients=late)
    async with asyncio.timeout(10):
        with pytest.raises(CallTimeoutError, match=r"'cli#hub' did not answer 'a\.b' within 0\.1 s"):
            await anext(client.call_all("a.b", timeout=0.1))
        with pytest.raises(UnknownClientError, match=r"the hub did not say within 0\.1 s who is there"):
            await client.find("other", timeout=0.1)
    assert len(client._inbox.calls) == 0
    go.set()


async def test_a_hub_that_will_not_hear_goodbye(odd: OddHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await Client("client", lockfile=odd.lockfile, limits=HASTY).register()

    async def never(params: list[Value]) -> Value:
        await asyncio.Event().wait()
        return ""

    odd.answers["unregister"] = never
    await client.unregister()
    assert "client 'client' could not unregister: " in caplog.text
    assert not client.registered


async def test_astropys_and_jsamps_and_ds9s_oddities(odd: OddHub, client: Client) -> None:
    """TOL-20..22: maps for nothing, ids with "#", wildcards too wide, no wildcards, no msg-ids."""
    odd.answers.update(notifyAll={}, notify={}, reply={}, callAll={"cli#2": "m1"})
    client.on("a.b.*")(nothing)
    await client.register()
    declared = (await odd.until("declareSubscriptions"))[1]
    assert isinstance(declared, dict)
    assert "samp.hub.event.register" in declared, "exact names, since DS9's hub knows no wildcards"
    await client.notify("cli#2", "a.b")
    assert await client.notify_all("a.b") == []
    await odd.tell("receiveCall", "cli#2", "m9", {"samp.mtype": "a.bc"})
    reply = await odd.until("reply")
    assert reply[1:] == [
        "m9",
        {"samp.status": "samp.error", "samp.error": {"samp.errortxt": "this client does not take a.bc"}},
    ]
    calling = asyncio.ensure_future(client.call("cli#2", "a.b"))
    tag = (await odd.until("call"))[2]
    assert ":" not in str(tag)
    await odd.tell("receiveResponse", "cli#2", tag, {"samp.status": "samp.ok"})
    assert await calling == Response()


async def test_a_reply_that_outruns_the_answer_to_the_call(odd: OddHub, client: Client) -> None:
    """MSG-35: DS9 always does so."""

    async def call(params: list[Value]) -> Value:
        response: Value = {"samp.status": "samp.ok", "samp.result": {"n": "1"}}
        await odd.tell("receiveResponse", "cli#2", params[2], response)
        return "m1"

    async def call_all(params: list[Value]) -> Value:
        for responder in ("cli#7", "cli#2", "cli#2"):
            response: Value = {"samp.status": "samp.ok", "samp.result": {"n": "1"}}
            await odd.tell("receiveResponse", responder, params[1], response)
        return {"cli#2": "m1"}

    odd.answers.update(call=call, callAll=call_all)
    await client.register()
    assert (await client.call("cli#2", "a.b")).result == {"n": "1"}
    answers = [(public_id, response.result) async for public_id, response in client.call_all("a.b")]
    assert answers == [("cli#2", {"n": "1"})]


@pytest.mark.parametrize("operation", ["callAll", "getMetadata", "getSubscriptions", "getSubscribedClients"])
async def test_answers_that_are_no_maps(odd: OddHub, client: Client, operation: str) -> None:
    odd.answers[operation] = ["odd"]
    await client.register()
    doing: dict[str, Any] = {
        "callAll": lambda: anext(client.call_all("a.b")),
        "getMetadata": lambda: client.get_metadata("cli#2"),
        "getSubscriptions": lambda: client.get_subscriptions("cli#2"),
        "getSubscribedClients": lambda: client.get_subscribed_clients("a.b"),
    }
    with pytest.raises(Exception, match=f"the hub answered {operation} with list, not with a map"):
        await doing[operation]()


async def test_a_timeout_that_only_the_clock_tells(odd: OddHub, client: Client) -> None:
    """Other hubs' faults have no code in common; and one that is early is a fault, not a timeout."""
    odd.answers["callAndWait"] = fault("any reason")
    await client.register()
    with pytest.raises(HubFaultError, match="any reason"):
        await client.call_and_wait("cli#2", "a.b", timeout=100)
    assert (await odd.until("callAndWait"))[3] == "100"
    with pytest.raises(TimeoutError):
        await client.call_and_wait("cli#2", "a.b", timeout=1e-9)
    assert (await odd.until("callAndWait", 2))[3] == "1", "SAMP's seconds are whole"
    with pytest.raises(HubFaultError):
        await client.call_and_wait("cli#2", "a.b", timeout=0)
    assert (await odd.until("callAndWait", 3))[3] == "0"
    odd.answers["callAndWait"] = fault("our own hub says so", FaultCode.TIMEOUT)
    with pytest.raises(CallTimeoutError):
        await client.call_and_wait("cli#2", "a.b", timeout=100)


async def test_a_hub_lost_while_it_looks_around_is_a_plain_error(odd: OddHub, client: Client) -> None:
    """Not a group of errors, though several questions are open."""
    odd.answers["getRegisteredClients"] = [f"cli#{number}" for number in range(20)]
    await client.register()

    async def die(params: list[Value]) -> Value:
        await odd.notify("samp.hub.event.shutdown")
        raise fault("bye", FaultCode.SHUTTING_DOWN)

    odd.answers["getMetadata"] = die
    with pytest.raises(HubLostError):
        await client.find("x")
