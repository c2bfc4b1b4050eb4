"""asyncsamp.hub.profiles.web.web_client: a page that goes without a word is noticed (WEB-28)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp import Client, FaultCode, Limits, Message, xmlrpc
from asyncsamp.interfaces import PAGE_LEFT
from asyncsamp.values import ValueMap

from ..web_server import Server
from ..webpage import Page, WebHub, close, open_request, read_answer, web_hub

SOON = Limits(web_silence_broken=0.5)
"""A page whose pull broke off goes at once; any other stays for minutes."""


async def until_gone(client: Client, page: Page) -> None:
    async with asyncio.timeout(30), client.messages("samp.hub.event.unregister") as events:
        if page.id in await client.get_registered_clients():
            async for event in events:
                if event.params["id"] == page.id:
                    return


async def begin_call(page: Page, recipient: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    message: ValueMap = {"samp.mtype": "table.slow", "samp.params": {}}
    body = xmlrpc.dump_call("samp.webhub.callAndWait", [page.key, recipient, message, "60"])
    return await open_request(page.port, "POST", "/", page.headers, body)


class Slow(Client):
    """A client that answers a call when it is told to."""

    def __init__(self, hub: WebHub) -> None:
        super().__init__("slow", lockfile=hub.lockfile)
        self.called, self.go_on = asyncio.Event(), asyncio.Event()
        self.on("table.slow")(self._answer)

    async def _answer(self, message: Message) -> None:
        self.called.set()
        await self.go_on.wait()


async def test_a_closed_page_is_gone_though_its_call_ends_in_order(tmp_path: Path) -> None:
    limits = Limits(web_silence_broken=3.0)  # a busy machine may stand still before the call ends
    async with web_hub(tmp_path, limits=limits) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        _, pull = await page.begin_pull("600")
        reader, writer = await begin_call(page, client.public_id)
        await client.called.wait()
        await close(pull)
        client.go_on.set()
        assert b"samp.ok" in await reader.read()
        await until_gone(client, page)
        await close(writer)


async def test_a_closed_page_is_gone_though_its_call_goes_on(tmp_path: Path) -> None:
    """A browser carries on with a request that a page sent with `keepalive`."""
    async with web_hub(tmp_path, limits=SOON) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        _, pull = await page.begin_pull("600")
        _, writer = await begin_call(page, client.public_id)
        await client.called.wait()
        await close(pull)
        await until_gone(client, page)
        await close(writer)


async def test_a_page_that_closes_between_two_pulls_and_says_so_is_gone(tmp_path: Path) -> None:
    async with web_hub(tmp_path, limits=SOON) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        assert await page.pull("0") == []
        assert (await page.post(PAGE_LEFT, page.key)).value == ""
        await until_gone(client, page)
        assert (await page.post(PAGE_LEFT, page.key)).fault.code == FaultCode.NOT_REGISTERED


async def test_a_page_that_closes_while_its_pull_is_answered_is_gone(tmp_path: Path) -> None:
    """The answer is written before the system tells that nobody is there to read it."""
    async with web_hub(tmp_path, limits=SOON) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        reader, pull = await page.begin_pull("600")
        await page.post(PAGE_LEFT, page.key)
        await client.notify(page.id, "table.note", {})
        assert b"table.note" in await reader.read()
        await until_gone(client, page)
        await close(pull)


async def test_a_page_that_closes_takes_nothing_from_another_that_pulls(tmp_path: Path) -> None:
    """Two tabs show a notebook, and one of them has relayed before."""
    async with web_hub(tmp_path, limits=Limits(web_silence_broken=3.0)) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        reader, pull = await page.begin_pull("4")
        await page.post(PAGE_LEFT, page.key)
        assert b"<data></data>" in (await read_answer(reader)).body
        await close(pull)
        await client.notify(page.id, "table.note", {})
        assert len(await page.pull()) == 1


@pytest.mark.parametrize("callable_", [True, False])
async def test_a_page_that_is_closed_while_it_reads_a_url_is_gone(tmp_path: Path, callable_: bool) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.Response(text="late")

    async with (
        web_hub(tmp_path, limits=SOON) as hub,
        Client("sender", lockfile=hub.lockfile) as client,
        Server(serve) as base,
    ):
        page = await hub.page("table.note")
        await client.notify(page.id, "table.note", {"url": base})
        assert len(await page.pull()) == 1
        if callable_:
            _, pull = await page.begin_pull("600")
        else:
            await page.call("allowReverseCallbacks", "0")
        target = "/" + page.translator.partition("://")[2].partition("/")[2] + base
        _, writer = await open_request(hub.port, "GET", target, {"Origin": page.origin})
        await asked.wait()
        if callable_:
            await close(pull)
        await close(writer)
        await until_gone(client, page)
        go_on.set()


async def test_a_page_that_pulls_again_stays_though_its_older_pull_breaks_off(tmp_path: Path) -> None:
    async with web_hub(tmp_path, limits=Limits(web_silence_broken=3.0)) as hub, Slow(hub) as client:
        page = await hub.page("table.note")
        _, first = await page.begin_pull("600")
        _, writer = await begin_call(page, client.public_id)
        await client.called.wait()
        await close(first)
        pulling = asyncio.create_task(page.pull("4"))
        assert await pulling == []
        await client.notify(page.id, "table.note", {})
        assert len(await page.pull()) == 1
        client.go_on.set()
        await close(writer)
