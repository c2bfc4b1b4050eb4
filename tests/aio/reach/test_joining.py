"""How a user joins: the options of the hub, connect(join=), names without the machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

import asyncsamp
from asyncsamp import Client, Hub, InvitationError, ReplyError, UnknownClientError
from asyncsamp._util.private_files import replace_private
from asyncsamp.client.rooms import rooms_of
from asyncsamp.errors import LocalProtocolError
from asyncsamp.hub.profiles.reach.invitation import Found, Invitation, invitation_of_url
from asyncsamp.hub.profiles.reach.invitation_files import read_invitation, write_invitation
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.hub.reach_options import add_reach_options, find_invitation, reach_profiles
from asyncsamp.reach.rooms import new_key

from ...ports import lasting_port
from ..nats_server import PATIENCE, running_server
from .relay import running_relay
from .rooms import LIMITS, names, open_room, until


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


@dataclass(frozen=True)
class Way:
    """One way to join: what is said on the command line, and what nobody may read."""

    join: tuple[str, ...]
    secrets: tuple[str, ...]


def ways(folder: Path, url: str, websocket: str, seed: str, password: str) -> list[Way]:
    """Write the invitations and the headers of all ways with secrets."""
    token, other = "token-of-an-invitation", "token-of-a-file"
    by_seed = Invitation(websocket, "one", "alice", seed=seed, headers={"Authorization": f"token {token}"})
    by_password = Invitation(url, "two", "bob", user="bob", password=password)
    write_invitation(folder / "one.reach", by_seed)
    write_invitation(folder / "two.reach", by_password)
    replace_private(folder / "headers", f"Authorization: token {other}\n".encode())
    return [
        Way(("--join", str(folder / "one.reach")), (seed, token)),
        Way(("--join", str(folder / "two.reach")), (password,)),
        Way(("--join", websocket, "--reach-headers", str(folder / "headers")), (other,)),
    ]


ACCOUNTS = """
authorization {{ users: [
  {{ nkey: {key} }}, {{ user: bob, password: {password} }}, {{ user: guest, password: guest }}
] }}
no_auth_user: guest
websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}
"""


async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as the door of a Jupyter server does if the token is wrong."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def heard_of(command: tuple[str, ...], end: bytes) -> bytes:
    """Run a program until it says `end`; return what it says, how it was called, and its environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    told = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while end not in told:
                line = await process.stdout.readline()
                assert line, told
                told += line
        shown = [Path(f"/proc/{process.pid}/{what}") for what in ("cmdline", "environ")]
        told += b"".join([file.read_bytes() for file in shown if file.exists()])
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
    return told + rest


@pytest.mark.parametrize("program", ["hub", "attach"])
@pytest.mark.parametrize("let_in", [True, False], ids=["let in", "refused"])
async def test_whoever_joins_tells_no_secret(tmp_path: Path, program: str, let_in: bool) -> None:
    """Neither the log at its most talkative, nor `ps`, nor the environment."""
    (seed, public), (other, _) = new_key(), new_key()
    password, port = "secret-of-bob", lasting_port()
    config = ACCOUNTS.format(key=public, password=password, port=port)
    async with (
        running_server(tmp_path / "server", config) as server,
        await asyncio.start_server(turn_away, "127.0.0.1", 0) as door,
        Hub(lockfile=tmp_path / "there"),
    ):
        if let_in:
            joins = await asyncio.to_thread(
                ways, tmp_path, server.url, f"ws://127.0.0.1:{port}/", seed, password
            )
        else:
            shut = f"ws://127.0.0.1:{door.sockets[0].getsockname()[1]}/"
            joins = await asyncio.to_thread(ways, tmp_path, server.url, shut, other, "guessed-of-bob")
        commands = []
        for number, way in enumerate(joins):
            if program == "hub":
                lockfile = ("--lockfile", str(tmp_path / f"hub-{number}"))
                command: tuple[str, ...] = (
                    "asyncsamp.hub",
                    "--no-web-profile",
                    "--log-level",
                    "debug",
                    *lockfile,
                )
                end = b"connected to the server" if let_in else b"no connection to"
            else:
                command = ("asyncsamp.reach", "attach", "--lockfile", str(tmp_path / "there"))
                end = b"are in the room" if let_in else b"no connection to"
            commands.append(heard_of((*command, *way.join), end))
        for way, told in zip(joins, await asyncio.gather(*commands), strict=True):
            assert not [secret for secret in way.secrets if secret.encode() in told]
            assert way.join[1].encode() in told, "its command line"


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
            assert "one runs already in this very process, without" in record
            assert f"python -m asyncsamp.reach attach --join {join}; or stop that hub, with" in record
            assert ("--reach-files sent; or" in record) is False
            await client.unregister()
        caplog.clear()
        own = Invitation("nats://127.0.0.1:9", "m31", own=True)
        await asyncio.to_thread(write_invitation, tmp_path / "own.reach", own)
        client = await asyncsamp.connect(
            "notebook", join=str(tmp_path / "own.reach"), lockfile=tmp_path / "hub"
        )
        (record,) = warnings(caplog)
        assert "own.reach --reach-files sent; or stop that hub" in record
        await client.unregister()
        await tool.declare_metadata({"org.asyncsamp.reach.hub": "laptop"})
        caplog.clear()
        client = await asyncsamp.connect("notebook", join=file, lockfile=tmp_path / "hub")
        await client.unregister()
        assert warnings(caplog) == []


async def test_a_hub_that_is_in_the_room_by_itself_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_room(tmp_path) as room:
        place = await room.join("laptop")
        caplog.clear()
        join = room.server.url
        client = await asyncsamp.connect("notebook", join=join, lockfile=place.hub.lockfile)
        await client.unregister()
        assert warnings(caplog) == []


@pytest.mark.parametrize("own", [False, True])
async def test_a_hub_that_is_to_join_where_one_runs_already_says_how_that_one_does(
    tmp_path: Path, own: bool
) -> None:
    invitation, lockfile = tmp_path / "my x.reach", tmp_path / "samp"
    await asyncio.to_thread(write_invitation, invitation, Invitation("nats://127.0.0.1:9", "m31", own=own))
    async with Hub(lockfile=lockfile, profiles=[Reach(Invitation("nats://127.0.0.1:9", "mine"))]):
        options = [
            "--reach-label",
            "l",
            "--reach-trust",
            "",
            "--reach-share",
            "a,b",
            "--no-web-profile",
            "--lockfile",
            str(lockfile),
            "--join",
            str(invitation),
        ]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "asyncsamp.hub", *options, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE):
            said = (await process.communicate())[1].decode()
    assert process.returncode == 1
    typed = f"--join '{invitation}' --reach-label l --reach-share a,b"
    attach = f"python -m asyncsamp.reach attach {typed}{' --reach-files sent' if own else ''} --lockfile"
    assert f"nothing is to be done; else its clients join by: {attach} {lockfile}; or stop it in its" in said
    assert ", in the room 'mine'; if that hub is in the room already, nothing" in said


async def test_a_notebook_that_has_joined_wrongly_joins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The cell is mended and run again: the client is the same one, and is in the room."""
    lockfile = tmp_path / "kernel"
    file = tmp_path / "nb.reach"
    await asyncio.to_thread(write_invitation, file, Invitation(f"nats://127.0.0.1:{lasting_port()}"))
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop")
        await laptop.client("topcat")
        monkeypatch.setattr("asyncsamp.notebook._MEET", 0.0)
        client = await asyncsamp.connect("notebook", join=str(file), lockfile=lockfile)
        await until(lambda: "the hub goes on alone" in caplog.text)
        monkeypatch.setattr("asyncsamp.notebook._MEET", PATIENCE)
        # The same file with another content; then the same room by another way, which changes nothing.
        await asyncio.to_thread(write_invitation, file, invitation_of_url(room.server.url))
        for join in (str(file), room.server.url):
            caplog.clear()
            assert await asyncsamp.connect("notebook", join=join, lockfile=lockfile) is client
            assert (await client.find("topcat", timeout=PATIENCE)).name == "topcat @laptop"
            assert warnings(caplog) == []
        assert names(client) == {"Hub", "topcat @laptop"}
        await client.unregister()
        assert not lockfile.exists()


async def test_files_are_offered_by_connect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a room without accounts no file follows, but by files="sent"; a change of it is taken, and told."""
    caplog.set_level(logging.INFO, "asyncsamp.client")
    lockfile = tmp_path / "kernel"
    async with open_room(tmp_path) as room, asyncio.timeout(2 * PATIENCE):
        anew = (
            f"the hub of this process has joined the room 'room' at {room.server.url} again: files and local "
            "URLs that programs here send"
        )
        alone = "; nobody else was on it"
        tool = await (await room.join("laptop")).client("topcat")
        tables = tool.tables()
        await tool.settled()
        client = await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile)
        to = await client.find("topcat", timeout=PATIENCE)
        with pytest.raises(ReplyError):
            await client.send_table(Table({"a": [1]}), to)
        for files in ("sent", None):
            caplog.clear()
            again = await asyncsamp.connect("notebook", join=room.server.url, files=files, lockfile=lockfile)
            assert again is client
            to = await client.find("topcat", timeout=PATIENCE)
            await client.send_table(Table({"a": [1, 2]}), to)
            assert len(await anext(tables)) == 2
            assert told(caplog) == ([f"{anew} may be read there now{alone}"] if files else [])
        caplog.clear()
        await asyncsamp.connect("notebook", join=room.server.url, files="none", lockfile=lockfile)
        assert told(caplog) == [f"{anew} may not be read there any more{alone}"]
        to = await client.find("topcat", timeout=PATIENCE)
        with pytest.raises(ReplyError):
            await client.send_table(Table({"a": [1]}), to)
        await client.unregister()
        tables.close()
    with pytest.raises(ValueError, match="together with join="):
        await asyncsamp.connect("notebook", files="sent")
    options: dict[str, Any] = {"files": "all"}
    with pytest.raises(ValueError, match="expected 'sent' or 'none'"):
        await asyncsamp.connect("notebook", join=room.server.url, **options)


@pytest.mark.parametrize("own", [True, False], ids=["started here", "runs already"])
async def test_who_connects_again_while_there_is_no_server_is_told_again(
    own: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lockfile = tmp_path / "kernel"
    async with open_room(tmp_path) as room, contextlib.AsyncExitStack() as stack:
        if not own:
            reach = Reach(invitation_of_url(room.server.url))
            await stack.enter_async_context(Hub(lockfile=lockfile, profiles=[reach]))
        client = await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile)
        await client.get_clients()  # from then on they are followed

        def is_connected() -> bool:
            return [room.connected for room in rooms_of(client.clients[client.hub_id].metadata)] == [True]

        await until(is_connected)
        await room.server.kill()
        await until(lambda: not is_connected())
        caplog.clear()
        assert await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile) is client
        (record,) = warnings(caplog)
        assert record.startswith("the room 'room' has no connection to its server just now, so nobody of")
        await client.unregister()


async def test_who_is_alone_in_a_room_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, if the server is there and nobody else."""

    async def nobody_comes(room: Reach, timeout: float) -> bool:
        await until(lambda: room.connected)
        return False

    monkeypatch.setattr(Reach, "met", nobody_comes)
    lockfile = tmp_path / "kernel"
    async with open_room(tmp_path) as room:
        client = await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile)
        (record,) = warnings(caplog)
        assert record.startswith(
            f"no other hub is in the room 'room' at {room.server.url} yet: is one joined"
        )
        await (await room.join("laptop")).client("topcat")
        await client.find("topcat", timeout=PATIENCE)
        caplog.clear()
        await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile)
        assert warnings(caplog) == []
        await client.unregister()


async def test_another_client_goes_to_the_other_room_with_its_hub(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub of one connect() leaves its room at the next, whose client has another name."""
    lockfile = tmp_path / "kernel"
    async with open_room(tmp_path) as room:
        for label in ("one", "two"):
            place = await room.join(label, invitation=Invitation(room.server.url, label))
            await place.client("topcat")
        alone = await asyncsamp.connect("first", start_hub=True, lockfile=lockfile)
        files = [tmp_path / f"{label}.reach" for label in ("one", "two")]
        for file in files:
            await asyncio.to_thread(write_invitation, file, Invitation(room.server.url, file.stem))
        first = await asyncsamp.connect("first", join=str(files[0]), lockfile=lockfile)
        assert first is alone
        assert (await first.find("topcat", timeout=PATIENCE)).name == "topcat @one"
        assert warnings(caplog) == []
        second = await asyncsamp.connect("second", join=str(files[1]), lockfile=lockfile)
        assert [told for told in warnings(caplog) if not told.startswith("client ")] == [
            f"the hub of this process has left the room 'one' at {room.server.url}, and joins the room 'two' "
            f"at {room.server.url}; its other clients go with it: 'first' ({first.public_id})"
        ]
        for client in (first, second):
            await client.find("topcat @two", timeout=PATIENCE)
        await until(lambda: names(first) == {"Hub", "second", "topcat @two"})
        # The hub ends with its client; the other one starts the next, which is in the room that it joined.
        await first.unregister()
        await second.wait_registered(PATIENCE)
        await second.find("topcat @two", timeout=PATIENCE)
        await second.unregister()


async def test_a_change_of_room_that_fails_or_is_cancelled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.notebook._MEET", 0.0)
    lockfile, file = tmp_path / "kernel", tmp_path / "x.reach"
    async with open_room(tmp_path) as room:
        client = await asyncsamp.connect("notebook", join=room.server.url, lockfile=lockfile)
        bad = "-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n"
        await asyncio.to_thread(write_invitation, file, Invitation("tls://127.0.0.1:9", "m31", ca=bad))
        with pytest.raises(LocalProtocolError, match="certificate"):
            await asyncsamp.connect("notebook", join=str(file), lockfile=lockfile)
        assert client.registered
        waits = asyncio.Event()

        async def met(room: Reach, timeout: float) -> bool:
            waits.set()
            return await asyncio.Event().wait()

        monkeypatch.setattr(Reach, "met", met)
        connecting = asyncio.create_task(
            asyncsamp.connect("other", join=room.server.url, lockfile=lockfile), name="connecting"
        )
        await asyncio.wait_for(waits.wait(), PATIENCE)
        connecting.cancel()
        await asyncio.wait([connecting])
        assert {other.name for other in await client.get_clients()} == {"Hub"}
        await client.unregister()
        assert not lockfile.exists()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the user was told of changes of the room."""
    texts = [each.getMessage() for each in caplog.records]
    return [text for text in texts if text.startswith("the hub of this process has ")]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def test_an_invitation_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvitationError, match="cannot be read"):
        await asyncsamp.connect("notebook", join=str(tmp_path / "none.reach"))
    for address in ("127.0.0.1:4222", "localhost:4222", "[::1]:4222"):
        with pytest.raises(InvitationError, match=r"no such file; for a server: --join nats://") as caught:
            await asyncsamp.connect("notebook", join=address)
        assert str(caught.value).endswith(address)
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


async def test_a_server_that_has_moved_is_found_by_the_invitation_in_the_place_of_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody refused the old one: nobody is there any more. Messages and files have a connection each."""
    file = tmp_path / "laptop.reach"
    async with open_room(tmp_path) as room:
        await asyncio.to_thread(write_invitation, file, Invitation(url=room.server.url))
        laptop = await room.join("laptop", invitation=await asyncio.to_thread(read_invitation, file))
        await until(lambda: laptop.reach.connected)
        await room.server.kill()
        await until(lambda: "Connect call failed" in caplog.text)
        async with running_server(tmp_path / "moved") as moved, running_relay(moved.port) as relay:
            await asyncio.to_thread(write_invitation, file, Invitation(url=relay.url))
            await until(lambda: laptop.reach.connected and len(relay.times) == 2)
            cluster = await room.join("cluster", invitation=invitation_of_url(moved.url))
            await cluster.client("tool")
            await (await laptop.client("notebook")).find("tool @cluster", timeout=PATIENCE)
            assert laptop.reach.invitation.url == relay.url


async def test_a_room_that_is_left_and_joined_again_says_how_it_stands_now(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        other = await room.join("other")
        reach = Reach(invitation_of_url(room.server.url), label="again")
        async with Hub(lockfile=tmp_path / "again", profiles=[reach], limits=LIMITS):
            assert await reach.met(PATIENCE)
        assert not reach.started
        assert not reach.connected
        assert not await reach.met(PATIENCE)
        await other.hub.shutdown()
        async with Hub(lockfile=tmp_path / "again", profiles=[reach], limits=LIMITS):
            assert reach.started
            assert not await reach.met(0)


async def test_an_invitation_that_is_no_file_is_read_once(tmp_path: Path) -> None:
    """One of a pipe, such as `--join <(pass show laptop.reach)`, would be waited for without end."""
    pipe = tmp_path / "pipe"
    await asyncio.to_thread(os.mkfifo, pipe)
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop", invitation=Invitation(url=room.server.url, found=Found(str(pipe))))
        await until(lambda: laptop.reach.connected)
        await room.server.kill()
        await until(lambda: not laptop.reach.connected)
        await asyncio.sleep(0.6)  # in which it tries twice
        await room.server.start()
        await until(lambda: laptop.reach.connected)
