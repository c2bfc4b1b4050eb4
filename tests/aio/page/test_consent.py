"""asyncsamp.hub.page.consent: questions of web pages on the hub's page and the terminal."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import ConsentAnswer, ConsentQuestion, FaultCode, OriginStore, TerminalConsent
from asyncsamp.hub.page import HubPage, PageConsent

from ..webpage import ORIGIN, Page, web_hub
from .test_server import Browser


class Terminal(TerminalConsent):
    """A terminal whose user answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.said: asyncio.Future[ConsentAnswer] = asyncio.get_running_loop().create_future()

    @property
    def can_ask(self) -> bool:
        return True

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        self.asked.set()
        return await self.said


def no_terminal() -> TerminalConsent:
    return TerminalConsent(input=io.StringIO())


async def questions(events: Any) -> list[dict[str, Any]]:
    async for kind, told in events:
        for extra in [told] if kind == "hello" else told["extra"]:
            if extra.get("questions"):
                found: list[dict[str, Any]] = extra["questions"]
                return found
    raise AssertionError


@pytest.mark.parametrize(("answer", "remembered"), [("allow", []), ("allow always", [ORIGIN]), ("deny", [])])
async def test_the_page_answers(answer: str, remembered: list[str], tmp_path: Path) -> None:
    consent, store = PageConsent(no_terminal()), OriginStore(tmp_path / "web-origins")
    async with (
        web_hub(tmp_path, consent=consent, store=store) as hub,
        HubPage(hub.hub, consent=consent, store=store) as page,
    ):
        browser = Browser(page.new_link())
        await browser.enter()
        async with browser.events() as events:
            await anext(events)
            register = Page(hub.port).post("samp.webhub.register", {"samp.name": "<b>archive</b>"})
            registering = asyncio.create_task(register)
            [question] = await questions(events)
            assert (question["name"], question["origin"]) == ("?b?archive?/b?", ORIGIN)
            assert await browser.do("/consent", number=question["number"], answer=answer) == {}
            late = await browser.do("/consent", number=question["number"], answer="allow")
            assert "answered already" in late["error"]
            answered = await registering
        assert (b"<fault>" in answered.body) is (answer == "deny")
        assert await asyncio.to_thread(store.read) == remembered
        for origin in remembered:
            assert (await browser.do("/revoke", kind="origin", name=origin))["permissions"] == []
        again = await browser.do("/revoke", kind="origin", name=ORIGIN)
        assert again["error"] == f"nothing was decided about {ORIGIN}"
        assert (await browser.post("/consent", {"number": "x", "answer": "perhaps"})).status == 400


@pytest.mark.parametrize("first", ["page", "terminal"])
async def test_the_first_answer_counts(first: str, tmp_path: Path) -> None:
    terminal = Terminal()
    consent = PageConsent(terminal)
    async with web_hub(tmp_path, consent=consent) as hub:
        registering = asyncio.create_task(Page(hub.port).post("samp.webhub.register", {"samp.name": "page"}))
        await terminal.asked.wait()
        [question] = consent.questions()
        if first == "page":
            assert consent.answer(question["number"], ConsentAnswer.ALLOW)
        else:
            terminal.said.set_result(ConsentAnswer.ALLOW)
        assert b"<fault>" not in (await registering).body
        assert terminal.said.cancelled() is (first == "page")
        assert consent.questions() == []
        assert not consent.answer(question["number"], ConsentAnswer.DENY)


async def test_where_nobody_can_be_asked_it_is_a_no(tmp_path: Path) -> None:
    async with web_hub(tmp_path, consent=PageConsent(no_terminal())) as hub:
        refused = await Page(hub.port).post("samp.webhub.register", {"samp.name": "page"})
        assert refused.fault.code == FaultCode.REGISTRATION_REFUSED


async def test_no_answer_on_the_page_is_a_no(tmp_path: Path) -> None:
    consent = PageConsent(no_terminal(), timeout=0.05)
    consent.watched = lambda: True
    async with web_hub(tmp_path, consent=consent) as hub:
        refused = await Page(hub.port).post("samp.webhub.register", {"samp.name": "page"})
        assert refused.fault.code == FaultCode.REGISTRATION_REFUSED


@pytest.mark.parametrize("shown", [True, False])
async def test_a_question_on_the_desktop_waits_where_nobody_else_looks(shown: bool, tmp_path: Path) -> None:
    asked: list[tuple[str, str, list[str]]] = []
    here = asyncio.Event()

    async def desktop(title: str, text: str, choices: Mapping[str, str], show: Callable[[], None]) -> str:
        asked.append((title, text, list(choices.values())))
        if shown:
            show()
        here.set()
        return ""

    consent = PageConsent(no_terminal(), desktop=desktop)
    async with web_hub(tmp_path, consent=consent) as hub, HubPage(hub.hub, consent=consent) as page:
        browser = Browser(page.new_link())
        await browser.enter()
        asking = asyncio.create_task(Page(hub.port).post("samp.webhub.register", {"samp.name": "<b>page"}))
        await here.wait()
        [(title, text, buttons)] = asked
        assert title == "A web page asks to register with your SAMP hub."
        origin, name, gets, where = text.split("\n")
        assert (origin, name) == (f"Page's origin: {ORIGIN}.", "It calls itself: ?b?page.")
        assert "it can send data and harmless messages" in gets
        assert where == f"Answer here, on the hub's page {browser.origin}/."
        assert buttons == ["Deny", "Allow once", "Always for this origin"]
        if shown:
            [question] = consent.questions()
            assert await browser.do("/consent", number=question["number"], answer="allow") == {}
        assert (b"<fault>" in (await asking).body) is not shown


@pytest.mark.parametrize(("button", "remembered"), [("allow", []), ("allow always", [ORIGIN]), ("deny", [])])
async def test_the_desktop_answers_and_the_others_are_told(
    button: str, remembered: list[str], tmp_path: Path
) -> None:
    pressed, terminal = asyncio.Event(), Terminal()

    async def desktop(title: str, text: str, choices: Mapping[str, str], show: Callable[[], None]) -> str:
        await pressed.wait()
        return button

    consent, store = PageConsent(terminal, desktop=desktop), OriginStore(tmp_path / "web-origins")
    async with web_hub(tmp_path, consent=consent, store=store) as hub:
        registering = asyncio.create_task(Page(hub.port).post("samp.webhub.register", {"samp.name": "page"}))
        await terminal.asked.wait()
        [question] = consent.questions()
        pressed.set()
        assert (b"<fault>" in (await registering).body) is (button == "deny")
        with pytest.raises(asyncio.CancelledError, match="the question was answered on the desktop"):
            await terminal.said
        assert not consent.answer(question["number"], ConsentAnswer.DENY)
        assert await asyncio.to_thread(store.read) == remembered


async def test_a_question_is_taken_from_the_desktop_when_it_is_answered_elsewhere(tmp_path: Path) -> None:
    ended: list[str] = []

    async def desktop(title: str, text: str, choices: Mapping[str, str], show: Callable[[], None]) -> str:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            return await never
        finally:
            ended.append(title)

    terminal = Terminal()
    async with web_hub(tmp_path, consent=PageConsent(terminal, desktop=desktop)) as hub:
        registering = asyncio.create_task(Page(hub.port).post("samp.webhub.register", {"samp.name": "page"}))
        await terminal.asked.wait()
        terminal.said.set_result(ConsentAnswer.ALLOW)
        assert b"<fault>" not in (await registering).body
    assert len(ended) == 1


async def test_a_desktop_that_fails_spoils_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def desktop(title: str, text: str, choices: Mapping[str, str], show: Callable[[], None]) -> str:
        raise RuntimeError("no desktop")

    async with web_hub(tmp_path, consent=PageConsent(no_terminal(), desktop=desktop)) as hub:
        refused = await Page(hub.port).post("samp.webhub.register", {"samp.name": "page"})
        assert refused.fault.code == FaultCode.REGISTRATION_REFUSED
    assert "a question cannot be shown on the desktop" in caplog.text


async def test_stopping_the_hub_ends_the_question(tmp_path: Path) -> None:
    terminal = Terminal()
    consent = PageConsent(terminal)
    async with web_hub(tmp_path, consent=consent) as hub:
        registering = asyncio.create_task(Page(hub.port).post("samp.webhub.register", {"samp.name": "page"}))
        await terminal.asked.wait()
        await hub.hub.shutdown()
        assert (await registering).fault.code == FaultCode.SHUTTING_DOWN
        assert consent.questions() == []
