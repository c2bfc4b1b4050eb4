"""The ways into a room that need no administrator, with real parts: ssh, a Jupyter server, leaf nodes."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

import asyncsamp
from asyncsamp import Client, Message
from asyncsamp._util.private_files import replace_private
from asyncsamp.hub.profiles.reach.invitation import Invitation, parse_invitation
from asyncsamp.hub.profiles.reach.invitation_files import write_invitation
from asyncsamp.reach.accounts import Listen, Member, server_config
from asyncsamp.reach.rooms import certificate, new_key
from asyncsamp.reach.server import NatsServer
from asyncsamp.values import ValueMap

from ..aio.nats_server import debians_server, running_server
from ..aio.reach.rooms import until
from ..aio.reach.serving_program import Member as JoinedBus
from ..aio.reach.serving_program import refused, served_room
from ..docs.pages import DOCS, blocks
from ..installed import require_file, require_program
from ..ports import lasting_port
from . import conversation
from .conversation import PARAMS, WAIT
from .peers import own_hub
from .peers.process import Process, process

pytestmark = pytest.mark.timeout(180)


@contextlib.asynccontextmanager
async def desktop(folder: Path, join: str, *options: str) -> AsyncIterator[Client]:
    """Run the laptop's hub, and a tool on it that echoes."""
    lockfile = folder / "laptop.samp"
    joining = ("--join", join, "--reach-label", "laptop", "--no-web-profile", "--reach-mtypes", "all")
    async with own_hub(lockfile, folder, *joining, *options), Client("tool", lockfile=lockfile) as tool:

        @tool.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        await tool.settled()
        yield tool


@contextlib.asynccontextmanager
async def notebook(folder: Path, join: str, **options: Any) -> AsyncIterator[Client]:
    """Connect as a kernel without a hub of its own does."""
    client = await asyncsamp.connect("notebook", join=join, lockfile=folder / "kernel.samp", **options)
    try:
        yield client
    finally:
        await client.unregister()


async def speak(client: Client) -> None:
    """See the laptop's tool, and be answered by it."""
    seen = await client.find("tool", timeout=WAIT)
    assert seen.name == "tool @laptop"
    await conversation.until_subscribed(client, seen, "test.echo")
    assert (await client.call_and_wait(seen, "test.echo", PARAMS, timeout=WAIT)).result == PARAMS


# ---- ssh


class Ssh:
    """Debian's sshd on a loopback port, with keys of the test's own, and a client of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def write(self) -> None:
        """Make keys and configuration."""
        for name in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True)
        (self.folder / "known").write_text(
            f"[127.0.0.1]:{self.port} {(self.folder / 'host.pub').read_text()}"
        )
        lines = [
            f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.folder / 'user.pub'}",
            f"ListenAddress 127.0.0.1:{self.port}",
            *("StrictModes no", "UsePAM no", "PidFile none", "PermitRootLogin yes"),
        ]
        (self.folder / "config").write_text("\n".join(lines) + "\n")
        if os.getuid() == 0:  # which the service makes when it starts
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[None]:
        """Run the sshd."""
        sshd = str(require_file(Path("/usr/sbin/sshd"), "openssh-server"))
        command = [sshd, "-D", "-e", "-f", str(self.folder / "config")]
        async with process(command, name="sshd", home=self.folder) as running:
            await running.line("Server listening", stderr=True)
            yield

    def command(self, there: int, here: int, *said: str) -> list[str]:
        """Return the page's command: `ssh -R 127.0.0.1:there:127.0.0.1:here`."""
        options = ("IdentitiesOnly=yes", "BatchMode=yes", "ExitOnForwardFailure=yes")
        command = [require_program("ssh", "openssh-client"), "-F", "none", "-p", str(self.port)]
        command += [word for option in options for word in ("-o", option)]
        command += ["-o", f"UserKnownHostsFile={self.folder / 'known'}", "-i", str(self.folder / "user")]
        command += ["-R", f"127.0.0.1:{there}:127.0.0.1:{here}"]
        return [*command, f"{getpass.getuser()}@127.0.0.1", *said]

    @contextlib.asynccontextmanager
    async def tunnel(self, there: int, here: int) -> AsyncIterator[Process]:
        """Let it stand; it says so by the far shell."""
        command = self.command(there, here, "echo it stands; cat")
        async with process(command, name="ssh", home=self.folder) as running:
            await running.line("it stands")
            yield running


async def test_a_server_at_the_laptop_and_ssh(tmp_path: Path) -> None:
    """`ssh -R` carries its port to the cluster; the tunnel breaks, and is made again."""
    (tmp_path / "ssh").mkdir()
    ssh = Ssh(tmp_path / "ssh", lasting_port())
    await asyncio.to_thread(ssh.write)
    there = lasting_port()
    options = ("--own", "laptop", f"cluster=nats://127.0.0.1:{there}")
    async with (
        served_room(tmp_path, *options) as room,
        desktop(tmp_path, str(tmp_path / "laptop.reach")) as tool,
        tool.tables() as tables,
        ssh.server(),
        contextlib.AsyncExitStack() as stack,
    ):
        here = int(room.url.rpartition(":")[2])
        async with ssh.tunnel(there, here):
            client = await stack.enter_async_context(notebook(tmp_path, str(tmp_path / "cluster.reach")))
            await client.send_table(Table({"a": [1, 2, 3]}), "tool")
            assert len(await anext(tables)) == 3
        async with ssh.tunnel(there, here):
            await speak(client)


async def test_a_tunnel_whose_port_is_taken_ends(tmp_path: Path) -> None:
    """Also where that port of ::1 is free, which is enough for sshd unless it is told the address."""
    ssh = Ssh(tmp_path, lasting_port())
    await asyncio.to_thread(ssh.write)
    async with ssh.server():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            command = ssh.command(taken.getsockname()[1], 9)
            command.insert(1, "-N")
            async with process(command, name="ssh", home=tmp_path) as running:
                assert await running.exit(WAIT) == 255


# ---- the user's own Jupyter pod


@contextlib.asynccontextmanager
async def jupyter(folder: Path, port: int) -> AsyncIterator[None]:
    """Run a Jupyter server with jupyter-server-proxy, whose token is "secret"."""
    command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [
        "--ServerApp.jpserver_extensions=jupyter_server_proxy=True",
        "--IdentityProvider.token=secret",
    ]
    async with process(command, name="Jupyter", home=folder) as running:
        await running.line("is running at", stderr=True, timeout=60)
        yield


async def test_a_server_in_the_users_pod(tmp_path: Path) -> None:
    """The laptop dials through Jupyter's door, by the token in a header; without it nobody gets in."""
    websocket, port = lasting_port(), lasting_port()
    url = f"ws://127.0.0.1:{port}/proxy/{websocket}/"
    options = ("--own", "--ws-port", str(websocket), "nb", f"laptop={url}")
    async with jupyter(tmp_path, port), served_room(tmp_path, *options) as room:
        file = tmp_path / "laptop.reach"
        invitation = await room.invitation("laptop")
        async with own_hub(tmp_path / "shut.samp", tmp_path, "--join", str(file), "--no-web-profile") as shut:
            await shut.line("no connection to ws://", stderr=True)
        opened = replace(invitation, headers={"Authorization": "token secret"})
        await asyncio.to_thread(write_invitation, file, opened)
        async with desktop(tmp_path, str(file)), notebook(tmp_path, str(tmp_path / "nb.reach")) as client:
            await speak(client)


async def test_a_server_without_accounts_in_the_users_pod(tmp_path: Path) -> None:
    """Jupyter's token is the door: the laptop joins by a URL, and the header in a file; a table follows."""
    websocket, port = lasting_port(), lasting_port()
    url = f"ws://127.0.0.1:{port}/proxy/{websocket}/"
    headers = tmp_path / "headers"
    await asyncio.to_thread(replace_private, headers, b"Authorization: token secret\n")
    async with (
        jupyter(tmp_path, port),
        served_room(tmp_path, "--open", "--ws-port", str(websocket)) as room,
        desktop(tmp_path, url, "--reach-headers", str(headers)) as tool,
        tool.tables() as tables,
        notebook(tmp_path, room.url, files="sent") as client,
    ):
        await speak(client)
        await client.send_table(Table({"a": [1, 2, 3]}), "tool")
        assert len(await anext(tables)) == 3


# ---- servers


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
@pytest.mark.parametrize("dials_websocket", ["laptop", "nb"])
async def test_tls_and_websocket_with_the_certificate_of_the_invitation(
    tmp_path: Path, dials_websocket: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A call and a file across, by accounts; asyncio has nothing to warn of, at the end either."""
    websocket = lasting_port()
    members = [name for name in ("laptop", "nb") if name != dials_websocket]
    options = ("--own", "--host", "0.0.0.0", "--name", "127.0.0.1", "--ws-port", str(websocket))
    async with served_room(
        tmp_path, *options, *members, f"{dials_websocket}=wss://127.0.0.1:{websocket}/"
    ) as room:
        invitations = [await room.invitation(name) for name in (*members, dials_websocket)]
        assert [one.url.partition(":")[0] for one in invitations] == ["tls", "wss"]
        assert all(one.seed and one.ca for one in invitations)
        async with (
            desktop(tmp_path, str(tmp_path / "laptop.reach")) as tool,
            tool.tables() as tables,
            notebook(tmp_path, str(tmp_path / "nb.reach")) as client,
        ):
            await speak(client)
            await client.send_table(Table({"a": [1, 2, 3]}), "tool")
            assert len(await anext(tables)) == 3
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


class Institutes:
    """The two servers of the page, and what it says of a member; at this machine, and at ports of ours."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        mark = "run by: tests/interop/test_ways.py::test_leaf_nodes"
        self._shown = [
            block.code for block in blocks(DOCS / "how-to" / "leaf-nodes.md") if block.mark == mark
        ]

    def write(self) -> tuple[str, str]:
        """Make certificates; return the configurations of both servers. Blocks."""
        certificate(self.folder, "127.0.0.1")
        a, b, _ = self._shown
        return self._here(a), self._here(b)

    def invitation(self, port: int, member: str) -> Invitation:
        """Write a member's invitation, and return it. Blocks."""
        shown = parse_invitation(self._shown[2].replace("bob", member))
        ca = (self.folder / "127.0.0.1.crt.pem").read_text()
        invitation = replace(shown, url=f"tls://127.0.0.1:{port}", ca=ca)
        write_invitation(self.folder / f"{member}.reach", invitation)
        return invitation

    def _here(self, config: str) -> str:
        for shown, ours in (
            *(
                (f"{name}.{what}.pem", f"{self.folder}/127.0.0.1.{what}.pem")
                for name in "ab"
                for what in KINDS
            ),
            *(("7422", str(self.port)), ("0.0.0.0", "127.0.0.1"), ("samp.a.example.org", "127.0.0.1")),
        ):
            config = config.replace(shown, ours)
        return config


KINDS = ("crt", "key")


async def test_leaf_nodes(tmp_path: Path, nats_program: str) -> None:
    """Each hub stays with its own server; one dials the other, and does not speak as the other's members."""
    institutes = Institutes(tmp_path, lasting_port())
    a, b = await asyncio.to_thread(institutes.write)
    async with (
        running_server(tmp_path / "a", a, program=nats_program) as server_a,
        contextlib.AsyncExitStack() as stack,
    ):
        alice = await asyncio.to_thread(institutes.invitation, server_a.port, "alice")
        async with running_server(tmp_path / "b", b, program=nats_program) as server_b:
            await asyncio.to_thread(institutes.invitation, server_b.port, "bob")
            async with (
                desktop(tmp_path, str(tmp_path / "alice.reach")),
                notebook(tmp_path, str(tmp_path / "bob.reach")) as client,
            ):
                await speak(client)
        guessed = b.replace("secret-of-b@", "guessed@")
        async with running_server(tmp_path / "guessed", guessed, program=nats_program) as shut_out:
            await until(lambda: "Authorization Violation" in (shut_out.folder / "nats.log").read_text())
        await refused(replace(alice, user="b", password="secret-of-b"))
        hostile = b[: b.index("authorization")]
        server_c = await stack.enter_async_context(
            running_server(tmp_path / "hostile", hostile, program=nats_program)
        )
        heard: list[str] = []
        anybody = replace(alice, url=f"tls://127.0.0.1:{server_c.port}", user="", password="")
        member = await stack.enter_async_context(JoinedBus(alice))
        forger = await stack.enter_async_context(JoinedBus(anybody))
        assert await member.joined()
        assert await forger.joined()
        member.bus.subscribe("samp.m31.*.*.here", lambda message: heard.append(message.subject))
        await member.flushed()

        def told() -> bool:
            forger.bus.publish("samp.m31.alice.0123abcd.here", b"")
            forger.bus.publish("samp.m31.carol.0123abcd.here", b"")
            return len(heard) > 5

        await until(told)
        assert set(heard) == {"samp.m31.carol.0123abcd.here"}


async def test_debians_server_lets_nobody_into_a_room_without_members(tmp_path: Path) -> None:
    seed, public = new_key()
    server, listen = NatsServer(debians_server(), tmp_path), Listen(port=-1)
    empty = server_config("m31", [], listen)
    await server.start(empty)
    try:
        alice = Invitation(f"nats://127.0.0.1:{server.ports['nats']}", "m31", "alice", seed=seed)
        stranger = Invitation(alice.url, "m31")
        await refused(stranger)
        assert await server.follow(server_config("m31", [Member("alice", public)], listen))
        async with JoinedBus(alice) as member:
            assert await member.joined()
            assert await server.follow(empty)
            assert not await member.joined()
        for who in (stranger, alice):
            await refused(who)
    finally:
        await server.stop()


async def test_debians_server_keeps_members_apart(tmp_path: Path) -> None:
    """nats-server 2.9 takes our configuration, by TCP and by WebSocket, and follows another one."""
    (seed, public), (_, another) = new_key(), new_key()
    listen = Listen(port=-1, websocket=lasting_port())
    server = NatsServer(debians_server(), tmp_path)
    await server.start(server_config("m31", [Member("laptop", public)], listen))
    try:
        assert await server.follow(
            server_config("m31", [Member("laptop", public), Member("nb", another)], listen)
        )
        laptop = Invitation(f"ws://127.0.0.1:{listen.websocket}/", "m31", "laptop", seed=seed)
        file = tmp_path / "laptop.reach"
        await asyncio.to_thread(write_invitation, file, laptop)
        tcp = replace(laptop, url=f"nats://127.0.0.1:{server.ports['nats']}")
        await asyncio.to_thread(write_invitation, tmp_path / "nb.reach", tcp)
        async with desktop(tmp_path, str(file)), notebook(tmp_path, str(tmp_path / "nb.reach")) as client:
            await speak(client)
    finally:
        await server.stop()
