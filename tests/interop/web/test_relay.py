"""A program whose only way to the desktop's hub is a page in the user's browser: Chromium."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy
import pytest
from astropy.table import Table
from playwright.async_api import Request, Route, expect

from asyncsamp import Client, DataError, HubNotFoundError, Limits, RegistrationError, deny_all
from asyncsamp.browser import BrowserConnection

from .browser import tab_context
from .harness import jsamp_web_hub, subscriber, until_gone, web_hub
from .relays import desk_in_tab, open_tab, relay_site, tool

pytestmark = pytest.mark.timeout(240)

SLOWLY = Limits(web_silence_broken=120.0)
"""For a page that is loaded again on a busy machine."""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a page that is loaded again for as long as the hub does."""
    monkeypatch.setattr("asyncsamp.browser.connection.BACK_PATIENCE", 120.0)


AT_ONCE = 40.0
"""Seconds: eight, and what a busy machine takes. A page that merely is silent goes after three minutes."""


async def test_tables_both_ways_and_calls(tmp_path: Path) -> None:
    async with desk_in_tab(tmp_path) as (desk, tab), desk.client() as remote:
        await expect(tab.locator("#state")).to_contain_text("Connected to the SAMP hub")
        sent = await remote.send_table(Table({"a": [1, 2, 3]}), "desktop")
        assert len(sent) == 1
        assert b"<TD>2</TD>" in await desk.read.get()
        answer = await remote.call_and_wait("desktop", "test.echo", {"x": "&<>" * 5}, timeout=30)
        assert answer.result == {"x": "&<>" * 5}
        async with remote.tables() as tables:
            await desk.tool.send_table(Table({"b": [4, 5]}), "remote")
            assert list((await anext(tables))["b"]) == [4, 5]


@pytest.mark.usefixtures("patient")
async def test_a_page_that_is_loaded_again_goes_on_with_the_same_registration(tmp_path: Path) -> None:
    async with (
        desk_in_tab(tmp_path, limits=SLOWLY) as (desk, tab),
        desk.client() as remote,
        remote.messages("test.heard") as heard,
    ):
        before = remote.public_id
        await tab.reload()
        answer = await remote.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=30)
        assert answer.result == {"x": "1"}
        assert remote.public_id == before
        await desk.tool.notify(before, "test.heard", {"n": "1"})
        assert (await anext(heard)).params == {"n": "1"}


async def test_no_page_no_hub_and_a_hub_that_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncsamp.browser.connection.PAGE_PATIENCE", 0.2)
    async with relay_site() as (socket, url), tab_context(tmp_path) as context:
        client = Client("remote", connection=BrowserConnection(socket.relay))
        with pytest.raises(HubNotFoundError, match="no page is connected"):
            await client.register()
        tab = await open_tab(context, url)
        await socket.relay.wait_ready()
        with pytest.raises(HubNotFoundError, match=r"start one there with: python -m asyncsamp\.hub"):
            await client.register()
        await expect(tab.locator("#state")).to_contain_text("no SAMP hub")
        async with web_hub(tmp_path, mtypes=None) as hub, tool(hub.lockfile), client:
            await expect(tab.locator("#state")).to_contain_text("Connected")


async def test_the_page_reaches_the_hub_and_nothing_else(tmp_path: Path) -> None:
    async with relay_site() as (socket, url), tab_context(tmp_path) as context:
        tab = await open_tab(context, url)
        await socket.relay.wait_ready()
        for other in (
            url,
            "http://127.0.0.1:631/",
            "http://localhost:21012.evil.org/",
            "https://localhost:21012/",
        ):
            with pytest.raises(Exception, match="nothing else"):
                await socket.relay.post(other, b"x")
        await expect(tab.locator("#state")).to_contain_text("refused")


async def test_another_sites_page_may_not_relay(tmp_path: Path) -> None:
    async with relay_site() as (socket, url), aiohttp.ClientSession() as session:
        for headers in ({}, {"Origin": "https://evil.example.org"}, {"Origin": "null"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{url}samp/relay", headers=headers)
            assert refused.value.status == 403
        assert not socket.relay.ready


async def test_a_second_page_waits_until_the_first_leaves(tmp_path: Path) -> None:
    async with desk_in_tab(tmp_path) as (desk, first):
        await desk.relay.wait_ready()
        async with desk.client() as remote:
            second = await open_tab(first.context, desk.url)
            await expect(second.locator("#state")).to_contain_text("another page")
            await first.close()
            # A call that goes to the page that leaves would be lost.
            await expect(second.locator("#state")).to_contain_text("Connected")
            answer = await remote.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=30)
            assert answer.result == {"x": "1"}


HOLD_PULLS = """() => {
  const before = window.fetch;
  window.fetch = (url, options = {}) => {
    if (!new TextDecoder().decode(options.body).includes("pullCallbacks")) return before(url, options);
    window.held = true;
    return new Promise(() => {});
  };
}"""


async def test_a_page_that_is_closed_between_two_pulls_is_gone_at_once(tmp_path: Path) -> None:
    """None breaks off then, which would tell the hub."""
    async with (
        desk_in_tab(tmp_path) as (desk, tab),
        desk.client() as remote,
        remote.messages("test.heard"),
    ):
        await tab.evaluate(HOLD_PULLS)  # the next one; if one waits at the hub, the notification ends it
        await desk.tool.notify(remote.public_id, "test.heard", {})
        await tab.wait_for_function("window.held")
        closed = remote.public_id
        await tab.close()
        assert await until_gone(desk.tool, closed, 90) < AT_ONCE


async def test_what_is_too_large_for_the_hub(tmp_path: Path) -> None:
    async with (
        desk_in_tab(tmp_path, limits=Limits(web_upload_bytes=1000)) as (desk, _),
        desk.client() as remote,
    ):
        with pytest.raises(DataError, match="keeps 1,000 bytes for one page"):
            await remote.send_table(Table({"a": numpy.arange(5000)}), "desktop")


async def test_a_hub_that_takes_no_data_says_what_else_can_be_done(tmp_path: Path) -> None:
    """JSAMP's: everything else works."""
    async with (
        jsamp_web_hub(tmp_path) as lockfile,
        tool(lockfile) as (desktop, _),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        await open_tab(context, url)
        async with Client("remote", connection=BrowserConnection(socket.relay)) as remote:
            with pytest.raises(
                DataError, match=r"start python -m asyncsamp\.hub there instead, or send a URL"
            ):
                await remote.send_table(Table({"a": [1]}), "desktop")
            answer = await remote.call_and_wait("desktop", "test.echo", {"x": "1"}, timeout=30)
            assert answer.result == {"x": "1"}
            async with remote.tables() as tables:
                await desktop.send_table(Table({"b": [4, 5]}), "remote")
                assert list((await anext(tables))["b"]) == [4, 5]


async def test_what_the_user_refuses_is_said_on_the_page(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, consent=deny_all),
        relay_site() as (socket, url),
        tab_context(tmp_path) as context,
    ):
        tab = await open_tab(context, url)
        client = Client("remote", connection=BrowserConnection(socket.relay))
        with pytest.raises(RegistrationError):
            await client.register()
        await expect(tab.locator("#state")).to_contain_text("refused")


@pytest.mark.usefixtures("patient")
async def test_subscriptions_are_told_though_the_page_is_loaded_again_meanwhile(tmp_path: Path) -> None:
    """The answer to allowReverseCallbacks never comes: the page that asked has gone."""
    async with desk_in_tab(tmp_path, limits=SLOWLY) as (desk, tab):
        held = asyncio.Event()

        async def hold(route: Route) -> None:
            if held.is_set() or "allowReverseCallbacks" not in (route.request.post_data or ""):
                await route.continue_()
                return
            held.set()
            await reloaded.wait()
            await route.abort()  # which nobody hears any more

        reloaded = asyncio.Event()

        await tab.context.route("http://*:21012/**", hold)

        async def reload() -> None:
            await held.wait()
            await tab.reload()
            reloaded.set()

        reloading = asyncio.create_task(reload())
        async with desk.client() as remote, remote.messages("test.heard") as heard:
            await reloading
            subscribed = await subscriber(desk.tool, "remote", "test.heard")
            await desk.tool.notify(subscribed, "test.heard", {"n": "1"})
            assert (await anext(heard)).params == {"n": "1"}


async def test_two_programs_by_two_pages_of_one_browser(tmp_path: Path) -> None:
    async with desk_in_tab(tmp_path) as (desk, first), relay_site() as (other, second):
        await open_tab(first.context, second)
        async with (
            desk.client("one") as left,
            Client("two", connection=BrowserConnection(other.relay)) as right,
        ):
            for client in (left, right):
                answer = await client.call_and_wait(
                    "desktop", "test.echo", {"x": client.public_id}, timeout=60
                )
                assert answer.result == {"x": client.public_id}
            await asyncio.gather(
                left.send_table(Table({"a": [1]}), "desktop"), right.send_table(Table({"a": [2]}), "desktop")
            )
            tables = {await desk.read.get(), await desk.read.get()}
            assert {b"<TD>1</TD>" in table for table in tables} == {True, False}


async def test_two_browsers_for_one_program(tmp_path: Path) -> None:
    """The second is asked for nothing, and is told nothing of what the first relays."""
    async with desk_in_tab(tmp_path) as (desk, _), tab_context(tmp_path) as second:
        await desk.relay.wait_ready()
        other = await second.new_page()
        frames: list[str] = []
        other.on("websocket", lambda line: line.on("framereceived", lambda frame: frames.append(str(frame))))
        asked: list[str] = []
        other.on("request", lambda request: asked.append(request.url))
        await other.goto(desk.url)
        await expect(other.locator("#state")).to_contain_text("another page")
        async with desk.client() as remote:
            await remote.send_table(Table({"secret": [12345]}), "desktop")
            assert b"12345" in await desk.read.get()
        assert not any("12345" in frame or "register" in frame for frame in frames)
        assert not any("21012" in place for place in asked)


async def pieces_of(content: bytes, begun: asyncio.Event, more: asyncio.Event) -> AsyncIterator[bytes]:
    yield content
    begun.set()
    await more.wait()
    yield content


async def test_uploads_that_are_broken_off_and_ten_at_once(tmp_path: Path) -> None:
    limits = Limits(web_upload_bytes=10_000_000)
    async with desk_in_tab(tmp_path, limits=limits) as (desk, _), aiohttp.ClientSession() as session:
        connection = BrowserConnection(desk.relay)
        async with Client("remote", connection=connection):
            door, relay = connection.proxy.upload_url, desk.relay
            begun = asyncio.Event()
            broken = asyncio.create_task(
                relay.upload(f"{door}x", pieces_of(b"x" * 5_000_000, begun, asyncio.Event()))
            )
            await begun.wait()
            broken.cancel()
            await asyncio.wait({broken})
            more = asyncio.Event()
            more.set()
            uploads = [
                relay.upload(f"{door}{n}", pieces_of(bytes([n]) * 100_000, asyncio.Event(), more))
                for n in range(10)
            ]
            for number, place in enumerate(await asyncio.gather(*uploads)):
                async with session.get(place) as answer:
                    assert await answer.read() == bytes([number]) * 200_000
            for dead in (door.replace("upload/", "upload/x"), "http://localhost:21012/upload//"):
                with pytest.raises(DataError, match="no such upload token"):
                    await relay.upload(f"{dead}x", pieces_of(b"x", asyncio.Event(), more))


@pytest.mark.parametrize("proxied", [True, False], ids=["proxy", "no proxy"])
async def test_large_data_is_read_at_the_pages_own_site_if_it_can_be(proxied: bool, tmp_path: Path) -> None:
    table = Table({"x": numpy.arange(1_200_000, dtype="f8")})  # 9.6 MB
    asked: list[str] = []
    told = asyncio.Event()

    def note(request: Request) -> None:
        asked.append(f"{request.url} {request.headers.get('range', '')}")
        told.set()

    async with desk_in_tab(tmp_path, proxied=proxied) as (desk, tab):
        tab.on("request", note)
        async with desk.client(proxied=True) as remote:
            for _ in range(2):
                await remote.send_table(table, "desktop")
                size = len(await desk.read.get())
                assert size > 9_600_000
            await remote.send_table(Table({"a": [1]}), "desktop")
            assert b"<TD>1</TD>" in await desk.read.get()
        count = 2 * math.ceil(size / 2**20) if proxied else 1
        async with asyncio.timeout(60):  # a busy browser tells of them later
            while len(ranges := [place for place in asked if "/proxy/" in place]) < count:
                told.clear()
                await told.wait()
    assert len(ranges) == count, ranges
    assert all("bytes=" in place for place in ranges)


async def test_a_place_outside_of_the_pages_own_site_is_not_read(tmp_path: Path) -> None:
    async with relay_site() as (socket, url), tab_context(tmp_path) as context:
        for base, places in (
            ("?base=/", ("/proxy/../x", "http://127.0.0.1:631/proxy/1/x", "x")),
            ("", ("proxy/1/x",)),
        ):
            tab = await open_tab(context, url + base)
            await socket.relay.wait_ready()
            for place in places:
                with pytest.raises(Exception, match=r"no place|nothing else"):
                    await socket.relay.upload_from("http://localhost:21012/upload/x/y", place)
            await tab.close()
            await socket.relay.wait_left()
