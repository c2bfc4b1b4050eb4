"""Work in a thread, whoever asked for it cancelled or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

import pytest

from asyncsamp._util.threads import to_its_end
from asyncsamp.data.share.content import FileContent
from asyncsamp.reading import files
from asyncsamp.reading.files import FileReader, open_first


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
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path_factory.mktemp("shared") / "x.bin"
    path.write_bytes(b"x")
    begun, go_on, opened = threading.Event(), threading.Event(), list[FileReader]()

    def slow(paths: Iterable[str]) -> FileReader:
        opened.append(open_first(paths))
        begun.set()
        go_on.wait(10)
        return opened[0]

    monkeypatch.setattr(files, "open_first", slow)
    await cancelled_within(asyncio.create_task(FileContent(path).open()), begun, go_on)
    with pytest.raises(OSError, match="Bad file descriptor"):
        opened[0].read_at(0, 1)
