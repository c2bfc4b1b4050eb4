"""The site, built: every link within it leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .pages import pages_of

pytestmark = pytest.mark.timeout(600)  # with the building of the site


class Page(HTMLParser):
    """What a page of HTML leads to and fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.assets: list[str] = []
        self.anchors: set[str] = set()
        self.textless: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort out one element."""
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source", "video", "audio") and "src" in given:
            self.assets.append(given["src"])
        fetched = set(given.get("rel", "").split()) & {"stylesheet", "icon", "preload", "preconnect"}
        if tag == "link" and fetched:
            self.assets.append(given["href"])
        if tag == "img" and not given.get("alt", "").strip():
            self.textless.append(given.get("src", "?"))


@pytest.fixture(scope="module")
def html(site: Path) -> dict[Path, Page]:
    """Each page by its file."""
    return {path: Page(path) for path in pages_of(site)}


def within(page: Page) -> Iterator[tuple[str, Path, str]]:
    """Yield the links of a page within the site: as written, the file, and the anchor."""
    for link in page.links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            yield link, file, parts.fragment


def test_every_link_leads_somewhere(html: dict[Path, Page]) -> None:
    dead = [
        f"{page.path.name}: {link}"
        for page in html.values()
        for link, file, anchor in within(page)
        if not file.exists() or (anchor and file in html and unquote(anchor) not in html[file].anchors)
    ]
    assert dead == []


def test_nothing_is_fetched_from_elsewhere(html: dict[Path, Page], site: Path) -> None:
    foreign = [asset for page in html.values() for asset in page.assets if urlsplit(asset).netloc]
    assert foreign == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "url(http" not in text, sheet
        assert "url(//" not in text, sheet
        assert "@import" not in text or "@import url(" not in text, sheet


def test_every_picture_has_a_text(html: dict[Path, Page]) -> None:
    assert [f"{page.path.name}: {src}" for page in html.values() for src in page.textless] == []


def test_every_page_has_its_picture_for_links(html: dict[Path, Page], site: Path) -> None:
    for page in html.values():
        if page.path.name not in ("genindex.html", "search.html", "py-modindex.html"):
            assert 'property="og:image"' in page.path.read_text(encoding="utf-8"), page.path.name
    assert (site / "_images" / "topcat.png").is_file()


def test_the_search_knows_the_pages(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    for word in ("send_table", "topcat", "lockfil"):
        assert word in index.lower()


QUESTIONS = {
    "send a table": "how-to/send-data.html#a-table",
    "get the rows back": "how-to/get-a-selection-back.html",
    "no asyncio": "how-to/plain-scripts.html",
    "my DS9 does not appear": "how-to/why-not.html#my-ds9-does-not-appear",
    "start at login": "how-to/hub-at-login.html",
    "over ssh": "remote.html#ssh",
    "large table": "how-to/large-tables.html",
    "web page": "how-to/archive-page.html",
    "Qt": "how-to/qt-and-tk.html#qt",
    "port 21012 is taken": "how-to/why-not.html#port-21012-is-taken",
}
"""What a first use asks, and where the answer stands."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_within_two_clicks(question: str, site: Path, html: dict[Path, Page]) -> None:
    def leads(path: Path) -> set[str]:
        there = {(file, anchor) for _, file, anchor in within(html[path]) if file in html}
        return {f"{file.relative_to(site)}{'#' if anchor else ''}{anchor}" for file, anchor in there}

    first = leads(site / "index.html")
    second = {link for each in first for link in leads(site / each.split("#")[0])}
    assert QUESTIONS[question] in first | second
