"""Members with accounts: who is who, what a malicious one can do, who is trusted, who is put out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from asyncsamp import Client, Message, NotSubscribedError
from asyncsamp._util.private_files import replace_private
from asyncsamp.hub.profiles.reach.invitation_files import write_invitation
from asyncsamp.hub.profiles.reach.subjects import Subjects
from asyncsamp.hub.profiles.reach.wire import RemoteClient, Sync, dump_ack, dump_frames, dump_item
from asyncsamp.reach.accounts import Members
from asyncsamp.values import ValueMap

from ..nats_server import PATIENCE
from .relay import running_relay
from .rooms import LIMITS, Machines, names, until
from .serving_program import Member, Room, run, served_room

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def house(folder: Path, *members: str, program: str = "") -> AsyncIterator[tuple[Room, Machines]]:
    """Serve a room to members with accounts."""
    async with served_room(folder, *members, program=program) as room, AsyncExitStack() as stack:
        yield room, Machines(folder, stack)


async def echo(client: Client, mtype: str) -> None:
    @client.on(mtype)
    async def answer(message: Message) -> ValueMap:
        return message.params

    await client.settled()


async def test_a_malicious_member_disturbs_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It knows all names, and says what another would: the server lets nothing of it through."""
    async with house(tmp_path, "alice", "bob", "mallory") as (room, machines):
        alice = await machines.enter("a", await room.invitation("alice"), mtypes=None)
        bob = await machines.enter("b", await room.invitation("bob"), mtypes=None)
        tool = await alice.client("tool")
        await echo(tool, "test.echo")
        notebook = await bob.client("notebook")
        seen = await notebook.find("tool @a", timeout=PATIENCE)
        async with Member(await room.invitation("mallory")) as mallory:
            assert await mallory.joined()
            heard: set[str] = set()
            mallory.bus.subscribe("samp.m31.*.*.here", lambda message: heard.add(message.subject))
            await until(lambda: len(heard) == 2, "the names of both hubs")
            hubs = {subject.split(".")[2]: ".".join(subject.split(".")[2:4]) for subject in heard}
            as_alice = Subjects("m31", hubs["alice"])
            evil = dump_frames("0a", 1, *dump_item(Sync("evil", [RemoteClient("c9", {}, {})])), 1 << 20)
            for _ in range(50):
                mallory.bus.publish(as_alice.bye, b"")
                mallory.bus.publish(as_alice.frames(hubs["bob"]), evil[0])
                mallory.bus.publish(as_alice.frames(hubs["bob"]), dump_ack("!", 0))
                mallory.bus.publish(Subjects("m31", hubs["bob"]).refused(hubs["alice"]), b"")
                mallory.bus.publish(as_alice.answer_of(hubs["alice"], "0a"), b"X")
            await mallory.flushed()
            answer = await notebook.call(seen, "test.echo", {"k": "v"}, timeout=PATIENCE)
            assert answer.result == {"k": "v"}
            assert names(notebook) >= {"tool @a"}
            assert "evil" not in bob.reach.hubs
    assert "given up" not in caplog.text


async def test_who_is_trusted_may_send_everything(tmp_path: Path) -> None:
    async with house(tmp_path, "alice", "bob", "carol") as (room, machines):
        here = await machines.enter("here", await room.invitation("bob"), trust=["alice"])
        tool = await here.client("tool")
        await echo(tool, "x.secret")
        own = await machines.enter("own", await room.invitation("alice"))
        other = await machines.enter("other", await room.invitation("carol"))
        mine, another = await own.client("mine"), await other.client("another")
        seen = await mine.find("tool @here", timeout=PATIENCE)
        await until(lambda: seen.subscribes("x.secret"))
        assert (await mine.call(seen, "x.secret", {"k": "v"}, timeout=PATIENCE)).result == {"k": "v"}
        shown = await another.find("tool @here", timeout=PATIENCE)
        assert shown.metadata["org.asyncsamp.reach.member"] == "bob"
        with pytest.raises(NotSubscribedError):
            await another.call(shown, "x.secret", {}, timeout=PATIENCE)


async def test_only_those_who_are_shared_are_shown(tmp_path: Path) -> None:
    async with house(tmp_path, "alice", "bob") as (room, machines):
        here = await machines.enter("here", await room.invitation("alice"), share=["Shown"], mtypes=None)
        there = await machines.enter("there", await room.invitation("bob"), mtypes=None)
        hidden, shown = await here.client("hidden"), await here.client("shown")
        watcher = await there.client("watcher")
        async with watcher.messages("test.note") as notes:
            await watcher.find("shown @here", timeout=PATIENCE)
            await hidden.find("watcher @there", timeout=PATIENCE)
            await until(lambda: hidden.clients[_id(hidden, "watcher @there")].subscribes("test.note"))
            await hidden.notify("watcher @there", "test.note", {"from": "hidden"})
            await shown.notify("watcher @there", "test.note", {"from": "shown"})
            async with asyncio.timeout(PATIENCE):
                assert (await anext(notes)).params == {"from": "shown"}
        assert "hidden @here" not in names(watcher)


def _id(client: Client, name: str) -> str:
    return next(other.public_id for other in client.clients.values() if other.name == name)


async def test_who_is_invited_meets_the_others_and_who_is_put_out_goes_on_alone(
    tmp_path: Path, nats_program: str, caplog: pytest.LogCaptureFixture
) -> None:
    invite = ("invite", "--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    async with house(tmp_path, "bob", program=nats_program) as (room, machines):
        bob = await machines.enter("b", await room.invitation("bob"))
        assert (await run(*invite, "alice"))[0] == 0
        await room.says("members are now: alice, bob")
        impatient = replace(LIMITS, reach_patience=4.0)  # for whom it is over soon after it was put out
        alice = await machines.enter("a", await room.invitation("alice"), mtypes=None, limits=impatient)
        tool, notebook = await alice.client("tool"), await bob.client("notebook")
        await echo(tool, "test.echo")
        seen = await notebook.find("tool @a", timeout=PATIENCE)
        await until(lambda: seen.subscribes("test.echo"))
        answer = await notebook.call(seen, "test.echo", {"n": "1"}, timeout=PATIENCE)
        assert answer.result == {"n": "1"}
        assert (await run(*invite, "--remove", "alice"))[0] == 0
        await until(lambda: not alice.reach.connected and "tool @a" not in names(notebook))
        await until(lambda: not alice.reach.hubs)
        assert tool.registered
        assert "goes on alone, and tries again" in caplog.text


async def test_a_hub_whose_invitation_ends_is_alone_until_it_has_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to do; its own clients talk. A new invitation is taken where the old one was."""
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._LAST_PAUSE", 1.0)
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    kept, file = tmp_path / "room" / "members.json", tmp_path / "alice.reach"
    async with house(tmp_path, "alice", "bob") as (room, machines):
        invited = await room.invitation("alice")
        async with running_relay(int(invited.url.rpartition(":")[2])) as relay:
            await asyncio.to_thread(write_invitation, file, replace(invited, url=relay.url))
            alice = await machines.enter("a", await room.invitation("alice"), mtypes=None)
            bob = await machines.enter("b", await room.invitation("bob"), mtypes=None)
            tool, beside, notebook = [
                await place.client(name)
                for place, name in ((alice, "tool"), (alice, "beside"), (bob, "notebook"))
            ]
            await echo(tool, "test.echo")
            await notebook.find("tool @a", timeout=PATIENCE)
            members = Members.load(kept.read_text(), "")
            members.add(replace(members.at(datetime.now(UTC))[0], expires=datetime.now(UTC)))
            joined = len(relay.times)
            await asyncio.to_thread(replace_private, kept, members.dump().encode())
            await until(lambda: len(relay.times) >= joined + 3)
            await until(lambda: "not valid there" in caplog.text)  # the three may all be for files
            seen = await beside.find("tool", timeout=PATIENCE)
            assert (await beside.call(seen, "test.echo", {"k": "v"}, timeout=PATIENCE)).result == {"k": "v"}
            times = relay.times[joined:]
            assert times[2] - times[0] > 0.9, "of messages and files there are two"
            assert caplog.text.count("no connection to") <= 2, "that it is cut, and why"
            (line,) = [line for line in caplog.messages if "not valid there" in line]
            assert "no connection to" in line
            assert "the room m31" in line
            assert "ask for a new one, and put it in the place of the old one; or" in line
            assert "and the port not the right one?; the hub goes on alone" in line
            assert (await run("invite", *common, "alice"))[0] == 0
            await until(lambda: alice.reach.connected)
            await until(lambda: "tool @a" in names(notebook))


async def test_a_wrong_key_is_said_once_and_tried_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, "alice", "bob") as (room, machines):
        wrong = replace(await room.invitation("bob"), seed=(await _other_seed(tmp_path)))
        alone = await machines.enter("b", wrong)
        with caplog.at_level(logging.WARNING, "asyncsamp.reach"):
            await until(lambda: "uthorization" in caplog.text)
        assert not alone.reach.connected
        await (await alone.client("tool")).unregister()
        assert caplog.text.count("no connection to") == 1
        assert "alice" not in caplog.text


async def test_who_is_refused_makes_no_storm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its two connections, for messages and for files, are tried once each for seconds."""
    async with house(tmp_path, "alice", "bob") as (room, machines):
        bob = await room.invitation("bob")
        async with running_relay(int(bob.url.rpartition(":")[2])) as relay:
            wrong = replace(bob, url=relay.url, seed=await _other_seed(tmp_path))
            await machines.enter("b", wrong)
            await until(lambda: "uthorization" in caplog.text)
            await asyncio.sleep(1.5)
            times = relay.times
            # One of any three is the second try of a connection; only a server that is late is tried sooner.
            assert all(third - first > 1.5 for first, third in zip(times, times[2:], strict=False))
    assert "the invitation is not valid there: ask for a new one" in caplog.text


async def test_a_room_that_is_not_the_invitations_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server knows the member, but not in that room; the hub goes on alone."""
    async with house(tmp_path, "alice", "bob") as (room, machines):
        here = await machines.enter("a", await room.invitation("alice"), mtypes=None)
        lost = await machines.enter("b", replace(await room.invitation("bob"), room="m33"), mtypes=None)
        await here.client("tool")
        alone = await lost.client("notebook")
        await until(lambda: "is the room of this hub the one of its invitation?" in caplog.text)
        assert alone.registered
        assert not here.reach.hubs
        assert not lost.reach.hubs
        refused = [record for record in caplog.records if "refuses something" in record.message]
        assert len(refused) <= 2, "more than one for each of the hub's two connections"


async def test_one_invitation_at_two_hubs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same member twice, by one label, too: all see each other, and answer; both say so once."""
    async with house(tmp_path, "alice", "bob") as (room, machines):
        places = [await machines.enter("a", await room.invitation("alice"), mtypes=None) for _ in range(2)]
        third = await machines.enter("b", await room.invitation("bob"), mtypes=None)
        for number, place in enumerate(places):
            await echo(await place.client(f"tool {number}"), "test.echo")
        notebook = await third.client("notebook")
        for number in range(2):
            seen = await notebook.find(f"tool {number}", timeout=PATIENCE)
            await until(partial(seen.subscribes, "test.echo"))
            answer = await notebook.call(seen, "test.echo", {"n": str(number)}, timeout=PATIENCE)
            assert answer.result == {"n": str(number)}
        assert sorted(third.reach.hubs) == ["a", "a-2"]
        assert [len(place.reach.hubs) for place in places] == [2, 2]
    said = [
        line for line in caplog.messages if "has the label 'a', too: others may see the clients of" in line
    ]
    assert len(said) == 2


async def test_a_clock_that_is_wrong_keeps_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When an invitation ends is the server's business: here it is said, and tried all the same."""
    async with house(tmp_path, "alice") as (room, machines):
        yesterday = datetime.now(UTC) - timedelta(days=1)
        alice = await machines.enter("a", replace(await room.invitation("alice"), expires=yesterday))
        await until(lambda: alice.reach.connected)
    assert "has expired; ask for a new one" in caplog.text


async def _other_seed(folder: Path) -> str:
    async with served_room(folder / "other", "bob") as other:
        return (await other.invitation("bob")).seed
