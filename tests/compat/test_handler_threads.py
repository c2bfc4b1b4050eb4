"""asyncsamp.compat.handler_threads: in order, beside what takes long, and not without a bound."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from asyncsamp.compat import handler_threads as module
from asyncsamp.compat.handler_threads import HandlerThreads

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a function waits for that takes long."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes long, however slow the machine is."""
    monkeypatch.setattr(module, "_TURN", 3600.0)


async def get(done: queue.Queue[object]) -> object:
    return await asyncio.to_thread(done.get, timeout=30)


@pytest.mark.usefixtures("one_at_a_time")
async def test_one_thread_does_all_in_order(gate: threading.Event) -> None:
    threads, done = HandlerThreads(), queue.Queue[object]()
    used: set[threading.Thread] = set()

    def work(number: int) -> None:
        used.add(threading.current_thread())
        done.put(number)

    threads.put(gate.wait)
    for number in range(50):
        threads.put(partial(work, number))
    gate.set()
    assert [await get(done) for _ in range(50)] == list(range(50))
    (thread,) = used
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()
    threads.put(partial(work, 50))
    assert await get(done) == 50


async def test_what_takes_long_does_not_hold_up_the_next_for_long(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it waits for what comes later, more than once."""
    monkeypatch.setattr(module, "_TURN", 0.01)
    threads, done = HandlerThreads(), queue.Queue[object]()
    for _ in range(3):
        threads.put(gate.wait)
    threads.put(gate.set)
    threads.put(partial(done.put, "after"))
    assert await get(done) == "after"


async def test_what_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    threads, done = HandlerThreads(), queue.Queue[object]()
    threads.put(partial(int, "mine"))
    threads.put(partial(done.put, "after"))
    assert await get(done) == "after"
    assert "a function that was bound to messages failed" in caplog.text
    assert "invalid literal" in caplog.text


async def test_there_are_no_more_threads_than_there_may_be(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURN", 0.01)
    threads, done, begun = HandlerThreads(most=2), queue.Queue[object](), queue.Queue[object]()

    def long(number: int) -> None:
        begun.put(number)
        gate.wait(30)
        done.put(number)

    for number in range(4):
        threads.put(partial(long, number))
    assert [await get(begun), await get(begun)] == [0, 1]
    threads.put(partial(done.put, "a response"), urgent=True)
    assert await get(done) == "a response"  # though all wait for it
    assert begun.empty()
    gate.set()
    assert {await get(done) for _ in range(4)} == {0, 1, 2, 3}


@pytest.mark.usefixtures("one_at_a_time")
async def test_the_hub_waits_while_much_waits(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    threads, begun = HandlerThreads(), threading.Event()

    def long() -> None:
        begun.set()
        gate.wait(30)

    threads.put(long)
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(3):
        threads.put(lambda: None)
        assert threads.room() is None
    threads.put(lambda: None)
    room = threads.room()
    assert room is not None
    waiting = asyncio.ensure_future(room)
    gate.set()
    await asyncio.wait_for(waiting, 30)
    assert threads.room() is None


@pytest.mark.usefixtures("one_at_a_time")
async def test_but_not_for_ever(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 0)
    monkeypatch.setattr(module, "_HOLD", 0.01)
    threads = HandlerThreads()
    threads.put(partial(gate.wait, 30))
    threads.put(lambda: None)
    room = threads.room()
    assert room is not None
    await asyncio.wait_for(room, 30)
    assert not gate.is_set()


async def test_where_the_system_gives_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = HandlerThreads(), queue.Queue[object]()

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            threads.put(partial(done.put, "lost"))
    threads.put(partial(done.put, "next"))
    assert await get(done) == "next"
    assert done.empty()
