"""Work in a thread that leaves nothing behind when the one who asked for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

__all__ = ["to_its_end"]

_T = TypeVar("_T")


async def to_its_end(work: Callable[[], _T], undo: Callable[[_T], object] = lambda _: None) -> _T:
    """Run `work` in a thread. No thread can be stopped, so when cancelled wait for it and undo its work."""
    running = asyncio.create_task(asyncio.to_thread(work), name="asyncsamp-thread")
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled() and running.exception() is None:
            with suppress(OSError):
                await asyncio.to_thread(undo, running.result())
        raise
