"""A program whose only way to the desktop's hub is a page in the user's browser: Chromium, JupyterLab."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy
import pytest
from aiohttp import web
from astropy.table import Table
from playwright.async_api import BrowserContext, Page, expect

from asyncsamp import (
    Client,
    DataError,
    Hub,
    HubNotFoundError,
    Limits,
    Message,
    OriginStore,
    WebProfile,
    allow_all,
)
from asyncsamp.browser import BrowserConnection, PageSocket

from ..peers.process import process
from .browser import tab_context
from .harness import web_hub
from .site import HERE

pytestmark = pytest.mark.timeout(120)


@contextlib.asynccontextmanager
async def relay_site() -> AsyncIterator[tuple[PageSocket, str]]:
    """Serve the page and its relay, as an application would."""
    socket = PageSocket()

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "relay_page.html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/samp/relay", socket.handle)
    app.router.add_get("/samp/{name}", socket.serve_module)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield socket, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def open_tab(context: BrowserContext, url: str) -> Page:
    tab = await context.new_page()
    await tab.goto(url)
    return tab


@contextlib.asynccontextmanager
async def tool(hub: Hub, name: str = "desktop") -> AsyncIterator[tuple[Client, asyncio.Queue[bytes]]]:
    """Run a tool on the desktop, which reads what tables' URLs hold, as TOPCAT does."""
    read: asyncio.Queue[bytes] = asyncio.Queue()
    client = Client(name, lockfile=hub.lockfile)

    @client.on("table.load.votable")
    @client.on("table.load.fits")
    async def load(message: Message) -> None:
        async with aiohttp.ClientSession() as session, session.get(str(message.params["url"])) as answer:
            assert answer.status == 200
            read.put_nowait(await answer.read())

    @client.on("test.echo")
    async def echo(message: Message) -> dict[str, object]:
        return dict(message.params)

    async with client:
        yield client, read


async def test_tables_both_ways_and_calls(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub) as (desktop, read),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        tab = await open_tab(context, url)
        async with Client("remote", connection=BrowserConnection(socket.relay)) as remote:
            await expect(tab.locator("#state")).to_contain_text("Connected to the SAMP hub")
            sent = await remote.send_table(Table({"a": [1, 2, 3]}), "desktop")
            assert len(sent) == 1
            assert b"<TD>2</TD>" in await read.get()
            answer = await remote.call_and_wait("desktop", "test.echo", {"x": "&<>" * 5}, timeout=10)
            assert answer.result == {"x": "&<>" * 5}
            async with remote.tables() as tables:
                await desktop.send_table(Table({"b": [4, 5]}), "remote")
                assert list((await anext(tables))["b"]) == [4, 5]


async def test_large_tables_go_in_pieces_and_in_time(tmp_path: Path) -> None:
    table = Table({"x": numpy.arange(2_600_000, dtype="f8")})  # 20 MB
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub) as (desktop, read),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        await open_tab(context, url)
        async with Client("remote", connection=BrowserConnection(socket.relay)) as remote:
            begun = time.monotonic()
            await remote.send_table(table, "desktop")
            assert len(await read.get()) > 20_000_000
            there = time.monotonic()
            async with remote.tables() as tables:
                await desktop.send_table(table, "remote")
                assert len(await anext(tables)) == len(table)
            print(f"20 MB there {there - begun:.2f} s, back {time.monotonic() - there:.2f} s")
            assert time.monotonic() - begun < 30


async def test_a_page_that_is_loaded_again_goes_on_with_the_same_registration(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub) as (desktop, _),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        tab = await open_tab(context, url)
        remote = Client("remote", connection=BrowserConnection(socket.relay))
        async with remote, remote.messages("test.heard") as heard:
            before = remote.public_id
            await tab.reload()
            answer = await remote.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=10)
            assert answer.result == {"x": "1"}
            assert remote.public_id == before
            await desktop.notify(before, "test.heard", {"n": "1"})
            assert (await anext(heard)).params == {"n": "1"}


async def test_no_page_no_hub_and_a_hub_that_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncsamp.browser.connection.PAGE_PATIENCE", 0.2)
    async with relay_site() as (socket, url), tab_context(tmp_path) as context:
        client = Client("remote", connection=BrowserConnection(socket.relay))
        with pytest.raises(HubNotFoundError, match="no page is connected"):
            await client.register()
        tab = await open_tab(context, url)
        await socket.relay.wait_ready()
        with pytest.raises(HubNotFoundError, match=r"start one there with: python -m asyncsamp\.hub"):
            await client.register()
        await expect(tab.locator("#state")).to_contain_text("no SAMP hub")
        async with web_hub(tmp_path, mtypes=None) as hub, tool(hub), client:
            await expect(tab.locator("#state")).to_contain_text("Connected")


async def test_the_page_reaches_the_hub_and_nothing_else(tmp_path: Path) -> None:
    async with relay_site() as (socket, url), tab_context(tmp_path) as context:
        tab = await open_tab(context, url)
        await socket.relay.wait_ready()
        for other in (
            url,
            "http://127.0.0.1:631/",
            "http://localhost:21012.evil.org/",
            "https://localhost:21012/",
        ):
            with pytest.raises(Exception, match="nothing else"):
                await socket.relay.post(other, b"x")
        await expect(tab.locator("#state")).to_contain_text("refused")


async def test_another_sites_page_may_not_relay(tmp_path: Path) -> None:
    async with relay_site() as (socket, url), aiohttp.ClientSession() as session:
        for headers in ({}, {"Origin": "https://evil.example.org"}, {"Origin": "null"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{url}samp/relay", headers=headers)
            assert refused.value.status == 403
        assert not socket.relay.ready


async def test_a_second_page_waits_until_the_first_leaves(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        first = await open_tab(context, url)
        await socket.relay.wait_ready()
        async with Client("remote", connection=BrowserConnection(socket.relay)) as remote:
            second = await open_tab(context, url)
            await expect(second.locator("#state")).to_contain_text("another page")
            await first.close()
            answer = await remote.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=10)
            assert answer.result == {"x": "1"}
            await expect(second.locator("#state")).to_contain_text("Connected")


async def test_what_is_too_large_for_the_hub(tmp_path: Path) -> None:
    async with (
        Hub(
            lockfile=tmp_path / "hub.samp",
            profiles=[WebProfile(consent=allow_all, store=OriginStore())],
            limits=Limits(web_upload_bytes=1000),
        ) as hub,
        tool(hub),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        await open_tab(context, url)
        async with Client("remote", connection=BrowserConnection(socket.relay)) as remote:
            with pytest.raises(DataError, match="keeps 1,000 bytes for one page"):
                await remote.send_table(Table({"a": numpy.arange(5000)}), "desktop")


# ---- JupyterLab

CELLS = (
    "import asyncsamp\n"
    "from astropy.table import Table\n"
    "client = await asyncsamp.connect('notebook', via='browser')\n"
    "await client.send_table(Table({'a': [1, 2, 3]}), 'desktop')\n"
    "print('sent it')",
    "table = await client.receive_table(timeout=60)\nprint('rows:', len(table))",
)


@contextlib.asynccontextmanager
async def jupyter_lab(folder: Path, cells: tuple[str, ...]) -> AsyncIterator[str]:
    """Run a JupyterLab whose folder has a notebook with `cells`; yields its URL with the token."""
    root = folder / "lab"
    root.mkdir()
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {
        "cells": [{**empty, "id": f"c{number}", "source": cell} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (root / "remote.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += ["--port=8899", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += ["--IdentityProvider.token=secret"]
    async with process(command, name="JupyterLab", home=folder) as lab:
        await lab.line("is running at", stderr=True, timeout=60)
        yield "http://127.0.0.1:8899/lab/tree/remote.ipynb?token=secret"


async def test_a_notebook_in_jupyterlab(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub) as (desktop, read),
        jupyter_lab(tmp_path, CELLS) as url,
        tab_context(tmp_path) as context,
    ):
        tab = await open_tab(context, url)
        await expect(tab.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
        await tab.get_by_role("menuitem", name="Run", exact=True).click()
        await tab.get_by_text("Run All Cells", exact=True).click()
        await expect(tab.get_by_text("sent it", exact=True)).to_be_visible(timeout=60_000)
        assert b"<TD>2</TD>" in await read.get()
        await expect(tab.locator(".asyncsamp-relay")).to_contain_text("Connected to the SAMP hub")
        notebook = await desktop.find("notebook", timeout=10)
        await desktop.send_table(Table({"b": [1, 2, 3, 4]}), notebook)
        await expect(tab.get_by_text("rows: 4", exact=True)).to_be_visible(timeout=30_000)
        await tab.screenshot(path=tmp_path / "notebook.png")
