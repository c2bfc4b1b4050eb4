"""asyncsamp.client.stream: messages as an async iterator, bounded, with calls answered when they are read."""

from __future__ import annotations

import asyncio

import pytest

from asyncsamp.client.stream import MessageStream
from asyncsamp.interfaces import Registration
from asyncsamp.values import Message, Response


class DataContext:
    """A stream, and what it did."""

    def __init__(self, limit: int = 3, *, max_bytes: int = 1_000_000, answers_itself: bool = True) -> None:
        self.answers: list[tuple[str | None, str]] = []
        self.closed: list[MessageStream] = []
        self.refusal: Exception | None = None
        self.named = asyncio.Event()
        self.named.set()
        self.stream = MessageStream(
            "a.b",
            limit,
            max_bytes,
            check=lambda message: None,
            answer=self._answer,
            answers_itself=answers_itself,
            with_name=self._with_name,
            on_enter=self._enter,
            on_close=self.closed.append,
        )

    def _answer(self, message: Message, response: Response) -> None:
        self.answers.append((message.msg_id, response.errortxt or response.status))

    async def _with_name(self, message: Message, registration: Registration | None) -> Message:
        await self.named.wait()
        return message

    async def _enter(self) -> None:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal

    def put(self, *names: str) -> None:
        """Put a notification for each name; a call for one that begins with "m", its msg-id."""
        for name in names:
            is_call = name.startswith("m")
            message = Message("a.b", {"n": name}, "c1", name if is_call else None)
            self.stream.put(message, to_answer=is_call)

    async def read(self, count: int) -> list[str]:
        return [str((await anext(self.stream)).params["n"]) for _ in range(count)]


@pytest.fixture
def context() -> DataContext:
    return DataContext()


async def reading(context: DataContext) -> asyncio.Task[Message]:
    task = asyncio.ensure_future(anext(context.stream))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_messages_are_kept_from_the_beginning_and_in_order(context: DataContext) -> None:
    context.put("1", "2")
    assert len(context.stream) == 2
    assert await context.read(2) == ["1", "2"]
    assert context.answers == []


async def test_a_reader_that_waits_is_woken(context: DataContext) -> None:
    task = await reading(context)
    context.put("1", "2")
    assert (await task).params == {"n": "1"}
    assert await context.read(1) == ["2"]


async def test_a_call_is_answered_when_it_is_read(context: DataContext) -> None:
    context.put("m1")
    assert context.answers == []
    await context.read(1)
    assert context.answers == [("m1", "samp.ok")]


async def test_a_reader_may_answer_himself() -> None:
    context = DataContext(answers_itself=False)
    context.put("m1")
    await context.read(1)
    assert context.answers == []


async def test_a_call_that_is_somebody_elses_to_answer(context: DataContext) -> None:
    context.stream.put(Message("a.b", {"n": "m1"}, "c1", "m1"), to_answer=False)
    assert await context.read(1) == ["m1"]
    assert context.answers == []


async def test_cancelling_the_reader_loses_no_message(context: DataContext) -> None:
    task = await reading(context)
    context.put("1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await context.read(1) == ["1"]


async def test_two_readers_are_one_too_many(context: DataContext) -> None:
    task = await reading(context)
    with pytest.raises(RuntimeError, match=r"two readers of one stream \(a\.b\); make a stream for each"):
        await anext(context.stream)
    context.put("1")
    await task
    assert not context.stream.closed


async def test_a_full_stream_drops_the_oldest_notification(
    context: DataContext, caplog: pytest.LogCaptureFixture
) -> None:
    context.put("1", "2", "3", "4", "5")
    assert context.stream.dropped == 2
    assert repr(context.stream) == "<MessageStream a.b 3 waiting, 2 dropped>"
    assert await context.read(3) == ["3", "4", "5"]
    warnings = [record.message for record in caplog.records if "is full" in record.message]
    assert warnings == ["the stream a.b is full (3 messages); its reader is too slow"]


async def test_a_full_stream_keeps_calls_and_drops_notifications(context: DataContext) -> None:
    context.put("m1", "2", "m3", "m4")
    assert await context.read(3) == ["m1", "m3", "m4"]
    assert context.stream.dropped == 1


async def test_a_stream_full_of_calls_refuses_more(context: DataContext) -> None:
    context.put("m1", "m2", "m3", "m4", "5")
    assert context.answers == [("m4", "too many messages wait already (3)")]
    assert context.stream.dropped == 2
    assert await context.read(3) == ["m1", "m2", "m3"]


def large(name: str) -> str:
    return name + "x" * 999


async def test_messages_that_take_too_much_memory_go_before_there_are_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = DataContext(limit=100, max_bytes=4_000)
    context.put(*(large(str(number)) for number in range(9)))
    assert len(context.stream) < 6
    assert context.stream.dropped == 9 - len(context.stream)
    assert (await context.read(1)) == [large(str(context.stream.dropped))]
    [warning] = [record.message for record in caplog.records if "is full" in record.message]
    assert warning == "the stream a.b is full (4 messages of about 0 MB); its reader is too slow"


async def test_a_call_for_which_there_is_no_memory_is_refused_and_drops_nothing() -> None:
    context = DataContext(limit=100, max_bytes=4_000)
    context.put(large("m1"), large("m2"), "3", large("m4"), large("m5"))
    assert len(context.stream) == 5
    context.put("m6" + "x" * 3_990)
    [(call, text)] = context.answers
    assert call is not None
    assert call.startswith("m6")
    assert text == "what waits already takes too much memory (5 messages of about 0 MB)"
    assert (await context.read(3))[2] == "3"


async def test_one_message_is_kept_whatever_its_size() -> None:
    context = DataContext(max_bytes=100)
    for name in ("1" * 500, "2" * 500):
        context.put(name)
        assert len(context.stream) == 1
    assert await context.read(1) == ["2" * 500]
    context.put("1" * 500)
    assert await context.read(1) == ["1" * 500]


async def test_what_was_read_takes_no_memory_any_more() -> None:
    context = DataContext(limit=100, max_bytes=4_000)
    for _ in range(20):
        context.put(large("1"), large("2"), large("3"))
        await context.read(3)
    assert context.stream.dropped == 0


async def test_closing_ends_the_iteration(context: DataContext) -> None:
    task = await reading(context)
    context.stream.close()
    with pytest.raises(StopAsyncIteration):
        await task
    assert context.stream.closed
    assert context.closed == [context.stream]
    context.stream.close()
    assert context.closed == [context.stream]


async def test_what_came_before_the_end_can_still_be_read(context: DataContext) -> None:
    context.put("1", "m2", "3")
    context.stream.close()
    assert context.answers == [("m2", "the stream of messages was closed before it was read")]
    assert [message.params["n"] async for message in context.stream] == ["1", "3"]


async def test_a_reader_that_was_woken_and_not_yet_run(context: DataContext) -> None:
    task = await reading(context)
    context.put("1", "2")
    context.stream.close()
    assert (await task).params == {"n": "1"}


async def test_async_with_closes_it(context: DataContext) -> None:
    async with context.stream as stream:
        assert stream is context.stream
        assert not stream.closed
    assert stream.closed


async def test_a_subscription_that_is_refused_closes_it(context: DataContext) -> None:
    context.refusal = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        async with context.stream:
            pytest.fail("it was entered")
    assert context.closed == [context.stream]


async def test_cancelling_while_it_is_entered_closes_it(context: DataContext) -> None:
    task = asyncio.ensure_future(context.stream.__aenter__())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert context.stream.closed


async def test_a_message_that_is_dropped_while_its_sender_is_asked_for(context: DataContext) -> None:
    context.put("1", "2", "3")
    context.named.clear()
    task = await reading(context)
    context.put("4")  # there is room for three
    context.named.set()
    assert (await task).params == {"n": "2"}
    assert await context.read(2) == ["3", "4"]
    assert context.stream.dropped == 1


async def test_a_reader_that_is_cancelled_while_a_sender_is_asked_for(context: DataContext) -> None:
    context.put("1")
    context.named.clear()
    task = await reading(context)
    task.cancel()
    await asyncio.wait({task})
    context.named.set()
    assert await context.read(1) == ["1"]
