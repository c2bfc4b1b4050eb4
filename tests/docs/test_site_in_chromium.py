"""The built site in Chromium: nothing is asked of the network, the search finds, pages fit a phone.

    ASYNCSAMP_SHOTS=FOLDER pytest -n0 tests/docs/test_site_in_chromium.py

leaves pictures of the pages there, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.interop.web.browser import tab_context

from .pages import pages_of

SHOTS = "ASYNCSAMP_SHOTS"
"""Environment variable: the folder to which pictures of the pages go."""

PAGES = [
    "index",
    "tutorial/index",
    "how-to/get-a-selection-back",
    "how-to/why-not",
    "how-to/send-data",
    "reference/mtypes",
    "reference/limits",
    "reference/errors",
    "reference/api/client",
    "explanation/architecture",
    "explanation/speed",
    "search",
]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

WIDER = """() => [...document.querySelectorAll("article *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .filter(e => !e.closest(".table-wrapper, pre, .highlight"))
    .map(e => e.tagName + ": " + e.textContent.slice(0, 60))"""

pytestmark = pytest.mark.timeout(600)  # with the building of the site


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    async with tab_context(tmp_path) as context:
        yield context


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that keeps no log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The address of the site, served here: of files, browsers show no excerpts in the search."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def opened(context: BrowserContext, served: str, name: str) -> tuple[Page, list[str]]:
    """Open a page. Returns the tab, and what it asked of others or complained of."""
    tab = await context.new_page()
    wrong: list[str] = []

    def ask(request: Request) -> None:
        if not request.url.startswith((f"{served}/", "data:", "blob:")):
            wrong.append(request.url)

    def fail(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # which is what leaving a page makes of it
            wrong.append(f"{request.failure}: {request.url}")

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    tab.on("request", ask)
    tab.on("requestfailed", fail)
    tab.on("console", complain)
    await tab.goto(f"{served}/{name}.html")
    return tab, wrong


async def test_every_page_is_there_without_a_network(
    context: BrowserContext, served: str, site: Path
) -> None:
    tab, wrong = await opened(context, served, "index")
    for page in pages_of(site):
        await tab.goto(f"{served}/{page.relative_to(site)}")
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_a_desk_and_a_phone(context: BrowserContext, served: str, scheme: str) -> None:
    for name in PAGES:
        tab, wrong = await opened(context, served, name)
        await tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for size in (DESKTOP, PHONE):
            await tab.set_viewport_size({"width": size["width"], "height": size["height"]})
            await keep(tab, f"{name.replace('/', '-')}-{size['width']}-{scheme}")
            assert await tab.evaluate(WIDER) == [], f"{name} at {size['width']}"
            assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert wrong == []
        await tab.close()


async def keep(tab: Page, name: str) -> None:
    """Leave a picture of the page, if somebody wants to look at it."""
    if folder := os.environ.get(SHOTS):
        await tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


FOUND = {
    "selection": "how-to/get-a-selection-back.html",
    "port 21012": "how-to/why-not.html",
    "send_table": "reference/api/client.html",
    "HubLostError": "reference/errors.html",
    "max_clients": "reference/limits.html",
}
"""What is looked for, and a page that is to be among what is found."""


async def test_the_search_finds(context: BrowserContext, served: str) -> None:
    tab, wrong = await opened(context, served, "index")
    for words, page in FOUND.items():
        await tab.goto(f"{served}/index.html")
        await tab.fill("input.sidebar-search", words)
        await tab.press("input.sidebar-search", "Enter")
        await expect(tab.locator(f"#search-results a[href^='{page}']").first).to_be_visible()
    assert wrong == []
