"""Who may register: the question, its answers, what is remembered, floods (WEB-51..54)."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from asyncsamp import (
    Client,
    ConsentAnswer,
    ConsentQuestion,
    FaultCode,
    Limits,
    LocalProtocolError,
    OriginStore,
    allow_origins,
    deny_all,
    xmlrpc,
)
from asyncsamp.hub.profiles.web.consent import harmless, make_question

from ..webpage import ORIGIN, Page, close, open_request, web_hub


class Asker:
    """A consent that counts and gives the next answer when told to."""

    def __init__(self, *answers: ConsentAnswer) -> None:
        self.questions: list[ConsentQuestion] = []
        self.answers = list(answers)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.open = 0

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        self.questions.append(question)
        self.open += 1
        self.asked.set()
        try:
            if self.answers:
                return self.answers.pop(0)
            await self.go.wait()
            return ConsentAnswer.ALLOW
        finally:
            self.open -= 1


async def register(port: int, origin: str = ORIGIN, name: str = "page", **headers: str) -> str:
    """Register; return the private key, or the text of the fault."""
    answer = await Page(port, origin).post("samp.webhub.register", {"samp.name": name}, **headers)
    assert answer.status == 200
    if b"<fault>" in answer.body:
        assert answer.fault.code == FaultCode.REGISTRATION_REFUSED
        return answer.fault.text
    assert isinstance(answer.value, dict)
    return str(answer.value["samp.private-key"])


async def test_the_question_tells_what_the_browser_told(tmp_path: Path) -> None:
    asker = Asker(*[ConsentAnswer.ALLOW] * 4)
    async with web_hub(tmp_path, consent=asker) as hub:
        await register(hub.port, Referer=f"{ORIGIN}/tables/")
        await register(hub.port, Referer="https://elsewhere.example.org/")
        await register(hub.port, origin="null")
        await register(hub.port, origin="")
    first, second, third, fourth = asker.questions
    assert (first.name, first.origin, first.referer) == ("page", ORIGIN, f"{ORIGIN}/tables/")
    assert first.address.startswith("127.0.0.1 port ")
    assert [question.disagree for question in asker.questions] == [False, True, False, False]
    assert (second.referer, third.origin, fourth.origin) == ("https://elsewhere.example.org/", "null", "")


async def test_a_no_is_a_fault_with_cors_headers(tmp_path: Path) -> None:
    async with web_hub(tmp_path, consent=deny_all) as hub:
        answer = await Page(hub.port).post("samp.webhub.register", {"samp.name": "page"})
        assert (answer.status, answer.fault.code) == (200, FaultCode.REGISTRATION_REFUSED)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        async with Client("desktop", lockfile=hub.lockfile) as client:
            assert await client.get_registered_clients() == [client.hub_id]


async def test_everything_else_goes_on_while_a_question_is_open(tmp_path: Path) -> None:
    asker = Asker()
    async with web_hub(tmp_path, consent=asker) as hub, Client("desktop", lockfile=hub.lockfile) as client:
        registering = asyncio.create_task(register(hub.port))
        await asker.asked.wait()
        assert await client.get_registered_clients() == [client.hub_id]
        assert (await Page(hub.port).post("samp.webhub.ping")).value == ""
        asker.go.set()
        assert (await registering).startswith("wk-")


async def test_stopping_the_hub_ends_the_question(tmp_path: Path) -> None:
    asker = Asker()
    async with web_hub(tmp_path, consent=asker) as hub:
        page = Page(hub.port)
        registering = asyncio.create_task(page.post("samp.webhub.register", {"samp.name": "page"}))
        await asker.asked.wait()
        await hub.hub.shutdown()
        assert (await registering).fault.code == FaultCode.SHUTTING_DOWN
    assert asker.open == 0


async def test_a_page_that_leaves_takes_its_question_back(tmp_path: Path) -> None:
    asker = Asker()
    async with web_hub(tmp_path, consent=asker) as hub:
        page = Page(hub.port)
        body = xmlrpc.dump_call("samp.webhub.register", [{"samp.name": "page"}])
        _, writer = await open_request(hub.port, "POST", "/", page.headers, body)
        await asker.asked.wait()
        await close(writer)
        while asker.open:
            await asyncio.sleep(0)
        assert await Page(hub.port).post("samp.webhub.ping")


async def test_a_consent_that_fails_or_takes_too_long_is_a_no(tmp_path: Path) -> None:
    async def fail(question: ConsentQuestion) -> ConsentAnswer:
        raise RuntimeError("the dialog broke")

    async with web_hub(tmp_path, consent=fail) as hub:
        assert "did not let" in await register(hub.port)
    async with web_hub(tmp_path, consent=Asker(), limits=Limits(web_consent_timeout=0.05)) as hub:
        assert "did not let" in await register(hub.port)


async def test_always_is_kept_for_the_user_alone_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "config" / "web-origins"
    asker = Asker(ConsentAnswer.ALLOW_ALWAYS, ConsentAnswer.DENY)
    async with web_hub(tmp_path, consent=asker, store=OriginStore(path)) as hub:
        for _ in range(3):
            assert (await register(hub.port)).startswith("wk-")
        assert len(asker.questions) == 1
        assert ORIGIN in path.read_text()
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with web_hub(tmp_path, consent=asker, store=OriginStore(path)) as hub:
        assert (await register(hub.port)).startswith("wk-")
        # The user does that in another process.
        assert await asyncio.to_thread(OriginStore(path).read) == [ORIGIN]
        assert await asyncio.to_thread(OriginStore(path).remove, ORIGIN)
        assert not await asyncio.to_thread(OriginStore(path).remove, ORIGIN)
        assert "did not let" in await register(hub.port)


@pytest.mark.parametrize("origin", ["null", "", "file://"])
async def test_what_is_no_site_is_never_remembered(tmp_path: Path, origin: str) -> None:
    asker = Asker(ConsentAnswer.ALLOW_ALWAYS, ConsentAnswer.ALLOW_ALWAYS)
    async with web_hub(tmp_path, consent=asker) as hub:
        assert (await register(hub.port, origin)).startswith("wk-")
        assert (await register(hub.port, origin)).startswith("wk-")
    assert len(asker.questions) == 2


async def test_a_store_that_cannot_be_written_is_no_reason_to_refuse(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    async with web_hub(
        tmp_path, consent=Asker(ConsentAnswer.ALLOW_ALWAYS), store=OriginStore(blocked / "web-origins")
    ) as hub:
        assert (await register(hub.port)).startswith("wk-")


async def test_a_list_of_origins(tmp_path: Path) -> None:
    consent = allow_origins(["https://Archive.example.org/", "http://127.0.0.1:8000"])
    async with web_hub(tmp_path, consent=consent) as hub:
        assert (await register(hub.port)).startswith("wk-")
        for origin in ("https://other.example.org", "http://archive.example.org", "null", ""):
            assert "did not let" in await register(hub.port, origin)
    for wrong in ("archive.example.org", "https://a.org/path", ""):
        with pytest.raises(LocalProtocolError, match="origin"):
            allow_origins([wrong])


@pytest.mark.parametrize("origin", ["null", "file://"])
@pytest.mark.both_loops
async def test_the_list_may_hold_pages_from_files(origin: str, tmp_path: Path) -> None:
    async with web_hub(tmp_path, consent=allow_origins([origin])) as hub:
        assert (await register(hub.port, origin)).startswith("wk-")
        assert "did not let" in await register(hub.port, "https://a.example.org")


@pytest.mark.timeout(90)
async def test_a_thousand_registrations_are_one_question(tmp_path: Path) -> None:
    asker = Asker()
    async with web_hub(tmp_path, consent=asker) as hub, Client("desktop", lockfile=hub.lockfile) as client:
        waiting = [asyncio.create_task(register(hub.port)) for _ in range(1000)]
        await asker.asked.wait()
        for number, task in enumerate(asyncio.as_completed(waiting), 1):
            assert "too many" in await task
            if number == 950:
                break
        assert (len(asker.questions), asker.open) == (1, 1)
        assert await client.get_registered_clients() == [client.hub_id]
        asker.answers = [ConsentAnswer.DENY] * 60
        asker.go.set()
        outcomes = await asyncio.gather(*waiting)
        assert sum(text.startswith("wk-") for text in outcomes) == 1


async def test_three_denials_stand_for_a_minute(tmp_path: Path) -> None:
    asker = Asker(*[ConsentAnswer.DENY] * 3, ConsentAnswer.ALLOW)
    async with web_hub(tmp_path, consent=asker) as hub:
        for _ in range(6):
            assert "did not let" in await register(hub.port)
        assert len(asker.questions) == 3
        assert (await register(hub.port, "https://other.example.com")).startswith("wk-")


@pytest.mark.both_loops
async def test_a_site_with_many_host_names_asks_no_more_than_one(tmp_path: Path) -> None:
    asker = Asker(*[ConsentAnswer.DENY] * 3, ConsentAnswer.ALLOW)
    async with web_hub(tmp_path, consent=asker) as hub:
        for number in range(200):
            assert "did not let" in await register(hub.port, f"https://n{number}.example.org")
        assert len(asker.questions) == 3
        assert (await register(hub.port, "https://other.example.com")).startswith("wk-")


async def test_a_yes_is_for_one_host_name_of_a_site(tmp_path: Path) -> None:
    asker = Asker(ConsentAnswer.ALLOW_ALWAYS, ConsentAnswer.DENY)
    async with web_hub(tmp_path, consent=asker) as hub:
        assert (await register(hub.port, "https://a.example.org")).startswith("wk-")
        assert "did not let" in await register(hub.port, "https://b.example.org")
        assert (await register(hub.port, "https://a.example.org")).startswith("wk-")


@pytest.mark.parametrize(
    ("ago", "asked"),
    [
        ((50, 30, 1), False),
        ((100, 75, 45), False),
        ((120, 90, 65), True),  # the minute is over
        ((600, 300, 1), True),  # a no now and then is not a flood
    ],
)
async def test_only_three_denials_within_a_minute_shut_a_site_out(
    ago: tuple[float, ...], asked: bool, tmp_path: Path
) -> None:
    asker = Asker(ConsentAnswer.ALLOW)
    async with web_hub(tmp_path, consent=asker) as hub:
        assert hub.profile._service is not None
        now = asyncio.get_running_loop().time()
        hub.profile._service._gate._site(make_question("page", ORIGIN, "", "")).denials.extend(
            now - seconds for seconds in ago
        )
        assert (await register(hub.port)).startswith("wk-") is asked
        assert len(asker.questions) == asked


async def test_a_name_is_shown_harmless(tmp_path: Path) -> None:
    asker = Asker(ConsentAnswer.ALLOW, ConsentAnswer.ALLOW)
    async with web_hub(tmp_path, consent=asker) as hub:
        await register(hub.port, name="x" * 60_000)
        await register(hub.port, name="<b>bold</b>\x1b[2J\r\nAllow it? y\u202e")
    long, odd = (question.name for question in asker.questions)
    assert len(long) == 80
    assert not set(odd) & set("<>\x1b\r\n\u202e")


def test_harmless_texts() -> None:
    assert harmless("TOPCAT (4.8)") == "TOPCAT (4.8)"
    assert harmless("a\x00\x1b[1mb") == "a?[1mb"
    assert harmless("a" * 81) == "a" * 77 + "..."
    assert make_question("\u00e9", "", "http://[", "").disagree
