"""`python -m asyncsamp.reach serve` and `invite`: a real server, its accounts, and who may do what."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from asyncsamp.hub.profiles.reach.bus import BusMessage
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.reach import accounts
from asyncsamp.reach.__main__ import main
from asyncsamp.reach.accounts import Listen, server_config
from asyncsamp.reach.rooms import RoomError, new_key
from asyncsamp.reach.server import NatsServer, free_port

from ..nats_server import PATIENCE, nats_server
from .serving_program import Member, refused, run, served_room

pytestmark = pytest.mark.timeout(150)

SECONDS = 1 / 86400


async def test_members_join_by_their_invitations(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice", "bob") as room:
        assert room.said[0].startswith("room m31 is served at nats://127.0.0.1:")
        alice, bob = (await room.invitation("alice")), (await room.invitation("bob"))
        assert (alice.room, alice.member, alice.url, alice.own) == ("m31", "alice", room.url, False)
        assert (tmp_path / "alice.reach").stat().st_mode & 0o777 == 0o600
        kept = "".join(path.read_text() for path in (tmp_path / "room").rglob("*") if path.is_file())
        assert alice.seed not in kept
        assert "alice" in kept
        came: asyncio.Queue[BusMessage] = asyncio.Queue()
        async with Member(alice) as a, Member(bob) as b:
            assert await a.joined()
            assert await b.joined()
            b.bus.subscribe("samp.m31.*.*.to.bob.0123abcd", came.put_nowait)
            await b.flushed()
            a.bus.publish("samp.m31.alice.0123abcd.to.bob.0123abcd", b"hello")
            async with asyncio.timeout(PATIENCE):
                assert (await came.get()).payload == b"hello"


async def test_no_secret_is_said_or_is_on_a_command_line(tmp_path: Path) -> None:
    """Nor is it in what is said when something goes wrong."""
    async with served_room(tmp_path, "alice", errors=asyncio.subprocess.PIPE) as room:
        assert room.process.stderr is not None
        seed = (await room.invitation("alice")).seed.encode()
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                assert seed not in process.read_bytes()
        (tmp_path / "room" / "members.json").unlink()
        async with asyncio.timeout(PATIENCE):
            errors = await room.process.stderr.readline()
        assert b"members.json" in errors
        room.process.terminate()
        rest, more = await room.process.communicate()
        assert seed not in b"".join((errors, more, rest, *map(str.encode, room.said)))


async def test_nobody_speaks_as_another_or_listens_in(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice", "bob", "mallory") as room:
        heard: asyncio.Queue[BusMessage] = asyncio.Queue()
        overheard: list[BusMessage] = []

        def hear(message: BusMessage) -> None:
            if not message.subject.startswith("samp.m31.bob."):  # by which the test knows that all has come
                heard.put_nowait(message)

        async with contextlib.AsyncExitStack() as stack:
            alice, bob, mallory = [
                await stack.enter_async_context(Member(await room.invitation(name)))
                for name in ("alice", "bob", "mallory")
            ]
            for member in (alice, bob, mallory):
                assert await member.joined()
            for subject in (
                "samp.m31.*.*.to.bob.0123abcd",
                "samp.m31.*.*.here",
                "samp.m31.*.*.bye",
                "samp.m31.*.*.get.bob.>",
                "samp.m31.*.*.answer.bob.>",
                "samp.m31.bob.*.refused.>",
            ):
                bob.bus.subscribe(subject, hear)
            for subject in (
                "samp.>",
                ">",
                "samp.m31.*.*.to.bob.>",
                "samp.m31.*.*.answer.bob.>",
                "samp.m31.bob.*.refused.>",
                "samp.m31.*.*.get.>",
            ):
                mallory.bus.subscribe(subject, overheard.append)
            await bob.flushed()
            await mallory.flushed()
            mallory.bus.publish("samp.m31.alice.0123abcd.to.bob.0123abcd", b"forged")
            for subject in (
                "samp.m31.alice.0123abcd.bye",
                "samp.m31.alice.0123abcd.here",
                "samp.m31.alice.0123abcd.get.bob.0123abcd",
                "samp.m31.alice.0123abcd.answer.bob.0123abcd.0a",
                "samp.m31.bob.0123abcd.refused.alice.0123abcd",
            ):
                mallory.bus.publish(subject, b"")
            await mallory.flushed()
            alice.bus.publish("samp.m31.alice.0123abcd.to.bob.0123abcd", b"true")
            alice.bus.publish("samp.m31.alice.0123abcd.answer.bob.0123abcd.0a", b"a piece")
            await alice.flushed()
            await bob.flushed()
            await mallory.flushed()
            async with asyncio.timeout(PATIENCE):
                assert {(await heard.get()).payload for _ in range(2)} == {b"true", b"a piece"}
            assert heard.empty()
            assert overheard == []


async def test_a_stranger_is_refused(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room, served_room(tmp_path / "other", "alice") as other:
        alice = await room.invitation("alice")
        for invitation in (
            replace(alice, seed=""),
            replace((await other.invitation("alice")), url=alice.url),
        ):
            async with Member(invitation) as stranger:
                assert not await stranger.joined()
                assert "uthorization" in stranger.reasons[0]


async def test_a_room_without_members_is_shut(tmp_path: Path) -> None:
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    async with served_room(tmp_path) as room:
        await refused(Invitation(room.url, "m31"))
        assert (await run("invite", *common, "alice"))[0] == 0
        await room.says("members are now: alice")
        alice = await room.invitation("alice")
        async with Member(alice) as member:
            assert await member.joined()
            assert (await run("invite", *common, "--remove", "alice"))[0] == 0
            assert not await member.joined()
        for stranger in (
            alice,
            Invitation(room.url, "m31"),
            Invitation(room.url, "m31", user="nobody", password="nobody"),
        ):
            await refused(stranger)


async def test_somebody_is_invited_and_put_out_while_the_room_is_served(tmp_path: Path) -> None:
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    async with served_room(tmp_path, "alice") as room:
        first = await room.invitation("alice")
        assert (await run("invite", *common, "carol"))[0] == 0
        carol = await room.invitation("carol")
        assert carol.url == room.url
        await room.says("members are now: alice, carol")
        async with Member(carol) as member:
            assert await member.joined()
            status, out, _ = await run("invite", *common, "--remove", "carol", "dave")
            assert (status, out) == (1, "carol may not join any more\ndave was not invited\n")
            assert not await member.joined()
        status, out, _ = await run("invite", *common, "alice")
        assert (status, "alice's earlier invitation has ended: who has" in out) == (0, True)
        assert (await room.invitation("alice")).seed != first.seed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc names the server's process")
async def test_where_the_server_is_exchanged_to_follow_the_room_goes_on(tmp_path: Path) -> None:
    """As on Windows, where no signal asks it to read its configuration again. It stays where it is."""
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    async with served_room(tmp_path, "alice", code=AS_ON_WINDOWS, errors=asyncio.subprocess.PIPE) as room:
        alice = await room.invitation("alice")
        for name, members in (("bob", "alice, bob"), ("carol", "alice, bob, carol")):
            assert (await run("invite", *common, name))[0] == 0
            await room.says(f"members are now: {members}")
        for invitation in (alice, await room.invitation("carol")):
            async with Member(invitation) as member:
                assert await member.joined()
        (server,) = Path(f"/proc/{room.process.pid}/task/{room.process.pid}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            _, errors = await room.process.communicate()
        assert room.process.returncode == 1
        assert b"error: the server has ended" in errors


AS_ON_WINDOWS = """
import sys
from asyncsamp.reach import serve, server
from asyncsamp.reach.__main__ import main

class Windows:
    platform = "win32"

    def __getattr__(self, name):
        return getattr(sys, name)

class Server(server.NatsServer):
    async def start(self, config):
        server.sys = Windows()  # not before: programs have a suffix there
        await super().start(config)

serve.NatsServer = Server
sys.exit(main(sys.argv[1:]))
"""


async def test_an_invitation_ends_at_the_server(tmp_path: Path) -> None:
    async with served_room(tmp_path, "--expires", str(10 * SECONDS), "alice") as room:
        assert (await room.invitation("alice")).expires is not None
        async with Member(await room.invitation("alice")) as alice:
            assert await alice.joined()
            assert not await alice.joined()


async def test_who_was_invited_may_join_after_the_room_was_served_again(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room:
        invitation = await room.invitation("alice")
    async with served_room(tmp_path, "alice") as room:
        again = f"reach invite --room m31 --folder {tmp_path / 'room'} --out {tmp_path} alice)"
        assert f"alice is invited already (for a new invitation: python -m asyncsamp.{again}" in room.said
        async with Member(replace(invitation, url=room.url)) as alice:
            assert await alice.joined()


async def test_invitations_that_do_not_lead_to_the_server_any_more_are_named(tmp_path: Path) -> None:
    members = ("laptop", "pod=ws://127.0.0.1:4223/", "cluster=nats://127.0.0.1:47222")
    async with served_room(tmp_path, "--ws-port", "0", *members) as room:
        assert not [line for line in room.said if "another URL" in line or "WebSocket, " in line]
        old = room.url
    async with served_room(tmp_path, "laptop", "pod", "cluster=nats://127.0.0.1:47333") as room:
        said = "\n".join(room.said)
        file = tmp_path / "cluster.reach"
        assert f'{file} has another URL, nats://127.0.0.1:47222: write url = "nats://127.0.0.1:47333"' in said
        assert "which ends that invitation: python -m asyncsamp.reach invite --room m31 --folder" in said
        assert f" --out {tmp_path} cluster=nats://127.0.0.1:47333\n" in said
        assert f'laptop.reach has another URL, {old}: write url = "{room.url}" there, and' in said
        assert "pod joins by a WebSocket, ws://127.0.0.1:4223/, for which this server does not" in said
        assert said.count("another URL") == 2


async def test_the_server_ends_with_the_program(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room:
        port = urlsplit(room.url).port
    assert room.process.returncode == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a killed program's child")
async def test_the_server_ends_when_the_program_is_killed(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room:
        port = urlsplit(room.url).port
        room.process.kill()
        await room.process.wait()
        async with asyncio.timeout(PATIENCE):
            while True:  # it is nobody's child that could be waited for
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.transport.abort()
                except ConnectionRefusedError:
                    break
                except ConnectionError:
                    pass  # the server ends just now
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("damage", ["not JSON", "bytes", "unreadable", "missing"])
async def test_a_list_of_members_that_is_damaged_puts_nobody_out(tmp_path: Path, damage: str) -> None:
    """It is told once, what to do too; the room goes on, and follows the list again once it is mended."""
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    file = tmp_path / "room" / "members.json"
    async with served_room(tmp_path, "alice", errors=asyncio.subprocess.PIPE) as room:
        assert room.process.stderr is not None
        good = file.read_bytes()
        async with Member(await room.invitation("alice")) as alice:
            assert await alice.joined()
            other = tmp_path / "other"
            if damage == "unreadable":
                other.symlink_to(file)  # to itself, in a moment
            else:
                other.write_bytes(b"{" if damage == "not JSON" else b"\xff\xfe")
            if damage == "missing":
                file.unlink()
            else:
                other.rename(file)
            async with asyncio.timeout(PATIENCE):
                told = (await room.process.stderr.readline()).decode()
            assert told.startswith(f"{file}, which says who may join, cannot be read: ")
            assert "; mend it, or put an older one in its place; the room goes on" in told
            for change in (["bob"], ["--remove", "bob"]):
                status, _, errors = await run("invite", *common, *change)
                assert (status, errors.count("\n")) == (1, 1)
                assert str(file) in errors
            assert not (tmp_path / "bob.reach").exists()
            assert damage != "missing" or not file.exists()
            await alice.flushed()
            assert alice.bus.connected
            async with Member(await room.invitation("alice")) as again:
                assert await again.joined()
            other.write_bytes(good)
            other.rename(file)
            assert (await run("invite", *common, "bob"))[0] == 0
            await room.says("members are now: alice, bob")
        room.process.terminate()
        assert await room.process.stderr.read() == b"", "it was told more than once"


async def test_a_list_of_members_that_is_lost_is_begun_anew_only_when_that_is_wanted(tmp_path: Path) -> None:
    """A new one would have only those in it who are invited now."""
    common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
    file, address = tmp_path / "room" / "members.json", tmp_path / "room" / "address.reach"
    async with served_room(tmp_path, "alice"):
        pass
    file.unlink()
    for command in (("serve", "--port", "0", "bob"), ("invite", "bob"), ("invite", "--remove", "alice")):
        status, out, errors = await run(command[0], *common, *command[1:])
        assert (status, out, errors.count("\n")) == (1, "", 1)
        assert f"{file}, which says who may join, is missing, and a new one would put everybody out" in errors
        assert f"put an older one in its place; if there is none, remove {address}, serve the room" in errors
    assert not file.exists()
    assert not (tmp_path / "bob.reach").exists()
    address.unlink()
    async with served_room(tmp_path, "bob") as room, Member(await room.invitation("bob")) as bob:
        assert await bob.joined()


@pytest.mark.parametrize(
    ("kind", "reason"), [("nothing", "No such file or directory"), ("text", "Permission denied")]
)
async def test_why_no_server_can_be_started_is_said(tmp_path: Path, kind: str, reason: str) -> None:
    program = tmp_path / "program"
    if kind == "text":
        program.write_text("a letter")
    server = NatsServer(str(program), tmp_path)
    with pytest.raises(RoomError, match=reason):
        await server.start(server_config("m31", [], Listen(port=-1)))


async def test_a_frozen_program_starts_the_server_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `sys.executable` is no Python."""
    server = NatsServer(nats_server(), tmp_path)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    await server.start(server_config("m31", [], Listen(port=-1)))
    await server.stop()


@pytest.mark.usefixtures("hangups_end")
async def test_the_server_ends_when_its_terminal_is_closed(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room:
        port = urlsplit(room.url).port
        room.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            assert await room.process.wait() == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass
    assert not list((tmp_path / "room").glob("server-*"))


@pytest.mark.usefixtures("hangups_ignored")
async def test_under_nohup_it_goes_on_and_follows_who_is_invited(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice") as room:
        room.process.send_signal(signal.SIGHUP)
        arguments = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path), "bob")
        assert (await run("invite", *arguments))[0] == 0
        await room.says("members are now: alice, bob")
        async with Member(await room.invitation("bob")) as bob:
            assert await bob.joined()


async def test_a_folder_whose_name_is_not_ascii(tmp_path: Path) -> None:
    async with (
        served_room(
            tmp_path / 'j\u00e9r\u00f4me "x"', "--host", "0.0.0.0", "--name", "127.0.0.1", "alice"
        ) as room,
        Member(await room.invitation("alice")) as alice,
    ):
        assert await alice.joined()


async def test_an_invitation_to_another_room_is_not_replaced(tmp_path: Path) -> None:
    async with served_room(tmp_path, "alice"):
        kept = (tmp_path / "alice.reach").read_bytes()
        other = ["--room", "other", "--folder", str(tmp_path / "2"), "--out", str(tmp_path), "--port", "0"]
        status, said, errors = await run("serve", *other, "alice")
        assert (status, said, errors.count("\n")) == (1, "", 1)
        assert "alice.reach is an invitation to the room m31; it is left as it is: name another" in errors
        assert not (tmp_path / "2").exists()
        (tmp_path / "carol.reach").write_text("a letter")
        common = ("--room", "m31", "--folder", str(tmp_path / "room"), "--out", str(tmp_path))
        assert "is not an invitation" in (await run("invite", *common, "carol"))[2]
        assert (tmp_path / "carol.reach").read_text() == "a letter"
    (tmp_path / "room" / "members.json").write_text("{}")
    assert "not a list of the members" in (await run("invite", *common, "alice"))[2]
    assert (tmp_path / "alice.reach").read_bytes() == kept


async def test_what_the_server_does_not_follow_is_said_once_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.reach.server._RELOAD", PATIENCE)
    (_, public), listen = new_key(), Listen(port=-1)
    right = server_config("m31", [accounts.Member("alice", public)], listen)
    server = NatsServer(nats_server(), tmp_path)
    await server.start(server_config("m31", [], listen))
    try:
        wrong = server_config("m31", [accounts.Member("bob", "U" + "A" * 55)], listen)
        for _ in range(6):  # the server names now this place of the fault, now that
            assert not await server.follow(wrong)
        (record,) = (one for one in caplog.records if one.name == "asyncsamp.reach")
        assert "the server does not follow who may join, and is asked again and again: " in record.message
        assert "nkey" in record.message
        assert await server.follow(right)
        assert not await server.follow(right), "it follows it already"
    finally:
        await server.stop()
    assert not list(tmp_path.iterdir())


async def test_strangers_do_not_fill_the_disk_by_the_log(
    tmp_path: Path, nats_program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it taken for the server's word what they have it write."""
    monkeypatch.setattr(accounts, "LOG_SIZE", 20_000)
    monkeypatch.setattr("asyncsamp.reach.server._RELOAD", PATIENCE)
    listen = Listen(port=free_port("127.0.0.1"))
    server = NatsServer(nats_program, tmp_path)
    config = server_config("m31", [], listen)
    await server.start(config)
    said = b"Reloaded server configuration " * 30
    flood = asyncio.ensure_future(refuse_on_and_on(listen.port, said))
    try:
        for _ in range(100):
            await refuse(listen.port, said)
        assert not await server.follow(config)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 50_000
        wrong = server_config("m31", [accounts.Member("bob", "U" + "A" * 55)], listen)
        right = server_config("m31", [accounts.Member("bob", new_key()[1])], listen)
        assert not await server.follow(wrong)
        assert await server.follow(right)
    finally:
        await server.stop()
        flood.cancel()
        await asyncio.wait([flood])


async def refuse(port: int, user: bytes) -> None:
    """Connect as one who has no account."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    with contextlib.suppress(ConnectionError):
        writer.write(b'CONNECT {"user":"%s","pass":"x"}\r\nPING\r\n' % user)
        await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def refuse_on_and_on(port: int, user: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # the server has ended
        while True:
            await refuse(port, user)


async def test_off_this_machine_it_speaks_tls_only(tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--name", "127.0.0.1")
    own = ("by-websocket=wss://127.0.0.1:4223/", "by-tunnel=tls://localhost:4224")
    proxies = ("by-proxy=wss://h.example:4223/p/", "by-https=wss://127.0.0.1/p/")
    async with served_room(tmp_path, *options, "alice", *own, *proxies) as room:
        invitation = await room.invitation("alice")
        for member in (*own, *proxies):
            known = (await room.invitation(member.partition("=")[0])).ca
            assert known == (invitation.ca if member in own else "")
        assert invitation.url.startswith("tls://127.0.0.1:")
        assert (tmp_path / "room" / "127.0.0.1.key.pem").stat().st_mode & 0o777 == 0o600
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=invitation.ca)
        begins = ssl.cert_time_to_seconds(str(context.get_ca_certs()[0]["notBefore"]))
        assert begins < time.time() - 86400, "whose clock is behind by a day could not join"
        async with Member(invitation) as alice:
            assert await alice.joined()
        async with Member(replace(invitation, ca="")) as alice:
            assert not await alice.joined()


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
async def test_by_websocket_and_by_another_address(tmp_path: Path) -> None:
    async with served_room(tmp_path, "--ws-port", "0", "--own", "nb", "laptop=wss://h.example/p/1/") as room:
        laptop, notebook = (await room.invitation("laptop")), (await room.invitation("nb"))
        assert (laptop.url, laptop.own) == ("wss://h.example/p/1/", True)
        async with Member(replace(notebook, url=room.said[1].rpartition(" ")[2])) as member:
            assert await member.joined(), member.reasons


async def test_no_web_page_uses_the_websocket(tmp_path: Path) -> None:
    async with (
        served_room(tmp_path, "--open", "--ws-port", "0") as room,
        aiohttp.ClientSession() as browser,
    ):
        url = room.said[1].rpartition(" ")[2]
        for origin in ("https://evil.example", url.replace("ws:", "http:"), "null"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await browser.ws_connect(url, headers={"Origin": origin})
        async with browser.ws_connect(url) as program:
            assert (await program.receive()).data.startswith(b"INFO ")


async def test_a_room_without_accounts(tmp_path: Path) -> None:
    async with served_room(tmp_path, "--open") as room:
        assert f"  python -m asyncsamp.hub --join {room.url}" in room.said
        assert not list(tmp_path.glob("*.reach"))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["serve", "--room", "a.b"], "error: 'a.b' is not a valid name of a room"),
        (["serve", "--room", "r", "--open", "--host", "0.0.0.0"], "--open is for this machine only"),
        (["serve", "--room", "r", "--host", "0.0.0.0"], "say by --name what members call this machine"),
        (
            ["serve", "--room", "r", "--host", "0:0:0:0:0:0:0:0"],
            "say by --name what members call this machine",
        ),
        (["serve", "--room", "r", "--open", "--host", "::0"], "--open is for this machine only"),
        (["serve", "--room", "r", "--open", "--host", "::ffff:0.0.0.0"], "--open is for this machine only"),
        (["serve", "--room", "r", "--tls-cert", "x"], "--tls-cert and --tls-key go together"),
        (["serve", "--room", "r", "--port", "0", "a b"], "'a b' is not a valid name of a member"),
        (["serve", "--room", "r", "--port", "0", "a=http://h"], "'http://h' is not the URL of a server"),
        (
            ["serve", "--room", "r", "--port", "0", "a=h:1"],
            "error: the URL of a: 'h:1' is not the URL of a server",
        ),
        (
            ["serve", "--room", "r", "--port", "0", "Al", "al"],
            "error: al cannot be invited beside Al: the names",
        ),
        *(
            (["serve", "--room", "r", "--port", "0", *words], "write MEMBER=URL, with no space around =")
            for words in (["a", "=", "nats://h"], ["a=", "nats://h"], ["a", "=nats://h"])
        ),
        (["invite", "--room", "r", "alice"], "room r is not known in"),
    ],
)
async def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: list[str], error: str) -> None:
    common = ["--folder", str(tmp_path / "room"), "--out", str(tmp_path)]
    status, said, errors = await run(*arguments, *common)
    assert (status, said, errors.count("\n")) == (1, "", 1)
    assert error in errors


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (
            ["serve", "--room", "r", "--owm"],
            "reach serve: error: unrecognized arguments: --owm; did you mean '--own'?",
        ),
        (
            ["attach", "--reach-lable=x"],
            "unrecognized arguments: --reach-lable=x; did you mean '--reach-label'?",
        ),
        (["attach", "--join", "a", "b"], "reach attach: error: unrecognized arguments: b\n"),
    ],
)
def test_a_misspelt_option_is_told_the_nearest(
    arguments: list[str], errors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert errors in capsys.readouterr().err


async def test_where_no_key_can_be_made_nothing_is_begun(tmp_path: Path) -> None:
    without = "import sys; sys.modules['nkeys'] = None; from asyncsamp.reach.__main__ import main"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{without}; sys.exit(main(sys.argv[1:]))", "serve", "--room", "r"),
        *("--folder", str(tmp_path / "room"), "--out", str(tmp_path), "--port", "0", "alice"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, errors = await process.communicate()
    assert (process.returncode, out, b"nkeys" in errors) == (1, b"", True)
    assert not list(tmp_path.iterdir())


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--folder", str(tmp_path / "room"), "--out", str(tmp_path), "--port", str(port)]
        status, _, errors = await run("serve", "--room", "r", *arguments, "alice")
    assert status == 1
    assert f"another program listens at 127.0.0.1:{port} already, perhaps the server of this room" in errors
    assert "(address already in use); for another port: --port" in errors
