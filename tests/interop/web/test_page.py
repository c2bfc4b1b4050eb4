"""The hub's own page in Chromium, as its user has it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Dialog, Page, expect

from asyncsamp import (
    Client,
    DirectConnection,
    Hub,
    HubFaultError,
    Message,
    OriginStore,
    Permission,
    Permissions,
    Subject,
    TerminalConsent,
)
from asyncsamp.hub.page import HubPage, PageConsent

from ..peers.process import process
from .browser import tab_context
from .harness import FILES, web_hub
from .site import open_site

pytestmark = pytest.mark.timeout(240)

MARKUP = "<img src=x onerror=\"document.title='broken in'\"></td></script><b>"


async def open_link(context: BrowserContext, link: str) -> Page:
    tab = await context.new_page()
    await tab.goto(link)
    return tab


async def echo(message: Message) -> dict[str, Any]:
    return message.params


def echoing(name: str, hub: Hub, metadata: dict[str, str] | None = None) -> Client:
    client = Client(name, metadata=metadata, lockfile=hub.lockfile)
    client.on("test.echo")(echo)
    return client


def at_once(name: str, hub: Hub) -> Client:
    """Return a client without a socket: what its tasks send at once comes at once."""
    client = Client(name, connection=DirectConnection(hub))
    client.on("test.echo")(echo)
    return client


async def test_clients_and_messages_come_and_go(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        tab = await open_link(context, page.new_link())
        await expect(tab.locator("#state")).to_contain_text(hub.url)
        assert "#" not in tab.url
        async with echoing("one", hub) as one, echoing(MARKUP, hub) as two:
            rows = tab.locator("#clients tr")
            await expect(rows).to_have_count(2)
            await expect(tab.locator("#clients")).to_contain_text("test.echo")
            await two.call(one.public_id, "test.echo", {"text": MARKUP, "big": "x" * 100_000}, timeout=30)
            message = tab.locator("#messages tr", has_text="test.echo")
            await expect(message).to_contain_text("answered")
            await expect(message).to_contain_text("<img src=x")
            await message.get_by_role("button").click()
            await expect(tab.locator("#detail")).to_be_visible()
            await expect(tab.locator("#content")).to_contain_text("samp.ok")
            assert await tab.locator("img").count() == 0
        await expect(rows).to_have_count(0)
        assert await tab.title() == "SAMP hub"


async def test_metadata_and_subscriptions_of_a_client(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        echoing("one", hub, {"author.name": MARKUP}),
    ):
        tab = await open_link(context, page.new_link())
        await tab.get_by_role("button", name="Details of one").press("Enter")
        await expect(tab.locator("#content")).to_contain_text(f"author.name: {MARKUP}")
        await expect(tab.locator("#content")).to_contain_text("test.echo")
        await tab.get_by_role("button", name="Close").press("Enter")
        await expect(tab.locator("#detail")).to_be_hidden()


async def test_filter_pause_and_save(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        echoing("one", hub) as one,
    ):
        tab = await open_link(context, page.new_link())
        shown = tab.locator("#messages tr:visible", has_text="test.echo")
        await expect(tab.locator("#clients tr")).to_have_count(1)
        await one.notify(one.public_id, "test.echo", {"n": "first"})
        await expect(shown).to_have_count(1)
        await tab.get_by_label("Search").fill("second")
        await expect(shown).to_have_count(0)
        await tab.get_by_label("Search").fill("FIRST")
        await expect(shown).to_have_count(1)
        await tab.get_by_label("MType").first.fill("table.*")
        await expect(shown).to_have_count(0)
        await tab.get_by_label("MType").first.fill("test.*")
        async with tab.expect_download() as downloading:
            await tab.get_by_role("button", name="Save").click()
        saved = await (await downloading.value).path()
        [line] = saved.read_text().splitlines()
        assert json.loads(line)["params"] == "\n  n: first"
        await tab.get_by_label("Search").fill("")
        await tab.get_by_role("button", name="Pause").click()
        await one.notify(one.public_id, "test.echo", {"n": "third"})
        await expect(tab.locator("#total")).to_have_text("2")
        await expect(shown).to_have_count(1)
        await tab.get_by_role("button", name="Pause").click()
        await expect(shown).to_have_count(2)


async def test_ping_disconnect_send_and_stop_by_keyboard(tmp_path: Path) -> None:
    async def answer(dialog: Dialog) -> None:
        await dialog.accept("too loud" if dialog.type == "prompt" else None)

    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        tab = await open_link(context, page.new_link())
        tab.on("dialog", answer)
        async with echoing("one", hub) as one:
            await tab.get_by_role("button", name="Ping one").press("Enter")
            await expect(tab.locator("#told")).to_contain_text("one answered after")
            await tab.locator("#to").select_option(one.public_id)
            await tab.locator("#mtype").fill("test.echo")
            await tab.get_by_label("wait for an answer").press("Space")
            await tab.get_by_label("Parameters").fill("a = 1\nb = <i>")
            await tab.get_by_role("button", name="Send").press("Enter")
            await expect(tab.locator("#answer")).to_contain_text("b: <i>")
            async with one.messages("samp.hub.disconnect") as reasons:
                await tab.get_by_role("button", name="Disconnect one").press("Enter")
                assert (await anext(reasons)).params["reason"] == "too loud (on the hub's page)"
        await tab.get_by_role("button", name="Stop the hub").press("Enter")
        await hub.serve_forever()


async def test_the_form_knows_the_parameters_of_an_mtype(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        Client("one", lockfile=hub.lockfile) as one,
        one.messages("table.*", "spectrum.*") as sent,
    ):
        tab = await open_link(context, page.new_link())
        await tab.locator("#to").select_option(one.public_id)
        await tab.locator("#mtype").fill("table.highlight.row")
        await expect(tab.locator("#about")).to_have_text("Highlight one row of a table loaded before.")
        fields = tab.locator("#fields")
        await tab.get_by_role("button", name="Send").press("Enter")
        assert await fields.locator(":invalid").get_attribute("name") == "row"
        await fields.get_by_label("row").fill("x")
        assert await fields.locator(":invalid").count() == 1
        await fields.get_by_label("row").fill(" 7 ")
        await fields.get_by_label("table-id").fill("t = 1")
        await tab.locator("#params").fill("x-more = a=b")
        await tab.get_by_role("button", name="Send").press("Enter")
        assert (await anext(sent)).params == {"row": "7", "table-id": "t = 1", "x-more": "a=b"}
        await tab.locator("#params").fill("")
        await tab.locator("#mtype").fill("table.select.rowList")
        await fields.get_by_label("row-list").fill("1, 2,3")
        await tab.get_by_role("button", name="Send").press("Enter")
        assert (await anext(sent)).params == {"row-list": ["1", "2", "3"]}
        await tab.locator("#mtype").fill("spectrum.load.ssa-generic")
        await fields.get_by_label("url").fill("http://a/")
        await fields.get_by_label("meta").fill("Access.Format = text/xml")
        await tab.get_by_role("button", name="Send").press("Enter")
        received = await anext(sent)
        assert received.params == {"url": "http://a/", "meta": {"Access.Format": "text/xml"}}
        await tab.locator("#mtype").fill("x.y")
        await expect(fields.locator("input")).to_have_count(0)


async def test_the_rate_and_who_owes_whom(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
        at_once("two", hub) as two,
    ):
        slow = Client("slow", lockfile=hub.lockfile)

        @slow.on("test.wait")
        async def wait(message: Message) -> None:
            await go.wait()

        async with slow:
            tab = await open_link(context, page.new_link())
            await expect(tab.locator("#clients tr")).to_have_count(2)
            calls = [asyncio.create_task(two.call(slow.public_id, "test.wait", timeout=30)) for _ in range(3)]
            row = tab.locator("#clients tr", has_text="slow")
            await expect(row).to_contain_text("owes 3 answers to two (3)")
            await expect(tab.locator("#rate")).to_contain_text("at most 3 in the last two minutes")
            await tab.get_by_role("button", name="Details of two").press("Enter")
            await expect(tab.locator("#content")).to_contain_text("waits for answers of:\n  slow (3)")
            go.set()
            await asyncio.gather(*calls)
            await expect(row).to_contain_text("ready")
            await expect(tab.locator("#content")).to_contain_text("waits for answers of:\n  nobody")


async def test_a_question_answered_in_another_tab_is_told(tmp_path: Path) -> None:
    consent = PageConsent(TerminalConsent(input=io.StringIO()))
    async with (
        web_hub(tmp_path, consent=consent) as hub,
        HubPage(hub, consent=consent) as page,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        first = await open_link(context, page.new_link())
        await expect(first.locator("#state")).to_contain_text(hub.url)
        second = await open_link(context, page.new_link().partition("#")[0])
        other = await context.new_page()
        await other.goto(site.url("page.html"))
        await other.evaluate("samp.register('archive').then(() => samp.told = 'in'); 0")
        for tab in (first, second):
            await expect(tab.get_by_role("group", name="asks to register")).to_be_visible()
            await expect(tab).to_have_title("(?) SAMP hub")
        await second.get_by_role("button", name="Allow once").press("Enter")
        await expect(first.locator("#told")).to_have_text("archive: answered elsewhere, or taken back")
        await expect(second.locator("#told")).to_have_text("")
        for tab in (first, second):
            await expect(tab.locator("#questions > *")).to_have_count(0)
        await other.wait_for_function("samp.told === 'in'")


async def test_a_web_page_is_let_in_and_taken_back(tmp_path: Path) -> None:
    consent = PageConsent(TerminalConsent(input=io.StringIO()))
    store = OriginStore(tmp_path / "web-origins")
    async with (
        web_hub(tmp_path, consent=consent, store=store) as hub,
        HubPage(hub, consent=consent, store=store) as page,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab = await open_link(context, page.new_link())
        await expect(tab.locator("#state")).to_contain_text(hub.url)
        other = await context.new_page()
        await other.goto(site.url("page.html"))

        async def ask(answer: str) -> str:
            await other.evaluate(
                "samp.told = null; samp.register('archive').then("
                "() => samp.told = 'in', error => samp.told = error.message); 0"
            )
            question = tab.get_by_role("group", name="A web page asks to register")
            await expect(question).to_contain_text(site.base)
            await question.get_by_role("button", name=answer).press("Enter")
            await expect(question).to_have_count(0)
            await other.wait_for_function("samp.told")
            return str(await other.evaluate("samp.told"))

        assert "did not let 'archive' register" in await ask("Deny")
        assert await ask("Allow once") == "in"
        assert await ask("Always for this origin") == "in"
        assert await asyncio.to_thread(store.read) == [site.base]
        await expect(tab.get_by_label(f"register: {site.base}")).to_have_value("true")
        await tab.get_by_role("button", name=f"Revoke {site.base}").press("Enter")
        await expect(tab.locator("#permissions tr")).to_have_count(0)
        assert await asyncio.to_thread(store.read) == []
        assert await ask("Allow once") == "in"


async def test_permissions_of_clients_and_of_pages(tmp_path: Path) -> None:
    consent = PageConsent(TerminalConsent(input=io.StringIO()))
    store = Permissions(tmp_path / "permissions.json")
    async with (
        web_hub(tmp_path, consent=consent, store=store) as hub,
        HubPage(hub, consent=consent) as page,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
        echoing("one", hub) as one,
        echoing("two", hub) as two,
    ):
        tab = await open_link(context, page.new_link())
        await tab.locator("#permit-who").select_option("client one")
        await tab.get_by_role("button", name="Add").press("Enter")
        choice = tab.get_by_label("command: one")
        await choice.select_option("no")
        await expect(tab.locator("#told")).to_contain_text("command of one: no")
        with pytest.raises(HubFaultError, match=r"may not send .test\.echo. to two"):
            await one.notify(two.public_id, "test.echo")
        await store.revoke(Subject("client", "one"))  # elsewhere, such as by --web-origins
        await expect(choice).to_have_value("null")
        await one.notify(two.public_id, "test.echo")

        other = await context.new_page()
        await other.goto(site.url("page.html"))
        await other.evaluate("samp.register('archive').then(() => samp.told = 'in'); 0")
        await tab.get_by_role("button", name="Allow once: archive").press("Enter")
        await other.wait_for_function("samp.told")
        await other.evaluate(
            "samp.do('notifyAll', {'samp.mtype': 'test.echo', 'samp.params': {}})"
            ".then(told => samp.said = told); 0"
        )
        question = tab.get_by_role("group", name="wants to send commands")
        await expect(question).to_contain_text("test.echo to one, two")
        await question.get_by_role("button", name="Always").press("Enter")
        await other.wait_for_function("samp.said")
        assert await other.evaluate("samp.said") == [one.public_id, two.public_id]
        await expect(tab.get_by_label(f"command: {site.base}")).to_have_value("true")
        assert store.may(Subject("origin", site.base), Permission.COMMAND)


async def test_who_has_no_token_sees_nothing(tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        link = page.new_link()
        async with echoing("secret", hub):
            tab = await open_link(context, link.partition("#")[0])
            await expect(tab.locator("#state")).to_contain_text("by the link that the hub has printed")
            await expect(tab.locator("#all")).to_be_hidden()
            tab = await open_link(context, link)
            await expect(tab.locator("#clients tr")).to_have_count(1)
            await tab.reload()
            await expect(tab.locator("#clients tr")).to_have_count(1)
            used = await open_link(context, link)  # of the same browser, which is in
            await expect(used.locator("#clients tr")).to_have_count(1)


async def test_another_site_can_neither_frame_nor_drive_it(tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        link = page.new_link()
        tab = await open_link(context, link)
        await expect(tab.locator("#state")).to_contain_text(hub.url)
        base = link.partition("#")[0]
        frame.write_text(f'<iframe src="{base}"></iframe><form method="post" action="{base}stop"></form>')
        evil = await open_link(context, frame.as_uri())
        inner = evil.frames[1]
        assert "SAMP hub" not in await inner.content()
        async with evil.expect_navigation():
            await evil.evaluate("setTimeout(() => document.forms[0].submit()); 0")
        assert hub.running


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_both_schemes(scheme: Any, tmp_path: Path) -> None:
    async with (
        Hub(lockfile=tmp_path / "hub.samp") as hub,
        HubPage(hub) as page,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        await tab.emulate_media(color_scheme=scheme)
        await tab.set_viewport_size({"width": 360, "height": 640})
        await tab.goto(page.new_link())
        async with echoing("one", hub):
            await expect(tab.locator("#clients tr")).to_have_count(1)
            background = await tab.evaluate(
                "getComputedStyle(document.querySelector('thead th')).backgroundColor"
            )
            assert (background == "rgb(255, 255, 255)") is (scheme == "light")
            assert await tab.evaluate("document.documentElement.scrollWidth") <= 360


async def test_a_hub_that_was_started_by_a_command_prints_the_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asyncsamp.hub", "--lockfile", str(tmp_path / "x.samp"), "--page"]
    env = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    async with (
        process([*command, "--no-web-profile"], name="hub", home=tmp_path, env=env) as hub,
        tab_context(tmp_path) as context,
    ):
        line = await hub.line("Hub's page")
        tab = await open_link(context, line.string.split()[-1])
        await expect(tab.locator("#state")).to_contain_text("Connected")
        hub.send_signal(signal.SIGINT)
        await expect(tab.locator("#state")).to_contain_text("The hub has stopped")
