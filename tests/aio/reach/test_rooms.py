"""Several hubs in one room: their clients see and answer each other as if they were on one hub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from astropy.table import Table

from asyncsamp import (
    Client,
    HubFaultError,
    Message,
    NoRecipientsError,
    NotSubscribedError,
    ReplyError,
    UnknownClientError,
)
from asyncsamp.hub.profiles.reach.exports import NAME, OF_REACH
from asyncsamp.interfaces import AT_ANOTHER_HUB
from asyncsamp.values import ValueMap

from ..nats_server import PATIENCE
from ..raw import call, register
from .rooms import open_room, until


async def an_echo(client: Client, mtype: str = "test.echo") -> None:
    """Let a client answer with what it is sent."""

    @client.on(mtype)
    async def echo(message: Message) -> dict[str, object]:
        return dict(message.params)

    await client.settled()


async def test_a_client_of_another_hub_is_like_one_of_this(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool = await laptop.client("TOPCAT", metadata={"author.name": "Mark"})
        await an_echo(tool)
        notebook = await cluster.client("notebook")
        seen = await notebook.find("TOPCAT @laptop", timeout=PATIENCE)
        assert seen.metadata["author.name"] == "Mark"
        assert (seen.metadata[NAME], seen.metadata[AT_ANOTHER_HUB]) == ("TOPCAT", "laptop")
        await until(lambda: seen.subscribes("test.echo"))
        assert await notebook.get_subscribed_clients("test.echo") == {seen.public_id: {}}
        params = {"text": 'a "b" <c>\n', "list": ["1", {"x": ""}]}
        assert (await notebook.call_and_wait(seen, "test.echo", params)).result == params
        assert (await notebook.call(seen, "test.echo", params)).result == params
        assert cluster.reach.hubs == {"laptop": 1}
        assert "room" in repr(cluster.reach)


async def test_notifications_come_in_order_and_the_sender_can_be_answered(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        await an_echo(notebook)
        async with tool.messages("test.note", limit=10_000) as notes:
            there = await notebook.find("tool @laptop", timeout=PATIENCE)
            await until(lambda: there.subscribes("test.note"))
            for number in range(500):
                await notebook.notify(there, "test.note", {"number": number})
            came = [await anext(notes) for _ in range(500)]
        assert [int(str(note.params["number"])) for note in came] == list(range(500))
        assert {note.sender_name for note in came} == {"notebook @cluster"}
        assert (await tool.call(came[0].sender, "test.echo", {"x": "y"})).result == {"x": "y"}


async def test_what_waits_for_others_when_its_hub_leaves_still_goes(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        async with tool.messages("test.note") as notes:
            there = await notebook.find("tool @laptop", timeout=PATIENCE)
            await until(lambda: there.subscribes("test.note"))
            await notebook.notify(there, "test.note", {"number": 0})
            engine = cluster.hub.engine
            for number in range(1, 20):  # all within the milliseconds after it
                message: ValueMap = {"samp.mtype": "test.note", "samp.params": {"number": str(number)}}
                await engine.operate(notebook.public_id, "notify", [there.public_id, message])
            while engine.waiting(notebook.public_id, there.public_id):  # as a hub does that stops
                await asyncio.sleep(0)
            await cluster.reach.stop()
            came = [int(str((await anext(notes)).params["number"])) for _ in range(20)]
        assert came == list(range(20))


async def test_broadcasts_reach_all_hubs_of_the_room_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        places = [await room.join(label) for label in ("a", "b", "c")]
        tools = [await place.client(f"tool-{n}") for place in places for n in range(2)]
        for tool in tools:
            await an_echo(tool)
        sender = await places[0].client("sender")
        for place in "bc":
            for n in range(2):
                await sender.find(f"tool-{n} @{place}", timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while len(await sender.get_subscribed_clients("test.echo")) < 6:
                await asyncio.sleep(0.01)
        answers = [
            response.result
            async for _, response in sender.call_all("test.echo", {"x": "1"}, timeout=PATIENCE)
        ]
        assert answers == [{"x": "1"}] * 6
        streams = [await tool.messages("test.note").__aenter__() for tool in tools]
        async with asyncio.timeout(PATIENCE):
            while len(await sender.get_subscribed_clients("test.note")) < 6:
                await asyncio.sleep(0.01)
        assert len(await sender.notify_all("test.note", {})) == 6
        assert len(await sender.notify_all("test.note", {"last": "1"})) == 6
        for stream in streams:
            assert [(await anext(stream)).params, (await anext(stream)).params] == [{}, {"last": "1"}]
            stream.close()


async def test_what_changes_there_changes_here(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        seen = await notebook.find("tool @laptop", timeout=PATIENCE)
        await tool.declare_metadata({"samp.name": "renamed"})
        assert (await notebook.find("renamed @laptop", timeout=PATIENCE)).public_id == seen.public_id
        await an_echo(tool)
        await until(lambda: seen.subscribes("test.echo"))
        tool.off("test.echo")
        await until(lambda: not seen.subscribes("test.echo"))
        with pytest.raises(NotSubscribedError, match="renamed @laptop"):
            await notebook.notify(seen, "test.echo")
        await tool.unregister()
        await until(lambda: not seen.registered)


async def test_very_much_metadata_are_shown_in_short(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        notebook = await cluster.client("notebook")
        much = {f"samp.k{number}": str(number) for number in range(5_000)}
        tool = await laptop.client("tool", metadata={"samp.icon.url": "http://x.example/i.png", **much})
        seen = await notebook.find("tool @laptop", timeout=PATIENCE)
        shown = {key for key in seen.metadata if not key.startswith(OF_REACH)}
        assert "samp.icon.url" in shown
        assert len(shown) == 20
        for number in range(3):
            await tool.declare_metadata({**much, "samp.name": f"again{number}"})
        await until(lambda: seen.name == "again2 @laptop")
        assert caplog.text.count("shown only the name and the like") == 1
        await tool.declare_metadata({"samp.name": "tool", "k1": "1"})
        await until(lambda: seen.metadata.get("k1") == "1")


async def test_progress_of_a_call_that_crosses(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")

        @tool.on("test.long")
        async def long(message: Message) -> None:
            percent = {"msgid": message.msg_id, "txt": "half", "percent": "50"}
            await tool.notify(message.sender, "samp.msg.progress", percent)

        await tool.settled()
        there = await notebook.find("tool @laptop", timeout=PATIENCE)
        await until(lambda: there.subscribes("test.long"))
        told: list[Message] = []
        await notebook.call(there, "test.long", on_progress=told.append)
        assert [message.params["txt"] for message in told] == ["half"]


async def test_an_error_is_told(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")

        @tool.on("test.fail")
        async def fail(message: Message) -> None:
            raise ValueError("no such column")

        await tool.settled()
        there = await notebook.find("tool @laptop", timeout=PATIENCE)
        await until(lambda: there.subscribes("test.fail"))
        with pytest.raises(ReplyError, match="no such column"):
            await notebook.call_and_wait(there, "test.fail")
        with pytest.raises(HubFaultError, match="subscribe"):
            await notebook.call_and_wait(there, "test.unknown")


async def test_a_caller_that_cannot_be_called_gets_the_answer_that_it_waits_for(tmp_path: Path) -> None:
    """It has no callback URL, so the answer comes to its hub as one for somebody who takes none."""
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, watcher = await laptop.client("tool"), await cluster.client("watcher")
        await an_echo(tool)
        there = await watcher.find("tool @laptop", timeout=PATIENCE)
        await until(lambda: there.subscribes("test.echo"))
        key, caller = await register(cluster.hub)
        message: ValueMap = {"samp.mtype": "test.echo", "samp.params": {"x": "1"}}
        for _ in range(2):  # the first call shows it to the other hub
            answer = await call(cluster.hub, "callAndWait", key, there.public_id, message, "20")
            assert answer == {"samp.status": "samp.ok", "samp.result": {"x": "1"}}
        standing = cluster.hub.engine.describe(caller)
        assert standing is not None
        assert not standing.callable
        await call(cluster.hub, "unregister", key)


async def test_a_large_message_is_cut_and_joined(tmp_path: Path, nats_program: str) -> None:
    async with open_room(tmp_path, "max_payload: 65536", program=nats_program) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        await an_echo(tool)
        there = await notebook.find("tool @laptop", timeout=PATIENCE)
        await until(lambda: there.subscribes("test.echo"))
        rows = {"rows": [str(number) for number in range(60_000)]}
        assert (await notebook.call_and_wait(there, "test.echo", rows)).result == rows


async def test_two_hubs_of_one_label_are_told_apart(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        places = [await room.join("laptop") for _ in range(3)]
        for place in places:
            await place.client("tool")
        notebook = await places[0].client("notebook")
        await notebook.find("tool @laptop-2", timeout=PATIENCE)
        await notebook.find("tool @laptop-3", timeout=PATIENCE)


async def test_who_finds_nobody_is_told_that_nobody_else_is_in_the_room(tmp_path: Path) -> None:
    """That a tool is not there says nothing of why nobody of the other machine is."""
    table = Table({"ra": [10.68], "dec": [41.27]})
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop")
        await until(lambda: laptop.reach.connected)
        notebook = await laptop.client("notebook")
        with pytest.raises(UnknownClientError, match=r"; the room room has no other hub just now") as failure:
            await notebook.find("topcat")
        assert "start it by hand" in str(failure.value)
        with pytest.raises(UnknownClientError, match=r"; the room room has no other hub just now"):
            await notebook.send_table(table, "topcat")
        with pytest.raises(NoRecipientsError, match=r"; the room room has no other hub just now"):
            await notebook.send_table(table)
        with pytest.raises(UnknownClientError, match=r"; the room room has no other hub just now"):
            await notebook.call("topcat", "samp.app.ping")
        await (await room.join("cluster")).client("tool")
        await notebook.find("tool @cluster", timeout=PATIENCE)
        with pytest.raises(UnknownClientError) as failure:
            await notebook.find("topcat")
        assert "the room" not in str(failure.value)
        await room.server.kill()
        await until(lambda: not laptop.reach.connected)
        with pytest.raises(
            UnknownClientError, match=r"; the room room has no connection to its server just now"
        ):
            await notebook.find("topcat", timeout=0.5)
