"""The example notebooks, executed on a real kernel with the real tools running."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from asyncsamp import Client, Hub

from ...installed import require_program
from ...notebook.kernels import as_text, gone, kernel_environment, patient
from ..peers import DS9_NAME, Screen, aladin_on, ds9_on, screen, topcat_on
from .meeting import aladin_ready, found
from .windows import BROWSER, SUBSETS, click_row, open_window

EXAMPLES = Path(__file__).parents[3] / "examples"

pytestmark = [
    pytest.mark.timeout(240),
    # Jupyter's client leaves its sockets and streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


async def execute(name: str, home: Path, lockfile: Path, **more: str) -> dict[str, str]:
    """Execute a notebook of the examples; returns the output of each cell of code by its last line."""
    read: Any = nbformat.read
    notebook = await asyncio.to_thread(read, EXAMPLES / name, 4)
    client = NotebookClient(
        notebook, timeout=150, kernel_name="python3", resources={"metadata": {"path": home}}
    )
    await patient(client).async_execute(env=kernel_environment(home, lockfile) | more)
    return {
        cell.source.splitlines()[-1]: as_text(cell) for cell in notebook.cells if cell.cell_type == "code"
    }


async def click_and_broadcast(display: Screen) -> None:
    """What the notebook asks its reader to do, again and again."""
    while True:
        await open_window(display, BROWSER)
        await click_row(display, 3)
        await open_window(display, SUBSETS)
        await display.click(SUBSETS, 217, 129)
        await display.click(SUBSETS, 399, 40)


async def test_table_to_topcat(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("witness", lockfile=lockfile) as witness,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
    ):
        await found(witness, "topcat", "table.load.votable")
        executing = asyncio.create_task(execute("table_to_topcat.ipynb", tmp_path, lockfile))
        notebook = await found(witness, "my notebook", "table.select.rowList", 90)
        user = asyncio.create_task(click_and_broadcast(display))
        outputs = await executing
        user.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await user
        await gone(witness, "my notebook")
        assert not notebook.registered
    assert "topcat" in outputs["await client.get_clients()"]
    assert "topcat" in outputs['await client.send_table(table, "topcat", name="stars")']
    assert "length=1" in outputs["table[rows]"]
    assert "samp.ok" in outputs['await client.select_rows(table, table["mag"] < 8, "topcat")']


async def test_image_to_ds9(tmp_path: Path) -> None:
    """DS9 runs already."""
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("witness", lockfile=lockfile) as witness,
        screen(tmp_path) as display,
        ds9_on(display, lockfile, tmp_path),
    ):
        await found(witness, DS9_NAME, "image.load.fits")
        outputs = await execute("image_to_ds9.ipynb", tmp_path, lockfile)
        await gone(witness, "my notebook")
        others = [other.name for other in await witness.get_clients()]
    assert "200 160" in outputs['await client.ds9_get("fits size")']
    assert others.count(DS9_NAME) == 1


async def test_image_to_ds9_with_nothing_running(tmp_path: Path) -> None:
    require_program("ds9", "saods9")
    lockfile = tmp_path / "hub.samp"
    async with screen(tmp_path) as display:  # DS9 ends with its display
        outputs = await execute("image_to_ds9.ipynb", tmp_path, lockfile, DISPLAY=display.display)
    assert "200 160" in outputs['await client.ds9_get("fits size")']
    assert DS9_NAME in outputs["await client.get_clients()"]
    assert not lockfile.exists()


async def test_position_to_aladin(tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with (
        Hub(lockfile=lockfile),
        Client("witness", lockfile=lockfile) as witness,
        screen(tmp_path) as display,
        aladin_on(display, lockfile, tmp_path),
    ):
        await aladin_ready(witness, display)
        outputs = await execute("position_to_aladin.ipynb", tmp_path, lockfile)
        await gone(witness, "my notebook")
    assert "samp.ok" in outputs['await client.point_at(centre, "aladin")']
    assert "True" in outputs['SkyCoord(there.ra, there.dec, unit="deg").separation(centre).arcsec < 1']
