"""asyncsamp.client.messaging: what a user does with a client, over every kind of connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from asyncsamp import (
    CallTimeoutError,
    Client,
    HubFaultError,
    LocalProtocolError,
    Message,
    NotRegisteredError,
    NotSubscribedError,
    ReplyError,
    Response,
    UnknownClientError,
    as_int,
)

from ..connections import HASTY, House, turns_until

Send: TypeAlias = Callable[..., Awaitable[Response]]


@pytest.fixture
async def client(house: House) -> Client:
    return await house.join("sender")


@pytest.fixture
async def adder(house: House) -> Client:
    """A client that adds, fails, warns and keeps silent."""
    adder = house.client("adder", metadata={"x.skill": "adding"}, limits=HASTY)

    @adder.on("sum.add", annotation={"x.cost": 1})
    async def add(message: Message) -> dict[str, int]:
        return {"sum": as_int(message.params["a"]) + as_int(message.params["b"])}

    @adder.on("sum.fail")
    async def fail(message: Message) -> None:
        raise ValueError("I cannot count")

    @adder.on("sum.warn")
    async def warn(message: Message) -> Response:
        return Response.warning({"sum": 4}, "about")

    @adder.on("sum.never")
    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    return await house.enter(adder)


@pytest.fixture(params=["call", "call_and_wait"])
def send(request: pytest.FixtureRequest, client: Client) -> Send:
    """Both ways to call and have the response."""
    sending: Send = getattr(client, request.param)
    return sending


# ---- coming and going


async def test_a_life(house: House) -> None:
    client = house.client("tool", metadata={"samp.description.text": "a tool"})
    assert not client.registered
    assert repr(client) == "<Client 'tool' not registered>"
    async with client as entered:
        assert entered is client
        assert client.registered
        assert client.hub_id == "hub"
        assert house.hub.engine.clients == [client.public_id]
        assert repr(client) == f"<Client 'tool' registered as {client.public_id} at {client._connection.url}>"
        await client.wait_registered(0)
    assert not client.registered
    assert house.hub.engine.clients == []


async def test_register_and_unregister_do_nothing_twice(house: House) -> None:
    client = house.client()
    assert await client.register() is client
    public_id = client.public_id
    assert await client.register() is client
    assert client.public_id == public_id
    await client.unregister()
    await client.unregister()


async def test_a_second_life(house: House) -> None:
    client = house.client()

    @client.on("a.b")
    async def handler(message: Message) -> dict[str, str]:
        return {"life": message.params["life"]}  # type: ignore[dict-item]

    for life in "12":
        async with client:
            response = await client.call(client.public_id, "a.b", {"life": life})
            assert response.result == {"life": life}


async def test_two_register_at_once(house: House) -> None:
    client = house.client()
    await asyncio.gather(client.register(), client.register())
    assert house.hub.engine.clients == [client.public_id]
    await asyncio.gather(client.unregister(), client.unregister())
    assert house.hub.engine.clients == []


async def test_a_notebook_registers_in_one_task_and_unregisters_in_another(house: House) -> None:
    client = await asyncio.create_task(house.client().register())
    await asyncio.create_task(client.notify_all("a.b"))
    await asyncio.create_task(client.unregister())
    assert house.hub.engine.clients == []


async def test_a_client_that_only_sends_is_not_callable(client: Client, adder: Client) -> None:
    await client.notify(adder.public_id, "sum.add", {"a": 1, "b": 2})
    await client.call_and_wait(adder.public_id, "sum.add", {"a": 1, "b": 2})
    assert await adder.get_subscriptions(client.public_id) == {}
    only_sends = "cannot be called: .*; it only sends, as a client of asyncsamp does before its first handler"
    for to in (client.public_id, client.name):
        with pytest.raises(NotSubscribedError, match=only_sends):
            await adder.call(to, "samp.app.ping")
    await client.get_clients()
    assert (await adder.call(client.public_id, "samp.app.ping")).ok


async def test_what_a_callable_client_subscribes_to(client: Client, adder: Client) -> None:
    """CLIENT-12, CLIENT-14, MTYPE-25, MTYPE-33; and never client.env.get."""
    subscriptions = await client.get_subscriptions(adder.public_id)
    assert set(subscriptions) == {
        *("sum.add", "sum.fail", "sum.warn", "sum.never"),
        *("samp.app.ping", "samp.msg.progress", "samp.hub.disconnect"),
        *(f"samp.hub.event.{event}" for event in ("shutdown", "register", "unregister")),
        *(f"samp.hub.event.{event}" for event in ("metadata", "subscriptions")),
    }
    assert subscriptions["sum.add"] == {"x.cost": "1"}


# ---- sending


async def test_a_call_and_its_response(send: Send, adder: Client) -> None:
    response = await send(adder.public_id, "sum.add", {"a": 1, "b": 2}, timeout=10)
    assert response.status == "samp.ok"
    assert response.result == {"sum": "3"}


async def test_an_error_is_raised(send: Send, adder: Client) -> None:
    with pytest.raises(ReplyError) as caught:
        await send(adder.public_id, "sum.fail")
    assert caught.value.recipient == adder.public_id
    assert caught.value.response.errortxt == "ValueError: I cannot count"
    assert str(caught.value) == f"adder ({adder.public_id}) answered samp.error: ValueError: I cannot count"


async def test_a_warning_is_returned(send: Send, adder: Client) -> None:
    """MSG-13."""
    response = await send(adder.public_id, "sum.warn")
    assert (response.ok, response.result, response.errortxt) == (True, {"sum": "4"}, "about")


async def test_a_call_that_is_not_answered(send: Send, adder: Client) -> None:
    with pytest.raises(CallTimeoutError) as caught:
        await send(adder.public_id, "sum.never", timeout=0.02)
    assert str(caught.value) == (
        f"adder ({adder.public_id}) did not answer 'sum.never' within 0.02 s; it may be at work still: wait "
        "longer by timeout=, or use notify, which waits for no answer"
    )
    assert isinstance(caught.value, TimeoutError)


async def test_a_call_without_a_limit(client: Client, adder: Client) -> None:
    for timeout in (0, float("inf")):
        response = await client.call_and_wait(adder.public_id, "sum.add", {"a": 1, "b": 2}, timeout=timeout)
        assert response.result == {"sum": "3"}
    forever = await client.call(adder.public_id, "sum.add", {"a": 1, "b": 2}, timeout=float("inf"))
    assert forever.result == {"sum": "3"}


async def test_the_recipient_leaves_while_it_is_called(house: House, send: Send) -> None:
    """HUB-60: nobody waits for an answer that cannot come."""
    other = house.client("other", limits=replace(house.limits, close_timeout=1))
    called = asyncio.Event()

    @other.on("a.b")
    async def handler(message: Message) -> None:
        called.set()
        await asyncio.Event().wait()

    await other.register()
    calling = asyncio.ensure_future(send(other.public_id, "a.b"))
    await called.wait()
    await other.unregister()
    with pytest.raises(ReplyError, match="cancelled before it ended"):
        await calling


@pytest.mark.parametrize("operation", ["call", "call_and_wait", "notify"])
async def test_who_cannot_be_reached(client: Client, adder: Client, operation: str) -> None:
    send = getattr(client, operation)
    with pytest.raises(
        UnknownClientError, match=r"no client named 'c99' is registered; there are: .*'adder' \("
    ):
        await send("c99", "a.b")
    for name in (adder.public_id, "Adder"):
        with pytest.raises(
            NotSubscribedError, match=r"does not subscribe to 'a\.b'; it takes sum\."
        ) as caught:
            await send(name, "a.b")
        assert "samp.hub" not in str(caught.value)


@pytest.mark.parametrize("operation", ["call", "call_and_wait", "notify"])
async def test_what_cannot_be_said(client: Client, adder: Client, operation: str) -> None:
    """The error is the caller's own, with the path to the fault, and nothing is sent."""
    send = getattr(client, operation)
    for mtype, params, text in [
        ("a.*", None, r"'a\.\*' is not a valid mtype"),
        ("a.b", {"rows": [1, None]}, r"params\['rows'\]\[1\] is of type NoneType"),
        ("a.b", {"x": b"1"}, r"params\['x'\] is of type bytes"),
        ("a.b", {"x": float("nan")}, r"params\['x'\] is nan"),
        ("a.b", {"name": "Ångström"}, r"params\['name'\] has the character 'Å' at position 0"),
    ]:
        with pytest.raises(LocalProtocolError, match=text):
            await send(adder.public_id, mtype, params)
    with pytest.raises(LocalProtocolError, match="neither a public id nor a client"):
        await send(None, "a.b")


@pytest.mark.parametrize("operation", ["call", "call_and_wait"])
@pytest.mark.parametrize("timeout", [float("nan"), -1])
async def test_timeouts_that_are_none(client: Client, operation: str, timeout: float) -> None:
    with pytest.raises(LocalProtocolError, match="is not a number of seconds"):
        await getattr(client, operation)("c1", "a.b", timeout=timeout)
    with pytest.raises(LocalProtocolError, match="is not a number of seconds"):
        client.call_all("a.b", timeout=timeout)


async def test_large_and_nested_params_arrive_as_they_are(house: House, send: Send) -> None:
    params: dict[str, Any] = {
        "rows": [str(row) for row in range(20_000)],
        "deep": {"a": [{"b": [[], {}, ""]}]},
        "text": "<&>\"' \t\n]]>",
        "": "",
        "  ": "  ",
    }
    echo = house.client("echo")

    @echo.on("a.b")
    async def handler(message: Message) -> dict[str, Any]:
        return dict(message.params)

    await house.enter(echo)
    assert (await send(echo.public_id, "a.b", params)).result == params


async def test_notifying_one_and_all(house: House, client: Client) -> None:
    one, two = await house.join("one"), await house.join("two")
    async with one.messages("a.b") as first, two.messages("a.*") as second:
        await client.notify(one.public_id, "a.b", {"n": 1})
        told = await client.notify_all("a.b", {"n": 2})
        assert sorted(told) == sorted([one.public_id, two.public_id])
        assert [(await anext(first)).params["n"] for _ in range(2)] == ["1", "2"]
        assert await anext(second) == Message("a.b", {"n": "2"}, client.public_id)
    for stream_owner in (one, two):
        await stream_owner.settled()
    assert await client.notify_all("a.b") == []


async def test_order_is_kept(house: House, client: Client) -> None:
    """MSG-36."""
    async with house.client("other") as other, other.messages("a.b") as stream:
        for number in range(200):
            await client.notify(other.public_id, "a.b", {"n": number})
        assert [as_int((await anext(stream)).params["n"]) for _ in range(200)] == list(range(200))


async def test_many_calls_at_once(send: Send, adder: Client) -> None:
    """Each has the response to its own question."""
    sums = await asyncio.gather(*(send(adder.public_id, "sum.add", {"a": n, "b": n}) for n in range(100)))
    assert [response.result["sum"] for response in sums] == [str(2 * n) for n in range(100)]


# ---- calling all


async def test_calling_all(house: House, client: Client, adder: Client) -> None:
    """MSG-34: each answers once, in any order."""
    async with house.client("second") as second:

        @second.on("sum.*")
        async def late(message: Message) -> None:
            raise ValueError("late")

        await second.settled()
        calling = client.call_all("sum.add", {"a": 1, "b": 2}, timeout=10)
        answers = {public_id: response async for public_id, response in calling}
        assert answers[adder.public_id].result == {"sum": "3"}
        assert answers[second.public_id].errortxt == "ValueError: late"
        assert len(answers) == 2


async def test_calling_nobody(client: Client) -> None:
    assert [answer async for answer in client.call_all("nobody.knows")] == []


async def test_who_does_not_answer_is_named(client: Client, adder: Client) -> None:
    [(public_id, response)] = [answer async for answer in client.call_all("sum.never", timeout=2)]
    assert public_id == adder.public_id
    assert response == Response.failure("no answer within 2 s")


async def test_leaving_the_loop_early(house: House, client: Client, adder: Client) -> None:
    async with house.client("second") as second:
        second.on("sum.add")(_nothing)
        await second.settled()
        async with aclosing(client.call_all("sum.add", {"a": 1, "b": 2})) as answers:
            async for _ in answers:
                break
    assert len(client._inbox.calls) == 0


async def _nothing(message: Message) -> None: ...


async def test_what_cannot_be_said_to_all(client: Client) -> None:
    with pytest.raises(LocalProtocolError):
        client.call_all("a.*")
    with pytest.raises(LocalProtocolError):
        await client.notify_all("a.b", {"x": None})


# ---- progress


async def test_progress(house: House, client: Client) -> None:
    """MTYPE-33."""
    worker = house.client("worker")

    @worker.on("work.do")
    async def work(message: Message) -> None:
        await worker.progress(message, "begun")
        await worker.progress(message, "half", percent=50, time_left=1)

    await house.enter(worker)
    told: list[Message] = []
    await client.call(worker.public_id, "work.do", on_progress=told.append)
    assert [message.params.get("txt") for message in told] == ["begun", "half"]
    assert (told[1].params["percent"], told[1].params["timeLeft"]) == ("50.0", "1.0")
    assert told[0].sender == worker.public_id
    await client.call(worker.public_id, "work.do")
    assert len(told) == 2


async def test_progress_that_nobody_takes(house: House, client: Client) -> None:
    """The caller may have no ears, or the message be a notification."""
    async with house.client("worker") as worker, worker.messages("work.do") as stream:
        await client.notify(worker.public_id, "work.do")
        await worker.progress(await anext(stream), "begun")
        calling = asyncio.ensure_future(client.call_and_wait(worker.public_id, "work.do"))
        message = await anext(stream)
        await worker.progress(message, "begun")
        await calling


async def test_on_progress_must_be_a_plain_function(client: Client, adder: Client) -> None:
    with pytest.raises(TypeError, match="on_progress is called, not awaited"):
        await client.call(adder.public_id, "sum.add", on_progress=_nothing)


# ---- receiving


async def test_a_plain_function_is_no_handler(client: Client) -> None:
    with pytest.raises(TypeError) as caught:

        @client.on("a.b")  # type: ignore[type-var]
        def load(message: Message) -> None: ...

    assert str(caught.value) == (
        "the handler load must be a coroutine function: write 'async def load(message):'"
    )


async def test_the_decorator_without_its_call(client: Client) -> None:
    with pytest.raises(
        LocalProtocolError, match="load is not a valid mtype but a function: a handler comes after"
    ):

        @client.on  # type: ignore[call-overload]
        async def load(message: Message) -> None: ...


@pytest.mark.parametrize("bad", [("a*",), ("a.b", "*.c"), (), ("",)])
async def test_bad_subscriptions_change_nothing(client: Client, bad: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        client.on(*bad)
    with pytest.raises(LocalProtocolError):
        client.messages(*bad)
    assert not client._inbox.router


async def test_handlers_come_and_go_while_registered(house: House, client: Client) -> None:
    async with house.client("other") as other:
        other.on("a.b", "a.c")(_nothing)
        await other.settled()
        await client.notify(other.public_id, "a.b")
        other.off("a.b")
        await other.settled()
        with pytest.raises(NotSubscribedError):
            await client.notify(other.public_id, "a.b")
        await client.notify(other.public_id, "a.c")
        with pytest.raises(KeyError, match=r"there is no handler of 'a\.b'"):
            other.off("a.c", "a.b")
        assert "a.c" in other._inbox.router.subscriptions()


async def test_many_changes_are_told_once(
    house: House, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.client("other") as other, client.messages("samp.hub.event.subscriptions") as events:
        for number in range(50):
            other.on(f"a.b{number}")(_nothing)
        await other.settled()
        assert len(await client.get_subscriptions(other.public_id)) == 50 + 8
        async with house.client("the end") as last:
            last.on("z.z")(_nothing)
            await last.settled()
            ids = [(await anext(events)).params["id"]]
            while ids[-1] != last.public_id:
                ids.append((await anext(events)).params["id"])
        assert ids.count(other.public_id) <= 2


async def test_a_notebook_cell_that_is_run_twice(house: House, client: Client) -> None:
    async with house.client("other") as other:
        for answer in ("old", "new"):

            @other.on("a.b")
            async def handler(message: Message, answer: str = answer) -> dict[str, str]:
                return {"from": answer}

        await other.settled()
        assert (await client.call(other.public_id, "a.b")).result == {"from": "new"}


async def test_a_stream_of_calls_and_notifications(house: House, client: Client) -> None:
    async with house.client("other") as other, other.messages("a.b") as stream:
        calling = asyncio.ensure_future(client.call(other.public_id, "a.b", {"n": "1"}))
        message = await anext(stream)
        assert message.msg_id is not None
        assert await calling == Response()
        await client.notify(other.public_id, "a.b", {"n": "2"})
        assert (await anext(stream)).msg_id is None


async def test_answering_by_hand(house: House, client: Client) -> None:
    async with house.client("other") as other, other.messages("a.b", answer=False) as stream:
        calling = asyncio.ensure_future(client.call(other.public_id, "a.b"))
        message = await anext(stream)
        with pytest.raises(LocalProtocolError, match="the handler's result"):
            await other.reply(message, {"x": None})
        await other.reply(message, {"rows": 42})
        assert (await calling).result == {"rows": "42"}
        with pytest.raises(LocalProtocolError, match="it was answered already"):
            await other.reply(message, {"rows": 43})
        calling = asyncio.ensure_future(client.call(other.public_id, "a.b"))
        msg_id = (await anext(stream)).msg_id
        assert msg_id is not None
        await other.reply(msg_id)
        assert await calling == Response()


async def test_a_reply_that_comes_too_late(house: House, client: Client) -> None:
    """MSG-30."""
    async with house.client("other") as other, other.messages("a.b", answer=False) as stream:
        with pytest.raises(CallTimeoutError):
            await client.call_and_wait(other.public_id, "a.b", timeout=1)  # longer than it takes to arrive
        message = await anext(stream)
        await turns_until(lambda: not house.hub.engine._core.owes_reply(other.public_id))
        with pytest.raises(HubFaultError, match="awaits an answer"):
            await other.reply(message)


async def test_a_notification_is_not_answered(client: Client) -> None:
    with pytest.raises(LocalProtocolError, match="a notification cannot be answered"):
        await client.reply(Message("a.b"), {})


async def test_a_handler_that_replies_and_returns(house: House, client: Client) -> None:
    other = house.client("other")

    @other.on("a.b")
    async def handler(message: Message) -> dict[str, str]:
        await other.reply(message, {"by": "reply"})
        return {"by": "return"}

    await house.enter(other)
    assert (await client.call(other.public_id, "a.b")).result == {"by": "reply"}
    assert (await client.call(other.public_id, "a.b")).result == {"by": "reply"}


async def test_a_full_stream_refuses_calls(house: House, client: Client) -> None:
    async with house.client("other") as other, other.messages("a.b", limit=1, answer=False) as stream:
        first = asyncio.ensure_future(client.call(other.public_id, "a.b"))
        await turns_until(lambda: len(stream))
        with pytest.raises(ReplyError, match=r"too many messages wait already \(1\)"):
            await client.call(other.public_id, "a.b")
        await other.reply(await anext(stream))
        await first


async def test_closing_a_stream_takes_the_subscription_back(house: House, client: Client) -> None:
    async with house.client("other") as other:
        async with other.messages("a.b"):
            await client.notify(other.public_id, "a.b")
        await other.settled()
        with pytest.raises(NotSubscribedError):
            await client.notify(other.public_id, "a.b")


async def test_streams_end_with_the_client(house: House) -> None:
    client = house.client()
    stream = client.messages("a.b")
    async with client:
        reading = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
    assert await reading is None
    assert stream.closed


async def test_the_one_line_of_the_manual(house: House, client: Client) -> None:
    """`async with client, client.messages(...)`: listening from the moment the stream is made."""
    receiver = house.client("receiver")
    async with receiver, receiver.messages("coord.pointAt.sky") as pointings:
        await client.notify_all("coord.pointAt.sky", {"ra": 1.5, "dec": -2})
        async for message in pointings:
            assert message.params == {"ra": "1.5", "dec": "-2"}
            break


# ---- what we say of ourselves


async def test_metadata(client: Client, adder: Client) -> None:
    """META-2, META-8."""
    assert await client.get_metadata(adder.public_id) == {"samp.name": "adder", "x.skill": "adding"}
    await adder.declare_metadata({"x.mood": ["good", {"very": True}]})
    wanted = {"samp.name": "adder", "x.mood": ["good", {"very": "1"}]}
    assert adder.metadata == wanted
    assert await client.get_metadata(adder.public_id) == wanted
    await adder.declare_metadata({"samp.name": "new"})
    assert await client.get_metadata(adder.public_id) == {"samp.name": "new"}


async def test_metadata_before_registering(house: House, client: Client) -> None:
    other = house.client("other")
    await other.declare_metadata({"x": "1"})
    async with other:
        assert await client.get_metadata(other.public_id) == {"samp.name": "other", "x": "1"}


async def test_metadata_that_cannot_be_said(client: Client) -> None:
    with pytest.raises(LocalProtocolError, match=r"metadata\['x'\] is of type NoneType"):
        await client.declare_metadata({"x": None})
    assert client.metadata == {"samp.name": "sender"}
    with pytest.raises(LocalProtocolError, match=r"metadata\['x'\] has the character 'é'"):
        Client("client", metadata={"x": "é"})


# ---- the others


async def test_asking_the_hub(client: Client, adder: Client) -> None:
    assert sorted(await client.get_registered_clients()) == sorted(["hub", adder.public_id])
    assert await client.get_subscribed_clients("sum.add") == {adder.public_id: {"x.cost": "1"}}
    with pytest.raises(UnknownClientError):
        await client.get_metadata("c99")
    with pytest.raises(LocalProtocolError):
        await client.get_subscribed_clients("sum.*")


async def test_the_live_view(house: House, client: Client, adder: Client) -> None:
    assert len(client.clients) == 0
    names = {other.name for other in await client.get_clients()}
    assert names == {"Hub", "adder"}
    view = await client.find("ADDER")
    assert view.public_id == adder.public_id
    assert view.subscribes("sum.add")
    assert (await client.call(view, "sum.add", {"a": 1, "b": 1})).result == {"sum": "2"}
    await adder.declare_metadata({"samp.name": "summer"})
    await turns_until(lambda: view.name == "summer")
    adder.on("sum.subtract")(_nothing)
    await turns_until(lambda: view.subscribes("sum.subtract"))
    async with house.client("newcomer") as newcomer:
        assert (await client.find("newcomer", timeout=10)).public_id == newcomer.public_id
        assert newcomer.public_id in client.clients
        new_view = client.clients[newcomer.public_id]
    await turns_until(lambda: newcomer.registered is new_view.registered is False)
    assert set(client.clients) == {"hub", adder.public_id}


async def test_two_begin_to_look_at_once(client: Client, adder: Client) -> None:
    one, two = await asyncio.gather(client.find("adder"), client.find("adder"))
    assert one is two


async def test_nobody_of_that_name(client: Client, adder: Client) -> None:
    with pytest.raises(UnknownClientError) as caught:
        await client.find("topcat")
    assert str(caught.value).startswith("no client named 'topcat' is registered; there are: ")
    assert f"'adder' ({adder.public_id})" in str(caught.value)


# ---- without a hub


async def test_nothing_works_before_and_after(house: House) -> None:
    client = house.client("tool")
    for _ in range(2):
        with pytest.raises(NotRegisteredError) as caught:
            await client.notify_all("a.b")
        assert str(caught.value) == (
            "the client 'tool' is not registered, so it cannot notifyAll; "
            "use it within 'async with client:' (plain scripts: 'with client:'), or call register() first"
        )
        for doing in (
            client.call("c1", "a.b"),
            client.call_and_wait("c1", "a.b"),
            client.find("x"),
            client.get_clients(),
            client.reply("m1"),
            client.wait_registered(),
            anext(client.call_all("a.b")),
        ):
            with pytest.raises(NotRegisteredError):
                await doing
        with pytest.raises(NotRegisteredError, match="cannot know its public id"):
            _ = client.public_id
        with pytest.raises(NotRegisteredError, match="cannot know the hub's id"):
            _ = client.hub_id
        await client.settled()
        await client.register()
        await client.unregister()
