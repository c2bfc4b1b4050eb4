"""Client(start_hub=True): if no hub runs, one is started in this process, as the desktop tools do."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from asyncsamp import (
    Client,
    DirectConnection,
    Hub,
    HubLostError,
    HubNotFoundError,
    LockfileError,
    RegistrationError,
    StandardConnection,
)

from ..cancelling import each_await
from ..connections import LIMITS, turns_until
from ..odd_hub import fault, odd_hub


@pytest.fixture
def lockfile(tmp_path: Path) -> Path:
    return tmp_path / "x.samp"


def starter(lockfile: Path, name: str = "starter") -> Client:
    return Client(name, lockfile=lockfile, start_hub=True, limits=LIMITS)


async def test_without_it_no_hub_is_started(lockfile: Path) -> None:
    with pytest.raises(HubNotFoundError, match=r"start one with: python -m asyncsamp\.hub"):
        await Client("client", lockfile=lockfile).register()
    assert not lockfile.exists()


async def test_a_hub_lives_as_long_as_the_client(lockfile: Path) -> None:
    async with starter(lockfile) as client:
        assert lockfile.exists()
        async with Client("other", lockfile=lockfile, reconnect=False) as other:
            other.on("a.b")(_nothing)
            await other.settled()
            assert await client.notify_all("a.b") == [other.public_id]
            await client.unregister()
            assert not lockfile.exists()
            await turns_until(lambda: not other.registered)
            with pytest.raises(HubLostError):
                await other.notify_all("a.b")


async def _nothing(message: object) -> None: ...


async def test_a_hub_that_runs_is_used(lockfile: Path) -> None:
    async with Hub(lockfile=lockfile, limits=LIMITS) as hub:
        async with starter(lockfile) as client:
            assert hub.engine.clients == [client.public_id]
        assert hub.running


async def test_the_lockfile_of_a_dead_hub_is_in_nobodys_way(lockfile: Path) -> None:
    async with odd_hub(lockfile) as dead:
        await dead.stop()
    assert lockfile.exists()
    async with starter(lockfile) as client:
        assert client.registered


async def test_two_at_once_share_one_hub(lockfile: Path) -> None:
    one, two = starter(lockfile, "one"), starter(lockfile, "two")
    await asyncio.gather(one.register(), two.register())
    assert (await one.find("two", timeout=10)).public_id == two.public_id
    for client in (one, two):
        await client.unregister()
    assert not lockfile.exists()


async def test_a_second_life_starts_a_second_hub(lockfile: Path) -> None:
    client = starter(lockfile)
    for _ in range(2):
        async with client:
            assert lockfile.exists()
        assert not lockfile.exists()


async def test_starting_can_be_cancelled(lockfile: Path) -> None:
    client = starter(lockfile)
    async for _ in each_await(client.register):
        assert not client.registered
        assert not lockfile.exists()
    assert client.registered
    await client.unregister()


async def test_stopping_can_be_cancelled(lockfile: Path) -> None:
    client = starter(lockfile)
    await client.register()
    async for _ in each_await(client.unregister):
        assert not client.registered
        await turns_until(lambda: not lockfile.exists())
        await turns_until(lambda: len(asyncio.all_tasks()) == 1)
        await client.register()


async def test_a_hub_that_lets_nobody_in_is_no_reason_to_start_another(lockfile: Path) -> None:
    async with odd_hub(lockfile) as full:
        full.answers["register"] = fault("full")
        with pytest.raises(RegistrationError):
            await starter(lockfile).register()
        assert full.url in lockfile.read_text()


async def test_a_lockfile_that_cannot_be_written(tmp_path: Path) -> None:
    client = starter(tmp_path / "no" / "such" / "folder" / "x.samp")
    with pytest.raises(LockfileError):
        await client.register()
    assert not client.registered


async def test_a_connection_knows_its_hub(lockfile: Path) -> None:
    for connection in (DirectConnection(Hub(lockfile=lockfile)), StandardConnection(lockfile=lockfile)):
        with pytest.raises(ValueError, match="give it without lockfile and start_hub"):
            Client("client", connection=connection, start_hub=True)
        with pytest.raises(ValueError, match="give it without lockfile and start_hub"):
            Client("client", connection=connection, lockfile=lockfile)


async def test_when_the_first_leaves_the_second_starts_the_next_hub(lockfile: Path) -> None:
    async with starter(lockfile, "first") as first, starter(lockfile, "second") as second:
        second.on("a.b")(_nothing)
        await second.settled()
        changes = second.hub_changes()
        await first.unregister()
        async with asyncio.timeout(20):
            assert [(await anext(changes)).connected for _ in range(2)] == [False, True]
        async with Client("third", lockfile=lockfile, limits=LIMITS) as third:
            assert await third.notify_all("a.b") == [second.public_id]
    assert not lockfile.exists()


async def test_what_fails_meanwhile_says_that_the_client_starts_a_hub(lockfile: Path) -> None:
    async with starter(lockfile, "first") as first, starter(lockfile, "second") as second:
        changes = second.hub_changes()
        await first.unregister()
        async with asyncio.timeout(20):
            await anext(changes)
            with pytest.raises(
                HubLostError, match=r"looking for a hub for \d+\.\d s and starts one itself if"
            ):
                await second.notify_all("a.b")
            await second.wait_registered()  # as the text says


_PROGRAM = """
import asyncio, sys
from asyncsamp import Client

async def main():
    async with Client("program", lockfile=sys.argv[1], start_hub=True):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.both_loops
async def test_when_the_program_with_the_hub_is_killed_another_starts_the_next(lockfile: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(lockfile), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        assert await program.stdout.readline() == b"ready\n"
        async with starter(lockfile, "second") as second:
            changes = second.hub_changes()
            program.kill()
            await program.wait()
            async with asyncio.timeout(20):
                assert [(await anext(changes)).connected for _ in range(2)] == [False, True]
            assert {found.name for found in await second.get_clients()} == {"Hub"}
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()
    assert not lockfile.exists()
