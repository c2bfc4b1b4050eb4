"""A hub of this package that is attached to a room; for JSAMP's see tests/interop/test_rooms.py."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from asyncsamp import Client, Hub
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.hub.profiles.reach.invitation_files import write_invitation
from asyncsamp.reach import foreign_hub
from asyncsamp.reach.foreign_hub import ForeignHub
from asyncsamp.reach.stand_in import StandIn

from ...ports import lasting_port
from ..nats_server import PATIENCE, running_server
from .rooms import LIMITS, names, open_room, until


async def test_a_hub_that_is_started_anew_gives_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_hub, "_AGAIN", 0.01)
    lockfile = tmp_path / "samp"
    engine = HubEngine(LIMITS, {"samp.name": "attached"})
    attached: asyncio.Queue[str] = asyncio.Queue()
    there = ForeignHub(engine, lockfile=lockfile)
    serving = asyncio.create_task(there.serve(attached.put_nowait, lambda reason: None))
    ids = set()
    try:
        for _ in range(2):
            async with Hub(lockfile=lockfile, limits=LIMITS):
                async with asyncio.timeout(PATIENCE):
                    await attached.get()
                async with Client("tool", lockfile=lockfile, limits=LIMITS) as client:
                    ids.add(client.public_id)
                    await until(lambda: "tool" in _names(engine))
                await until(lambda: "tool" not in _names(engine))
    finally:
        serving.cancel()
        await asyncio.wait((serving,))
        await engine.shut_down(tell=False)
    assert len(ids) == 1


def _names(engine: HubEngine) -> set[str]:
    known = (engine.describe(client) for client in engine.clients)
    return {str(client.metadata.get("samp.name")) for client in known if client is not None}


async def test_what_the_last_hub_said_late_is_not_held_against_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that stood there may notice the end of its hub after all others, as one that was busy does."""
    monkeypatch.setattr(foreign_hub, "_AGAIN", 0.01)
    lockfile = tmp_path / "samp"
    engine = HubEngine(LIMITS, {"samp.name": "attached"})
    attached: asyncio.Queue[str] = asyncio.Queue()
    lost: asyncio.Queue[str] = asyncio.Queue()
    there = ForeignHub(engine, lockfile=lockfile)
    serving = asyncio.create_task(there.serve(attached.put_nowait, lost.put_nowait))
    try:
        async with asyncio.timeout(3 * PATIENCE):
            async with Hub(lockfile=lockfile, limits=LIMITS):
                await attached.get()
                for _ in range(lost.qsize()):
                    lost.get_nowait()  # there was none at first
            await lost.get()
            old = StandIn("c9", there, lockfile, LIMITS, attachment=1)
            old.connection_lost("noticed late")
            async with Hub(lockfile=lockfile, limits=LIMITS):
                await attached.get()
                old.connection_lost("noticed late")
                old.receive_notification("c1", {"samp.mtype": "test.late", "samp.params": {}})
                old.receive_response("c1", "late", {"samp.status": "samp.ok", "samp.result": {}})
                async with Client("tool", lockfile=lockfile, limits=LIMITS):
                    await until(lambda: "tool" in _names(engine))
                reasons = [lost.get_nowait() for _ in range(lost.qsize())]
        assert not any("noticed late" in reason for reason in reasons)
    finally:
        serving.cancel()
        await asyncio.wait((serving,))
        await engine.shut_down(tell=False)


async def test_a_hub_that_is_in_the_room_by_itself_is_refused(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        place = await room.join("laptop")
        await place.client("topcat")
        other = await (await room.join("desk")).client("watcher")
        await other.find("topcat @laptop", timeout=PATIENCE)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asyncsamp.reach", "attach", "--reach-label", "laptop"),
            *("--lockfile", str(place.hub.lockfile), "--join", room.server.url),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            _, said = await process.communicate()
        assert process.returncode == 1
        told = f"error: the hub at {place.hub.url} is in the room room already, and its clients with it: noth"
        assert told in said.decode()
        assert names(other) == {"Hub", "topcat @laptop"}


@pytest.mark.usefixtures("hangups_end")
async def test_it_says_that_it_is_not_in_the_room_yet_and_that_it_leaves(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    async with Hub(lockfile=lockfile, limits=LIMITS), Client("tool", lockfile=lockfile, limits=LIMITS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asyncsamp.reach", "attach", "--lockfile", str(lockfile)),
            *("--join", f"nats://127.0.0.1:{lasting_port()}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                while b" will be, as soon as there is a connection, in the room room" not in (
                    line := await process.stdout.readline()
                ):
                    assert line
            await asyncio.sleep(0.5)  # for the tool to come in
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(PATIENCE):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
    assert b"its hub has gone" not in said
    assert b"(tool) is removed: the program that has brought it into the room leaves" in said


@pytest.mark.usefixtures("hangups_end")
async def test_it_leaves_when_its_terminal_is_closed(tmp_path: Path) -> None:
    lockfile, own = tmp_path / "samp", tmp_path / "own.reach"
    async with (
        running_server(tmp_path / "server") as server,
        Hub(lockfile=lockfile, limits=LIMITS),
        Client("watcher", lockfile=lockfile, limits=LIMITS) as watcher,
    ):
        await asyncio.to_thread(write_invitation, own, Invitation(server.url, own=True))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asyncsamp.reach", "attach"),
            *("--lockfile", str(lockfile), "--join", str(own)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                assert b"Joins the room room at " in await process.stdout.readline()
                assert b"can be read by nobody there" in await process.stdout.readline()
                assert b"for files to follow, attach with --reach-files" in await process.stdout.readline()
                assert b"are in the room" in await process.stdout.readline()
                await watcher.find("room", timeout=PATIENCE)
                process.send_signal(signal.SIGHUP)
                assert await process.wait() == 0
                await until(lambda: "room" not in names(watcher))
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
