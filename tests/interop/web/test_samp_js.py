"""samp.js, the library by which most pages speak SAMP, in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp import deny_all

from .browser import require_web_clients, tab_context
from .harness import VOTABLE, desktop, subscriber, until_gone, web_hub
from .site import HERE, open_site

pytestmark = pytest.mark.timeout(240)


def files() -> dict[str, Path]:
    return {
        "page.html": HERE / "samp_js.html",
        "samp.js": require_web_clients("sampjs") / "samp.js",
    }


@pytest.mark.parametrize("rewrite", [True, False])
async def test_it_takes_a_table_and_answers(rewrite: bool, tmp_path: Path) -> None:
    table = tmp_path / "a table & more.vot"
    table.write_text(VOTABLE)
    async with (
        web_hub(tmp_path, rewrite_urls=rewrite),
        desktop(tmp_path) as client,
        open_site(files()) as site,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        await tab.goto(site.url("page.html"))
        await tab.evaluate("begin()")
        page = await subscriber(client, "samp.js page", "table.load.votable")
        response = await client.call(page, "table.load.votable", {"url": table.as_uri()}, timeout=30)
        assert response.ok
        await tab.wait_for_function("seen.texts.length + seen.errors.length == 1")
        assert await tab.evaluate("[seen.texts, seen.errors]") == [[VOTABLE], []]
        await tab.evaluate("connector.unregister()")
        await until_gone(client, page.public_id, 60)


async def test_a_refusal_does_not_hang_it(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, consent=deny_all),
        open_site(files()) as site,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        await tab.goto(site.url("page.html"))
        await tab.evaluate("begin()")
        await tab.wait_for_function("seen.errors.length == 1")
        assert "did not let" in await tab.evaluate("seen.errors[0]")
