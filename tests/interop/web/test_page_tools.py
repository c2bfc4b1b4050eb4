"""The hub's page in Chromium beside TOPCAT, DS9 and Aladin Lite."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from playwright.async_api import BrowserContext, Dialog, Locator, Page, Route, expect

from asyncsamp import Hub, Permissions, TerminalConsent
from asyncsamp.hub.page import HubPage, PageConsent

from ...installed import require_file
from ..peers import DS9_NAME, ds9_on, screen, topcat_on
from ..pictures import keep_picture
from .browser import require_web_clients, tab_context
from .harness import web_hub
from .site import HERE, open_site

pytestmark = pytest.mark.timeout(300)

LONG = 60_000  # ms: two Java and X programs start on a busy machine

LET_IN = "window.aladin.samp.isConnected()"
REFUSED = "window.alerts.some(text => text.startsWith('Could not connect to a SAMP Hub'))"
"""What Aladin Lite knows and says of it."""

ICON_OF_DS9 = "http://ds9.si.edu/doc/sun.png"
"""What DS9 says. The tests have no Internet: its picture is the one that its package brings."""

PICTURE_OF_DS9 = Path("/usr/share/pixmaps/SAOImageDS9.svg")


async def picture(tab: Page, name: str, folder: Path, *, full: bool = True) -> None:
    """Take a screenshot; `scripts/pictures` keeps it."""
    await tab.evaluate("scrollTo(0, 0)")
    await tab.screenshot(path=folder / name, full_page=full)
    keep_picture(folder / name)


async def serve_icon(context: BrowserContext, asked: list[str]) -> None:
    """Answer for the server of the Internet that has the icon of DS9; no other is there."""
    picture = await asyncio.to_thread(require_file(PICTURE_OF_DS9, "saods9").read_bytes)

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url == ICON_OF_DS9:
            await route.fulfill(body=picture, content_type="image/svg+xml")
        else:
            await route.abort()

    await context.route(lambda url: "127.0.0.1" not in url and "localhost" not in url, answer)


async def shows_icon(row: Locator) -> None:
    await expect(row.locator("img")).to_be_visible()
    loaded = "image => image.decode().then(() => image.naturalWidth)"
    assert await row.locator("img").evaluate(loaded) > 0


async def send(tab: Page, to: str, mtype: str, **params: str) -> None:
    """Send a message by the form, and wait for its answer."""
    await tab.locator("#to").select_option(to)
    await tab.locator("#mtype").fill(mtype)
    for name, value in params.items():
        await tab.locator("#fields").get_by_label(name).first.fill(value)
    await tab.get_by_label("wait for an answer").check()
    await tab.get_by_role("button", name="Send", exact=True).press("Enter")
    await expect(tab.locator("#answer")).to_contain_text("samp.ok", timeout=LONG)


async def answer_dialog(dialog: Dialog) -> None:
    await dialog.accept("we need the memory" if dialog.type == "prompt" else None)


async def test_topcat_and_ds9_their_icons_and_their_messages(tmp_path: Path) -> None:
    table, image = tmp_path / "stars.vot", tmp_path / "m31.fits"
    Table({"ra": [10.6, 10.7], "dec": [41.2, 41.3]}).write(str(table), format="votable")
    fits.PrimaryHDU(np.arange(100, dtype="f4").reshape(10, 10)).writeto(image)
    lockfile = tmp_path / "hub.samp"
    asked: list[str] = []
    async with (
        Hub(lockfile=lockfile) as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        screen(tmp_path) as display,
    ):
        await serve_icon(context, asked)
        tab = await context.new_page()
        tab.on("dialog", answer_dialog)
        await tab.goto(page.new_link())
        async with topcat_on(display, lockfile, tmp_path), ds9_on(display, lockfile, tmp_path):
            topcat = tab.locator("#clients tr", has_text="topcat")
            ds9 = tab.locator("#clients tr", has_text=DS9_NAME)
            await expect(topcat).to_contain_text("ready", timeout=LONG)
            await expect(ds9).to_contain_text("ready", timeout=LONG)
            await expect(ds9).to_contain_text("image.load.fits", timeout=LONG)
            await shows_icon(topcat)
            await shows_icon(ds9)
            assert asked == [ICON_OF_DS9]
            ids: dict[str, Any] = {
                name: await row.get_attribute("data-client") for name, row in (("t", topcat), ("d", ds9))
            }
            await send(tab, ids["t"], "table.load.votable", url=table.as_uri(), name="stars")
            await send(tab, ids["d"], "image.load.fits", url=image.as_uri())
            for mtype in ("table.load.votable", "image.load.fits"):
                row = tab.locator("#messages tr", has_text=mtype)
                await expect(row).to_contain_text("answered")
            await tab.get_by_role("button", name=f"Ping {DS9_NAME}").press("Enter")
            await expect(tab.locator("#told")).to_contain_text(f"{DS9_NAME} answered after")
            await tab.get_by_role("button", name="Details of image.load.fits from").first.press("Enter")
            await expect(tab.locator("#content")).to_contain_text("m31.fits")
            await tab.get_by_role("button", name="Details of samp.app.ping from").first.press("Enter")
            await pictures(tab, tmp_path)
            await tab.get_by_role("button", name=f"Disconnect {DS9_NAME}").press("Enter")
            await expect(ds9).to_have_count(0)
            await expect(tab.locator("#told")).to_have_text(f"{DS9_NAME} is disconnected")
            await tab.get_by_role("button", name="Stop the hub").press("Enter")
            await hub.serve_forever()
            await expect(tab.locator("#state")).to_contain_text("The hub has stopped")


async def pictures(tab: Page, folder: Path) -> None:
    await tab.locator("#mtype").fill("table.highlight.row")
    await tab.locator("#answer").evaluate("out => out.textContent = ''")
    for scheme in ("light", "dark"):
        await tab.emulate_media(color_scheme=scheme)
        await picture(tab, f"hub-page-{scheme}.png", folder)
    await tab.emulate_media(color_scheme="light")
    await tab.set_viewport_size({"width": 390, "height": 844})
    await picture(tab, "hub-page-phone.png", folder, full=False)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    await tab.set_viewport_size({"width": 900, "height": 600})


async def test_aladin_lite_is_refused_let_in_remembered_and_asked_about_again(tmp_path: Path) -> None:
    files = {
        "aladin.html": HERE / "aladin.html",
        "aladin.js": require_web_clients("aladin-lite") / "dist" / "aladin.js",
    }
    consent = PageConsent(TerminalConsent(input=io.StringIO()))
    permissions = Permissions(tmp_path / "permissions.json")
    async with (
        web_hub(tmp_path, consent=consent, store=permissions) as hub,
        HubPage(hub, consent=consent, store=permissions) as page,
        open_site(files) as site,
        tab_context(tmp_path, gl=True) as context,
    ):
        tab = await context.new_page()
        await tab.goto(page.new_link())
        await expect(tab.locator("#state")).to_contain_text(hub.url)
        aladin = await context.new_page()
        row = tab.locator("#clients tr", has_text="Aladin Lite")
        question = tab.get_by_role("group", name="A web page asks to register")

        async def register() -> None:
            await aladin.goto(site.url("aladin.html"))
            await aladin.wait_for_function("window.ready")
            await aladin.evaluate("window.aladin.samp.register(); 0")

        async def asked(answer: str) -> None:
            await register()
            await expect(question).to_contain_text(site.base)
            await tab.bring_to_front()
            await question.get_by_role("button", name=answer).press("Enter")
            await expect(question).to_have_count(0)
            await aladin.wait_for_function(REFUSED if answer == "Deny" else LET_IN)

        await asked("Deny")
        await expect(row).to_have_count(0)
        await asked("Allow once")
        await expect(row).to_contain_text("ready")
        await expect(row).to_contain_text("table.load.votable")
        await asked("Always for this origin")
        await expect(row.last).to_contain_text("ready")
        await expect(tab.get_by_label(f"register: {site.base}")).to_have_value("true")
        await register()
        await aladin.wait_for_function(LET_IN)
        await expect(row.last).to_contain_text("ready")
        await expect(question).to_have_count(0)
        await tab.get_by_role("button", name=f"Revoke {site.base}").press("Enter")
        await expect(tab.locator("#permissions tr")).to_have_count(0)
        await asked("Deny")
        assert await asyncio.to_thread(Permissions(permissions.path).load) == {}
