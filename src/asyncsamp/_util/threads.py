"""Work in a thread that leaves nothing behind when the one who asked for it is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ..values import Content, RawMap, ValueMap

__all__ = ["in_daemon_thread", "to_its_end", "values_of"]

_T = TypeVar("_T")


_LARGE = 256 * 1024
"""Bytes from which on decoding holds up the loop."""


async def values_of(content: Content) -> ValueMap:
    """Return the values of what came through the hub; decoded in a thread if it is large."""
    if not isinstance(content, RawMap):
        return content
    return await asyncio.to_thread(content.values) if len(content.xml) > _LARGE else content.values()


async def to_its_end(
    work: Callable[[], _T], undo: Callable[[_T], object] = lambda _: None, *, own: bool = False
) -> _T:
    """Run `work` in a thread. No thread can be stopped, so when cancelled wait for it and undo its work.

    The thread is one of the loop's few, or its `own`.
    """
    running = asyncio.create_task(_in_thread(work, own), name="asyncsamp-thread")
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled() and running.exception() is None:
            with suppress(OSError):
                await _in_thread(partial(undo, running.result()), own)
        raise


def _in_thread(work: Callable[[], _T], own: bool) -> Coroutine[Any, Any, _T]:
    return in_daemon_thread(work) if own else asyncio.to_thread(work)


async def in_daemon_thread(work: Callable[[], _T]) -> _T:
    """Run `work` in a thread of its own that does not keep the process alive.

    When it is cancelled, the thread is left behind and what it returns or raises is dropped.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: Callable[[], object]) -> None:
        if not done.done():
            result()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            settled: Callable[[], object] = partial(done.set_exception, error)
        else:
            settled = partial(done.set_result, result)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, settled)

    threading.Thread(target=run, name="asyncsamp-thread", daemon=True).start()
    return await done
