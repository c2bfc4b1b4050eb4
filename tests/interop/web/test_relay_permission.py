"""A page of a public site that relays: Chromium asks its user before, and the page says how things stand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy
import pytest
from astropy.table import Table
from playwright.async_api import Page, expect

from asyncsamp import Client, ConsentAnswer, ConsentQuestion, HubLostError, HubNotFoundError, Limits
from asyncsamp.browser import BrowserConnection, PageRelay
from asyncsamp.browser.widget import widget_module
from asyncsamp.xmlrpc import dump_call

from ..peers import screen
from .browser import tab_context
from .harness import web_hub
from .relays import open_tab, relay_site, tool
from .site import certificate

pytestmark = pytest.mark.timeout(180)


ALLOW, BLOCK = (395, 227), (317, 227)
"""Of the screen, in pixels: the buttons of Chromium's question."""


@contextlib.asynccontextmanager
async def public_page(folder: Path, display: str = "") -> AsyncIterator[tuple[PageRelay, Page]]:
    """Open a page that relays, at a site that the browser takes for public."""
    secured = await certificate(folder)
    async with relay_site(secured=secured) as (socket, url):
        port = url.rstrip("/").rpartition(":")[2]
        public = f"--ip-address-space-overrides=127.0.0.1:{port}=public"
        named = "--host-resolver-rules=MAP n.test 127.0.0.1"
        async with tab_context(folder, public, named, display=display) as context:
            tab = await open_tab(context, url.replace("127.0.0.1", "n.test"))
            await socket.relay.wait_ready()
            yield socket.relay, tab


async def permit(tab: Page, *permissions: str) -> None:
    """Decide about this site, as the browser's user does: what is not named is denied."""
    await tab.context.grant_permissions(permissions, origin=await tab.evaluate("location.origin"))


async def test_granted(tmp_path: Path) -> None:
    async with public_page(tmp_path) as (relay, tab):
        await permit(tab, "local-network-access")
        client = Client("remote", connection=BrowserConnection(relay))
        with pytest.raises(HubNotFoundError, match="no SAMP hub with a Web Profile answers"):
            await client.register()
        async with web_hub(tmp_path), client:
            await expect(tab.locator("#state")).to_contain_text("Connected")


async def test_denied_and_then_granted(tmp_path: Path) -> None:
    async with public_page(tmp_path) as (relay, tab), web_hub(tmp_path):
        await permit(tab, "geolocation")
        client = Client("remote", connection=BrowserConnection(relay))
        with pytest.raises(HubNotFoundError, match="the browser does not let this page"):
            await client.register()
        await expect(tab.locator("#state")).to_contain_text("click the icon left of the address")
        await permit(tab, "local-network-access")
        async with client:
            await expect(tab.locator("#state")).to_contain_text("Connected")


@pytest.mark.parametrize("allowed", [True, False], ids=["allow", "block"])
async def test_asked(allowed: bool, tmp_path: Path) -> None:
    """The browser's own question, answered with the mouse."""
    async with (
        screen(tmp_path) as display,
        public_page(tmp_path, display.display) as (relay, tab),
        web_hub(tmp_path),
    ):
        client = Client("remote", connection=BrowserConnection(relay))
        registering = asyncio.create_task(client.register())
        await expect(tab.locator("#state")).to_contain_text("Your browser asks")
        while not registering.done():
            await display.click_at(*(ALLOW if allowed else BLOCK))
            await asyncio.wait({registering}, timeout=1)
        if allowed:
            await registering
            await expect(tab.locator("#state")).to_contain_text("Connected")
            await client.unregister()
        else:
            with pytest.raises(HubNotFoundError, match="the browser does not let this page"):
                await registering


async def test_a_window_of_the_hubs_where_the_browser_does_not_let_the_page(tmp_path: Path) -> None:
    """A click opens it, without a question of the browser; the hub asks about the page, not the window."""
    questions: list[ConsentQuestion] = []

    async def consent(question: ConsentQuestion) -> ConsentAnswer:
        questions.append(question)
        return ConsentAnswer.ALLOW

    async with (
        public_page(tmp_path) as (relay, tab),
        web_hub(tmp_path, mtypes=None, consent=consent) as hub,
        tool(hub.lockfile) as (desktop, read),
    ):
        await permit(tab, "geolocation")
        client = Client("remote", connection=BrowserConnection(relay))
        with pytest.raises(HubNotFoundError, match="the browser does not let this page"):
            await client.register()
        async with tab.context.expect_page() as opening:
            await tab.locator("#window").click()
        await expect(tab.locator("#window")).to_have_text("open")
        window = await opening.value
        async with client:
            origin = await tab.evaluate("location.origin")
            assert [(each.origin, each.referer, each.disagree) for each in questions] == [(origin, "", False)]
            await expect(window.locator("#text")).to_contain_text(f"connects {origin} with the SAMP hub")
            table = Table({"x": numpy.arange(400_000, dtype="f8")})
            await client.send_table(table, "desktop")
            assert len(await read.get()) > 3_200_000
            async with client.tables() as tables:
                await desktop.send_table(table, "remote")
                assert len(await anext(tables)) == 400_000
            await window.close()
            with pytest.raises(HubLostError, match="the browser does not let this page"):
                await client.call_and_wait("desktop", "test.echo", {}, timeout=30)
            await client.unregister()


WATCH = """() => {
  const made = fetch;
  globalThis.asked = [];
  globalThis.fetch = (path, options) => {
    asked.push([options.credentials, options.keepalive]);
    return made(path, options);
  };
}"""
"""In the hub's window: keep how it fetches."""

ODD = """async () => {
  const window = globalThis[Symbol.for("asyncsamp.window")];
  const hub = "http://localhost:21012/";
  const said = (promise) => promise.then(() => "", (error) => error.name);
  const late = await said(window.fetch(hub, { signal: AbortSignal.abort() }));
  const unfit = said(window.fetch(hub, {}));
  window.take({ id: window.number, status: 101 });
  await window.fetch(hub, { method: "POST", keepalive: true });
  return [late, await unfit];
}"""
"""In the page: a request that was given up before it began, an answer that a page cannot make, a farewell."""


@contextlib.asynccontextmanager
async def by_the_window(tab: Page, client: Client) -> AsyncIterator[Page]:
    """Register by a window of the hub's, which is opened by a click."""
    await permit(tab, "geolocation")
    async with tab.context.expect_page() as opening:
        await tab.locator("#window").click()
    await expect(tab.locator("#window")).to_have_text("open")
    async with client:
        yield await opening.value


async def test_the_hubs_window_is_loaded_again_and_opened_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.browser.connection.BACK_PATIENCE", 120.0)
    limits = Limits(web_silence_broken=120.0)  # for a busy machine
    async with (
        public_page(tmp_path) as (relay, tab),
        web_hub(tmp_path, mtypes=None, limits=limits) as hub,
        tool(hub.lockfile) as (desktop, _),
    ):
        client = Client("remote", connection=BrowserConnection(relay))
        async with by_the_window(tab, client) as window, client.messages("test.heard") as heard:
            before = client.public_id
            for again in (window.reload, tab.locator("#window").click):
                async with window.expect_event("load"):
                    await again()
                await expect(window.locator("#text")).to_contain_text("Keep it open")
                answer = await client.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=30)
                assert answer.result == {"x": "1"}
                await desktop.notify(before, "test.heard", {})
                await anext(heard)
                assert client.public_id == before


async def test_what_the_hubs_window_fetches_and_what_it_forgets(tmp_path: Path) -> None:
    async with (
        public_page(tmp_path) as (relay, tab),
        web_hub(tmp_path, mtypes=None) as hub,
        tool(hub.lockfile) as (desktop, _),
    ):
        connection = BrowserConnection(relay)
        client = Client("remote", connection=connection)
        async with by_the_window(tab, client) as window, client.messages("test.heard") as heard:
            await window.evaluate(WATCH)
            url = await relay.upload(connection.proxy.upload_url + "x", large())
            await desktop.notify(client.public_id, "test.heard", {"url": url})
            pieces = relay.get(str((await anext(heard)).params["url"]))
            assert await anext(pieces)
            await pieces.aclose()
            assert await tab.evaluate(ODD) == ["AbortError", "RangeError"]
            asked = await window.evaluate("asked")
            assert {credentials for credentials, _ in asked} == {"omit"}
            assert ["omit", True] in asked
            await window.wait_for_function("running.size === 1")  # which asks for what the hub has to say


async def large() -> AsyncIterator[bytes]:
    for _ in range(16):
        yield bytes(1024 * 1024)


WIDGET = """async (permission) => {
  let receive;
  let page;
  navigator.permissions.query = async () => ({ state: permission });
  globalThis.fetch = () => Promise.reject(new TypeError("it does not let us"));
  const failed = new Promise((resolve) => (globalThis.failed = resolve));
  const model = {
    get: (name) => (name === "_key" ? "k" : ""),
    set: () => {},
    on: (name, call) => (receive = name === "msg:custom" ? call : receive),
    send: (message) => (message.op === "ready" ? (page = message.page) : globalThis.failed()),
  };
  widget.initialize({ model });
  widget.render({ model, el: document.body });
  receive({ op: "post", page, id: 1, url: "http://localhost:21012/" });
  await failed;
  receive({ op: "state", state: "lost", text: "Nothing." });
}"""
"""In a page: a widget whose program is lost after a request that failed."""


@pytest.mark.parametrize(("permission", "offered"), [("denied", True), ("granted", False)])
async def test_the_widget_offers_the_window_where_it_helps(
    permission: str, offered: bool, tmp_path: Path
) -> None:
    module = (await asyncio.to_thread(widget_module)).replace("export default", "globalThis.widget =")
    async with tab_context(tmp_path) as context, relay_site() as (_, url):
        tab = await open_tab(context, url)
        await tab.add_script_tag(type="module", content=module)
        await tab.wait_for_function("globalThis.widget")
        await tab.evaluate(WIDGET, permission)
        await expect(tab.locator("span")).to_contain_text("Nothing.")
        button = tab.get_by_text("Use a window of the hub's instead")
        await expect(button).to_be_visible(visible=offered)


async def test_who_else_says_whose_page_it_is(tmp_path: Path) -> None:
    """Only the hub's own window may: a page cannot send its Origin."""
    questions: list[ConsentQuestion] = []

    async def consent(question: ConsentQuestion) -> ConsentAnswer:
        questions.append(question)
        return ConsentAnswer.DENY

    register = dump_call("samp.webhub.register", [{"samp.name": "x"}])
    own, other, good = "http://localhost:21012", "https://evil.example.org", "https://archive.example.org"
    headers = [
        {"Origin": other, "X-Samp-Page": good},
        {"Origin": "http://127.0.0.1:21012", "X-Samp-Page": good},
        {"Origin": own, "X-Samp-Page": "javascript:alert(1)"},
        {"Origin": own, "X-Samp-Page": good},
    ]
    async with web_hub(tmp_path, consent=consent), aiohttp.ClientSession() as session:
        for each in headers:
            async with session.post(f"{own}/", data=register, headers=each) as answer:
                await answer.read()
        async with session.get(f"{own}/window") as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert [question.origin for question in questions] == [other, "http://127.0.0.1:21012", "null", good]


async def test_safari(tmp_path: Path) -> None:
    """It has no such permission, and takes the hub for mixed content. (Chromium pretends.)"""
    async with public_page(tmp_path) as (relay, tab), web_hub(tmp_path):
        await permit(tab, "geolocation")
        await tab.add_init_script(
            "Object.defineProperty(navigator, 'vendor', {get: () => 'Apple Computer, Inc.'});"
            "navigator.permissions.query = () => Promise.reject(new TypeError('not known'));"
        )
        await tab.reload()
        client = Client("remote", connection=BrowserConnection(relay))
        with pytest.raises(HubNotFoundError, match="Safari lets no page of https reach localhost"):
            await client.register()
