"""The web page of examples/, which the site shows, in Chromium, with the hub as users start it and TOPCAT."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest
from astropy.table import Table
from playwright.async_api import expect

from asyncsamp import Client, FaultCode, ReplyError

from ...aio.webpage import Page as RawPage
from ...programs import Program
from ..peers import screen, topcat_on
from ..pictures import keep_picture
from .browser import require_web_clients, tab_context
from .figures import asyncsamp_hub
from .harness import VOTABLE, jsamp_web_hub, subscriber
from .site import open_site

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "web.md"
PAGE = ROOT / "examples" / "web_page.html"


def test_the_site_shows_the_example_and_it_is_short() -> None:
    assert (
        "{literalinclude} ../../examples/web_page.html" in (ROOT / "docs/how-to/archive-page.md").read_text()
    )
    assert len(PAGE.read_text().splitlines()) <= 20


@pytest.mark.parametrize("name", ["web_page.html", "upload_page.html"])
def test_the_example_says_which_file_samp_js_is(name: str) -> None:
    """Beside the tag, and that file is in the package of that name."""
    [line] = [line for line in (PAGE.parent / name).read_text().splitlines() if 'src="samp.js"' in line]
    assert "npm install sampjs; copy node_modules/sampjs/samp.js" in line
    assert "node_modules/sampjs/samp.js" in (ROOT / "docs/how-to/archive-page.md").read_text()
    assert (require_web_clients("sampjs") / "samp.js").is_file()


def folder(home: Path) -> dict[str, Path]:
    (home / "stars.vot").write_text(VOTABLE)
    samp_js = require_web_clients("sampjs") / "samp.js"
    return {"web_page.html": PAGE, "stars.vot": home / "stars.vot", "samp.js": samp_js}


async def test_it_sends_a_table_to_topcat(tmp_path: Path) -> None:
    async with (
        asyncsamp_hub(tmp_path) as (lockfile, _),
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
        Client("witness", lockfile=lockfile) as witness,
        open_site(folder(tmp_path)) as site,
        tab_context(tmp_path) as context,
    ):
        await subscriber(witness, "topcat", "table.load.votable")
        tab = await context.new_page()
        await tab.goto(site.url("web_page.html"))
        async with witness.messages("table.load.votable") as tables:
            await tab.click("button")
            message = await anext(tables)
        assert message.params["url"] == site.url("stars.vot")
        declared = {"samp.name": "Star archive", "samp.description.text": "sends a table"}
        async with asyncio.timeout(60):  # samp.js waits for no answer before it goes on
            while await witness.get_metadata(message.sender) != declared:
                pass
        await tab.wait_for_function("document.getElementById('told').textContent == 'sent to 2 tools'")
        picture = tmp_path / "web-page-topcat.png"
        # Only once there is a table does TOPCAT draw its buttons in colour.
        await display.drawn(picture, "^TOPCAT$", colours=600)
        keep_picture(picture)


async def test_without_a_hub_it_says_so(tmp_path: Path) -> None:
    async with open_site(folder(tmp_path)) as site, tab_context(tmp_path) as context:
        tab = await context.new_page()
        await tab.goto(site.url("web_page.html"))
        await tab.click("button")
        await tab.wait_for_function("document.getElementById('told').textContent.startsWith('not sent')")


async def test_the_program_of_the_documentation_lets_its_site_in(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    async with Program(tmp_path / "x.samp", tmp_path / "program.py") as running:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    answer = await RawPage(21012).post("samp.webhub.ping")
                    break
                await asyncio.sleep(0.02)  # nobody tells of a port
        assert answer.value == ""
        await RawPage(21012, "https://archive.example.org").register()
        refused = await RawPage(21012, "https://b.example.org").post(
            "samp.webhub.register", {"samp.name": "b"}
        )
        assert refused.fault.code == FaultCode.REGISTRATION_REFUSED
        await running.interrupt()


async def test_a_page_sends_a_table_that_it_has_made(tmp_path: Path) -> None:
    files = folder(tmp_path) | {"upload_page.html": ROOT / "examples" / "upload_page.html"}
    async with (
        asyncsamp_hub(tmp_path) as (lockfile, _),
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
        Client("witness", lockfile=lockfile) as witness,
        open_site(files) as site,
        tab_context(tmp_path) as context,
    ):
        await subscriber(witness, "topcat", "table.load.votable")
        tab = await context.new_page()
        await tab.goto(site.url("upload_page.html"))
        async with witness.tables() as tables:
            await tab.click("button")
            assert len(await anext(tables)) == 100
        await expect(tab.locator("#told")).to_have_text("sent to 2 tools")
        assert len(await shown_table(witness)) == 100


async def shown_table(client: Client) -> Table:
    """Return the table that TOPCAT shows, once it has read one: of a notification it tells nobody."""
    async with asyncio.timeout(45):
        while True:
            with contextlib.suppress(ReplyError):
                return await client.get_table("topcat", timeout=30)
            await asyncio.sleep(0.1)


async def test_a_page_says_that_the_hub_takes_no_data(tmp_path: Path) -> None:
    files = folder(tmp_path) | {"upload_page.html": ROOT / "examples" / "upload_page.html"}
    async with jsamp_web_hub(tmp_path), open_site(files) as site, tab_context(tmp_path) as context:
        tab = await context.new_page()
        await tab.goto(site.url("upload_page.html"))
        await tab.click("button")
        await expect(tab.locator("#told")).to_contain_text("this hub takes no data from pages")


async def test_a_web_application_sends_by_the_page_of_each_user(tmp_path: Path) -> None:
    example = ROOT / "examples" / "relay_app.py"
    async with (
        Program(tmp_path / "x.samp", example, "0") as app,
        tab_context(tmp_path) as context,
    ):
        [*_, line] = await app.lines_until("Running on")
        url = re.findall(r"http://[0-9.:]+", line)[0]
        tab = await context.new_page()
        await tab.goto(url)
        await tab.click("button")
        await expect(tab.locator("#told")).to_contain_text("no SAMP hub with a Web Profile")
        async with (
            asyncsamp_hub(tmp_path) as (lockfile, _),
            Client("witness", lockfile=lockfile) as witness,
            witness.tables() as tables,
        ):
            await tab.click("button")
            assert len(await anext(tables)) == 2
            await expect(tab.locator("#told")).to_have_text("sent to 1 tools")
            await app.interrupt()
