"""What `record` leaves in its file, whatever ends it; `record` and `snoop` over the loss of a hub."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client, Message, RemoteClient, ReplyError
from asyncsamp.recording import read_recording

from ..aio.hub_process import hub_process
from .command import Command

pytestmark = pytest.mark.timeout(150)


async def until_recorded(path: Path, mtype: str) -> None:
    """Wait until a message is in the file, and not only who takes such."""
    async with asyncio.timeout(60):
        while not path.exists() or f'"mtype": "{mtype}"' not in await asyncio.to_thread(path.read_text):
            await asyncio.sleep(0.02)  # nobody tells of a file


async def until_subscribed(client: Client, name: str, mtype: str) -> RemoteClient:
    other = await client.wait_for(name, timeout=30)
    async with client.messages("samp.hub.event.subscriptions") as changes:
        while not other.subscribes(mtype):
            await anext(changes)
    return other


async def never(message: Message) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("options", [[], ["--of", "viewer"]])
async def test_record_refuses_a_file_that_holds_something(
    command: Command, peer: Client, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "morning.jsonl"
    path.write_text('{"asyncsamp": 1}\n')
    ended = await command.run("record", path, *options)
    assert (ended.code, "holds something already; record into another file" in ended.err) == (1, True)
    assert path.read_text() == '{"asyncsamp": 1}\n'


@pytest.mark.parametrize("options", [[], ["--of", "viewer"]])
async def test_record_without_a_hub_makes_no_file(
    command: Command, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "morning.jsonl"
    assert (await command.run("record", path, *options)).code == 3
    assert not path.exists()


async def test_record_of_who_is_not_there_makes_no_file(
    command: Command, peer: Client, tmp_path: Path
) -> None:
    path = tmp_path / "morning.jsonl"
    ended = await command.run("record", path, "--of", "nobody")
    assert (ended.code, path.exists()) == (3, False)


@pytest.mark.usefixtures("hangups_end")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
async def test_what_was_recorded_is_in_the_file_whatever_ends_it(
    command: Command, peer: Client, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "session.jsonl"
    async with command.start("record", path) as recorder:
        assert "recording into" in await recorder.remark()
        await peer.notify_all("test.one")
        await until_recorded(path, "test.one")
        ended = await recorder.end(number)
    assert [each["mtype"] for each in read_recording(path).messages] == ["test.one"]
    if number == signal.SIGKILL:
        assert ended.code == -number
    else:
        said = f"asyncsamp: 1 messages are in {path}\nasyncsamp: interrupted\n"
        assert (ended.code, ended.err) == (130, said)


async def test_count_ends_when_the_hub_is_lost_during_a_call(command: Command, tmp_path: Path) -> None:
    path, lockfile = tmp_path / "session.jsonl", tmp_path / ".samp"
    async with (
        hub_process(lockfile) as hub,
        Client("callee", lockfile=lockfile) as callee,
        Client("caller", lockfile=lockfile) as caller,
        command.start("record", path, "-C", "1") as recorder,
        command.start("snoop", "test.slow", "-C", "1") as snoop,
    ):
        callee.on("test.slow")(never)
        await callee.settled()
        assert "recording into" in await recorder.remark()
        await until_subscribed(caller, "asyncsamp snoop", "test.slow")
        call = asyncio.create_task(caller.call("callee", "test.slow"))
        assert json.loads(await snoop.line())["mtype"] == "test.slow"
        await until_recorded(path, "test.slow")
        await hub.kill()
        async with asyncio.timeout(60):
            assert ((await snoop.end()).code, (await recorder.end()).code) == (0, 0)
        await asyncio.wait([call])
        assert call.exception() is not None


async def test_record_of_a_client_finds_it_again_at_the_next_hub(command: Command, tmp_path: Path) -> None:
    """Its id at the last hub is somebody else's at the next."""
    path, lockfile = tmp_path / "session.jsonl", tmp_path / ".samp"

    def answering(name: str) -> Client:
        client = Client(name, lockfile=lockfile, reconnect=False)

        @client.on("test.who")
        async def answer(message: Message) -> dict[str, str]:
            return {"by": name}

        return client

    async with AsyncExitStack() as stack:
        async with hub_process(lockfile) as hub, answering("viewer") as viewer:
            recorder = await stack.enter_async_context(command.start("record", path, "--of", "viewer"))
            assert "recording into" in await recorder.remark()
            await until_subscribed(viewer, "viewer (recorded)", "test.who")
            await hub.kill()
        await stack.enter_async_context(hub_process(lockfile))
        strangers = [await stack.enter_async_context(answering(name)) for name in ("one", "two", "three")]
        before = await until_subscribed(strangers[0], "viewer (recorded)", "test.who")
        with pytest.raises(ReplyError, match="no client named 'viewer' is registered"):
            await strangers[0].call(before, "test.who", timeout=30)
        await stack.enter_async_context(answering("viewer"))
        assert (await strangers[0].call(before, "test.who", timeout=30)).result == {"by": "viewer"}
        await recorder.end(signal.SIGINT)
    answers = [message["answer"] for message in read_recording(path).messages]
    assert answers[1] == {"samp.status": "samp.ok", "samp.result": {"by": "viewer"}}
