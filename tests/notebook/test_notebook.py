"""asyncsamp in a notebook: cells run twice, out of order, interrupted, failing; kernels that restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, ReplyError
from asyncsamp.mtypes import AppPing

from .kernels import gone, kernel

pytestmark = [
    pytest.mark.timeout(300),
    # Jupyter's client leaves its sockets and streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

HANDLER = """
@client.on('x.ask')
async def ask(message):
    return {'answer': '%d'}
await client.settled()
"""

FAILING = """
import asyncio
failed = asyncio.Event()
@client.on('x.fail')
async def fail(message):
    failed.set()
    raise ValueError('oh dear')
await client.settled()
"""

CONNECT = "import asyncsamp\nclient = await asyncsamp.connect('my notebook')"


async def test_cells_in_every_order(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("other", lockfile=lockfile) as other,
        kernel(tmp_path, lockfile) as cells,
    ):
        await cells.run(CONNECT)
        await cells.run(CONNECT)
        names = [found.name for found in await other.get_clients()]
        assert names.count("my notebook") == 1  # the cell was run twice, the client is the same

        # A handler, defined twice, answers once, by what was written last.
        await cells.run(HANDLER % 1)
        await cells.run(HANDLER % 2)
        notebook = await other.find("my notebook")
        assert (await other.call(notebook, "x.ask", timeout=30)).result == {"answer": "2"}

        # An exception in a cell, and in a handler: shown, and everything goes on.
        assert "ZeroDivisionError" in await cells.run("1 / 0", fails=True)
        await cells.run(FAILING)
        cell = asyncio.ensure_future(cells.cell("await asyncio.wait_for(failed.wait(), 50)"))
        with pytest.raises(ReplyError, match="oh dear"):
            await other.call(notebook, "x.fail", timeout=30)
        await cell
        await cells.shown("Traceback")
        await cells.shown("ValueError: oh dear")

        # An interrupt while a cell waits: the next one works.
        stream = "tables = client.tables()\nprint('waiting', flush=True)\nawait anext(tables)"
        cell = asyncio.ensure_future(cells.cell(stream))
        async with other.messages("samp.hub.event.subscriptions") as events, asyncio.timeout(60):
            while not notebook.subscribes("table.load.votable"):
                await anext(events)
        await cells.interrupt()
        interrupted = await cell
        assert any(output.output_type == "error" for output in interrupted.outputs)
        assert (await other.call(notebook, AppPing(), timeout=30)).ok
        assert (await other.call(notebook, "x.ask", timeout=30)).result == {"answer": "2"}

        assert "my notebook" in await cells.run("client")
        shown = await cells.run("await client.get_clients()")
        assert "<table>" in shown
        assert "other" in shown

        await cells.run("await client.unregister()\nawait client.unregister()")
        await gone(other, "my notebook")
        assert "NotRegisteredError" in await cells.run("await client.point_at(1, 2)", fails=True)
        await cells.run("await client.register()")
        assert (await other.find("my notebook", timeout=30)).registered


async def test_the_kernel_is_restarted_and_ended(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with Hub(lockfile=lockfile), Client("other", lockfile=lockfile) as other:
        async with kernel(tmp_path, lockfile) as cells:
            await cells.run(CONNECT)
            await cells.run(
                "import asyncio\nheld = client.tables()\nurl = await client.share(b'x', local=True)"
            )
            await other.find("my notebook", timeout=30)
            await cells.restart()
            await gone(other, "my notebook")
            await cells.run(CONNECT)
            await other.find("my notebook", timeout=30)
        await gone(other, "my notebook")
        assert [found.name for found in await other.get_clients()] == ["Hub"]


async def test_a_hub_in_the_kernel(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with kernel(tmp_path, lockfile) as cells:
        missing = await cells.run(CONNECT, fails=True)
        assert "no running SAMP hub found" in missing
        await cells.run("client = await asyncsamp.connect('my notebook', start_hub=True)")
        begun = asyncio.ensure_future(
            cells.cell("import asyncio\nprint('begun')\nawait asyncio.Event().wait()")
        )
        await cells.shown("begun")
        async with Client("other", lockfile=lockfile, reconnect=False) as other:
            assert (await other.find("my notebook", timeout=30)).registered
            await cells.interrupt()
            await begun
        assert lockfile.exists()
    assert not lockfile.exists()  # the hub went with its kernel
