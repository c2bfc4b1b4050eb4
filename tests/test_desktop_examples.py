"""The examples of astropy.samp's documentation, here: run as they stand, and no longer than they may be."""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from astropy.table import Table

from asyncsamp import Client, WebConnection

from .aio.hub_process import hub_process
from .notebook.kernels import kernel
from .ports import lasting_port
from .programs import Program, cells, run, run_cells

EXAMPLES = Path(__file__).parents[1] / "examples"

LINES = {
    "hub.ipynb": (2, 4),
    "send_table.ipynb": (3, 11),
    "receive_table.ipynb": (3, 22),
    "send_image.ipynb": (3, 11),
    "conversation.py": (16, 46),
    "hub_in_web_app.py": (22, 41),
}
"""Lines of code that each may have, and how many astropy's has (by its documentation)."""

pytestmark = pytest.mark.timeout(180)


def lines_of_code(name: str) -> int:
    """Return how many lines there are but for imports, text, comments and blank ones; of cells, the first."""
    path = EXAMPLES / name
    source = cells(path)[0] if path.suffix == ".ipynb" else path.read_text()
    left_out: set[int] = set()
    tree = ast.parse(source)
    for node in tree.body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [line for number, line in enumerate(source.splitlines(), 1) if number not in left_out]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)


@pytest.mark.parametrize("name", LINES)
def test_examples_are_no_longer_than_they_may_be(name: str) -> None:
    most, astropys = LINES[name]
    assert lines_of_code(name) <= most < astropys


@pytest.fixture
def lockfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a hub is looked for; there is none."""
    lockfile = tmp_path / "hub.samp"
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{lockfile.as_uri()}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return lockfile


async def run_example(name: str) -> dict[str, Any]:
    return await run_cells(cells(EXAMPLES / name))


async def subscribed(client: Client, mtype: str) -> None:
    async with asyncio.timeout(60), client.messages("samp.hub.event.subscriptions") as declarations:
        while not await client.get_subscribed_clients(mtype):
            await anext(declarations)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_hub(lockfile: Path) -> None:
    [cell] = cells(EXAMPLES / "hub.ipynb")
    async with kernel(lockfile.parent, lockfile) as notebook:
        running = asyncio.create_task(notebook.cell(cell))
        async with asyncio.timeout(60):
            while not lockfile.exists():
                await asyncio.sleep(0.02)  # nobody tells of a file
        async with Client("x", lockfile=lockfile) as client:
            assert [other.name for other in await client.get_clients()] == ["Hub"]
        await notebook.interrupt()
        await running
    assert not lockfile.exists()


async def send(name: str, lockfile: Path) -> None:
    """Run a notebook or a program that sends something to the client "r"."""
    if name.endswith(".ipynb"):
        await run_example(name)
    else:  # what is imported within the loop is slow, and says so in debug mode
        assert (await run(lockfile, EXAMPLES / name)).splitlines()[-1] == "sent to r"


@pytest.mark.parametrize("name", ["send_table.py", "send_table.ipynb"])
async def test_send_table(lockfile: Path, name: str) -> None:
    async with hub_process(lockfile), Client("r", lockfile=lockfile) as receiver, receiver.tables() as tables:
        await send(name, lockfile)
        table = await anext(tables)
        assert list(table["name"]) == ["M 31", "M 32"]


async def test_receive_table(lockfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with hub_process(lockfile), Client("s", lockfile=lockfile) as sender:
        receiving = asyncio.create_task(run_example("receive_table.ipynb"))
        await subscribed(sender, "table.load.votable")
        await sender.send_table(Table({"value": [41, 42]}), timeout=30)
        await receiving
        assert "42" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["send_image.py", "send_image.ipynb"])
async def test_send_image(lockfile: Path, name: str) -> None:
    async with hub_process(lockfile), Client("r", lockfile=lockfile) as receiver, receiver.images() as images:
        await send(name, lockfile)
        image = await anext(images)
        assert image[0].shape == (300, 200)
        assert np.max(image[0].data) == 498


@pytest.mark.parametrize(
    ("name", "mtype"), [("send_table.py", "table.load.votable"), ("send_image.py", "image.load.fits")]
)
async def test_ctrl_c_ends_it_while_it_waits_for_an_answer(lockfile: Path, name: str, mtype: str) -> None:
    async with (
        hub_process(lockfile),
        Client("r", lockfile=lockfile) as receiver,
        receiver.messages(mtype, answer=False) as asked,
        Program(lockfile, EXAMPLES / name) as sender,
    ):
        await anext(asked)
        code, said = await sender.interrupt()
        assert (code, said) == (0, "")


async def test_hub_in_web_app(lockfile: Path) -> None:
    ports = [lasting_port(), lasting_port()]
    async with Program(lockfile, EXAMPLES / "hub_in_web_app.py", *map(str, ports)) as app:
        await app.lines_until("Running on")
        page = Client("a page", connection=WebConnection("a page", port=ports[1]))
        registering = asyncio.create_task(page.register())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ports[0]}") as session, asyncio.timeout(60):
            while not (asked := re.search(r'a page: <a href="([^"]+)">', await text(session, "/"))):
                pass
            assert not registering.done()
            await text(session, asked[1])
        await registering
        async with Client("tool", lockfile=lockfile) as tool:
            assert (await tool.find("a page")).registered
        await page.unregister()
        code, rest = await app.interrupt()
        assert code == 0, rest


async def text(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        return await answer.text()
