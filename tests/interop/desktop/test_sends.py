"""What the real tools send by the hand of a user is what docs/reference/mtypes.md says that they send.

Its pictures, which show what to press, are those of docs/how-to/get-a-selection-back.md.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message

from ..peers import Process, Screen, aladin_on, ds9_on, screen, topcat_on
from .meeting import aladin_ready, found
from .sky import image, stars
from .windows import (
    ACTIONS,
    BROADCAST_ICON,
    BROWSER,
    MAIN,
    NEW_SUBSET,
    SUBSETS,
    TRANSMIT,
    choose_rows,
    click_row,
    open_window,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "mtypes.md"

ROWS = dict(
    re.findall(r"^\| `([\w.-]+)` \| `\w+` \| [^|]+ \| [^|]+ \| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
)

WATCHED = (
    "table.*",
    "image.*",
    "coord.*",
    "spectrum.*",
    "script.*",
    "coverage.*",
    "voresource.*",
    "bibcode.*",
)

Pictures = Callable[[str], Path]

pytestmark = pytest.mark.timeout(300)


def said(tool: str) -> set[str]:
    """What the page says that a tool sends."""
    return {mtype for mtype, senders in ROWS.items() if tool in senders}


class Watcher:
    """A client that takes all data, and knows what has come."""

    def __init__(self, client: Client, stream: AsyncIterator[Message]) -> None:
        self.client = client
        self.seen: set[str] = set()
        self._stream = stream

    async def sees(self, mtype: str, act: Callable[[], Awaitable[object]], **params: object) -> Message:
        """Act until the mtype comes with these parameters, as a user would again if nothing happened.

        What comes with others was told by an act before, which was done once more since it took long.
        """
        others = []
        for _ in range(20):
            await act()
            try:
                async with asyncio.timeout(3):
                    while True:
                        message = await anext(self._stream)
                        self.seen.add(message.mtype)
                        if message.mtype == mtype:
                            if message.params.items() >= params.items():
                                return message
                            others.append(message.params)
            except TimeoutError:
                continue
        raise AssertionError(f"{mtype} did not come with {params}, but {others} and {self.seen}")


@asynccontextmanager
async def at_work(
    start: Callable[[Screen, Path, Path], AbstractAsyncContextManager[Process]], home: Path
) -> AsyncIterator[tuple[Client, Watcher, Screen]]:
    """A hub with one tool, a client that sends it data, and one that watches what it sends."""
    lockfile = home / ".samp"
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        Client("watcher", lockfile=lockfile) as watcher,
        screen(home) as display,
        start(display, lockfile, home),
        watcher.messages(*WATCHED) as stream,
    ):
        yield client, Watcher(watcher, stream), display


async def test_topcat(tmp_path: Path, pictures: Pictures) -> None:
    async with at_work(topcat_on, tmp_path) as (client, watcher, display):
        await found(client, "topcat", "table.load.votable")
        table = stars()
        await client.send_table(table, "topcat", name="stars", timeout=60)

        async def broadcast_table() -> None:
            await display.click(MAIN, *BROADCAST_ICON)

        async def transmit_rows() -> None:
            await choose_rows(display, 1, 8)
            await display.arrange(BROWSER, 0, 0, (600, 350))
            await display.arrange(NEW_SUBSET, 200, 120)
            place = pictures("selection-topcat-rows")
            await display.drawn(place, colours=50, area="600x350+0+0")
            await display.ring(place, 200 + TRANSMIT[0], 120 + TRANSMIT[1], 70)
            await display.click(NEW_SUBSET, *TRANSMIT)

        async def broadcast_subset() -> None:
            await display.click(BROWSER, 80, 114)
            await open_window(display, SUBSETS)
            await display.click(SUBSETS, 217, 129)
            place = pictures("selection-topcat")
            await display.drawn(place, SUBSETS, colours=10)
            await display.ring(place, 399, 40)
            await display.click(SUBSETS, 399, 40)

        async def highlight() -> None:
            await open_window(display, ACTIONS)
            await display.click(ACTIONS, 40, 301)
            place = pictures("selection-topcat-row")
            await display.drawn(place, ACTIONS, colours=10)
            await display.ring(place, 105, 301, 85)
            await open_window(display, BROWSER)
            await click_row(display, 5)

        async def point() -> None:
            await display.click(ACTIONS, 40, 140)
            await click_row(display, 6)

        await watcher.sees("table.load.votable", broadcast_table)
        chosen = {"row-list": [str(row) for row in range(1, 9)]}
        await watcher.sees("table.select.rowList", transmit_rows, **chosen)
        await watcher.sees("table.select.rowList", broadcast_subset, **{"row-list": ["0"]})
        await watcher.sees("table.highlight.row", highlight, row="5")
        await watcher.sees("coord.pointAt.sky", point)
        assert watcher.seen == said("TOPCAT") - {"table.load.fits"}  # who takes both gets VOTables


async def test_aladin(tmp_path: Path, pictures: Pictures) -> None:
    async with at_work(aladin_on, tmp_path) as (client, watcher, display):
        await aladin_ready(client, display)
        table = stars()
        await client.send_table(table, "aladin", name="stars", timeout=60)
        await client.aladin("zoom 1deg\nsync")

        async def drag() -> None:
            await display.drag("Aladin v", (480, 180), (760, 420))

        async def broadcast_planes() -> None:
            await display.click("Aladin v", 440, 12)
            await display.click("Aladin v", 509, 80)

        await watcher.sees("table.load.votable", broadcast_planes)  # the last plane to come is selected
        async with client.selections(table) as selections:
            await watcher.sees("table.select.rowList", drag)
            assert 3 < len(await anext(selections)) < len(table)
        place = pictures("selection-aladin")
        await display.drawn(place, "Aladin v", colours=200)
        await display.ring(place, 1031, 89, 34)
        await watcher.sees("image.load.fits", broadcast_planes)
        assert watcher.seen == said("Aladin")


async def test_ds9(tmp_path: Path, pictures: Pictures) -> None:
    async with at_work(ds9_on, tmp_path) as (client, watcher, display):
        await found(client, "ds9", "image.load.fits")
        # What comes before its start has ended, it takes, answers, and reads by half.
        await display.drawn(tmp_path / "started.png", "SAOImage", colours=10)
        table = stars()
        await client.send_image(image(), "ds9", name="field", timeout=60)
        await client.send_table(table, "ds9", name="stars", timeout=60)
        catalogue = "asyncsamp-"  # its window is called after the table-id

        columns = itertools.cycle((172, 260))  # a second click into one cell tells nothing

        async def click_one() -> None:
            await display.click(catalogue, next(columns), 420)

        async def click_another() -> None:
            await display.click(catalogue, 172, 556, shift=True)

        async def broadcast_image() -> None:
            await client.ds9("samp broadcast image")

        async def broadcast_table() -> None:
            await client.ds9("catalog samp broadcast")

        # It tells only whom it knows to take tables; it looks for them at this command, or if somebody comes.
        await watcher.sees("image.load.fits", broadcast_image)
        async with client.selections(table) as selections:
            told = await watcher.sees("table.highlight.row", click_one)
            first = int(str(told.params["row"]))  # which one lies there depends on the fonts
            await watcher.sees("table.select.rowList", click_another)
            rows = (await anext(selections)).tolist()
        assert first < 3
        assert rows == list(range(first, first + len(rows)))
        assert 5 < len(rows) < 12
        await display.drawn(pictures("selection-ds9"), catalogue, colours=10)
        await watcher.sees("table.load.votable", broadcast_table)
        assert watcher.seen == said("DS9")
