"""Every program and command of the site's pages is run, against a hub with tools that play their part."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from astropy.table import Table

from asyncsamp import Client
from tests.aio.hub_process import hub_process
from tests.interop.desktop.sky import image, stars
from tests.interop.web.network import own_network

from .audience import audience
from .pages import ROOT, Block, blocks, pages

CODE = [block for page in pages() for block in blocks(page) if block.language in ("python", "sh")]
HUBS = [block for block in CODE if block.mark == "run: a hub, until Ctrl-C"]
RUN = {
    name: [block for block in CODE if block.page == name and not block.mark]
    for name in sorted({block.page for block in CODE if not block.mark})
}

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("page", RUN)
async def test_the_programs_of_a_page_run(page: str, tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    write_data(tmp_path)
    async with hub_process(lockfile), audience(lockfile):
        for block in grouped(RUN[page]):
            await run(block, tmp_path)


def test_every_mark_is_known() -> None:
    known = ("not run: ", "run by: ")
    assert [str(block) for block in CODE if block.mark and not block.mark.startswith(known)] == [
        str(block) for block in HUBS
    ]


@pytest.mark.parametrize("block", HUBS, ids=str)
async def test_a_program_that_is_a_hub_runs_until_ctrl_c(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "hub.py"
    program.write_text(block.code, encoding="utf-8")
    with own_network():  # where port 21012 is free
        process = await start([sys.executable, "-W", "error", program], tmp_path)
        lockfile = tmp_path / ".samp"
        while not lockfile.exists() and process.returncode is None:
            await asyncio.sleep(0.02)
        async with Client("reader", lockfile=lockfile) as client:
            assert client.registered
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
    assert not lockfile.exists(), output.decode()


def write_data(folder: Path) -> None:
    """What the pages speak of as files that are there."""
    stars().write(folder / "stars.vot", format="votable")
    image().writeto(folder / "m31.fits")
    Table({"wavelength": [500.0, 501.0], "flux": [1.0, 2.0]}).write(folder / "spectrum.fits")


def grouped(found: list[Block]) -> list[list[Block]]:
    """Programs that follow each other share an interpreter; a command stands alone."""
    groups: list[list[Block]] = []
    for block in found:
        if groups and block.language == "python" == groups[-1][0].language:
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


async def start(command: Sequence[str | Path], folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment(folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def run(group: list[Block], folder: Path) -> None:
    command = ["bash", "-euc", group[0].code]
    if group[0].language == "python":
        files = [folder / f"{Path(block.page).stem}_line_{block.line}.py" for block in group]
        for file, block in zip(files, group, strict=True):
            file.write_text(block.code, encoding="utf-8")
        command = [sys.executable, "-m", "tests.docs.run_blocks", *map(str, files)]
    process = await start(command, folder)
    try:
        async with asyncio.timeout(180):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
        pytest.fail(f"{group[0]} does not end:\n{output.decode()}")
    assert process.returncode == 0, f"{group[0]}:\n{output.decode()}"
    assert b"<fault>" not in output, f"the hub refuses something of {group[0]}:\n{output.decode()}"


def environment(folder: Path) -> dict[str, str]:
    """The reader's: a home with the hub's lockfile, and the commands of this Python."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), str(folder)])
    kept = {"HOME": str(folder), "PATH": programs, "PYTHONPATH": path, "LANG": "C.UTF-8"}
    return {**kept, "SAMP_HUB": f"std-lockurl:{(folder / '.samp').as_uri()}", "MPLBACKEND": "agg"}
