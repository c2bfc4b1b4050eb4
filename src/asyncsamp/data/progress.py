"""How far the writing of a large table is: for a function of the user's, or as a bar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from .formats.table_write import Progress
from .optional import check_installed, need

__all__ = ["ProgressWanted", "reporting"]

ProgressWanted: TypeAlias = "bool | Callable[[int, int], object]"
"""True for a bar by tqdm, or a function that is called with the rows done and all rows."""


def reporting(wanted: ProgressWanted, what: str) -> Progress | None:
    """Return what the writing thread calls; a function of the user's is called in the loop's thread."""
    if not wanted:
        return None
    if wanted is True:
        return _bar(what)
    function = wanted
    loop = asyncio.get_running_loop()

    def report(done: int, rows: int) -> None:
        loop.call_soon_threadsafe(function, done, rows)

    return report


def _bar(what: str) -> Progress:
    check_installed("tqdm", "progress")
    bar: Any = None

    def show(done: int, rows: int) -> None:
        nonlocal bar
        if bar is None:
            bar = need("tqdm.auto", "progress").tqdm(total=rows, desc=what, unit=" rows")
        bar.update(done - bar.n)
        if done >= rows:
            bar.close()

    return show
