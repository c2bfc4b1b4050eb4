"""The bus over a real nats-server: order, cuts, refusals, TLS, ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import nkeys
import pytest
from nats.aio.transport import TcpTransport

from asyncsamp.errors import LocalProtocolError
from asyncsamp.hub.profiles.reach.bus import BusMessage, BusServer, NatsBus, pause_after
from asyncsamp.reach import rooms

from ...ports import lasting_port
from ..nats_server import PATIENCE, NatsServer, running_server


class Watched:
    """A bus and what it told: when there was a server, and why it was lost."""

    def __init__(self, server: BusServer) -> None:
        self.backs = 0
        self.reasons: list[str] = []
        self._changed = asyncio.Event()
        self.bus = NatsBus(server, back=self._back, lost=self._lost)

    def _back(self) -> None:
        self.backs += 1
        self._changed.set()

    def _lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    async def until(self, *, backs: int = 0, lost: int = 0) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.backs < backs or len(self.reasons) < lost:
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> Watched:
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with running_server(tmp_path / "server") as server:
        yield server


async def came(queue: asyncio.Queue[BusMessage]) -> BusMessage:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


async def test_what_is_published_comes_in_order_and_nothing_else(server: NatsServer) -> None:
    queue: asyncio.Queue[BusMessage] = asyncio.Queue()
    async with Watched(BusServer(url=server.url)) as a, Watched(BusServer(url=server.url)) as b:
        await a.until(backs=1)
        await b.until(backs=1)
        end = b.bus.subscribe("samp.*.here", queue.put_nowait)
        assert await asking(b, a, queue)
        for number in range(2000):
            a.bus.publish("samp.x.here", b"%d" % number, "back.to.me")
        a.bus.publish("samp.x.there", b"no")
        got = [await came(queue) for _ in range(2000)]
        assert [int(message.payload) for message in got] == list(range(2000))
        assert got[0] == BusMessage("samp.x.here", b"0", "back.to.me")
        end()
        assert await silent(a, b)
        assert queue.empty()


async def asking(listening: Watched, other: Watched, queue: asyncio.Queue[BusMessage]) -> bool:
    """Whether the server knows by now what `listening` listens to."""
    async with asyncio.timeout(PATIENCE):
        while queue.empty():
            other.bus.publish("samp.first.here", b"")
            await asyncio.sleep(0.01)
    assert await silent(other, listening)
    while not queue.empty():
        queue.get_nowait()
    return True


async def silent(sender: Watched, receiver: Watched) -> bool:
    """Whether what `sender` published before has reached `receiver`."""
    inbox = f"mark.{id(receiver)}"
    mark: asyncio.Queue[BusMessage] = asyncio.Queue()
    end = receiver.bus.subscribe(inbox, mark.put_nowait)
    async with asyncio.timeout(PATIENCE):
        while mark.empty():
            sender.bus.publish(inbox, b"")
            await asyncio.sleep(0.01)
    end()
    return True


async def test_the_server_says_when_nobody_listens(server: NatsServer) -> None:
    queue: asyncio.Queue[BusMessage] = asyncio.Queue()
    async with Watched(BusServer(url=server.url)) as a:
        await a.until(backs=1)
        a.bus.subscribe("mine.refused.*", queue.put_nowait)
        a.bus.publish("nobody.here", b"x", "mine.refused.c2")
        assert await came(queue) == BusMessage("mine.refused.c2", b"", "", True)


async def test_it_comes_back_with_its_subscriptions_and_sends_nothing_late(server: NatsServer) -> None:
    queue: asyncio.Queue[BusMessage] = asyncio.Queue()
    async with Watched(BusServer(url=server.url)) as a:
        await a.until(backs=1)
        a.bus.subscribe("x", queue.put_nowait)
        await server.kill()
        await a.until(lost=1)
        assert not a.bus.connected
        a.bus.publish("x", b"while there is no server")
        await server.start()
        await a.until(backs=2)
        a.bus.publish("x", b"after it")
        assert (await came(queue)).payload == b"after it"
        assert len(a.reasons) == 1


async def test_a_server_that_comes_later_is_found(tmp_path: Path) -> None:
    async with running_server(tmp_path / "server") as server:
        await server.kill()
        async with Watched(BusServer(url=server.url)) as a:
            await a.until(lost=1)
            assert "onnect" in a.reasons[0]
            await server.start()
            await a.until(backs=1)


async def test_a_server_that_hangs_is_given_up(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._CHECK_INTERVAL", 0.05)
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._CHECK_TIMEOUT", 0.1)
    async with Watched(BusServer(url=server.url)) as a:
        await a.until(backs=1)
        server.freeze()
        await a.until(lost=1)
        assert "does not answer" in a.reasons[0]
        server.thaw()
        await a.until(backs=2)


@pytest.mark.parametrize("way", ["end", "reset"])
async def test_a_line_that_ends_without_a_word_of_nats_py_is_missed_at_once(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """As where the server dies when something is just to be sent: its own end then fails half-way."""
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._CHECK_INTERVAL", 600.0)
    close: Callable[[TcpTransport], None] = TcpTransport.close
    read: Callable[[TcpTransport, int], Awaitable[bytes]] = TcpTransport.read

    async def read_or_fail(transport: TcpTransport, size: int) -> bytes:
        got = await read(transport, size)
        if not got and way == "reset":
            raise ConnectionResetError("Connection reset by peer")
        return got

    def fail(transport: TcpTransport) -> None:
        close(transport)
        monkeypatch.undo()
        raise ConnectionResetError("Connection reset by peer")

    monkeypatch.setattr(TcpTransport, "read", read_or_fail)
    async with Watched(BusServer(url=server.url)) as a:
        await a.until(backs=1)
        theirs = asyncio.all_tasks()
        monkeypatch.setattr(TcpTransport, "close", fail)
        await server.kill()
        await a.until(lost=1)
    assert not any(getattr(task, "_log_traceback", False) for task in theirs), "asyncio will tell of it"


@pytest.mark.parametrize(
    "sent",
    [
        b"PUB any.\xff.here 0\r\n\r\n",
        b"PUB any.one.here \xff 0\r\n\r\n",
        b"PUB any.\x0bone.here 0\r\n\r\n",
        b"HPUB any.one.here 18 18\r\nNATS/1.0 503 \xff\r\n\r\n\r\n",
        b"HPUB any.one.here 8 8\r\nNATS/1.0\r\n",
    ],
    ids=["subject", "reply", "space", "header", "short header"],
)
async def test_who_cannot_read_something_begins_anew_and_hears_again(
    server: NatsServer, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-py reads no further, and says that all is well: a member could deafen everybody."""
    heard: asyncio.Queue[BusMessage] = asyncio.Queue()
    async with Watched(BusServer(url=server.url)) as a, Watched(BusServer(url=server.url)) as b:
        await a.until(backs=1)
        await b.until(backs=1)
        a.bus.subscribe("any.*.here", heard.put_nowait)
        assert await silent(b, a)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'CONNECT {"headers": true, "verbose": false}\r\n' + sent)
        await a.until(lost=1, backs=2)
        assert "cannot be read" in a.reasons[0]
        assert not b.reasons  # who does not listen to it
        assert await silent(b, a)
        b.bus.publish("any.two.here", b"")
        assert (await came(heard)).subject == "any.two.here"
        writer.close()
        await writer.wait_closed()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("held", [0.0, 0.6], ids=["at once", "in a moment"])
async def test_who_lets_us_in_and_hangs_up_is_not_stormed(
    held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a server that is away; but a line that held is no storm, however often it is cut."""
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._PATIENCE_SHARE", 1)  # pauses grow in a moment
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._SETTLED", 0.3)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            about = b'{"server_id": "x", "version": "2.10.0", "max_payload": 1024, "headers": true}'
            writer.write(b"INFO " + about + b"\r\n")
            for _ in range(2):  # the questions of who connects, and of who has subscribed
                await reader.readuntil(b"PING\r\n")
                writer.write(b"PONG\r\n")
            await writer.drain()
            await asyncio.sleep(held)
        writer.close()

    clock = asyncio.get_running_loop()
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"nats://127.0.0.1:{port}")) as bus:
            lost, pauses = 0.0, []
            for number in range(1, 6):
                await bus.until(backs=number)
                pauses.append(clock.time() - lost)
                await bus.until(lost=number)
                lost = clock.time()
    if held:
        assert min(pauses[-3:]) < 3 * 0.25
    else:
        assert pauses[-1] > 3 * 0.25


ACCOUNTS = """
authorization {{ users = [
  {{ nkey: {key}, permissions: {{ publish: ["a.>"], subscribe: ["a.>"] }} }},
  {{ user: bob, password: secret-of-bob }}
] }}
"""


async def test_who_is_let_in_and_what_he_may(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seed, public = new_key()
    stranger, _ = new_key()
    async with running_server(tmp_path / "server", ACCOUNTS.format(key=public)) as server:
        async with Watched(BusServer(url=server.url, seed=seed)) as a:
            await a.until(backs=1)
            a.bus.publish("b.not.mine", b"")
            assert await a_line(caplog, "ermission")
            assert "is the room of this hub" not in caplog.text, "it is that of its invitation"
            assert a.bus.connected
        async with Watched(BusServer(url=server.url, user="bob", password="secret-of-bob")) as b:
            await b.until(backs=1)
        for wrong in (
            BusServer(url=server.url),
            BusServer(url=server.url, seed=stranger),
            BusServer(url=server.url, user="bob", password="guessed"),
        ):
            async with Watched(wrong) as c:
                await c.until(lost=1)
                assert "uthorization" in c.reasons[0]
                advice = "ask for a new one" if wrong.has_account else "join by an invitation (a .reach file)"
                assert advice in c.reasons[0]
                assert c.backs == 0
    assert "secret-of-bob" not in caplog.text
    assert seed not in caplog.text
    assert seed not in repr(BusServer(url=server.url, seed=seed, password="pw-1", ca="pem"))


@pytest.mark.parametrize(
    ("said", "not_valid"),
    [
        ("Authorization Violation", True),
        ("User Authentication Expired", True),
        ("Account Authentication Expired", True),
        ("Authentication Timeout", False),
        ("maximum account active connections exceeded", False),
    ],
)
async def test_a_new_invitation_is_advised_only_where_it_helps(said: str, not_valid: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"proto":1}\r\n')
        await reader.readline()
        writer.write(f"-ERR '{said}'\r\n".encode())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"nats://127.0.0.1:{port}", user="u", password="p")) as bus:
            await bus.until(lost=1)
            assert said.lower() in bus.reasons[0].lower()
            assert ("ask for a new one" in bus.reasons[0]) is not_valid


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("HTTP/1.1 401 Unauthorized", r"it answers HTTP 401; is the Jupyter token right, in \[headers\]"),
        ("HTTP/1.1 403 Forbidden", r"it answers HTTP 403; is the Jupyter token right, in \[headers\]"),
        (
            "HTTP/1.1 404 Not Found",
            "it answers HTTP 404; is the URL right, and jupyter-server-proxy installed",
        ),
        (
            "HTTP/1.1 502 Bad Gateway",
            "it answers HTTP 502; nobody listens behind it: does the room's server run",
        ),
    ],
)
async def test_what_a_door_before_the_server_says_is_explained(answer: str, text: str) -> None:
    """Asked once, and, where it lets nobody in, not again for seconds."""
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"{answer}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"ws://127.0.0.1:{port}/user/me/proxy/4223/")) as bus:
            await bus.until(lost=1)
            assert re.search(text, bus.reasons[0])
            await asyncio.sleep(0.6)
            assert asked == 1 or (asked < 5 and "502" in answer)


async def test_a_tunnel_without_a_server_is_not_stormed() -> None:
    """What ssh does at a port that is forwarded to where nobody listens."""
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"nats://127.0.0.1:{port}")) as bus:
            await bus.until(lost=1)
            assert "; nobody listens behind it, or what answers there may not be" in bus.reasons[0]
            await asyncio.sleep(1.1)
            assert asked <= 5  # one each quarter of a second


async def test_a_refusal_that_is_overtaken_by_its_reset_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says more to a server that has closed the connection loses what that had said."""
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._LAST_PAUSE", 0.3)
    times: list[float] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(asyncio.get_running_loop().time())
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"proto":1}\r\n')
        await reader.readline()
        if len(times) % 2:
            writer.write(b"-ERR 'Authorization Violation'\r\n")
        else:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"nats://127.0.0.1:{port}")) as bus:
            async with asyncio.timeout(PATIENCE):
                while len(times) < 5:
                    await asyncio.sleep(0.01)
            (reason,) = bus.reasons
            assert "Authorization Violation" in reason
    assert times[2] - times[1] > 0.28, "as long as after the refusal itself"


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
async def test_who_finds_nobody_on_this_machine_is_asked_for_server_and_tunnel() -> None:
    for url in (f"nats://127.0.0.1:{lasting_port()}", f"ws://localhost:{lasting_port()}/"):
        async with Watched(BusServer(url=url)) as bus:
            await bus.until(lost=1)
            assert "(serve) run, and is the tunnel up, if it is reached by one (ssh -R)?" in bus.reasons[0]


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
@pytest.mark.parametrize(
    ("scheme", "says"),
    [
        ("nats", "SSH-2.0-OpenSSH_9.2\r\n"),
        ("nats", ""),
        ("ws", 'INFO {"server_id":"x"}\r\n'),
        ("ws", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("ws", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_what_answers_and_is_no_server_of_a_room(
    scheme: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.hub.profiles.reach.bus._CONNECT_TIMEOUT", 1)
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says.encode())
        await over.wait()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"{scheme}://127.0.0.1:{port}")) as bus:
            await bus.until(lost=1)
            assert "what answers there may not be the server of a room: does that run" in bus.reasons[0]
            assert "a WebSocket's is that of --ws-port" in bus.reasons[0]
        over.set()


def test_a_server_that_is_away_for_long_is_asked_ever_less_often() -> None:
    away, asked = 0.0, 0
    while away < 60:
        away += pause_after(away, "refused")
        asked += 1
    assert asked < 80
    assert pause_after(17.0, "") < 1  # a hub that is given up after 15 s is back within a second
    assert pause_after(3600.0, "") == 5


async def a_line(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    async with asyncio.timeout(PATIENCE):
        while not any(text in r.message for r in caplog.records if r.levelno >= logging.WARNING):
            await asyncio.sleep(0.01)
    return True


def new_key() -> tuple[str, str]:
    """Return a seed and its public key."""
    raw = b"0123456789abcdef0123456789abcde" + next(_NEW)
    pair = nkeys.from_seed(nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_USER))
    return pair.seed.decode(), pair.public_key.decode()


_NEW = iter([b"1", b"2", b"3", b"4", b"5", b"6"])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:4222", "is not the URL of a NATS server"),
        ("nats://127.0.0.1:99999", "no valid port"),
        ("nats://", "is not the URL of a NATS server"),
        ("nats://me:pw@127.0.0.1:4222", "put it into an invitation"),
        ("ws://nats.example.org/x", "speaks without TLS"),
    ],
)
def test_urls_that_cannot_be_used(url: str, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        NatsBus(BusServer(url=url))


def test_where_tls_is_demanded() -> None:
    assert not BusServer(url="nats://127.0.0.1:4222").needs_tls
    assert not BusServer(url="nats://localhost").needs_tls
    assert not BusServer(url="ws://[::1]:1/x").needs_tls
    assert BusServer(url="nats://nats.example.org").needs_tls
    assert BusServer(url="tls://127.0.0.1").needs_tls
    assert not BusServer(url="nats://nats.example.org", plain=True).needs_tls


async def test_an_unusable_seed_or_certificate_is_said(server: NatsServer) -> None:
    with pytest.raises(LocalProtocolError, match="not a valid nkey seed"):
        await NatsBus(BusServer(url=server.url, seed="SUNOSEED")).start()
    with pytest.raises(LocalProtocolError, match="certificate"):
        await NatsBus(BusServer(url=server.url, ca="no PEM")).start()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-out", str(made[0]), "-keyout", str(made[1]), "-subj", "/CN=x", "-days", "2"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return made


async def test_a_certificate_may_have_a_comment_in_any_language(certificate: tuple[Path, Path]) -> None:
    bus = NatsBus(BusServer(url="tls://127.0.0.1:1", ca="# Universität\n" + certificate[0].read_text()))
    await bus.start()
    await bus.close()


async def test_what_an_invitation_holds_does_not_end_the_attempts(server: NatsServer) -> None:
    asked = asyncio.Event()

    def renewed() -> BusServer:
        loop.call_soon_threadsafe(asked.set)
        raise TypeError("of a file in which nobody thought of this")

    loop = asyncio.get_running_loop()
    await server.kill()
    bus = NatsBus(BusServer(url=server.url), renewed=renewed)
    await bus.start()
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
        await server.start()
        while not bus.connected:
            await asyncio.sleep(0.01)
    await bus.close()


@pytest.mark.both_loops
@pytest.mark.parametrize("known", [True, False], ids=["let in", "refused"])
async def test_a_server_that_ends_tls_is_no_fault_of_asyncios(
    tmp_path: Path, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture, known: bool
) -> None:
    """It warned of each connection, and of each try of one who is refused."""
    (seed, public), (other, _) = rooms.new_key(), rooms.new_key()
    tls = f'tls {{ cert_file: "{certificate[0]}", key_file: "{certificate[1]}" }}\n'
    async with running_server(tmp_path / "server", tls + ACCOUNTS.format(key=public)) as server:
        url, ca = f"tls://127.0.0.1:{server.port}", certificate[0].read_text()
        async with Watched(BusServer(url=url, ca=ca, seed=seed if known else other)) as a:
            await a.until(backs=int(known))
            if known:
                await server.stop()
            await a.until(lost=1)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_by_tls_only_to_a_server_that_proves_who_it_is(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    config = f'tls {{ cert_file: "{certificate[0]}", key_file: "{certificate[1]}" }}'
    async with running_server(tmp_path / "server", config) as server:
        url = f"tls://127.0.0.1:{server.port}"
        async with Watched(BusServer(url=url, ca=certificate[0].read_text())) as a:
            await a.until(backs=1)
        async with Watched(BusServer(url=url)) as a:
            await a.until(lost=1)
            assert "certificate" in a.reasons[0].lower()
            assert "put the certificate of its authority into the invitation, above [" in a.reasons[0]
            assert a.backs == 0


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # of nats-py's
@pytest.mark.parametrize(
    ("valid", "said"),
    [
        (
            {"_DAYS_BEFORE": -1},
            "certificate is not yet valid.*; is this machine's clock right\\? It seems to be behind",
        ),
        (
            {"_DAYS": -1},
            "certificate has expired.*; is this machine's clock right\\? If it is, ask for a new",
        ),
    ],
    ids=["from tomorrow", "until yesterday"],
)
async def test_who_reads_of_a_clock_that_is_wrong_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid: dict[str, int], said: str
) -> None:
    for name, days in valid.items():
        monkeypatch.setattr(rooms, name, days)
    cert, key = await asyncio.to_thread(rooms.certificate, tmp_path, "127.0.0.1")
    tls = f'tls {{ cert_file: "{cert}", key_file: "{key}" }}'
    websocket = lasting_port()
    config = f'{tls}\nwebsocket {{ listen: "127.0.0.1:{websocket}", {tls} }}\n'
    async with running_server(tmp_path / "server", config) as server:
        for url in (f"tls://127.0.0.1:{server.port}", f"wss://127.0.0.1:{websocket}"):
            async with Watched(BusServer(url=url, ca=cert.read_text())) as a:
                await a.until(lost=1)
                assert re.search(said, a.reasons[0]), a.reasons
                assert a.backs == 0


@pytest.mark.parametrize("known", [{"user": "bob", "password": "secret-of-bob"}, {"seed": "new"}, {}])
async def test_nothing_is_said_to_a_server_that_has_dropped_tls(known: dict[str, Any]) -> None:
    if known.get("seed"):
        known = {"seed": new_key()[0]}
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.11.0","headers":true,"max_payload":1000,"nonce":"abc"}\r\n')
        said.append(await reader.readline())
        if said[-1]:
            writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Watched(BusServer(url=f"tls://127.0.0.1:{port}", **known)) as a:
            await a.until(lost=1)
            assert "speaks without TLS" in a.reasons[0]
            assert a.backs == 0
    if known:
        assert said[0] == b""
