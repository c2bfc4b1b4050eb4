"""asyncsamp.hub.tap: a client of the Standard Profile is told of all traffic, and holds up nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    Client,
    FaultCode,
    Hub,
    HubFaultError,
    Limits,
    Message,
    StandardConnection,
    xmlrpc,
)
from asyncsamp.hub import tap as tap_module
from asyncsamp.hub.permissions import Permission, Permissions, Subject
from asyncsamp.interfaces import TAP
from asyncsamp.values import Value

from ..raw import post, stranger
from ..webpage import Page, web_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "x.samp") as hub:
        yield hub


@pytest.fixture
async def way(hub: Hub) -> StandardConnection:
    """The way to the hub of who watches."""
    return StandardConnection(lockfile=hub.lockfile)


@pytest.fixture
async def watcher(way: StandardConnection) -> AsyncIterator[Client]:
    """A client that has asked for the traffic once."""
    async with Client("watcher", connection=way) as watcher:
        assert await way.traffic() == ([], 0)
        yield watcher


async def sent(way: StandardConnection, mtype: str, count: int) -> list[dict[str, Any]]:
    """Return what is told of messages of `mtype`, once there is so much."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        lines, missed = await way.traffic()
        assert missed == 0
        found += [line for line in lines if line.get("mtype") == mtype]
    return found


async def test_who_may_receive_nothing_is_told_nothing(tmp_path: Path) -> None:
    permissions = Permissions(tmp_path / "permissions.json")
    spy = Subject("client", "spy")
    async with Hub(lockfile=tmp_path / "x.samp", permissions=permissions) as hub:
        way = StandardConnection(lockfile=hub.lockfile)
        async with Client("spy", connection=way):
            await way.traffic()
            waiting = asyncio.create_task(way.traffic())
            await permissions.decide(spy, Permission.RECEIVE, False)
            async with Client("one", lockfile=hub.lockfile) as one:
                await one.notify_all("x.secret", {"word": "42"})
            for asked in (waiting, way.traffic()):
                with pytest.raises(HubFaultError, match="receive no messages, so it is told of none"):
                    await asked
            await permissions.decide(spy, Permission.RECEIVE, True)
            assert await way.traffic() == ([], 0)


async def test_a_call_between_others_is_told_with_its_answer(
    hub: Hub, watcher: Client, way: StandardConnection
) -> None:
    async with Client("one", lockfile=hub.lockfile) as one, Client("two", lockfile=hub.lockfile) as two:

        @two.on("x.ask")
        async def ask(message: Message) -> dict[str, str]:
            return {"x": "<&>\n\t"}

        await two.settled()
        await one.call("two", "x.ask", {"a": ["1", {"b": "2"}]})
        begun, ended = await sent(way, "x.ask", 2)
        ids = (one.public_id, two.public_id)
    assert (begun["what"], begun["from"], begun["to"]) == ("sent", *ids)
    assert begun["message"]["samp.params"] == {"a": ["1", {"b": "2"}]}
    assert (ended["what"], ended["call"]) == ("answered", begun["call"])
    assert ended["response"]["samp.result"] == {"x": "<&>\n\t"}
    assert 0 < ended["seconds"] < 30


async def test_who_comes_and_goes_is_told(hub: Hub, watcher: Client, way: StandardConnection) -> None:
    async with Client("one", lockfile=hub.lockfile) as one:
        its_id = one.public_id
    told: list[tuple[str, str]] = []
    while ("unregistered", "one") not in told:
        told += [
            (line["what"], line["name"]) for line in (await way.traffic())[0] if line.get("client") == its_id
        ]
    assert told == [("registered", ""), ("metadata", "one"), ("unregistered", "one")]


async def test_a_broadcast_is_told_once_with_all_its_recipients_and_not_delivered_beside(
    hub: Hub, watcher: Client, way: StandardConnection
) -> None:
    async with (
        Client("one", lockfile=hub.lockfile) as one,
        Client("two", lockfile=hub.lockfile) as two,
        watcher.messages("x.all", "samp.hub.event.metadata") as its,
        two.messages("x.all") as theirs,
    ):
        await two.settled()
        await watcher.settled()
        await one.notify_all("x.all", {"n": "1"})
        assert (await anext(theirs)).params == {"n": "1"}
        told = await sent(way, "x.all", 2)
        await one.declare_metadata({"samp.description.text": "x"})
        news = await anext(its)  # news of the hub is delivered all the same
        assert news.mtype == "samp.hub.event.metadata"
        assert {line["to"] for line in told} == {watcher.public_id, two.public_id}
    assert "message" in told[0]
    assert told[1]["same"] == told[0]["number"]


async def test_what_is_large_is_coded_in_a_thread_and_told_in_its_place(
    hub: Hub, watcher: Client, way: StandardConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noting(large: tap_module._Large) -> str:
        threads.append(threading.current_thread())
        return line(large)

    line = tap_module._Large.line
    monkeypatch.setattr(tap_module._Large, "line", noting)
    rows = [str(number) for number in range(30_000)]
    async with Client("one", lockfile=hub.lockfile) as one, Client("two", lockfile=hub.lockfile) as two:

        @two.on("x.rows")
        async def give_back(message: Message) -> dict[str, object]:
            return dict(message.params)

        await two.settled()
        await one.notify("two", "x.rows", {"n": "1"})
        await one.call("two", "x.rows", {"row-list": rows})
        await one.notify("two", "x.rows", {"n": "2"})
        told = await sent(way, "x.rows", 4)
    assert [each["what"] for each in told] == ["sent", "sent", "answered", "sent"]
    assert told[1]["message"]["samp.params"] == told[2]["response"]["samp.result"] == {"row-list": rows}
    assert told[3]["message"]["samp.params"] == {"n": "2"}
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_of_who_does_not_ask_the_newest_are_dropped_and_counted(tmp_path: Path) -> None:
    async with Hub(lockfile=tmp_path / "x.samp", limits=Limits(tap=2_000)) as hub:
        way = StandardConnection(lockfile=hub.lockfile)
        async with (
            Client("watcher", connection=way) as watcher,
            Client("one", lockfile=hub.lockfile) as one,
            watcher.messages("x.all"),
        ):
            await watcher.settled()
            await way.traffic()
            for _ in range(50):
                await one.notify_all("x.all")
            lines, missed = await way.traffic()
            assert len(lines) + missed == 50
            assert 0 < len(lines) < 20


async def test_who_has_not_asked_for_long_gets_its_notifications_again(
    hub: Hub, watcher: Client, way: StandardConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap_module, "_PATIENCE", -1.0)
    async with Client("one", lockfile=hub.lockfile) as one, watcher.messages("x.all") as its:
        await watcher.settled()
        await one.notify_all("x.all")
        assert (await anext(its)).mtype == "x.all"


async def test_it_ends_with_the_client_who_waits_for_more(hub: Hub, way: StandardConnection) -> None:
    async with Client("watcher", connection=way):
        await way.traffic()
        asking = asyncio.create_task(way.traffic())
        await asyncio.sleep(0)
    with pytest.raises(Exception, match="lost"):
        await asking


async def test_it_is_not_for_web_pages(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as running:
        page = Page(running.port)
        info = (await page.post("samp.webhub.register", {"samp.name": "a page"})).value
        assert isinstance(info, dict)
        for method in (TAP, "samp.webhub.tap"):
            assert (await page.post(method, info["samp.private-key"])).fault.code == FaultCode.UNKNOWN_METHOD


async def test_it_takes_a_key(hub: Hub) -> None:
    async def fault(*params: Value) -> str:
        _, body = await stranger(hub, post(xmlrpc.dump_call(TAP, params)))
        answer = xmlrpc.load_response(body)
        assert isinstance(answer, xmlrpc.Fault)
        return answer.text

    assert "private key is not known" in await fault("c1")
    assert "takes the private key" in await fault()
