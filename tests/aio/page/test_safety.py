"""The hub's page against those who should not use it, and what clients say that should not act."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, FaultCode, Hub, Permissions
from asyncsamp.hub.page import HubPage, PageConsent
from asyncsamp.hub.page.shown import SHOWN, beginning
from asyncsamp.values import Value

from .. import users
from ..users import LINUX, ROOT
from ..webpage import Page, request, web_hub
from .test_consent import no_terminal
from .test_cost import Taker
from .test_server import Browser

ODD = "<img src=x onerror=alert(1)>\x1b[2J\x07\u202egnp.exe\u2066\x9b31m\r"

AS_USER = """
import encodings.idna, http.client, json, os, socket, sys
port, path, headers, body, user = sys.argv[1:]
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.request("POST" if body else "GET", path, body or None, json.loads(headers))
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp", permissions=Permissions()) as running:
        yield running


@pytest.fixture
async def browser(hub: Hub) -> AsyncIterator[Browser]:
    async with HubPage(hub) as page:
        made = Browser(page.new_link())
        await made.enter()
        yield made


@LINUX
@ROOT
async def test_another_user_gets_nothing_whatever_he_has(hub: Hub) -> None:
    async with HubPage(hub) as page:
        browser = Browser(page.new_link())
        token = json.dumps({"token": browser.token})
        attempts = [("/", ""), ("/page.js", ""), ("/session", token)]
        for path, body in attempts:
            assert (await as_nobody(browser, path, body)).startswith("403 this hub belongs to another user")
        await browser.enter()  # the token has not been used up
        for path, body in (("/events", ""), ("/stop", "{}"), ("/link", "{}")):
            assert (await as_nobody(browser, path, body)).startswith("403 this hub belongs to another user")
        assert hub.running


async def as_nobody(browser: Browser, path: str, body: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", AS_USER, str(browser.port), path),
        *(json.dumps(browser.headers), body, str(users.NOBODY)),
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    return answer.decode()


async def test_nothing_changes_by_get(hub: Hub, browser: Browser) -> None:
    async with Client("one", lockfile=hub.lockfile) as one:
        for action in (
            "ping",
            "disconnect",
            "send",
            "stop",
            "link",
            "consent",
            "permit",
            "revoke",
            "session",
        ):
            for query in ("", f"?client={one.public_id}&token={browser.token}"):
                answer = await request(browser.port, "GET", f"/{action}{query}", browser.headers)
                assert answer.status == 404, action
        assert hub.running
        assert one.public_id in hub.clients


async def test_every_answer_forbids_frames_and_foreign_scripts(browser: Browser) -> None:
    for path in ("/", "/page.js", "/page.css", "/nowhere", "/events"):
        answer = await request(browser.port, "GET", path, {"Host": f"127.0.0.1:{browser.port}"})
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
    files = [(await request(browser.port, "GET", path)).body.decode() for path in ("/", "/page.js")]
    assert not [text for text in files if "style=" in text or "innerHTML" in text or "<script>" in text]


async def test_what_clients_say_is_cut_and_made_visible(hub: Hub, browser: Browser) -> None:
    engine = hub.engine
    async with browser.events() as events:
        one = engine.register(Taker())  # our own client would not send such texts
        engine.set_callable(one, True)
        named: Any = {"samp.name": ODD + "x" * 1_000_000, "author.name": ODD}
        await engine.operate(one, "declareMetadata", [named])
        await engine.operate(one, "declareSubscriptions", [{"test.odd": {}}])
        odd: Any = {"samp.mtype": "test.odd", "samp.params": {ODD: ODD, "big": ODD + "y" * 1_000_000}}
        await engine.operate(one, "notify", [one, odd])
        told = ""
        while "yyyy" not in told:
            _, batch = await anext(events)
            text = json.dumps(batch, ensure_ascii=False)
            assert len(text) < 100_000
            told += text
    assert not set(told) & set("\x1b\x07\x9b\u202e\u2066\r")
    assert "\\\\u202egnp.exe\\\\u2066" in told
    assert "onerror" in told  # it is text, and the page shows it as such


def test_the_beginning_of_a_text_is_visible_and_bounded() -> None:
    assert beginning("a\tb\nc\u200b\ud800") == "a\tb\nc\\u200b\\ud800"
    assert len(beginning("\x00" * 1_000_000)) <= 6 * SHOWN + 3
    nearly: Value = {"a": "x" * (SHOWN - 100), "k" * 199: "y" * 1_000_000}  # the second key is past the end
    assert len(beginning(nearly)) <= SHOWN + 200
    assert beginning(nearly).endswith("k: ...")


async def test_two_answers_at_once_are_one(tmp_path: Path) -> None:
    consent = PageConsent(no_terminal())
    async with web_hub(tmp_path, consent=consent) as web, HubPage(web.hub, consent=consent) as page:
        browsers = [Browser(page.new_link()) for _ in range(2)]
        for one in browsers:
            await one.enter()
        async with browsers[0].events() as events:
            await anext(events)
            asking = asyncio.create_task(Page(web.port).post("samp.webhub.register", {"samp.name": "page"}))
            while not consent.questions():
                await anext(events)
            [question] = consent.questions()
            answers = await asyncio.gather(
                browsers[0].do("/consent", number=question["number"], answer="allow"),
                browsers[1].do("/consent", number=question["number"], answer="deny"),
            )
            assert sorted(map(len, answers)) == [0, 1]
            allowed = answers[0] == {}
            assert (b"<fault>" not in (await asking).body) is allowed


async def test_a_hub_that_is_stopped_while_a_question_is_open_says_so(tmp_path: Path) -> None:
    consent = PageConsent(no_terminal())
    async with web_hub(tmp_path, consent=consent) as web, HubPage(web.hub, consent=consent) as page:
        browser = Browser(page.new_link())
        await browser.enter()
        async with browser.events() as events:
            await anext(events)
            asking = asyncio.create_task(Page(web.port).post("samp.webhub.register", {"samp.name": "page"}))
            while not consent.questions():
                await anext(events)
            [question] = consent.questions()
            assert await browser.do("/stop") == {}
            assert (await asking).fault.code == FaultCode.SHUTTING_DOWN
            await web.hub.serve_forever()
            late = await browser.do("/consent", number=question["number"], answer="allow")
            assert "taken back" in late["error"]
            await page.stop()
            assert "stopped" in [kind async for kind, _ in events]
