"""Work in a thread, whoever asked for it cancelled or not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncsamp._util.threads import to_its_end
from asyncsamp.data.share.content import FileContent


async def test_it_returns_what_the_work_gave_and_undoes_nothing() -> None:
    undone: list[int] = []
    assert await to_its_end(lambda: 3, undone.append) == 3
    assert undone == []


async def test_an_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await to_its_end(lambda: 1 // 0)


async def cancelled_within(
    waiter: asyncio.Task[object], begun: threading.Event, go_on: threading.Event
) -> None:
    await asyncio.to_thread(begun.wait)
    waiter.cancel()
    await asyncio.sleep(0)
    assert not waiter.done()  # no thread can be stopped, so it is waited for
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_cancelled_it_waits_for_the_work_and_undoes_it() -> None:
    begun, go_on, undone = threading.Event(), threading.Event(), list[object]()

    def work() -> str:
        begun.set()
        go_on.wait(10)
        return "done"

    waiter: asyncio.Task[object] = asyncio.create_task(to_its_end(work, undone.append))
    await cancelled_within(waiter, begun, go_on)
    assert undone == ["done"]


async def test_work_that_fails_after_the_cancelling_is_not_undone() -> None:
    begun, go_on, undone = threading.Event(), threading.Event(), list[object]()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        raise OSError

    waiter: asyncio.Task[object] = asyncio.create_task(to_its_end(work, undone.append))
    await cancelled_within(waiter, begun, go_on)
    assert undone == []


async def test_a_file_that_is_being_opened_for_a_reader_who_leaves_is_closed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("shared") / "x.bin"
    path.write_bytes(b"x")
    begun, go_on, opened = threading.Event(), threading.Event(), list[object]()

    class Slow(FileContent):
        def _open(self):  # type: ignore[no-untyped-def]
            opened.append(super()._open())
            begun.set()
            go_on.wait(10)
            return opened[0]

    async def read() -> object:
        return [piece async for piece in Slow(path).chunks(0, None)]

    await cancelled_within(asyncio.create_task(read()), begun, go_on)
    assert opened[0].closed  # type: ignore[attr-defined]
