"""asyncsamp.hub.page.server by raw HTTP: who gets in, and what is told and done."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Hub, Message, Permission, Permissions, Subject
from asyncsamp.delivery import Delivery
from asyncsamp.hub.page import HubPage
from asyncsamp.hub.page.feed import MOST, Feed

from ..webpage import Answer, close, open_request, request, web_hub


class Browser:
    """What a browser does with the page."""

    def __init__(self, link: str) -> None:
        place, _, self.token = link.partition("#")
        self.port = int(place.rpartition(":")[2].strip("/"))
        self.origin = f"http://127.0.0.1:{self.port}"
        self.headers = {"Origin": self.origin}

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        return await request(self.port, "POST", path, {**self.headers, **headers}, json.dumps(body).encode())

    async def enter(self) -> None:
        answer = await self.post("/session", {"token": self.token})
        assert answer.status == 200
        cookie = answer.headers["set-cookie"]
        assert cookie.endswith("; HttpOnly; Path=/; SameSite=Strict")
        self.headers |= {
            "Cookie": cookie.partition(";")[0],
            "X-Asyncsamp-Page": json.loads(answer.body)["key"],
        }

    async def do(self, path: str, **body: Any) -> Any:
        answer = await self.post(path, body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        reader, writer = await open_request(self.port, "GET", "/events", self.headers)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/event-stream" in head
        assert b"Server: asyncsamp\r\n" in head
        try:
            yield _events(reader)
        finally:
            await close(writer)


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, Any]]:
    while True:
        line = (await reader.readline()).decode()
        if not line:
            return
        if line.startswith("event: "):
            data = (await reader.readline()).decode()
            yield line[7:].strip(), json.loads(data.removeprefix("data: "))


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp") as running:
        yield running


@pytest.fixture
async def page(hub: Hub) -> AsyncIterator[HubPage]:
    async with HubPage(hub) as running:
        yield running


@pytest.fixture
async def browser(page: HubPage) -> Browser:
    made = Browser(page.new_link())
    await made.enter()
    return made


class Taker:
    """Takes everything, without a socket."""

    async def deliver(self, delivery: Delivery) -> None: ...

    async def is_alive(self, client: str) -> bool:
        return True

    def has_unread(self, client: str) -> bool:
        return False

    def forget(self, client: str) -> None: ...


async def echo(message: Message) -> dict[str, Any]:
    return message.params


class TestGuard:
    async def test_without_the_token_there_are_the_empty_files_only(self, page: HubPage) -> None:
        stranger = Browser(page.new_link())
        for path in ("/", "/page.js", "/page.css"):
            answer = await request(stranger.port, "GET", path)
            assert answer.status == 200
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert (await request(stranger.port, "GET", "/events")).status == 401
        for path in ("/ping", "/disconnect", "/send", "/stop", "/link"):
            assert (await stranger.post(path, {})).status == 401
            assert (await request(stranger.port, "GET", path)).status == 404
        assert (await request(stranger.port, "PUT", "/")).status == 405

    async def test_a_token_works_once(self, page: HubPage, browser: Browser) -> None:
        assert (await browser.post("/session", {"token": browser.token})).status == 403
        for wrong in ("", "x", None, ["x"]):
            assert (await browser.post("/session", {"token": wrong})).status == 403
        again = Browser((await browser.do("/link"))["link"])
        await again.enter()
        assert (await browser.do("/link"))["link"]

    async def test_cookie_and_key_are_both_needed(self, browser: Browser) -> None:
        for missing in ("Cookie", "X-Asyncsamp-Page"):
            headers = {name: value for name, value in browser.headers.items() if name != missing}
            assert (await request(browser.port, "POST", "/link", headers, b"{}")).status == 401
        assert (await browser.post("/link", {}, **{"X-Asyncsamp-Page": "\u00e9"})).status == 401

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example.org"},
            {"Host": "127.0.0.1"},
            {"Origin": "https://evil.example.org"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_other_sites_are_refused(self, browser: Browser, headers: dict[str, str]) -> None:
        assert (await browser.post("/link", {}, **headers)).status == 403
        got = await request(browser.port, "GET", "/", {**browser.headers, **headers})
        assert (got.status, b"<html" in got.body) == (403, False)

    async def test_a_post_without_an_origin_is_refused(self, browser: Browser) -> None:
        headers = {name: value for name, value in browser.headers.items() if name != "Origin"}
        assert (await request(browser.port, "POST", "/link", headers, b"{}")).status == 403

    async def test_a_web_client_cannot_have_it_read(self, tmp_path: Path) -> None:
        async with (
            web_hub(tmp_path) as web,
            HubPage(web.hub) as page,
            Client("tool", lockfile=web.lockfile) as client,
        ):
            reader = await web.page("table.load.votable")
            url = page.new_link().partition("#")[0]
            await client.notify(reader.id, "table.load.votable", {"url": url})
            [(_, params)] = await reader.pull()
            shown = str(params[1]["samp.params"]["url"])
            assert (await reader.get(shown.partition("?")[2])).status == 403

    async def test_what_is_not_json_is_refused(self, browser: Browser) -> None:
        for body in (b"", b"[]", b"{", b"\xff"):
            assert (await request(browser.port, "POST", "/send", browser.headers, body)).status == 400
        assert (await browser.post("/send", {"to": ["x"]})).status == 400
        assert (await browser.post("/send", {"params": ""})).status == 400


class TestEvents:
    async def test_clients_and_messages(self, hub: Hub, browser: Browser) -> None:
        one = Client("one", lockfile=hub.lockfile)
        one.on("test.echo")(echo)
        async with browser.events() as events, Client("two", lockfile=hub.lockfile) as two:
            kind, hello = await anext(events)
            assert (kind, hello["url"]) == ("hello", hub.url)
            async with one:
                await two.call(one.public_id, "test.echo", {"a": "<b>", "n": 1}, timeout=10)
                shown: dict[int, dict[str, Any]] = {}
                names: dict[str, str] = {}
                async for _, batch in events:
                    names |= {client["id"]: client["name"] for client in batch["clients"]}
                    for message in batch["messages"]:
                        shown.setdefault(message["number"], {}).update(message)
                    ended = [one for one in shown.values() if one.get("mtype") == "test.echo"]
                    if "one" in names.values() and ended and ended[0]["what"] == "answered":
                        break
                [message] = ended
                assert message["params"] == "\n  a: <b>\n  n: 1"
                assert "samp.ok" in message["answer"]
                left = one.public_id
            async for _, batch in events:
                if left in batch["left"]:
                    break

    async def test_a_large_message_is_shown_by_its_beginning(self, hub: Hub, browser: Browser) -> None:
        one = Client("one", lockfile=hub.lockfile)
        one.on("test.echo")(echo)
        async with browser.events() as events, one:
            await one.notify(one.public_id, "test.echo", {"a": "x" * 10_000_000})
            async for kind, batch in events:
                found = [] if kind == "hello" else [m for m in batch["messages"] if m.get("params")]
                if any(m["mtype"] == "test.echo" for m in found):
                    break
            assert len(json.dumps(batch)) < 100_000
            assert found[-1]["params"].endswith("x...")

    async def test_a_flood_is_sampled_and_counted(self, hub: Hub, browser: Browser) -> None:
        one = Client("one", lockfile=hub.lockfile)
        one.on("test.echo")(echo)
        async with browser.events() as events, one:
            await anext(events)
            for number in range(10 * MOST):
                await one.notify(one.public_id, "test.echo", {"n": number})
            begun = total = 0
            while total < 10 * MOST:
                _, batch = await anext(events)
                sent = [message for message in batch["messages"] if message["what"] == "sent"]
                assert len(sent) <= MOST
                begun, total = begun + len(sent), batch["total"]
            assert begun + batch["missed"] == total

    async def test_many_clients_are_told_of_in_parts_and_who_leaves_meanwhile(
        self, hub: Hub, browser: Browser
    ) -> None:
        clients = [hub.engine.register(Taker()) for _ in range(250)]
        async with browser.events() as events:
            here: list[str] = []
            more, parts = True, 0
            while more:
                _, part = await anext(events)
                here += [client["id"] for client in part["clients"]]
                more, parts = part["more"], parts + 1
            assert (here, parts) == (clients, 3)
        feed = Feed(hub)
        told = feed.whole()
        first = next(told)
        hub.engine.disconnect(clients[-1], "away")
        hub.engine.disconnect(first["clients"][0]["id"], "away")
        rest = [client["id"] for part in told for client in part["clients"]]
        assert rest == clients[100:-1]
        assert sorted((await feed.batch())["left"]) == sorted([clients[-1], clients[0]])
        feed.close()

    async def test_nobody_watches_when_no_browser_shows_it(self, page: HubPage, browser: Browser) -> None:
        assert not page.watched
        async with browser.events() as events:
            await anext(events)
            assert page.watched
        while page.watched:
            await asyncio.sleep(0)

    async def test_who_owes_whom(self, hub: Hub, browser: Browser) -> None:
        go = asyncio.Event()
        one = Client("one", lockfile=hub.lockfile)

        @one.on("test.wait")
        async def wait(message: Message) -> None:
            await go.wait()

        async with one, Client("two", lockfile=hub.lockfile) as two, browser.events() as events:
            _, hello = await anext(events)
            assert [client["owed"] for client in hello["clients"]] == [{}, {}]
            calls = [asyncio.create_task(two.call(one.public_id, "test.wait", timeout=10)) for _ in range(2)]
            owing: dict[str, Any] = {}
            while owing.get("owed") != {two.public_id: 2}:
                _, batch = await anext(events)
                [owing] = batch["owing"] or [owing]
            assert owing == {"id": one.public_id, "owes": 2, "owed": {two.public_id: 2}}
            async with browser.events() as later:
                _, hello = await anext(later)
                assert {client["id"]: client["owes"] for client in hello["clients"]} == {
                    one.public_id: 2,
                    two.public_id: 0,
                }
            go.set()
            await asyncio.gather(*calls)
            while owing["owes"]:
                _, batch = await anext(events)
                [owing] = batch["owing"] or [owing]
            assert owing["owed"] == {}

    async def test_the_end_is_told(self, tmp_path: Path) -> None:
        async with Hub(lockfile=tmp_path / "own.samp") as hub, HubPage(hub) as page:
            browser = Browser(page.new_link())
            await browser.enter()
            async with browser.events() as events:
                await anext(events)
                await page.stop()
                assert "stopped" in [kind async for kind, _ in events]


class TestActions:
    async def test_ping_send_and_disconnect(self, hub: Hub, browser: Browser) -> None:
        reasons: list[str] = []
        gone = asyncio.Event()
        one = Client("one", lockfile=hub.lockfile)
        one.on("test.echo")(echo)

        @one.on("samp.hub.disconnect")
        async def disconnected(message: Message) -> None:
            reasons.append(str(message.params["reason"]))
            gone.set()

        async with one:
            client = one.public_id
            assert (await browser.do("/ping", client=client))["status"] == "samp.ok"
            answered = await browser.do("/send", to=client, mtype="test.echo", call=True, params={"a": "1"})
            assert "a: 1" in answered["answer"]
            for to in (client, ""):
                told = await browser.do("/send", to=to, mtype="test.echo", params={})
                assert told == {"told": [client]}
            assert await browser.do("/disconnect", client=client, reason="too loud") == {}
            await gone.wait()
        assert reasons == ["too loud (on the hub's page)"]
        assert "left already" in (await browser.do("/disconnect", client=client))["error"]

    async def test_what_the_hub_refuses_is_told(self, hub: Hub, browser: Browser) -> None:
        async with Client("one", lockfile=hub.lockfile) as one:
            for body in ({"to": one.public_id}, {"to": "c99"}, {"to": "c99", "call": True}, {"mtype": "*"}):
                told = await browser.do("/send", **{"mtype": "test.echo", "params": {}, **body})
                assert told["error"]
        assert (await browser.do("/ping", client="c99"))["error"]

    async def test_what_is_decided_is_told_to_every_page_and_kept(self, hub: Hub, tmp_path: Path) -> None:
        store = Permissions(tmp_path / "permissions.json")
        async with HubPage(hub, store=store) as page:
            browser = Browser(page.new_link())
            await browser.enter()
            async with browser.events() as events:
                assert (await anext(events))[1]["permissions"] == []
                subject = {"kind": "client", "name": "TOPCAT"}
                told = await browser.do("/permit", **subject, permission="command", allowed=False)
                assert told["permissions"] == [{**subject, "decided": {"command": False}}]
                _, batch = await anext(events)
                assert batch["extra"] == [told]
            assert not store.may(Subject("client", "TOPCAT"), Permission.COMMAND)
            assert (await browser.do("/permit", **subject, permission="command", allowed=None)) == {
                "permissions": []
            }
            assert "nothing was decided" in (await browser.do("/revoke", **subject))["error"]
            refused = await browser.do("/permit", kind="origin", name="null", permission="read", allowed=True)
            assert "web origin" in refused["error"]
            for wrong in ({"permission": "fly"}, {"allowed": "yes"}, {"kind": "hub"}, {"name": 1}):
                body = {**subject, "permission": "read", "allowed": True, **wrong}
                assert (await browser.post("/permit", body)).status == 400

    async def test_a_file_that_cannot_be_written_is_told(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        async with HubPage(hub, store=Permissions(tmp_path / "file" / "p.json")) as page:
            browser = Browser(page.new_link())
            await browser.enter()
            told = await browser.do("/permit", kind="client", name="a", permission="send", allowed=False)
            assert "cannot be written" in told["error"]

    async def test_the_hubs_permissions_are_the_pages(self, tmp_path: Path) -> None:
        store = Permissions()
        async with Hub(lockfile=tmp_path / "own.samp", permissions=store) as hub, HubPage(hub) as page:
            browser = Browser(page.new_link())
            await browser.enter()
            await browser.do("/permit", kind="client", name="one", permission="send", allowed=False)
            assert not store.may(Subject("client", "one"), Permission.SEND)

    async def test_stop(self, hub: Hub, browser: Browser) -> None:
        assert await browser.do("/stop") == {}
        await hub.serve_forever()
