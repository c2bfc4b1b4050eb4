"""How a user joins: the options of the hub, connect(join=), names without the machine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import asyncsamp
from asyncsamp import Client, Hub, InvitationError, UnknownClientError
from asyncsamp.errors import LocalProtocolError
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.hub.profiles.reach.invitation_files import write_invitation
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.hub.reach_options import add_reach_options, find_invitation, reach_profiles
from asyncsamp.reach.rooms import new_key

from ..nats_server import PATIENCE
from .rooms import open_room
from .serving_program import served_room


async def test_a_hub_of_the_command_line_and_a_notebook_without_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asyncsamp.notebook._MEET", PATIENCE)
    caplog.set_level(logging.INFO, "asyncsamp.client")
    async with open_room(tmp_path) as room:
        lockfile = tmp_path / "laptop"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asyncsamp.hub", "--no-web-profile", "--lockfile", str(lockfile)),
            *("--join", room.server.url, "--reach-label", "laptop", "--log-level", "debug"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                assert b"SAMP hub ready" in await process.stdout.readline()
                assert (await process.stdout.readline()).decode() == (
                    f"Joins the room room at {room.server.url}, which asks nobody for a key; "
                    "others see its clients as 'NAME @laptop'.\n"
                )
                assert (await process.stdout.readline()).decode() == (
                    "Files and local URLs sent from here can be read by nobody there. "
                    "Clients there may send here what web pages may; "
                    "no member is trusted with more.\n"
                )
            async with Client("TOPCAT", lockfile=lockfile) as tool:

                @tool.on("table.load.votable")
                async def load(message: asyncsamp.Message) -> dict[str, str]:
                    return {"loaded": str(message.params["url"])}

                await tool.settled()
                client = await asyncsamp.connect(
                    "notebook", join=room.server.url, lockfile=tmp_path / "kernel"
                )
                assert "can be read by nobody there. Clients there may send here" in caplog.text
                assert (await client.find("topcat")).name == "TOPCAT @laptop"  # without waiting for it
                params = {"url": "http://127.0.0.1:9/table"}
                assert await client.call("topcat", "table.load.votable", params)
                again = await asyncsamp.connect(
                    "notebook", join=room.server.url, lockfile=tmp_path / "kernel"
                )
                assert again is client
                await client.unregister()
                assert not (tmp_path / "kernel").exists()
        finally:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def test_a_joined_hub_tells_no_secret(tmp_path: Path) -> None:
    """Neither its log at its most talkative, nor `ps`, nor its environment; let in, and refused."""
    async with served_room(tmp_path, "alice") as room:
        alice = await room.invitation("alice")
        other = await asyncio.to_thread(new_key)
        for seed in (alice.seed, other[0]):
            await asyncio.to_thread(write_invitation, tmp_path / "it.reach", replace(alice, seed=seed))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "asyncsamp.hub", "--no-web-profile", "--port", "0"),
                *("--lockfile", str(tmp_path / "hub"), "--join", str(tmp_path / "it.reach")),
                *("--log-level", "debug"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            assert process.stdout is not None
            told = b""
            async with asyncio.timeout(PATIENCE):
                while b"server of the room" not in told:
                    told += await process.stdout.readline()
            shown = [Path(f"/proc/{process.pid}/{what}") for what in ("cmdline", "environ")]
            seen = [file.read_bytes() for file in shown if file.exists()]
            process.send_signal(signal.SIGTERM)
            told += (await process.communicate())[0]
            assert (b"connected to the server" in told) == (seed == alice.seed)
            for text in (told, *seen):
                assert seed.encode() not in text


async def test_a_name_means_the_client_of_this_hub_first(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        a, b, c = [await room.join(label) for label in "abc"]
        notebook = await c.client("notebook")
        await b.client("ds9")
        await notebook.find("ds9 @b", timeout=PATIENCE)
        assert (await notebook.find("DS9")).name == "ds9 @b"
        await a.client("ds9")
        await notebook.find("ds9 @a", timeout=PATIENCE)
        with pytest.raises(UnknownClientError, match=r"2 clients are named 'ds9': ds9 @., ds9 @.; say which"):
            await notebook.find("ds9")
        own = await c.client("ds9")
        await notebook.find("ds9 @a")
        async with asyncio.timeout(PATIENCE):
            while own.public_id not in notebook.clients or not notebook.clients[own.public_id].name:
                await asyncio.sleep(0.01)
        assert (await notebook.find("ds9")).public_id == own.public_id


async def test_a_hub_that_runs_already_is_said_not_to_join(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless a client of another hub is there, which shows that it is in a room."""
    file = str(tmp_path / "x.reach")
    await asyncio.to_thread(write_invitation, tmp_path / "x.reach", Invitation("nats://127.0.0.1:9", "m31"))
    async with Hub(lockfile=tmp_path / "hub"), Client("topcat", lockfile=tmp_path / "hub") as tool:
        for join in (file, "nats://127.0.0.1:9"):
            caplog.clear()
            client = await asyncsamp.connect("notebook", join=join, lockfile=tmp_path / "hub")
            (record,) = warnings(caplog)
            assert "client 'notebook' is not in the room" in record
            assert f"its clients are 'topcat' ({tool.public_id}). To join these: " in record
            assert f"python -m asyncsamp.reach attach --join {join}; or stop that hub" in record
            await client.unregister()
        await tool.declare_metadata({"org.asyncsamp.reach.hub": "laptop"})
        caplog.clear()
        client = await asyncsamp.connect("notebook", join=file, lockfile=tmp_path / "hub")
        await client.unregister()
        assert warnings(caplog) == []


async def test_a_hub_that_is_to_join_where_one_runs_already_says_how_that_one_does(
    tmp_path: Path,
) -> None:
    invitation, lockfile = tmp_path / "my x.reach", tmp_path / "samp"
    await asyncio.to_thread(write_invitation, invitation, Invitation("nats://127.0.0.1:9", "m31"))
    async with Hub(lockfile=lockfile):
        options = ["--no-web-profile", "--lockfile", str(lockfile), "--join", str(invitation)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "asyncsamp.hub", *options, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE):
            said = (await process.communicate())[1].decode()
    assert process.returncode == 1
    attach = f"python -m asyncsamp.reach attach --join '{invitation}' --lockfile {lockfile}"
    assert f"; to join its clients to the room: {attach}; or stop it in its program" in said


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def test_an_invitation_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvitationError, match="cannot be read"):
        await asyncsamp.connect("notebook", join=str(tmp_path / "none.reach"))
    with pytest.raises(InvitationError, match="URL"):
        find_invitation("http://127.0.0.1:4222")
    assert find_invitation("nats://127.0.0.1", room="m31").room == "m31"


def test_headers_of_a_file_for_a_url(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("# of my pod\nAuthorization: token secret\n")
    with pytest.raises(InvitationError, match="chmod 600"):
        find_invitation("wss://h.example/proxy/1/", headers=file)
    file.chmod(0o600)
    parser = argparse.ArgumentParser()
    add_reach_options(parser)
    url = "wss://h.example/user/me/proxy/4223/"
    (reach,) = reach_profiles(parser.parse_args(["--join", url, "--reach-headers", str(file)]))
    assert reach.invitation.headers == {"Authorization": "token secret"}
    assert "secret" not in repr(reach)
    assert reach.invitation.path == str(file), "which the hub keeps to itself"
    with pytest.raises(InvitationError, match="only ws:// and wss:// have headers"):
        find_invitation("nats://127.0.0.1", headers=file)
    with pytest.raises(InvitationError, match="goes with a URL"):
        find_invitation(str(tmp_path / "alice.reach"), headers=file)


def test_the_user_is_told_what_joining_gives_away() -> None:
    own = Invitation("nats://127.0.0.1:1", "m31", member="me", user="me", password="secret", own=True)
    joins, rules = Reach(own, label="laptop", trust=["bob", "alice"], share=["TOPCAT", "ds9"]).terms
    assert joins == (
        "Joins the room m31 at nats://127.0.0.1:1 as me; others see its clients as 'NAME @laptop'; "
        "it shows TOPCAT, ds9 only."
    )
    assert "sent from here can be read by every member of the room. " in rules
    assert rules.endswith("here what web pages may; those of alice, bob, whom you trust, everything.")
    assert "can be read by nobody there" in Reach(own, files="none").terms[1]
    assert Reach(own, mtypes=None, trust=["bob"]).terms[1].endswith("may send here everything.")


def test_nobody_is_trusted_by_a_name_that_is_not_proven() -> None:
    with pytest.raises(LocalProtocolError, match="has no accounts"):
        Reach(Invitation("nats://127.0.0.1:1"), trust=["alice"])
    with pytest.raises(LocalProtocolError, match="without TLS"):
        Reach(Invitation("ws://nats.example.org/x"))
