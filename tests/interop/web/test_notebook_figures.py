"""What a remote notebook is asked to be: the figures, in JupyterLab, with TOPCAT; run with -s to see them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from astropy.table import Table

from asyncsamp import (
    Client,
    ConsentAnswer,
    ConsentQuestion,
    Hub,
    HubEventStream,
    Message,
    MessageEvent,
    RemoteClient,
)

from ..desktop.meeting import found
from ..peers import Screen, screen, topcat_on
from .browser import plain_chromium
from .harness import subscriber, web_hub
from .relays import jupyter_lab, median_call

pytestmark = pytest.mark.timeout(300)

BROADCAST_ICON = (115, 40)
"""Of TOPCAT's main window, in pixels: the current table goes to all who take it."""

SENT, BACK = 260_000, 70_000
"""Rows of ten columns: 20.8 MB, as the kernel writes them, and as TOPCAT does, which writes them as text."""

CONNECT = """
import asyncsamp, time
client = await asyncsamp.connect("notebook", via="browser")
print(time.time())
"""
CALL = """
import statistics
for call in client.call_and_wait, client.call:
    times = []
    for _ in range(200):
        begun = time.monotonic()
        await call({desktop!r}, "test.echo", {{"x": "1"}}, timeout=10)
        times.append(time.monotonic() - begun)
    print(statistics.median(times), statistics.quantiles(times, n=100)[98])
"""
SEND = f"""
import numpy
from astropy.table import Table
table = Table({{f"x{{n}}": numpy.random.default_rng(n).random({SENT}) for n in range(10)}})
await client.send_table(table[:1000], "topcat", timeout=60)  # imports what it needs
for _ in range(3):
    begun = time.monotonic()
    await client.send_table(table, "topcat", timeout=60)
    print(time.monotonic() - begun)
"""
LISTEN = f"""
await client.send_table(table[:{BACK}], "topcat", timeout=60)
tables = client.tables()
await tables.__aenter__()
"""
RECEIVE = """
got = await anext(tables)
print(time.time(), len(got))
"""
READ = """
import io, urllib.request
begun = time.monotonic()
data = urllib.request.urlopen({url!r}).read()
read = time.monotonic()
Table.read(io.BytesIO(data), format="votable")
print(len(data), read - begun, time.monotonic() - read)
"""
"""The same without a page: in this test alone the kernel is on the machine of TOPCAT."""


class Kernel:
    """The kernel of a notebook that is open in a browser which nobody drives: that costs the most."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def run(self, code: str) -> list[str]:
        """Run code, and return the words that it prints."""
        printed: list[str] = []

        def take(message: dict[str, Any]) -> None:
            printed.append(message["content"].get("text", ""))

        reply = await self._inner.execute_interactive(code, output_hook=take, allow_stdin=False, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed).split()


@contextlib.asynccontextmanager
async def kernel_of(home: Path) -> AsyncIterator[Kernel]:
    """Wait for the kernel that a page has started, and speak with it beside the page."""
    jupyter = importlib.import_module("jupyter_client.asynchronous")
    runtime = home / ".local" / "share" / "jupyter" / "runtime"
    async with asyncio.timeout(60):
        while not (places := list(runtime.glob("kernel-*.json"))):
            await asyncio.sleep(0.1)  # nobody tells of a file
    inner = jupyter.AsyncKernelClient(connection_file=str(places[0]))
    inner.load_connection_file()
    inner.start_channels(hb=False)  # on a busy machine a kernel that works counts as dead
    try:
        await inner.wait_for_ready(timeout=60)
        yield Kernel(inner)
    finally:
        inner.stop_channels()


def table_of(rows: int) -> Table:
    """Return the table that the kernel sends, too."""
    return Table({f"x{n}": numpy.random.default_rng(n).random(rows) for n in range(10)})


async def echo(message: Message) -> dict[str, object]:
    return dict(message.params)


async def sent_by(events: HubEventStream, sender: RemoteClient) -> str:
    """Return the URL of the table that a tool sends next."""
    async for event in events:
        if not isinstance(event, MessageEvent) or (event.what, event.sender) != ("sent", sender.public_id):
            continue
        params = event.content["samp.params"]
        if event.mtype == "table.load.votable" and isinstance(params, dict):
            return str(params["url"])
    raise AssertionError("the hub has ended")


async def tables_back(
    hub: Hub, topcat: RemoteClient, display: Screen, kernel: Kernel
) -> tuple[list[float], str]:
    """Have TOPCAT send its table three times; return the seconds until it was read, and its last URL."""
    took, url = [], ""
    for _ in range(3):
        receiving = asyncio.create_task(kernel.run(RECEIVE))
        async with hub.events() as events:
            begun = time.time()
            await display.click("^TOPCAT$", *BROADCAST_ICON)
            url = await sent_by(events, topcat)
        came, rows = await receiving
        assert rows == str(BACK)
        took.append(float(came) - begun)
    return took, url


async def test_figures(tmp_path: Path, long: bool) -> None:
    if not long:
        pytest.skip("takes its time; run with --long")
    answered = 0.0

    async def consent(_: ConsentQuestion) -> ConsentAnswer:
        nonlocal answered
        answered = time.time()
        return ConsentAnswer.ALLOW

    async with (
        web_hub(tmp_path, mtypes=None, consent=consent) as hub,
        Client("desktop", lockfile=hub.lockfile) as desktop,  # which takes no table: TOPCAT writes one each
        Client("here", lockfile=hub.lockfile) as here,
        screen(tmp_path) as display,
        topcat_on(display, tmp_path / "hub.samp", tmp_path),
        jupyter_lab(tmp_path, ("",)) as notebook,
        plain_chromium(tmp_path, notebook.url),
        kernel_of(tmp_path) as kernel,
    ):
        desktop.on("test.echo")(echo)
        topcat = await found(desktop, "topcat", "table.load.votable")
        registered = float((await kernel.run(CONNECT))[0]) - answered
        called = await kernel.run(CALL.format(desktop=desktop.public_id))
        median, slowest, pulled, _ = map(float, called)
        median_here = await median_call(here, desktop.public_id)
        sent = [float(word) for word in await kernel.run(SEND)]
        begun = time.time()
        await here.send_table(table_of(SENT), topcat, timeout=60)
        sent_here = time.time() - begun
        await kernel.run(LISTEN)
        await subscriber(desktop, "notebook", "table.load.votable")
        back, url = await tables_back(hub, topcat, display, kernel)
        size, read, parsed = map(float, await kernel.run(READ.format(url=url)))
    print(
        f"\nregistered {registered:.3f} s after consent (0.5 asked)"
        f"\ncallAndWait p50 {median * 1000:.1f} ms (15 asked), p99 {slowest * 1000:.1f} ms; "
        f"without a page p50 {median_here * 1000:.1f} ms; call p50 {pulled * 1000:.1f} ms"
        f"\n20.8 MB to TOPCAT {min(sent):.2f} s (2 asked), the first time {sent[0]:.2f} s; "
        f"without a page {sent_here:.2f} s"
        f"\n{size / 1e6:.1f} MB from TOPCAT {min(back):.2f} s (2 asked), the first time {back[0]:.2f} s; "
        f"without a page {read:.2f} s, and astropy reads it in {parsed:.2f} s"
    )
    # What a busy machine takes, and TOPCAT and astropy themselves, is told by the same without a page.
    assert registered < max(0.5, 500 * median_here)
    assert median < max(0.015, 10 * median_here)
    assert pulled < max(0.030, 15 * median_here)  # 60 ms where messages wait for each other's acknowledgement
    assert min(sent) < max(2.0, 3 * sent_here)
    assert min(back) < max(2.0, 2 * (read + parsed))
