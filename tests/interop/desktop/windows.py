"""Where things are in the windows of the tools, in pixels from their upper left corners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..peers import Screen

__all__ = [
    "ACTIONS",
    "ACTIONS_ICON",
    "BROADCAST_ICON",
    "BROWSER",
    "BROWSER_ICON",
    "MAIN",
    "NEW_SUBSET",
    "SUBSETS",
    "SUBSETS_ICON",
    "TRANSMIT",
    "choose_rows",
    "click_row",
    "until_it_arrives",
]

MAIN, BROWSER, SUBSETS, ACTIONS = "^TOPCAT$", "Table Browser", "Row Subsets", "Activation Actions"
"""Titles of TOPCAT's windows, as regular expressions."""

BROADCAST_ICON, BROWSER_ICON, SUBSETS_ICON, ACTIONS_ICON = (115, 40), (160, 40), (270, 40), (341, 40)
"""Of the main window."""

NEW_SUBSET, TRANSMIT = "^New Subset$", (131, 111)
"""The dialog after "new subset from selected rows", and its button "Transmit Subset"."""


async def click_row(display: Screen, row: int, *, shift: bool = False) -> None:
    """Click a row of TOPCAT's browser."""
    await display.click(BROWSER, 80, 114 + 16 * row, shift=shift)


async def choose_rows(display: Screen, first: int, last: int) -> None:
    """Choose rows in TOPCAT's browser, and press "new subset from selected rows"."""
    await display.click(MAIN, *BROWSER_ICON)
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
