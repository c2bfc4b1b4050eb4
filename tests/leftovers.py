"""Tasks that a test leaves behind."""

from __future__ import annotations

import asyncio

__all__ = ["PAUSE", "PAUSES", "sleeps"]

PAUSES, PAUSE = 500, 0.01
"""Further turns of the loop for what a thread or another process has to end, and seconds between them: on a
busy machine these may come late."""


def sleeps(task: asyncio.Task[object]) -> bool:
    """Return whether it is in `asyncio.sleep`: it was forgotten, though it may end by itself."""
    inner: object = task.get_coro()
    while hasattr(awaited := getattr(inner, "cr_await", None), "cr_await"):
        inner = awaited
    return getattr(inner, "__name__", "") == "sleep"
