"""The tutorial's program with the real TOPCAT, DS9 and Aladin, a hand for the user's part, and pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, RemoteClient

from ...programs import Program
from ..peers import Screen, aladin_on, ds9_on, screen, topcat_on
from .meeting import aladin_ready, found
from .windows import BROWSER, MAIN, NEW_SUBSET, SUBSETS, TRANSMIT, choose_rows, open_window

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).parents[3] / "examples" / "tutorial.py"


async def test_from_nothing_to_a_linked_selection(tmp_path: Path, pictures: Callable[[str], Path]) -> None:
    lockfile = tmp_path / ".samp"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Hub(lockfile=lockfile))
        me = await stack.enter_async_context(Client("witness", lockfile=lockfile))
        screens = [await stack.enter_async_context(screen(tmp_path)) for _ in range(3)]
        await stack.enter_async_context(topcat_on(screens[0], lockfile, tmp_path))
        await stack.enter_async_context(ds9_on(screens[1], lockfile, tmp_path))
        await stack.enter_async_context(aladin_on(screens[2], lockfile, tmp_path))
        await found(me, "topcat", "table.load.votable")
        await found(me, "ds9", "image.load.fits")
        await aladin_takes_images(me, screens[2])

        async with Program(lockfile, "-u", PROGRAM) as program:
            await program.lines_until("TOPCAT has 200 stars")
            await show_table(screens[0], pictures("tutorial-table"))
            await program.lines_until("Transmit Subset")
            told = asyncio.ensure_future(program.lines_until("bright stars"))
            await select(screens[0], pictures("tutorial-subset"), told)
            assert "56." in "".join(told.result())
            code, rest = await program.end()
            assert code == 0, rest
        assert "DS9 shows the field" in rest
        await open_window(screens[0], SUBSETS)
        await screens[0].drawn(pictures("tutorial-shown"), SUBSETS, colours=10)
        await screens[1].drawn(pictures("tutorial-ds9"), "SAOImage ds9", colours=100)
        await screens[2].drawn(pictures("tutorial-aladin"), "Aladin v", colours=200)


async def show_table(display: Screen, picture: Path) -> None:
    """Open the Table Browser, and take a picture of it below the main window."""
    await open_window(display, BROWSER)
    await display.arrange(MAIN, 0, 0)
    await display.arrange(BROWSER, 0, 317, (844, 350))
    await display.drawn(picture, colours=50, area="844x667+0+0")


async def select(display: Screen, picture: Path, told: asyncio.Future[list[str]]) -> None:
    """Choose rows and send them; again, if a window was not ready."""
    while not told.done():
        await choose_rows(display, 1, 8)
        await display.arrange(NEW_SUBSET, 330, 440)
        await display.drawn(picture, colours=50, area="844x350+0+317")
        await display.ring(picture, 330 + TRANSMIT[0], 440 - 317 + TRANSMIT[1], 70)
        await display.click(NEW_SUBSET, *TRANSMIT)
        await asyncio.wait({told}, timeout=3)


async def aladin_takes_images(me: Client, display: Screen) -> RemoteClient:
    """Wait until it does; what was sent meanwhile is cleared away."""
    tool = await aladin_ready(me, display)
    await me.aladin("reset")
    return tool
