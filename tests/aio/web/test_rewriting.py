"""What pages that never translate see: local URLs that they can read, and that come back as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Message

from ..webpage import Page, WebHub, request, web_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path) as running:
        yield running


async def read(hub: WebHub, url: str) -> bytes:
    """Read as a page does that knows nothing of translators."""
    assert url.startswith(f"http://127.0.0.1:{hub.port}/")
    return (await request(hub.port, "GET", url[len(f"http://127.0.0.1:{hub.port}") :], {})).body


async def receive(page: Page) -> Any:
    ((_, params),) = await page.pull()
    return params[1]["samp.params"]


@pytest.mark.parametrize("name", ["t.vot", "a b.vot", "50%25.vot", "a+b&c.vot", "a#1.vot"])
async def test_a_file_url_arrives_readable_and_returns_as_it_was(
    hub: WebHub, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_text("table")
    heard: list[Message] = []
    client = Client("desktop", lockfile=hub.lockfile)

    @client.on("table.highlight.row")
    async def highlight(message: Message) -> dict[str, Any]:
        heard.append(message)
        return {"again": message.params["url"]}

    async with client:
        page = await hub.page("table.*")
        for url in (file.as_uri(), f"file://{file}", f"file://localhost/{file}"):
            await client.notify(page.id, "table.load.votable", {"url": url, "table-id": "t1"})
            params = await receive(page)
            assert params["table-id"] == "t1"
            assert await read(hub, params["url"]) == b"table"
            message: Any = {"samp.mtype": "table.highlight.row", "samp.params": {"url": params["url"]}}
            answered = await page.call("callAndWait", client.public_id, message, "10")
            assert heard.pop().params["url"] == url
            assert answered["samp.result"]["again"] == params["url"]


async def test_loopback_servers_too_and_no_others(hub: WebHub) -> None:
    async with Client("desktop", lockfile=hub.lockfile) as client:
        page = await hub.page("table.*", origin="http://localhost:8000")
        for url in (
            "http://127.0.0.1:9/t",
            "http://localhost:9/t",
            "https://[::1]:9/t",
            "HTTP://127.1.2.3/t",
        ):
            await client.notify(page.id, "table.load.votable", {"url": url})
            assert (await receive(page))["url"].startswith(page.translator)
        for url in ("https://archive.example.org/t", "http://localhost:8000/own", "mailto:x", "http://[/"):
            await client.notify(page.id, "table.load.votable", {"url": url})
            assert (await receive(page))["url"] == url


async def test_from_page_to_page_each_with_its_own(hub: WebHub, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_text("table")
    url = (tmp_path / "t.vot").as_uri()
    async with Client("desktop", lockfile=hub.lockfile) as client:
        one, two = await hub.page("table.*"), await hub.page("table.*", origin="https://b.example.com")
        await client.notify(one.id, "table.load.votable", {"url": url})
        seen = (await receive(one))["url"]
        message: Any = {"samp.mtype": "table.load.votable", "samp.params": {"url": seen}}
        await one.call("notify", two.id, message)
        passed = (await receive(two))["url"]
        assert passed.startswith(two.translator)
        assert await read(hub, passed) == b"table"
        await client.notify(two.id, "table.highlight.row", {"url": url})
        assert (await receive(two))["url"] == passed


async def test_what_the_page_named_itself_stays_as_it_is(hub: WebHub) -> None:
    """A page that serves from loopback knows its table by its own URL."""
    async with Client("desktop", lockfile=hub.lockfile) as client:
        page = await hub.page("table.*")
        url = "http://127.0.0.1:9/mine.vot"
        message: Any = {"samp.mtype": "table.load.votable", "samp.params": {"url": url}}
        await page.call("notifyAll", message)
        await client.notify(page.id, "table.highlight.row", {"url": url})
        assert (await receive(page))["url"] == url


async def test_a_flag_turns_it_off(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, rewrite_urls=False) as hub,
        Client("desktop", lockfile=hub.lockfile) as client,
    ):
        page = await hub.page("table.*")
        await client.notify(page.id, "table.load.votable", {"url": "file:///t.vot"})
        assert (await receive(page))["url"] == "file:///t.vot"


async def test_a_long_list_is_looked_through_as_well(hub: WebHub, tmp_path: Path) -> None:
    rows = [str(row) for row in range(50_000)]
    async with Client("desktop", lockfile=hub.lockfile) as client:
        page = await hub.page("table.*")
        await client.notify(page.id, "table.select.rowList", {"row-list": rows, "url": "file:///t.vot"})
        params = await receive(page)
        assert (params["row-list"], params["url"].startswith(page.translator)) == (rows, True)
        async with client.messages("table.select.rowList") as messages:
            message: Any = {"samp.mtype": "table.select.rowList", "samp.params": params}
            await page.call("notifyAll", message)
            assert (await anext(messages)).params == {"row-list": rows, "url": "file:///t.vot"}
