"""asyncsamp.client.pending_calls: responses and progress find the waiting call (MSG-24, MTYPE-33)."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

import pytest

from asyncsamp.client.pending_calls import OpenCall, OpenCalls
from asyncsamp.errors import HubLostError
from asyncsamp.values import Message, Response

OK = Response(result={"x": "1"})


def lost() -> HubLostError:
    return HubLostError("http://x/", "wait")


def progress(text: str) -> Message:
    return Message("samp.msg.progress", {"txt": text})


@pytest.fixture
def calls() -> OpenCalls:
    return OpenCalls()


async def waiting(call: OpenCall) -> asyncio.Task[tuple[str, Response]]:
    """Return a task that waits for the next response already."""
    task = asyncio.ensure_future(call.next())
    await asyncio.sleep(0)
    assert not task.done()
    return task


def test_tags_are_unlike_and_fit_for_every_hub() -> None:
    """DS9 splits tags at ":" (TOL-22); an earlier life of the program has used others."""
    tags = {OpenCalls().open().msg_tag for _ in range(20)}
    one = OpenCalls()
    tags |= {one.open().msg_tag for _ in range(20)}
    assert len(tags) == 40
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", tag) for tag in tags)


async def test_a_response_that_is_there(calls: OpenCalls) -> None:
    call = calls.open()
    calls.respond("c2", call.msg_tag, OK)
    assert await call.next() == ("c2", OK)


async def test_a_response_that_is_waited_for(calls: OpenCalls) -> None:
    one, two = calls.open(), calls.open()
    first, second = await waiting(one), await waiting(two)
    calls.respond("c3", two.msg_tag, Response(result={"for": "two"}))
    calls.respond("c2", one.msg_tag, OK)
    assert await first == ("c2", OK)
    assert (await second)[1].result == {"for": "two"}


async def test_each_responder_counts_once(calls: OpenCalls, caplog: pytest.LogCaptureFixture) -> None:
    """MSG-37: JSAMP's hub relays a second reply."""
    call = calls.open()
    for responder in ("c2", "c2", "c3"):
        calls.respond(responder, call.msg_tag, OK)
    assert [(await call.next())[0] for _ in range(2)] == ["c2", "c3"]
    await waiting_is_endless(call)
    assert "client c2 answered the same call twice" in caplog.text


async def test_who_answers_again_and_again_does_not_fill_the_log(
    calls: OpenCalls, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(message: Message) -> None:
        raise ValueError("of the user's")

    caplog.set_level("WARNING", "asyncsamp.client")
    for number in range(50):
        call = calls.open(fails)
        calls.sent(call, f"m{number}")
        for _ in range(50):
            calls.respond("c2", call.msg_tag, OK)
            calls.progress(f"m{number}", progress("on it"))
    assert 10 < len(caplog.records) < 25


async def waiting_is_endless(call: OpenCall) -> None:
    task = await waiting(call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_the_wait_loses_nothing(calls: OpenCalls) -> None:
    call = calls.open()
    await waiting_is_endless(call)
    calls.respond("c2", call.msg_tag, OK)
    assert await call.next() == ("c2", OK)


async def test_a_response_at_the_moment_of_cancelling_is_kept(calls: OpenCalls) -> None:
    call = calls.open()
    task = await waiting(call)
    calls.respond("c2", call.msg_tag, OK)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await call.next() == ("c2", OK)


async def test_what_nobody_waits_for_is_logged(calls: OpenCalls, caplog: pytest.LogCaptureFixture) -> None:
    """CLIENT-13."""
    call = calls.open()
    calls.close(call)
    calls.respond("c2", call.msg_tag, OK)
    assert "answered a call that nobody waits for" in caplog.text
    assert len(calls) == 0


async def test_failing_reaches_every_call_and_none_shares_its_error(calls: OpenCalls) -> None:
    one, two = calls.open(), calls.open()
    first = await waiting(one)
    calls.respond("c2", two.msg_tag, OK)
    calls.fail_all(lost)
    with pytest.raises(HubLostError) as caught:
        await first
    assert await two.next() == ("c2", OK), "what had come before the end is still good"
    with pytest.raises(HubLostError) as other:
        await two.next()
    assert caught.value is not other.value


async def test_progress_reaches_its_call(calls: OpenCalls) -> None:
    told: list[tuple[int, str]] = []
    one = calls.open(lambda message: told.append((1, str(message.params["txt"]))))
    two = calls.open(lambda message: told.append((2, str(message.params["txt"]))))
    calls.open()
    calls.progress("m2", progress("early"))
    calls.progress("m9", progress("somebody else's"))
    calls.sent(one, "m1")
    calls.sent(two, "m2")
    calls.progress("m1", progress("half"))
    calls.progress("m3", progress("unknown"))
    calls.close(one)
    calls.progress("m1", progress("late"))
    assert told == [(2, "early"), (1, "half")]


async def test_early_progress_is_kept_until_nobody_can_want_it(calls: OpenCalls) -> None:
    told: list[Message] = []
    given_up, call = calls.open(told.append), calls.open(told.append)
    calls.progress("m1", progress("x"))
    calls.close(given_up)
    calls.sent(call, "m1")
    assert len(told) == 1


async def test_progress_that_nobody_asked_for_is_not_kept(calls: OpenCalls) -> None:
    silent = calls.open()
    calls.progress("m1", progress("x"))
    calls.sent(silent, "m1")
    calls.progress("m1", progress("y"))
    calls.close(silent)
    told: list[Message] = []
    loud = calls.open(told.append)
    calls.sent(loud, "m1")
    assert told == []


async def test_early_progress_is_bounded(calls: OpenCalls) -> None:
    told: list[Message] = []
    call = calls.open(told.append)
    for number in range(1000):
        calls.progress("m1", progress(str(number)))
    calls.sent(call, "m1")
    assert [message.params["txt"] for message in told] == [str(number) for number in range(900, 1000)]


async def test_an_on_progress_that_fails_harms_nobody(
    calls: OpenCalls, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(message: Message) -> None:
        raise ValueError("the bar is full")

    call = calls.open(fail)
    calls.sent(call, "m1")
    calls.progress("m1", progress("x"))
    assert "the bar is full" in caplog.text


async def test_one_timer_serves_all_calls(calls: OpenCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *rest)

    monkeypatch.setattr(loop, "call_at", counted)
    late, soon, answered = calls.open(), calls.open(), calls.open()
    calls.expire_in(late, 300.0)
    calls.expire_in(soon, 0.01)
    calls.expire_in(answered, 300.0)
    assert len(timers) == 2
    calls.respond("c2", answered.msg_tag, OK)
    assert await answered.next() == ("c2", OK)
    with pytest.raises(TimeoutError):
        await soon.next()
    assert not (await waiting(late)).done()
    calls.fail_all(lost)  # the timer is ended, too
    with pytest.raises(HubLostError):
        await late.next()


async def test_a_call_that_is_closed_does_not_expire(calls: OpenCalls) -> None:
    closed, open_still = calls.open(), calls.open()
    calls.expire_in(closed, 0.0)
    calls.close(closed)
    calls.expire_in(open_still, 0.01)
    with pytest.raises(TimeoutError):
        await open_still.next()
    calls.expire_in(calls.open(), math.inf)
    calls.fail_all(lost)
