"""Even pace: the timers of event loops count milliseconds, and would let a crowd send in bursts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from time import perf_counter, sleep

__all__ = ["metronome"]

_LONGEST = 0.05  # seconds


@contextlib.asynccontextmanager
async def metronome() -> AsyncIterator[Callable[[float], asyncio.Future[None]]]:
    """Give a function whose futures are done at a time of `perf_counter`, to a tenth of a millisecond or so.

    A thread sleeps until the next is due. A time that has come after the thread went to sleep may be
    noticed late, by 50 ms at most: ask in order.
    """
    loop = asyncio.get_running_loop()
    waiting: list[tuple[float, asyncio.Future[None]]] = []
    asked, over = threading.Condition(), threading.Event()

    def tick() -> None:
        while True:
            with asked:
                if over.is_set():
                    return
                if not waiting:
                    asked.wait()
                    continue
                due, future = first = min(waiting, key=lambda one: one[0])
                left = due - perf_counter()
                if left <= 0:
                    waiting.remove(first)
                    loop.call_soon_threadsafe(_done, future)
                    continue
            sleep(min(left, _LONGEST))

    def at(due: float) -> asyncio.Future[None]:
        future = loop.create_future()
        with asked:
            waiting.append((due, future))
            asked.notify()
        return future

    thread = threading.Thread(target=tick, name="metronome", daemon=True)
    thread.start()
    try:
        yield at
    finally:
        with asked:
            over.set()
            asked.notify()
        await asyncio.to_thread(thread.join)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
