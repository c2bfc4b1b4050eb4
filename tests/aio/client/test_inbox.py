"""asyncsamp.client.inbox: messages in guarded tasks, calls answered once (CLIENT-5, MSG-22, MSG-23)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncsamp.client.inbox import Handler, Handling, Inbox, as_response
from asyncsamp.client.stream import MessageStream
from asyncsamp.client.validation import may_wait
from asyncsamp.errors import (
    FaultCode,
    FaultError,
    HubFaultError,
    HubLostError,
    LocalProtocolError,
    NotRegisteredError,
    UnknownClientError,
)
from asyncsamp.interfaces import Registration
from asyncsamp.limits import Limits
from asyncsamp.values import Message, Response, Value, ValueMap


class Owner:
    """Takes the replies, and what is said of the hub."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[tuple[str, Response]] = asyncio.Queue()
        self.lost: list[tuple[str, bool]] = []
        self.refusal: Exception | None = None
        self.asked: list[tuple[str, ...]] = []
        self.names: dict[str, str] = {}

    async def request(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        assert operation == "getMetadata"
        client = str(params[0])
        self.asked.append((operation, client))
        await asyncio.sleep(0)
        if client not in self.names:
            raise UnknownClientError(f"no client {client!r} is registered")
        return {"samp.name": self.names[client]}

    async def send_reply(self, msg_id: str, response: Response) -> None:
        self.replies.put_nowait((msg_id, response))
        if self.refusal is not None:
            raise self.refusal

    def hub_lost(self, reason: str, *, come_back: bool, still_known: bool = False) -> None:
        assert still_known == (reason == "gone")
        self.lost.append((reason, come_back))

    async def reply(self) -> Response:
        """Return the one reply that comes to m1."""
        msg_id, response = await self.replies.get()
        assert msg_id == "m1"
        return response


@pytest.fixture
def owner() -> Owner:
    return Owner()


LIMITS = Limits(max_handlers=3, max_pending_calls=5)


@pytest.fixture
async def inbox(owner: Owner) -> AsyncIterator[Inbox]:
    inbox = Inbox(LIMITS)
    inbox.begin(owner, Registration("c1", "hub"))
    yield inbox
    await inbox.close(0.01)


def message(mtype: str = "a.b", **params: Any) -> ValueMap:
    return {"samp.mtype": mtype, "samp.params": params}


def handle(inbox: Inbox, handler: Handler, pattern: str = "a.b") -> None:
    inbox.router.set_handler(pattern, Handling(handler, may_wait(handler)), {})


def listen(inbox: Inbox, *patterns: str, answers_itself: bool = True) -> MessageStream:
    async def enter() -> None:
        pass

    stream = MessageStream(
        "test",
        10,
        1_000_000,
        check=lambda message: None,
        answer=inbox.answer,
        answers_itself=answers_itself,
        with_name=inbox.with_name,
        on_enter=enter,
        on_close=inbox.router.remove_stream,
    )
    inbox.router.add_stream(stream, patterns)
    return stream


def running_task() -> asyncio.Task[Any] | None:
    """Ask for the task where a handler cannot be seen to ask."""
    return asyncio.current_task()


# ---- what handlers do


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (None, Response()),
        ({}, Response()),
        ({"rows": 42, "ok": True}, Response(result={"rows": "42", "ok": "1"})),
        (Response.warning({"rows": 1}, "few"), Response.warning({"rows": "1"}, "few")),
        (Response("x-done", {"a": "b"}, {}, {"x": "y"}), Response("x-done", {"a": "b"}, {}, {"x": "y"})),
    ],
)
async def test_what_a_handler_returns_is_the_answer(
    inbox: Inbox, owner: Owner, returned: Any, wanted: Response
) -> None:
    seen: list[Message] = []

    async def handler(message: Message) -> Any:
        seen.append(message)
        return returned

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", {**message(n="1"), "x": "y"})
    assert await owner.reply() == wanted
    assert seen == [Message("a.b", {"n": "1"}, "c2", "m1", {"x": "y"})]


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ("done", "a handler must return a mapping, a Response or None, not str"),
        (42, "a handler must return a mapping, a Response or None, not int"),
        ({"a": None}, "the handler's result['a'] is of type NoneType"),
        ({"a": {"b": float("nan")}}, "the handler's result['a']['b'] is nan"),
        ({1: "a"}, "the handler's result has the key 1; keys must be strings"),
        (Response(result={"a": None}), "the response's result['a'] is of type NoneType"),  # type: ignore[dict-item]
        (Response("samp.error", {}, {"samp.errortxt": b"x"}), "the response's error['samp.errortxt'] is of"),  # type: ignore[dict-item]
        (Response(extra={"x": object()}), "the response's extra['x'] is of type object"),  # type: ignore[dict-item]
    ],
)
async def test_rubbish_is_answered_with_an_error_that_names_it(
    inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture, returned: Any, text: str
) -> None:
    async def handler(message: Message) -> Any:
        return returned

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    response = await owner.reply()
    assert response.status == "samp.error"
    assert response.errortxt.startswith(f"LocalProtocolError: {text}")
    assert "the handler of a.b failed" in caplog.text


class RudeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I will not say")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such table"), "ValueError: no such table"),
        (KeyError("ra"), "KeyError: 'ra'"),
        (RudeError(), "RudeError"),
        (UnknownClientError("gone"), "UnknownClientError: gone"),
        (ValueError("caf\xe9"), "ValueError: caf?"),
    ],
)
async def test_a_handler_that_raises(
    inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture, error: Exception, text: str
) -> None:
    async def handler(message: Message) -> None:
        raise error

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    assert (await owner.reply()).errortxt == text
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None


async def test_handlers_that_do_not_wait_need_no_task_and_keep_the_order(inbox: Inbox, owner: Owner) -> None:
    seen: list[str] = []
    tasks: list[asyncio.Task[Any] | None] = []
    free = asyncio.Event()

    async def quick(message: Message) -> None:
        seen.append(str(message.params["n"]))
        tasks.append(running_task())

    async def slow(message: Message) -> None:
        seen.append(str(message.params["n"]))
        await free.wait()

    handle(inbox, quick, "a.quick")
    handle(inbox, slow, "a.slow")
    inbox.others.declared("c2", metadata={"samp.name": "other"})
    for number, mtype in enumerate(("a.quick", "a.slow", "a.quick")):
        inbox.receive_notification("c2", message(mtype, n=str(number)))
    assert not seen
    await asyncio.sleep(0)
    assert seen == ["0", "1", "2"]
    assert tasks == [None] * 2
    free.set()


async def test_who_leaves_still_handles_what_had_come(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> dict[str, str]:
        return {"n": "1"}

    handle(inbox, handler)
    inbox.others.declared("c2", metadata={"samp.name": "other"})
    inbox.receive_call("c2", "m1", message())
    await inbox.close(1.0)
    assert (await owner.reply()).result == {"n": "1"}


async def test_a_flood_that_begins_before_the_name_is_known_soon_needs_no_wait(
    inbox: Inbox, owner: Owner
) -> None:
    """Those that waited go on together, so they cannot go on waiting behind each other."""
    owner.names["c2"] = "TOPCAT"
    tasks: list[asyncio.Task[Any] | None] = []

    async def handler(message: Message) -> None:
        tasks.append(running_task())

    handle(inbox, handler)
    for _ in range(100):
        inbox.receive_notification("c2", message())
        await asyncio.sleep(0)
    assert len(tasks) > 95
    assert set(tasks) == {None}


async def test_handlers_that_do_not_wait_are_bounded_too(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> None: ...

    handle(inbox, handler)
    inbox.others.declared("c2", metadata={"samp.name": "other"})
    for number in range(LIMITS.max_handlers):
        inbox.receive_call("c2", f"m{number}", message())
    with pytest.raises(FaultError, match="handlers running and takes no more messages now"):
        inbox.receive_call("c2", "m-one-more", message())


async def test_a_handler_that_is_over_with_a_cancellation(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> None:
        raise asyncio.CancelledError

    handle(inbox, handler)
    inbox.others.declared("c2", metadata={"samp.name": "other"})
    inbox.receive_call("c2", "m1", message())
    assert (await owner.reply()).errortxt == "the handler was cancelled before it ended"


async def test_a_handler_that_cancels_itself(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    assert (await owner.reply()).errortxt == "the handler was cancelled before it ended"


async def test_a_notification_is_handled_and_not_answered(inbox: Inbox, owner: Owner) -> None:
    seen: asyncio.Queue[Message] = asyncio.Queue()

    async def handler(message: Message) -> None:
        seen.put_nowait(message)
        if message.params:
            raise ValueError

    handle(inbox, handler)
    inbox.receive_notification("c2", message())
    inbox.receive_notification("c2", message(fail="1"))
    assert (await seen.get()).msg_id is None
    await seen.get()
    await inbox.close(1)
    assert owner.replies.empty()


async def test_a_cancelled_handler_of_a_notification(inbox: Inbox, owner: Owner) -> None:
    begun = asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()
        await asyncio.Event().wait()

    handle(inbox, handler)
    inbox.receive_notification("c2", message())
    await begun.wait()
    await inbox.close(0)
    assert owner.replies.empty()


async def test_a_reply_that_is_refused_is_nobodys_fault(
    inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(message: Message) -> None: ...

    owner.refusal = HubFaultError("nobody waits", code=FaultCode.UNKNOWN_MESSAGE)
    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    await owner.reply()
    await inbox.close(1)
    assert "a reply was not taken: nobody waits" in caplog.text


# ---- answered once


async def test_a_call_is_answered_once(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> dict[str, str]:
        inbox.claim("m1")  # as Client.reply does
        return {"second": "answer"}

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    await inbox.close(1)
    assert owner.replies.empty()
    with pytest.raises(LocalProtocolError) as caught:
        inbox.claim("m1")
    assert str(caught.value) == (
        "no call 'm1' awaits an answer of this client: "
        "it was answered already, or the hub that brought it is gone"
    )


async def test_a_stream_that_is_late_to_answer(inbox: Inbox, owner: Owner) -> None:
    stream = listen(inbox, "a.b")
    inbox.receive_call("c2", "m1", message())
    inbox.claim("m1")
    await anext(stream)
    await inbox.close(1)
    assert owner.replies.empty()


async def test_a_handler_outlives_its_hub_and_its_answer_does_not(inbox: Inbox, owner: Owner) -> None:
    done = asyncio.Event()

    async def handler(message: Message) -> None:
        await done.wait()

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    inbox.end(lambda: HubLostError("http://x/", "wait"))
    inbox.begin(owner, Registration("c5", "hub"))
    done.set()
    await inbox.close(1)
    assert owner.replies.empty()


async def test_answers_that_are_never_given_are_bounded(inbox: Inbox) -> None:
    stream = listen(inbox, "*", answers_itself=False)
    for number in range(6):
        inbox.receive_call("c2", f"m{number}", message())
    assert len(stream) == 6
    with pytest.raises(LocalProtocolError):
        inbox.claim("m0")
    inbox.claim("m5")


# ---- what nobody handles


@pytest.mark.parametrize(
    "mtype", ["samp.app.ping", "samp.hub.event.register", "samp.hub.disconnect", "samp.msg.progress"]
)
async def test_what_every_client_answers(inbox: Inbox, owner: Owner, mtype: str) -> None:
    """CLIENT-14; and events that some hub sends as calls."""
    inbox.receive_call("c9", "m1", message(mtype))
    assert await owner.reply() == Response()


@pytest.mark.parametrize("mtype", ["a.b", "client.env.get", "samp.app.status", "x-samp.hub.ping"])
async def test_what_was_not_asked_for_is_answered_with_an_error(
    inbox: Inbox, owner: Owner, mtype: str
) -> None:
    """TOL-20: JSAMP's hub takes `a.b.*` for `a.b`. Nobody gets our environment (client.env.get)."""
    inbox.receive_call("c2", "m1", message(mtype, name="HOME"))
    assert (await owner.reply()).errortxt == f"this client does not take {mtype}"


async def test_messages_without_params(inbox: Inbox, owner: Owner) -> None:
    """TOL-6, MSG-2."""
    seen: list[Message] = []

    async def handler(message: Message) -> None:
        seen.append(message)

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", {"samp.mtype": "a.b"})
    await owner.reply()
    assert seen[0].params == {}


@pytest.mark.parametrize("odd", [{}, {"samp.mtype": ["a"]}])
async def test_messages_without_an_mtype_are_refused(inbox: Inbox, odd: ValueMap) -> None:
    with pytest.raises(FaultError, match=r"a message without samp\.mtype") as caught:
        inbox.receive_notification("c2", odd)
    assert caught.value.code == FaultCode.BAD_PARAMETERS


# ---- streams and handlers


async def test_a_message_goes_to_the_handler_and_to_every_stream(inbox: Inbox, owner: Owner) -> None:
    one, two = listen(inbox, "a.*"), listen(inbox, "*")
    other = listen(inbox, "c.d")

    async def handler(message: Message) -> dict[str, str]:
        return {"by": "handler"}

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    assert await owner.reply() == Response(result={"by": "handler"})
    assert (await anext(one)) == (await anext(two))
    assert len(other) == 0
    await inbox.close(1)
    assert owner.replies.empty()


async def test_of_several_streams_one_answers(inbox: Inbox, owner: Owner) -> None:
    one, two = listen(inbox, "a.b"), listen(inbox, "a.b")
    inbox.receive_call("c2", "m1", message())
    await anext(two)
    assert owner.replies.empty()
    await anext(one)
    assert await owner.reply() == Response()


# ---- bounds


async def test_too_many_handlers(inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Event()

    async def handler(message: Message) -> None:
        await done.wait()

    handle(inbox, handler, "*")
    for _ in range(3):
        inbox.receive_notification("c2", message())
    with pytest.raises(FaultError, match="this client has 3 handlers running") as caught:
        inbox.receive_call("c2", "m1", message())
    assert caught.value.code == FaultCode.LIMIT_REACHED
    inbox.receive_notification("c2", message())
    assert caplog.text.count("is not taken") == 2
    inbox.receive_notification("hub", message("samp.hub.event.shutdown"))
    assert owner.lost == [("it has shut down", True)], "what the client itself needs is taken all the same"
    done.set()
    await inbox.close(1)


async def test_closing_waits_for_handlers_and_refuses_more(inbox: Inbox, owner: Owner) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def handler(message: Message) -> dict[str, str]:
        begun.set()
        await done.wait()
        return {"late": "but done"}

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    await begun.wait()
    closing = asyncio.ensure_future(inbox.close(10))
    await asyncio.sleep(0)
    with pytest.raises(FaultError, match="about to leave"):
        inbox.receive_call("c2", "m2", message())
    inbox.receive_notification("c2", message())
    done.set()
    await closing
    assert (await owner.reply()).result == {"late": "but done"}


async def test_closing_cancels_who_takes_too_long(
    inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(message: Message) -> None:
        await asyncio.Event().wait()

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    await inbox.close(0.01)
    assert (await owner.reply()).errortxt == "the handler was cancelled before it ended"
    assert "asyncsamp-handler-a.b takes too long to end and is cancelled" in caplog.text


async def test_a_handler_that_refuses_to_be_cancelled(inbox: Inbox) -> None:
    done, ended = asyncio.Event(), asyncio.Event()

    async def handler(message: Message) -> None:
        while not done.is_set():
            try:
                await done.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    handle(inbox, handler)
    inbox.receive_notification("c2", message())
    await asyncio.sleep(0)
    await inbox.close(0.01)
    assert not ended.is_set()
    done.set()
    await ended.wait()


async def test_closing_that_is_cancelled_cancels_the_handlers(inbox: Inbox, owner: Owner) -> None:
    async def handler(message: Message) -> None:
        await asyncio.Event().wait()

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    closing = asyncio.ensure_future(inbox.close(1000))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (await owner.reply()).status == "samp.error"


async def test_closing_from_a_handler_does_not_wait_for_it(inbox: Inbox, owner: Owner) -> None:
    closed = asyncio.Event()

    async def handler(message: Message) -> None:
        assert inbox.is_handling()
        await inbox.close(1000)
        closed.set()

    handle(inbox, handler)
    inbox.receive_call("c2", "m1", message())
    await closed.wait()
    assert await owner.reply() == Response()
    assert not inbox.is_handling()


async def test_closing_ends_the_streams(inbox: Inbox, owner: Owner) -> None:
    stream = listen(inbox, "a.b")
    inbox.receive_call("c2", "m1", message())
    await inbox.close(1)
    assert stream.closed
    assert (await owner.reply()).errortxt == "the stream of messages was closed before it was read"


# ---- responses, events


@pytest.mark.parametrize(
    ("response", "wanted"),
    [
        ({"samp.status": "samp.ok", "samp.result": {"a": "1"}}, Response(result={"a": "1"})),
        ({"samp.status": "samp.ok"}, Response()),
        ({}, Response("samp.error")),
        ({"samp.status": "samp.error", "samp.result": {"a": "1"}}, Response("samp.error", {"a": "1"})),
        ({"samp.status": "x-odd", "samp.result": []}, Response("x-odd")),
        (
            {"samp.status": "samp.error", "samp.errortxt": "top"},
            Response("samp.error", {}, {"samp.errortxt": "top"}, {"samp.errortxt": "top"}),
        ),
    ],
)
async def test_responses_of_every_make(inbox: Inbox, response: ValueMap, wanted: Response) -> None:
    """TOL-6."""
    call = inbox.calls.open()
    inbox.receive_response("c2", call.msg_tag, response)
    assert await call.next() == ("c2", wanted)


async def test_progress_is_told(inbox: Inbox) -> None:
    told: list[Message] = []
    call = inbox.calls.open(told.append)
    inbox.calls.sent(call, "m7")
    inbox.receive_notification("c2", message("samp.msg.progress", msgid="m7", txt="half"))
    inbox.receive_notification("c2", message("samp.msg.progress", txt="of nothing"))
    assert [progress.params["txt"] for progress in told] == ["half"]


async def test_hub_events_change_the_view(inbox: Inbox, owner: Owner) -> None:
    def event(name: str, **params: Any) -> None:
        inbox.receive_notification("hub", message(f"samp.hub.event.{name}", **params))

    event("register", id="c2")
    event("metadata", id="c2", metadata={"samp.name": "Two"})
    event("subscriptions", id="c2", subscriptions={"a.b": {}})
    assert inbox.others["c2"].name == "Two"
    assert inbox.others["c2"].subscribes("a.b")
    event("metadata", id="c2", metadata="odd")
    event("subscriptions", id="c2")
    event("register", id=["odd"])
    event("unheard-of", id="c2")
    assert inbox.others["c2"].metadata == {}
    assert list(inbox.others) == ["c2"]
    event("unregister", id="c2")
    assert len(inbox.others) == 0
    assert owner.lost == []


@pytest.mark.parametrize(
    ("mtype", "params", "wanted"),
    [
        ("samp.hub.event.shutdown", {}, ("it has shut down", True)),
        ("samp.hub.disconnect", {"reason": "bored"}, ("it disconnected this client: bored", False)),
        ("samp.hub.disconnect", {}, ("it disconnected this client: no reason given", False)),
    ],
)
async def test_the_hub_ends_it(
    inbox: Inbox, owner: Owner, mtype: str, params: ValueMap, wanted: tuple[str, bool]
) -> None:
    """CLIENT-9, CLIENT-10: from the hub's own id only."""
    inbox.receive_notification("c9", message(mtype, **params))
    assert owner.lost == []
    inbox.receive_notification("hub", message(mtype, **params))
    assert owner.lost == [wanted]


async def test_events_of_others_do_not_count(inbox: Inbox) -> None:
    """CLIENT-11."""
    inbox.receive_notification("c9", message("samp.hub.event.register", id="c2"))
    assert len(inbox.others) == 0


async def test_a_lost_connection(owner: Owner) -> None:
    inbox = Inbox(LIMITS)
    inbox.connection_lost("before there was one")
    inbox.begin(owner, Registration("c1", "hub"))
    inbox.connection_lost("gone")
    assert owner.lost == [("gone", True)]


async def test_the_end_fails_calls_and_forgets_everybody(inbox: Inbox) -> None:
    call = inbox.calls.open()
    inbox.others.seen("c2")
    inbox.end(lambda: NotRegisteredError("test", "wait"))
    with pytest.raises(NotRegisteredError):
        await call.next()
    assert len(inbox.others) == 0


def test_as_response_shares_nothing_with_what_it_was_given() -> None:
    result = {"rows": ["1", "2"]}
    response = as_response(result)
    result["rows"].append("3")
    assert response == Response(result={"rows": ["1", "2"]})


# ---- names


async def test_many_messages_of_one_sender_ask_for_its_name_once(inbox: Inbox, owner: Owner) -> None:
    owner.names["c2"] = "TOPCAT"
    named: asyncio.Queue[Message] = asyncio.Queue()
    handle(inbox, named.put)
    for _ in range(2):
        inbox.receive_notification("c2", message())
    assert [(await named.get()).sender_name for _ in range(2)] == ["TOPCAT"] * 2
    inbox.receive_notification("c2", message())
    assert (await named.get()).sender_name == "TOPCAT"
    assert owner.asked == [("getMetadata", "c2")]


async def test_a_name_that_the_hub_does_not_tell(
    inbox: Inbox, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(operation: str, *params: Value, timeout: float | None = None) -> Value:
        await asyncio.Event().wait()
        return ""

    named: asyncio.Queue[Message] = asyncio.Queue()
    handle(inbox, named.put)
    inbox.receive_notification("c3", message())  # the owner says that there is nobody
    assert (await named.get()).sender_name == ""
    monkeypatch.setattr("asyncsamp.client.inbox._NAME_PATIENCE", 0.01)
    monkeypatch.setattr(owner, "request", silent)
    inbox.receive_notification("c2", message())
    assert (await named.get()).sender_name == ""
    inbox.end(lambda: NotRegisteredError("c", "wait"))


async def test_who_was_asked_for_without_a_hub_is_asked_for_at_the_next(inbox: Inbox, owner: Owner) -> None:
    stream = listen(inbox, "a.b")
    inbox.receive_notification("c2", message())
    inbox.end(lambda: NotRegisteredError("c", "wait"))
    assert (await anext(stream)).sender_name == ""
    owner.names["c2"] = "TOPCAT"
    inbox.begin(owner, Registration("c1", "hub"))
    inbox.receive_notification("c2", message())
    assert (await anext(stream)).sender_name == "TOPCAT"


async def test_a_name_of_the_next_hub_comes_too_late(
    inbox: Inbox, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def silent(operation: str, *params: Value, timeout: float | None = None) -> Value:
        asked.set()
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(owner, "request", silent)
    stream = listen(inbox, "a.b")
    inbox.receive_notification("c2", message())
    reading = asyncio.ensure_future(anext(stream))
    await asked.wait()
    inbox.end(lambda: NotRegisteredError("c", "wait"))
    inbox.begin(owner, Registration("c1", "hub"))
    inbox.others.declared("c2", metadata={"samp.name": "another"})
    assert (await reading).sender_name == ""


async def test_messages_stay_in_order_while_a_name_is_asked_for(inbox: Inbox, owner: Owner) -> None:
    """Whenever they come: before the hub is asked, meanwhile, and at the moment it has answered."""
    for turns in range(8):
        sender = f"d{turns}"
        owner.names[sender] = "TOPCAT"
        order: list[object] = []

        async def note(message: Message) -> None:
            order.append(message.params["n"])  # noqa: B023 - used within this round only

        handle(inbox, note)
        for number in range(3):
            inbox.receive_notification(sender, message(n=str(number)))
            for _ in range(turns):
                await asyncio.sleep(0)
        while inbox._tasks or inbox._naming or inbox._due:
            await asyncio.sleep(0)
        assert order == ["0", "1", "2"], turns
        assert inbox._naming == {}


async def test_a_handler_that_takes_no_message_is_answered_for_and_hinders_no_end(
    inbox: Inbox, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler() -> None:
        pass

    handle(inbox, handler)  # type: ignore[arg-type]
    inbox.receive_call("c2", "m1", message())
    answered = await owner.reply()
    assert answered.status == "samp.error"
    inbox.receive_notification("c2", message())
    await inbox.close(0.01)
    assert caplog.text.count("takes 0 positional arguments but 1 was given") >= 1
