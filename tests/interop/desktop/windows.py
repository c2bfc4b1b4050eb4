"""Where things are in the windows of the tools, in pixels from their upper left corners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from ..peers import PeerError, Screen

__all__ = [
    "ACTIONS",
    "BROADCAST_ICON",
    "BROWSER",
    "MAIN",
    "NEW_SUBSET",
    "SUBSETS",
    "TRANSMIT",
    "choose_rows",
    "click_row",
    "open_window",
    "until_it_arrives",
]

MAIN, BROWSER, SUBSETS, ACTIONS = "^TOPCAT$", "Table Browser", "Row Subsets", "Activation Actions"
"""Titles of TOPCAT's windows, as regular expressions."""

BROADCAST_ICON = (115, 40)
"""Of the main window."""

_OPENS = {BROWSER: (160, 40), SUBSETS: (270, 40), ACTIONS: (341, 40)}
"""The icons of the main window that open the others."""

_LOOK = 3.0
"""Seconds for a window to open; then the icon is clicked again."""

NEW_SUBSET, TRANSMIT = "^New Subset$", (131, 111)
"""The dialog after "new subset from selected rows", and its button "Transmit Subset"."""


async def open_window(display: Screen, title: str, tries: int = 20) -> None:
    """Open one of TOPCAT's windows: what is clicked before there is a current table opens none."""
    for _ in range(tries):
        await display.click(MAIN, *_OPENS[title])
        with contextlib.suppress(PeerError):
            await display.find(title, timeout=_LOOK)
            return
    raise AssertionError(f"{title} does not open")


async def click_row(display: Screen, row: int, *, shift: bool = False) -> None:
    """Click a row of TOPCAT's browser."""
    await display.click(BROWSER, 80, 114 + 16 * row, shift=shift)


async def choose_rows(display: Screen, first: int, last: int) -> None:
    """Choose rows in TOPCAT's browser, and press "new subset from selected rows"."""
    await open_window(display, BROWSER)
    await click_row(display, first)
    await click_row(display, last, shift=True)
    await display.click(BROWSER, 30, 40)
    await display.find(NEW_SUBSET)


async def until_it_arrives(act: Callable[[], Awaitable[None]], stream: Any, tries: int = 20) -> Any:
    """Act, as a user would again if nothing happened: a window may not have been ready."""
    arriving = asyncio.ensure_future(anext(stream))
    for _ in range(tries):
        await act()
        done, _pending = await asyncio.wait({arriving}, timeout=3)
        if done:
            return arriving.result()
    arriving.cancel()
    raise AssertionError("nothing arrived")
