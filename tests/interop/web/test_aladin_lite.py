"""Aladin Lite from npm, in Chromium: a web client that nobody here wrote, and that translates no URL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncsamp import Client, Message, RemoteClient

from ..peers import stilts_send
from ..pictures import keep_picture
from .browser import require_web_clients, tab_context
from .harness import VOTABLE, desktop, subscriber, web_hub
from .site import HERE, open_site

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.timeout(240)

SHOWN = "window.sources().length == 1 && window.sources()[0] == 100"

# What it selects for a message. That 3.8.2 does not draw the selection then is a fault of its own.
WATCH = """window.selected = []; window.aladin.selectObjects = found =>
window.selected.push(found.map(one => window.aladin.getOverlays()[0].sources.indexOf(one))); 0"""


@contextlib.asynccontextmanager
async def aladin_lite(folder: Path) -> AsyncIterator[tuple[Page, Client, RemoteClient]]:
    """Run a hub, a desktop client, and Aladin Lite, connected as its SAMP button does."""
    files = {
        "aladin.html": HERE / "aladin.html",
        "aladin.js": require_web_clients("aladin-lite") / "dist" / "aladin.js",
    }
    async with (
        web_hub(folder),
        desktop(folder) as client,
        open_site(files) as site,
        tab_context(folder, gl=True) as context,
    ):
        tab = await context.new_page()
        await tab.goto(site.url("aladin.html"))
        await tab.wait_for_function("window.ready")
        await tab.evaluate("window.aladin.samp.register()")
        yield tab, client, await subscriber(client, "Aladin Lite", "table.load.votable")


async def test_it_appears_and_points(tmp_path: Path) -> None:
    async with aladin_lite(tmp_path) as (tab, client, remote):
        metadata = await client.get_metadata(remote)
        assert (metadata["samp.name"], "visualizer" in str(metadata["samp.description"])) == (
            "Aladin Lite",
            True,
        )
        response = await client.call(remote, "coord.pointAt.sky", {"ra": 10.75, "dec": 41.25}, timeout=30)
        assert response.ok
        ra, dec = await tab.evaluate("window.aladin.getRaDec()")
        assert (ra, dec) == pytest.approx((10.75, 41.25), abs=1e-3)


async def test_it_shows_a_table_from_a_file(tmp_path: Path) -> None:
    table = tmp_path / "a table.vot"
    table.write_text(VOTABLE)
    async with aladin_lite(tmp_path) as (tab, client, remote):
        before = await tab.screenshot()
        params = {"url": table.as_uri(), "table-id": "t1", "name": "stars"}
        assert (await client.call(remote, "table.load.votable", params, timeout=30)).ok
        await tab.wait_for_function(SHOWN)
        assert await tab.evaluate("window.alerts") == []
        async with asyncio.timeout(60):
            while await tab.screenshot() == before:
                await tab.evaluate("new Promise(done => requestAnimationFrame(done))")
        # It knows the table by the URL that it was given, which is not the one that others know.
        await tab.evaluate(WATCH)
        chosen = {"url": table.as_uri(), "table-id": "another id", "row-list": ["7", "8"]}
        assert (await client.call(remote, "table.select.rowList", chosen, timeout=30)).ok
        chosen |= {"url": (tmp_path / "another.vot").as_uri(), "row-list": ["9"]}
        assert (await client.call(remote, "table.select.rowList", chosen, timeout=30)).ok
        assert await tab.evaluate("window.selected") == [[7, 8]]


async def test_it_shows_a_table_of_stilts(tmp_path: Path) -> None:
    table = tmp_path / "t.vot"
    table.write_text(VOTABLE)
    shown = asyncio.Event()
    patient = Client("patient", lockfile=tmp_path / "hub.samp")

    @patient.on("table.load.votable")
    async def load(message: Message) -> None:
        """Answer last: STILTS serves its table until then, and Aladin Lite answers before it reads."""
        await shown.wait()

    async with aladin_lite(tmp_path) as (tab, _, _), patient:
        async with stilts_send(tmp_path / "hub.samp", tmp_path, table) as sender:
            await tab.wait_for_function(SHOWN)
            shown.set()
            await sender.succeed(timeout=90)
        assert await tab.evaluate("window.alerts") == []
        await tab.screenshot(path=tmp_path / "aladin-lite.png")
        keep_picture(tmp_path / "aladin-lite.png")
