"""The hub's page for those who use a keyboard, a screen reader, or a hub that crashed."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from asyncsamp import Client, Hub, Permission, Permissions, Subject, TerminalConsent
from asyncsamp.hub.page import HubPage, PageConsent

from ..peers.process import process
from .browser import require_web_clients, tab_context
from .harness import FILES, web_hub
from .site import open_site
from .test_page import echoing

pytestmark = pytest.mark.timeout(240)

AXE = """axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
.then(found => found.violations.map(
each => [each.id, each.nodes.map(node => node.html + node.failureSummary)]))"""


@contextlib.asynccontextmanager
async def busy_page(folder: Path) -> AsyncIterator[tuple[Page, Hub]]:
    """Open a page that shows a client, messages, a question, a decision and a form."""
    consent = PageConsent(TerminalConsent(input=io.StringIO()))
    permissions = Permissions()
    await permissions.decide(Subject("client", "one"), Permission.COMMAND, True)
    async with (
        web_hub(folder, consent=consent, store=permissions) as hub,
        HubPage(hub, consent=consent, store=permissions) as page,
        open_site(FILES) as site,
        tab_context(folder) as context,
        echoing("one", hub) as one,
        echoing("two", hub) as two,
    ):
        tab = await context.new_page()
        await tab.goto(page.new_link())
        await expect(tab.locator("#clients tr")).to_have_count(2)
        await one.call(two.public_id, "test.echo", {"a": "1"}, timeout=30)
        asking = await context.new_page()
        await asking.goto(site.url("page.html"))
        await asking.evaluate("samp.register('archive').catch(() => 0); 0")
        await expect(tab.locator(".question")).to_be_visible()
        await tab.bring_to_front()
        await tab.locator("#mtype").fill("table.highlight.row")
        await tab.get_by_role("button", name="Details of test.echo").press("Enter")
        await expect(tab.locator("#content")).to_contain_text("samp.ok")
        yield tab, hub


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900])
async def test_axe_finds_nothing(scheme: Any, width: int, tmp_path: Path) -> None:
    source = (require_web_clients("axe-core") / "axe.min.js").read_text()
    async with busy_page(tmp_path) as (tab, _):
        await tab.emulate_media(color_scheme=scheme)
        await tab.set_viewport_size({"width": width, "height": 844})
        await tab.evaluate(source + "; 0")
        assert await tab.evaluate(AXE) == []


async def test_axe_finds_nothing_where_there_is_no_token(tmp_path: Path) -> None:
    source = (require_web_clients("axe-core") / "axe.min.js").read_text()
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        await tab.goto(page.new_link().partition("#")[0])
        await expect(tab.locator("#state")).to_contain_text("by the link")
        await tab.evaluate(source + "; 0")
        assert await tab.evaluate(AXE) == []


async def test_everything_is_reached_by_the_tab_key_and_seen_there(tmp_path: Path) -> None:
    async with busy_page(tmp_path) as (tab, _):
        await tab.locator("h1").evaluate("title => { title.tabIndex = -1; title.focus(); }")
        reached: list[str] = []
        while "permit" not in reached:
            await tab.keyboard.press("Tab")
            name, outline = await tab.evaluate(
                "[(document.activeElement.getAttribute('aria-label') || document.activeElement.id"
                " || document.activeElement.textContent).trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            assert outline != "none", name
            reached.append(name)
            assert len(reached) < 100, reached
        for wanted in (
            *("link", "stop", "Deny: archive", "Always for this origin", "Details of one", "Ping two"),
            *("Disconnect one", "command: one", "Revoke one", "of-client", "search", "pause", "save"),
            *("Details of test.echo", "content", "close", "to", "mtype", "params"),
        ):
            assert any(name.startswith(wanted) for name in reached), (wanted, reached)
        assert reached.index("link") < reached.index("stop") < reached.index("permit")


async def test_who_is_on_a_button_stays_there_while_things_change(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp", permissions=Permissions()) as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        echoing("one", hub) as one,
    ):
        tab = await context.new_page()
        await tab.goto(page.new_link())
        ping = tab.get_by_role("button", name="Ping one")
        await ping.focus()
        await one.declare_metadata({"samp.name": "one", "author.name": "me"})
        async with Client("two", lockfile=hub.lockfile):
            await expect(tab.locator("#clients tr")).to_have_count(2)
            await expect(ping).to_be_focused()
            await tab.get_by_role("button", name="Permissions of one").press("Enter")
            choice = tab.get_by_label("receive: one")
            await expect(choice).to_be_focused()
            await choice.select_option("no")
            await expect(tab.locator("#told")).to_contain_text("receive of one: no")
            await expect(choice).to_be_focused()
        await expect(tab.locator("#clients tr")).to_have_count(1)


async def test_a_hub_that_crashes_and_comes_back_is_told_of_and_found_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asyncsamp.hub", "--no-web-profile", "--page"]
    command += ["--lockfile", str(tmp_path / "x.samp"), "--state", str(tmp_path / "state")]
    env = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    async with tab_context(tmp_path) as context:
        tab = await context.new_page()
        async with (
            process(command, name="hub", home=tmp_path, env=env) as hub,
            Client("one", lockfile=tmp_path / "x.samp", wait_for_hub=True) as one,
        ):
            line = await hub.line("Hub's page")
            await tab.goto(line.string.split()[-1])
            await one.wait_registered(60)
            await expect(tab.locator("#clients tr")).to_have_count(1)
            hub.send_signal(signal.SIGKILL)
            await expect(tab.locator("#state")).to_contain_text("The hub does not answer; trying again.")
            async with process(command, name="hub", home=tmp_path, env=env) as again:
                await again.line("Hub's page")
                await expect(tab.locator("#state")).to_contain_text("Connected to")
                await expect(tab.locator("#clients tr")).to_have_count(1)
                again.send_signal(signal.SIGINT)
                await expect(tab.locator("#state")).to_contain_text("The hub has stopped")
