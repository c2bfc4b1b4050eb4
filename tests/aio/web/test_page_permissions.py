"""What web pages may do, and the one question when one wants more, by raw HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    AskingConsent,
    Client,
    ConsentAnswer,
    ConsentQuestion,
    FaultCode,
    Message,
    Permission,
    Permissions,
    Subject,
    allow_all,
)
from asyncsamp.hub.profiles.web.terminal_consent import question_text

from ..webpage import ORIGIN, WebHub, web_hub

ARCHIVE = Subject("origin", ORIGIN)
YES, ALWAYS, NO = ConsentAnswer.ALLOW, ConsentAnswer.ALLOW_ALWAYS, ConsentAnswer.DENY


class Person(AskingConsent):
    """Lets everybody register, and answers what else is asked as told."""

    def __init__(self, *answers: ConsentAnswer) -> None:
        self.answers = list(answers)
        self.questions: list[ConsentQuestion] = []
        self.asked = asyncio.Event()
        self.open = 0

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        if question.wants is Permission.REGISTER:
            return YES
        self.questions.append(question)
        self.open += 1
        self.asked.set()
        try:
            if self.answers:
                return self.answers.pop(0)
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.open -= 1


async def take(message: Message) -> None:
    """Take any message."""


def message(mtype: str, **params: str) -> dict[str, Any]:
    return {"samp.mtype": mtype, "samp.params": params}


def tool(hub: WebHub, name: str = "DS9 <b>") -> Client:
    client = Client(name, lockfile=hub.lockfile)
    client.on("ds9.set", "script.run", "table.load.votable")(take)
    return client


SENDING = [
    ("notify", lambda to: [to, message("ds9.set")]),
    ("call", lambda to: [to, "tag", message("ds9.set")]),
    ("callAndWait", lambda to: [to, message("ds9.set"), "10"]),
    ("notifyAll", lambda to: [message("ds9.set")]),
    ("callAll", lambda to: ["tag", message("ds9.set")]),
]


@pytest.mark.parametrize(("operation", "params"), SENDING, ids=[name for name, _ in SENDING])
async def test_a_page_that_wants_to_send_commands_is_asked_about_once(
    operation: str, params: Any, tmp_path: Path
) -> None:
    person = Person(YES)
    async with web_hub(tmp_path, consent=person) as hub, tool(hub) as ds9:
        page = await hub.page("x.y")
        assert "ds9.set" not in await page.call("getSubscriptions", ds9.public_id)
        await page.call("notifyAll", message("table.load.votable", url="http://a/"))
        assert person.questions == []
        told = await page.call(operation, *params(ds9.public_id))
        assert ds9.public_id in told if operation.endswith("All") else told != []
        assert await page.call("notifyAll", message("script.run")) == [ds9.public_id]
        assert "ds9.set" in await page.call("getSubscriptions", ds9.public_id)
        [question] = person.questions
        assert (question.origin, question.wants) == (ORIGIN, Permission.COMMAND)
        assert question.detail == "ds9.set to DS9 ?b?"
        assert "wants to send commands" in question_text(question)
        assert "now it wants:    ds9.set to DS9 ?b?" in question_text(question)
        again = await hub.page()  # a yes for once is for this page
        person.answers = [NO]
        assert (await again.fault("notify", ds9.public_id, message("ds9.set"))).code == FaultCode.NOT_ALLOWED


async def test_a_no_stands_while_the_page_is_there(tmp_path: Path) -> None:
    person = Person(NO)
    async with web_hub(tmp_path, consent=person) as hub, tool(hub) as ds9:
        page = await hub.page()
        faults = await asyncio.gather(
            *(page.fault("notify", ds9.public_id, message("ds9.set")) for _ in range(20))
        )
        assert {fault.code for fault in faults} == {FaultCode.NOT_ALLOWED}
        assert await page.call("notifyAll", message("ds9.set")) == []
        assert len(person.questions) == 1
        assert await page.call("notifyAll", message("table.load.votable", url="http://a/")) == [ds9.public_id]


async def test_three_noes_stand_for_the_next_pages_of_the_site(tmp_path: Path) -> None:
    person = Person(NO, NO, NO)
    async with web_hub(tmp_path, consent=person) as hub, tool(hub) as ds9:
        for _ in range(5):
            page = await hub.page()
            await page.fault("notify", ds9.public_id, message("ds9.set"))
        assert len(person.questions) == 3


async def test_always_is_kept_and_what_is_taken_back_counts_at_once(tmp_path: Path) -> None:
    person, permissions = Person(ALWAYS), Permissions(tmp_path / "permissions.json")
    async with web_hub(tmp_path, consent=person, store=permissions) as hub, tool(hub) as ds9:
        for _ in range(2):
            page = await hub.page()
            assert await page.call("notifyAll", message("ds9.set")) == [ds9.public_id]
        assert len(person.questions) == 1
        assert permissions.decisions == {ARCHIVE: {Permission.COMMAND: True}}
        person.answers = [NO]
        await permissions.revoke(ARCHIVE)
        assert await page.call("notifyAll", message("ds9.set")) == []
        assert len(person.questions) == 2


async def test_an_answer_for_once_ends_when_it_is_decided_otherwise(tmp_path: Path) -> None:
    person, permissions = Person(YES), Permissions()
    async with web_hub(tmp_path, consent=person, store=permissions) as hub, tool(hub) as ds9:
        page = await hub.page()
        assert await page.call("notifyAll", message("ds9.set")) == [ds9.public_id]
        await permissions.decide(ARCHIVE, Permission.COMMAND, False)
        assert await page.call("notifyAll", message("ds9.set")) == []
        assert len(person.questions) == 1


@pytest.mark.parametrize("consent", [allow_all, None])
async def test_who_answers_by_rules_is_not_asked_for_more(consent: Any, tmp_path: Path) -> None:
    async def let_in(question: ConsentQuestion) -> ConsentAnswer:
        assert question.wants is Permission.REGISTER
        return YES

    async with web_hub(tmp_path, consent=consent or let_in) as hub, tool(hub) as ds9:
        page = await hub.page()
        fault = await page.fault("notify", ds9.public_id, message("ds9.set"))
        assert fault.code == FaultCode.NOT_ALLOWED


async def test_another_consent_may_be_asked_for_more(tmp_path: Path) -> None:
    async with web_hub(tmp_path, more=allow_all) as hub, tool(hub) as ds9:
        page = await hub.page()
        assert await page.call("notifyAll", message("ds9.set")) == [ds9.public_id]


async def test_a_page_without_a_site_is_asked_about_each_time(tmp_path: Path) -> None:
    person, permissions = Person(ALWAYS, NO), Permissions()
    async with web_hub(tmp_path, consent=person, store=permissions) as hub, tool(hub) as ds9:
        page = await hub.page(origin="null")
        assert await page.call("notifyAll", message("ds9.set")) == [ds9.public_id]
        other = await hub.page(origin="null")
        assert await other.call("notifyAll", message("ds9.set")) == []
        assert permissions.decisions == {}


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("notify", []),
        ("notify", ["c1"]),
        ("notify", ["c99", {"samp.mtype": "ds9.set", "samp.params": {}}]),
        ("notify", ["c1", {"samp.mtype": ["x"]}]),
        ("notifyAll", ["text"]),
        ("notifyAll", [{"samp.mtype": "*", "samp.params": {}}]),
        ("callAll", ["tag"]),
    ],
)
async def test_what_cannot_be_sent_at_all_is_no_question(
    operation: str, params: list[Any], tmp_path: Path
) -> None:
    person = Person()
    async with web_hub(tmp_path, consent=person) as hub, tool(hub):
        page = await hub.page()
        assert (await page.fault(operation, *params)).code != FaultCode.NOT_ALLOWED
        assert person.questions == []


async def test_everything_else_goes_on_and_a_hub_that_stops_ends_the_question(tmp_path: Path) -> None:
    person = Person()
    async with web_hub(tmp_path, consent=person) as hub, tool(hub) as ds9:
        page = await hub.page()
        sending = asyncio.create_task(page.post("samp.webhub.notifyAll", page.key, message("ds9.set")))
        await person.asked.wait()
        assert await page.call("notifyAll", message("table.load.votable", url="http://a/")) == [ds9.public_id]
        await hub.hub.shutdown()
        assert (await sending).fault.code == FaultCode.SHUTTING_DOWN
    assert person.open == 0


class TestReading:
    @pytest.fixture
    async def hub(self, tmp_path: Path) -> AsyncIterator[WebHub]:
        async with web_hub(tmp_path, store=Permissions()) as hub:
            yield hub

    async def test_a_page_that_may_not_read_gets_no_file(self, hub: WebHub, tmp_path: Path) -> None:
        file = tmp_path / "t.vot"
        file.write_text("<VOTABLE/>")
        assert hub.profile.permissions is not None
        async with Client("tool", lockfile=hub.lockfile) as sender:
            page = await hub.page("table.load.votable")
            await sender.notify(page.id, "table.load.votable", {"url": file.as_uri()})
            [(_, params)] = await page.pull()
            shown = str(params[1]["samp.params"]["url"]).partition("?")[2]
            assert (await page.get(shown)).body == b"<VOTABLE/>"
            await hub.profile.permissions.decide(ARCHIVE, Permission.READ, False)
            answer = await page.get(shown)
            assert (answer.status, b"lets this web page read no files" in answer.body) == (403, True)

    async def test_a_page_that_may_not_upload(self, hub: WebHub) -> None:
        assert hub.profile.permissions is not None
        page = await hub.page()
        assert (await page.upload("t.vot", b"x")).status == 200
        await hub.profile.permissions.decide(ARCHIVE, Permission.UPLOAD, False)
        answer = await page.upload("t.vot", b"x")
        assert (answer.status, b"lets this web page upload nothing" in answer.body) == (403, True)

    async def test_a_page_that_may_not_receive(self, hub: WebHub) -> None:
        async with Client("tool", lockfile=hub.lockfile) as sender:
            page = await hub.page("table.load.votable")
            assert await sender.notify_all("table.load.votable", {"url": "http://a/"}) == [page.id]
            await hub.profile.permissions.decide(ARCHIVE, Permission.RECEIVE, False)
            assert await sender.notify_all("table.load.votable", {"url": "http://a/"}) == []
            other = await hub.page("table.load.votable", origin="https://b.example.org")
            assert await sender.notify_all("table.load.votable", {"url": "http://a/"}) == [other.id]

    async def test_an_origin_that_may_not_register(self, hub: WebHub) -> None:
        await hub.profile.permissions.decide(ARCHIVE, Permission.REGISTER, False)
        with pytest.raises(AssertionError, match="did not let"):
            await hub.page()
        await hub.page(origin="https://b.example.org")

    async def test_a_page_that_may_not_send(self, hub: WebHub) -> None:
        async with tool(hub) as ds9:
            page = await hub.page()
            await hub.profile.permissions.decide(ARCHIVE, Permission.SEND, False)
            fault = await page.fault("notify", ds9.public_id, message("table.load.votable"))
            assert fault.code == FaultCode.NOT_ALLOWED


async def test_any_mtype_lets_pages_send_commands_unless_it_is_decided_otherwise(tmp_path: Path) -> None:
    permissions = Permissions()
    async with web_hub(tmp_path, mtypes=None, store=permissions) as hub, tool(hub) as ds9:
        page = await hub.page()
        assert await page.call("notifyAll", message("ds9.set")) == [ds9.public_id]
        await permissions.decide(ARCHIVE, Permission.COMMAND, False)
        assert await page.call("notifyAll", message("ds9.set")) == []
        assert await page.call("notifyAll", message("table.load.votable")) == [ds9.public_id]
