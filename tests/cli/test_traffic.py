"""snoop on a terminal and over the loss of a hub; the time of a replay; what is shown has no secret."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Value
from asyncsamp.lockfile import parse_lockfile

from ..aio.raw import call
from ..interop.peers.own import KEY
from .command import Command
from .test_command import handled
from .test_recording import until_subscribed

pytestmark = pytest.mark.timeout(120)


async def test_snoop_is_coloured_on_a_terminal_and_harmless(command: Command, hub: Hub, peer: Client) -> None:
    showing = asyncio.create_task(command.on_terminal("snoop", "a.*", "-C", "1", columns=200))
    await until_subscribed(peer, "asyncsamp snoop", "a.b")
    # By hand: ours refuse what the standard forbids.
    assert isinstance(hub.lockfile, Path)
    secret = parse_lockfile(await asyncio.to_thread(hub.lockfile.read_text)).secret
    registered = await call(hub, "register", secret)
    assert isinstance(registered, dict)
    message: Value = {"samp.mtype": "a.b", "samp.params": {"x": "[red]1\x9b31m\u202e"}}
    await call(hub, "notifyAll", registered["samp.private-key"], message)
    ended = await showing
    assert ended.code == 0
    assert "\x1b[36ma.b\x1b[0m notification from - (c" in ended.out
    assert "x = [red]1?31m?\r\n" in ended.out


async def test_snoop_says_that_its_hub_has_gone(command: Command, tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with AsyncExitStack() as stack:
        async with Hub(lockfile=lockfile):
            snoop = await stack.enter_async_context(command.start("snoop", "a.b"))
            assert "waiting for a.b" in await snoop.remark()
        assert "lost its hub" in await snoop.remark()
        ended = await snoop.end(signal.SIGINT)
        assert (ended.code, ended.err) == (130, "asyncsamp: interrupted\n")


@pytest.mark.alone
@pytest.mark.parametrize(("speed", "seconds"), [(1, 1.2), (2, 0.6)])
async def test_replay_keeps_the_time_of_the_recording(
    command: Command, peer: Client, tmp_path: Path, speed: int, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    came: list[float] = []

    @peer.on("a.b")
    async def take(message: object) -> None:
        came.append(loop.time())

    await peer.settled()
    lines = [{"asyncsamp": 1}, *({"t": t, "mtype": "a.b", "params": {}} for t in (5.0, 6.2))]
    (tmp_path / "session.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for _ in range(3):
        came.clear()
        assert (await command.run("replay", "session.jsonl", "--speed", speed)).code == 0
        assert len(came) == 2
        if seconds - 0.3 < came[1] - came[0]:  # the first may have been held up
            return
    pytest.fail(f"they came at {came}")


async def test_nothing_that_is_shown_has_a_secret(command: Command, hub: Hub, peer: Client) -> None:
    assert isinstance(hub.lockfile, Path)
    secret = parse_lockfile(await asyncio.to_thread(hub.lockfile.read_text)).secret
    await handled(peer, "a.b")
    for words in ("hubs", "hubs --json", "list --json", "info viewer --json", "ping --json", "doctor --json"):
        ended = await command.run(*words.split())
        assert (ended.code, ended.out != "") == (0, True)
        assert secret not in ended.out + ended.err
        assert not KEY.search(ended.out + ended.err)
