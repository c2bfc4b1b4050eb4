"""A notebook whose only way to the desktop's hub is its own page: JupyterLab, in Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table
from playwright.async_api import Page, expect

from asyncsamp import Client, SampError
from asyncsamp.browser import widget

from .browser import tab_context
from .harness import subscriber, until_gone, web_hub
from .relays import jupyter_lab, tool

pytestmark = pytest.mark.timeout(400)

CONNECT = "import asyncsamp\nclient = await asyncsamp.connect('notebook', via='browser')"
SEND = (
    "import numpy\n"
    "from astropy.table import Table\n"
    "await client.send_table(Table({'a': [1, 2, 3]}), 'desktop')\n"
    "await client.send_table(Table({'a': numpy.arange(1_200_000.0)}), 'desktop')\n"
    "print('sent', 'both')"
)
TRY = (
    "import time, asyncsamp, anywidget\n"
    "begun = time.monotonic()\n"
    "try:\n"
    "    await asyncsamp.connect('notebook', via='browser')\n"
    "except asyncsamp.HubNotFoundError as error:\n"
    "    print('SAID', 'at once:' if time.monotonic() - begun < 14 else 'late:', error)"
)
RECEIVE = "table = await client.receive_table(timeout=60)\nprint('rows:', len(table))"
TELL = (
    "import os\n"
    "@client.on('test.process')\n"
    "async def tell(message):\n"
    "    return {'process': str(os.getpid())}"
)
AT_ONCE = 40.0
"""Seconds: on a busy machine a kernel takes some to end. A page that is not told goes on for minutes."""


def requests_of(tab: Page) -> list[str]:
    """Return the list of all that the page asks for from now on."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    tab.on("websocket", lambda socket: asked.append(f"WS {socket.url}"))
    return asked


async def shown(tab: Page, text: str) -> None:
    await expect(tab.get_by_text(text, exact=True)).to_be_visible(timeout=120_000)


@pytest.mark.parametrize(
    ("page", "kernel", "route"),
    [("lab", 7, "/files/asyncsamp-"), ("lab", 6, "/proxy/"), ("notebook", 7, "/proxy/")],
    ids=["no proxy", "ipykernel 6", "Notebook 7"],
)
async def test_tables_both_ways(page: str, kernel: int, route: str, tmp_path: Path) -> None:
    """The large one is read at the notebook's server, in ranges."""
    proxy = route == "/proxy/"
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub.lockfile) as (desktop, read),
        jupyter_lab(tmp_path, (CONNECT, SEND, RECEIVE), page=page, kernel=kernel, proxy=proxy) as notebook,
        tab_context(tmp_path) as context,
    ):
        tab = await notebook.open(context)
        asked = requests_of(tab)
        await notebook.run(tab)
        await shown(tab, "sent both")
        assert b"<TD>2</TD>" in await read.get()
        assert len(await read.get()) > 9_600_000
        await expect(tab.locator(".asyncsamp-relay")).to_contain_text("Connected to the SAMP hub")
        kernel_client = await subscriber(desktop, "notebook", "table.load.votable")
        await desktop.send_table(Table({"b": [1, 2, 3, 4]}), kernel_client)
        await shown(tab, "rows: 4")
        await tab.screenshot(path=tmp_path / "notebook.png")
        assert sum(route in place for place in asked if place.startswith("GET")) == 10
        assert any("/proxy/" in place for place in asked if place.startswith("WS")) == (kernel == 6)
        elsewhere = [place for place in asked if "127.0.0.1:8899" not in place]
        assert {place.split("/")[2] for place in elsewhere} <= {"127.0.0.1:21012", "localhost:21012"}
        assert [place.name for place in (tmp_path / "lab").glob("[!.]*")] == ["remote.ipynb"]


async def test_where_neither_way_works_the_cell_says_so_at_once(tmp_path: Path) -> None:
    """ipykernel 6, and a server without jupyter-server-proxy."""
    async with (
        web_hub(tmp_path),
        jupyter_lab(tmp_path, (TRY,), kernel=6, proxy=False) as notebook,
        tab_context(tmp_path) as context,
    ):
        tab = await notebook.open(context)
        await notebook.run(tab)
        said = tab.get_by_text("SAID at once: ")
        await expect(said).to_be_visible(timeout=120_000)
        assert (
            "takes no message of the page while a cell runs. Install ipykernel 7" in await said.inner_text()
        )


async def test_what_happens_to_pages_hubs_and_kernels(tmp_path: Path) -> None:
    """The page is loaded again, the hub and the kernel are restarted, the kernel dies, the page is closed."""
    async with (
        jupyter_lab(tmp_path, (CONNECT, TELL)) as notebook,
        tab_context(tmp_path) as context,
    ):
        async with web_hub(tmp_path, mtypes=None) as hub, Client("desktop", lockfile=hub.lockfile) as desktop:
            tab = await notebook.open(context)
            await notebook.run(tab)
            _, process = await answered(desktop)
            await tab.reload()
            assert (await answered(desktop))[1] == process
        async with web_hub(tmp_path, mtypes=None) as hub, Client("desktop", lockfile=hub.lockfile) as desktop:
            before, same = await answered(desktop)
            assert same == process
            await notebook.ready(tab)
            await notebook.restart(tab)
            assert await until_gone(desktop, before, 90) < AT_ONCE
            before, process = await answered(desktop)
            await notebook.ready(tab)
            os.kill(process, signal.SIGKILL)
            assert await until_gone(desktop, before, 90) < AT_ONCE
            await tab.get_by_role("button", name="Ok", exact=True).click()  # JupyterLab tells of it
            await notebook.ready(tab)
            await notebook.run(tab)
            before, _ = await answered(desktop)
            await tab.close()
            assert await until_gone(desktop, before, 90) < AT_ONCE


async def answered(desktop: Client) -> tuple[str, int]:
    """Wait until the notebook is there and answers; it may be registered anew meanwhile.

    Returns its public id, and the process of its kernel.
    """
    async with asyncio.timeout(120):
        while True:
            notebook = await subscriber(desktop, "notebook", "test.process")
            with contextlib.suppress(SampError):
                answer = await desktop.call_and_wait(notebook, "test.process", {}, timeout=30)
                return notebook.public_id, int(str(answer.result["process"]))


async def test_a_saved_notebook_does_nothing_until_it_is_run(tmp_path: Path) -> None:
    """With the widgets' state in it, as a kernel knows it: the page shows them, and reaches nobody by them.

    Its reader trusts it: the page of one that is not trusted does not even show them.
    """
    from ipywidgets import Widget

    saved = [await asyncio.to_thread(widget.make_widget, place) for place in ("", "proxy/21012/token")]
    state: dict[str, Any] = Widget.get_manager_state(widgets=[*saved, *(each.layout for each in saved)])
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "execution_count": 1,
            "source": CONNECT,
            "outputs": [
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {
                        "application/vnd.jupyter.widget-view+json": {
                            "model_id": each.model_id,
                            "version_major": 2,
                            "version_minor": 0,
                        }
                    },
                }
            ],
        }
        for number, each in enumerate(saved)
    ]
    metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": state}}
    async with (
        web_hub(tmp_path, mtypes=None),
        jupyter_lab(tmp_path, cells, metadata=metadata, trusted=True) as notebook,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        asked = requests_of(tab)
        await tab.goto(notebook.url)
        await notebook.ready(tab)
        for number in range(2):
            view = tab.locator(".asyncsamp-relay").nth(number)
            text = "SAMP: this page is not connected to a running notebook."
            await expect(view).to_contain_text(text, timeout=120_000)
        assert not any("21012" in place for place in asked), asked
    for each in saved:
        each.close()
