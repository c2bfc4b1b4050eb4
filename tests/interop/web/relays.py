"""What tests of relaying pages have in common: an application's page, JupyterLab, a tool on the desktop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
from aiohttp import web

import asyncsamp
from asyncsamp import Client, Hub, Message
from asyncsamp.browser import BrowserConnection, PageRelay, PageSocket
from asyncsamp.browser.source import ProxySource

from ...installed import require_file, require_module
from ..peers.process import process
from .browser import tab_context
from .harness import web_hub
from .site import HERE

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

__all__ = [
    "IPYKERNEL_6",
    "Desk",
    "Notebook",
    "desk",
    "desk_in_tab",
    "jupyter_lab",
    "median_call",
    "open_tab",
    "relay_site",
    "tool",
]

IPYKERNEL_6 = HERE / ".ipykernel6"
"""A folder with ipykernel 6, which takes the place of the one that is installed."""

_INSTALL_6 = "pip install --no-deps --target tests/interop/web/.ipykernel6 'ipykernel<7' nest-asyncio"


_IDLE = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
"""What Notebook 7 shows says "idle" before it has a kernel."""

_PACKAGES = {"lab": "jupyterlab", "notebook": "notebook"}
_PLACES = {"lab": "lab/tree", "notebook": "notebooks"}

Cells: TypeAlias = Sequence[str | dict[str, Any]] | Path


@contextlib.asynccontextmanager
async def relay_site(
    *, secured: ssl.SSLContext | None = None, proxied: bool = False
) -> AsyncIterator[tuple[PageSocket, str]]:
    """Serve a page and its relay, as an application would; gives the relay and the URL of the page.

    Args:
        secured: For https.
        proxied: Whether "proxy/PORT/..." leads to that port of this machine, as by jupyter-server-proxy.
    """
    socket = PageSocket()

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / (request.match_info["page"] or "relay_page.html"))

    async def proxy(request: web.Request) -> web.Response:
        place = "http://127.0.0.1:{port}/{path}".format_map(request.match_info)
        headers = {"Range": request.headers["Range"]}
        async with aiohttp.ClientSession() as session, session.get(place, headers=headers) as answer:
            passed = {"Content-Range": answer.headers["Content-Range"]}
            return web.Response(status=answer.status, body=await answer.read(), headers=passed)

    app = web.Application()
    if proxied:
        app.router.add_get("/proxy/{port}/{path:.*}", proxy)
    app.router.add_get("/samp/relay", socket.handle)
    app.router.add_get("/samp/{name}", socket.serve_module)
    app.router.add_get("/{page:(relay_.*html)?}", page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secured).start()
        yield socket, f"{'https' if secured else 'http'}://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def open_tab(context: BrowserContext, url: str) -> Page:
    """Open a page in a tab of its own."""
    tab = await context.new_page()
    await tab.goto(url)
    return tab


@contextlib.asynccontextmanager
async def tool(
    lockfile: Path | None, name: str = "desktop"
) -> AsyncIterator[tuple[Client, asyncio.Queue[bytes]]]:
    """Run a tool on the desktop, which reads what tables' URLs hold, as TOPCAT does."""
    read: asyncio.Queue[bytes] = asyncio.Queue()
    client = Client(name, lockfile=lockfile)

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


@dataclass(frozen=True)
class Desk:
    """A hub and a tool on the desktop, and an application elsewhere, which serves a page that relays.

    Attributes:
        hub: The hub.
        tool: The tool.
        read: What the tool has read of the tables that it was sent.
        relay: The application's side of the relay.
        url: Where a browser opens the page.
    """

    hub: Hub
    tool: Client
    read: asyncio.Queue[bytes]
    relay: PageRelay
    url: str

    def client(self, name: str = "remote", *, proxied: bool = False) -> Client:
        """Return a client of the application, by the page, which may read by a proxy."""
        sources = [ProxySource()] if proxied else []
        return Client(name, connection=BrowserConnection(self.relay, sources=sources))


@contextlib.asynccontextmanager
async def desk(folder: Path, *, proxied: bool = False, **options: Any) -> AsyncIterator[Desk]:
    """Run all but a browser.

    Args:
        folder: Where the hub has its lockfile.
        proxied: See `relay_site`.
        options: Of the hub.
    """
    async with (
        web_hub(folder, **{"mtypes": None, **options}) as hub,
        tool(hub.lockfile) as (client, read),
        relay_site(proxied=proxied) as (socket, url),
    ):
        yield Desk(hub, client, read, socket.relay, f"{url}?base=/")


@contextlib.asynccontextmanager
async def desk_in_tab(folder: Path, **options: Any) -> AsyncIterator[tuple[Desk, Page]]:
    """Run all of it, and open the page in a Chromium; options as of `desk`."""
    async with desk(folder, **options) as opened, tab_context(folder) as context:
        yield opened, await open_tab(context, opened.url)


async def median_call(client: Client, other: str) -> float:
    """Return the median time of a callAndWait, in seconds."""
    times = []
    for _ in range(100):
        begun = time.monotonic()
        await client.call_and_wait(other, "test.echo", {"x": "1"}, timeout=60)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


class Notebook:
    """A notebook in a JupyterLab that runs.

    Attributes:
        url: Where a browser opens it, with the token.
    """

    def __init__(self, url: str, page: str) -> None:
        self.url = url
        self._page = page

    async def open(self, context: BrowserContext) -> Page:
        """Open it in a tab of its own; its kernel is ready then."""
        tab = await open_tab(context, self.url)
        await self.ready(tab)
        return tab

    async def ready(self, tab: Page) -> None:
        """Wait until the kernel has nothing to do."""
        if self._page == "lab":
            await tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
        else:
            await tab.wait_for_function(_IDLE, timeout=120_000)

    async def run(self, tab: Page) -> None:
        """Run all cells: by the menu, as a user does."""
        await tab.get_by_role("menuitem", name="Run", exact=True).click()
        await tab.get_by_text("Run All Cells", exact=True).click()

    async def restart(self, tab: Page) -> None:
        """Restart the kernel, and run all cells."""
        await tab.get_by_role("menuitem", name="Kernel", exact=True).click()
        await tab.get_by_text("Restart Kernel and Run All Cells", exact=False).first.click()
        await tab.get_by_role("button", name="Confirm Kernel Restart").click()


@contextlib.asynccontextmanager
async def jupyter_lab(
    folder: Path,
    cells: Cells,
    *,
    kernel: int = 7,
    host: str = "127.0.0.1",
    inside: Sequence[str] = (),
    options: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
    trusted: bool = False,
    proxy: bool = True,
    page: str = "lab",
) -> AsyncIterator[Notebook]:
    """Run a JupyterLab, or a Notebook, whose folder has one notebook.

    Args:
        folder: The home of the server and of its kernels.
        cells: The sources of the cells of the notebook, whole cells, or its file.
        kernel: The major version of ipykernel.
        host: Where it listens.
        inside: What its command begins with, such as to enter a network namespace.
        options: More options of JupyterLab.
        metadata: Of the notebook.
        trusted: Whether the user trusts it already, as what he has run himself: else no widget is shown.
        proxy: Whether jupyter-server-proxy is there.
        page: "lab" or "notebook".
    """
    require_module(_PACKAGES[page], _PACKAGES[page])
    env = {}
    if kernel == 6:
        require_file(IPYKERNEL_6 / "ipykernel", _INSTALL_6)
        env["PYTHONPATH"] = f"{IPYKERNEL_6}:{Path(asyncsamp.__file__).parents[1]}"
    root = folder / "lab"
    await asyncio.to_thread(_write_notebook, root, cells, metadata or {})
    if trusted:
        await asyncio.to_thread(_trust, root, folder)
    if not proxy:
        options = [*options, "--ServerApp.jpserver_extensions=jupyter_server_proxy=False"]
    command = [*inside, sys.executable, "-m", _PACKAGES[page], "--no-browser", "--allow-root", f"--ip={host}"]
    command += ["--port=8899", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += [
        "--IdentityProvider.token=secret",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        *options,
    ]
    async with process(command, name="JupyterLab", home=folder, env=env) as lab:
        await lab.line("is running at", stderr=True, timeout=120)
        scheme = "https" if any("certfile" in option for option in options) else "http"
        yield Notebook(f"{scheme}://{host}:8899/{_PLACES[page]}/remote.ipynb?token=secret", page)


def _trust(root: Path, home: Path) -> None:
    """Do what the menu "Trust Notebook" does."""
    nbformat, sign = (importlib.import_module(name) for name in ("nbformat", "nbformat.sign"))
    data = home / ".local" / "share" / "jupyter"
    data.mkdir(parents=True)
    sign.NotebookNotary(data_dir=str(data)).sign(nbformat.read(root / "remote.ipynb", as_version=4))


def _write_notebook(root: Path, cells: Cells, metadata: dict[str, Any]) -> None:
    root.mkdir()
    place = root / "remote.ipynb"
    if isinstance(cells, Path):
        place.write_text(cells.read_text())
        return
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [
            cell if isinstance(cell, dict) else {**empty, "id": f"c{number}", "source": cell}
            for number, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": python, **metadata},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    place.write_text(json.dumps(notebook))
