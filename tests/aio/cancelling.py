"""Cancelling a coroutine where it waits for the n-th time, for every n."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

__all__ = ["each_await"]

_MOST = 200


async def each_await(make: Callable[[], Coroutine[Any, Any, object]]) -> AsyncIterator[int]:
    """Run `make()` again and again, cancelled at its first, second, ... wait, until it runs to its end.

    Yields after each cancelled run, for the test to look at what is left.
    """
    for number in range(1, _MOST):
        task = asyncio.ensure_future(_cancelled_at(make(), number))
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
            return
        yield number
    raise AssertionError(f"it waits more than {_MOST} times")


@types.coroutine
def _cancelled_at(work: Coroutine[Any, Any, object], number: int) -> Generator[Any, Any, object]:
    waits = 0
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        try:
            waited_for = resume(value)
        except StopIteration as stop:
            return stop.value
        waits += 1
        if waits == number:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # takes effect when this task waits, which is now
        try:
            value, resume = (yield waited_for), work.send
        except BaseException as error:
            value, resume = error, work.throw
