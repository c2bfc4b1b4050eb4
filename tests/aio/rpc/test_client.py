"""The sender against servers that do what a script says: framings, faults, endings, kept connections."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest

from asyncsamp._util.socket_table import SocketTable
from asyncsamp.errors import (
    FaultCode,
    FaultError,
    LocalProtocolError,
    RemoteProtocolError,
)
from asyncsamp.rpc import (
    ForeignPeerError,
    PeerClosedError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
    RpcClient,
    RpcServer,
    answer,
)
from asyncsamp.rpc import client as sender_module
from asyncsamp.rpc.connection import PeerConnection
from asyncsamp.rpc.response_parser import ResponseParser
from asyncsamp.values import Value
from asyncsamp.xmlrpc import dump_fault, load_call, load_response
from tests.aio.users import LINUX
from tests.aio.wire import (
    Conversation,
    ScriptedServer,
    call_body,
    connect,
    http_answer,
    result_body,
)

DONE = result_body("done")
KEEP = http_answer(DONE, "Connection: keep-alive")
SILENT = http_answer(DONE)
REQUEST = call_body("samp.client.receiveNotification", "key", "c1")
T = 10.0

Script: TypeAlias = Callable[[Conversation], Awaitable[None]]


@pytest.fixture
async def sender() -> AsyncIterator[RpcClient]:
    sender = RpcClient(max_body=100_000)
    yield sender
    await sender.close()
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]


def says(*pieces: bytes, reset: bool = False) -> Script:
    """Script: answer each connection's first request with these packets, then close."""

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(*pieces)
        if reset:
            peer.reset()

    return script


def keeps(data: bytes = KEEP) -> Script:
    """Script: answer every request on a connection until the client closes it."""

    async def script(peer: Conversation) -> None:
        while await peer.request():
            await peer.say(data)

    return script


def silent() -> Script:
    """Script: take the request and never answer."""

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.until_closed()

    return script


async def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# ---------------------------------------------------------------------------------- what goes out


async def test_a_request_has_these_headers_and_no_others(sender: RpcClient) -> None:
    heads = []

    async def script(peer: Conversation) -> None:
        assert await peer.request() == REQUEST
        heads.append(peer.head.decode())
        await peer.say(SILENT)

    async with ScriptedServer(script) as server:
        assert await sender.post(server.url + "?q", REQUEST, timeout=T) == DONE
        assert heads == [
            f"POST /xmlrpc?q HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: asyncsamp\r\n"
            f"Content-Type: text/xml\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
        ]


async def test_large_requests_and_answers(sender: RpcClient) -> None:
    sender = RpcClient()
    big = result_body("x" * 3_000_000)

    async def script(peer: Conversation) -> None:
        assert await peer.request() == big
        await peer.say(http_answer(big))

    async with ScriptedServer(script) as server:
        assert await sender.post(server.url, big, timeout=T) == big
    await sender.close()


async def test_ipv6_and_names(sender: RpcClient) -> None:
    async with ScriptedServer(says(SILENT), host="::1") as server:
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE
    async with ScriptedServer(says(SILENT)) as server:
        assert await sender.post(f"http://localhost:{server.port}", REQUEST, timeout=T) == DONE


async def test_only_http_is_spoken(sender: RpcClient) -> None:
    with pytest.raises(LocalProtocolError, match="only http://"):
        await sender.post("https://127.0.0.1/", REQUEST, timeout=T)


# ---------------------------------------------------------------------------------- what comes back

DS9_BODY = "<methodResponse><params><param><value>caf\u00e9</value></param></params></methodResponse>"

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "HTTP/1.0": http_answer(DONE, status="HTTP/1.0 200 OK"),
    "bare LF": http_answer(DONE, end="\n"),
    "no length": b"HTTP/1.0 200 OK\r\n\r\n" + DONE,
    "chunked": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE),
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(DONE),
    "length too small": http_answer(DONE).replace(b"Length: %d" % len(DONE), b"Length: %d" % (len(DONE) - 5)),
    "length too large": http_answer(DONE).replace(b"Length: %d" % len(DONE), b"Length: 5000"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_every_framing_arrives(sender: RpcClient, kind: str, bytewise: bool) -> None:
    data = ANSWERS[kind]
    pieces = [data[place : place + 1] for place in range(len(data))] if bytewise else [data]
    async with ScriptedServer(says(*pieces)) as server:
        answered = await sender.post(server.url, REQUEST, timeout=T)
    assert load_response(answered) == "done"


async def test_a_body_without_length_or_closing_tag_ends_with_the_connection(sender: RpcClient) -> None:
    async with ScriptedServer(says(b"HTTP/1.0 200 OK\r\n\r\nsome text")) as server:
        assert await sender.post(server.url, REQUEST, timeout=T) == b"some text"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the answer is HTTP 404 Not Found, not 200"),
        (http_answer(b"x" * 100_001), "announces 100001 bytes; at most 100000 are taken"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_001, "larger than 100000 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 40_000, "head of the answer is longer"),
    ],
)
async def test_what_is_no_answer_is_the_peers_fault(sender: RpcClient, data: bytes, text: str) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        with contextlib.suppress(ConnectionError):
            await peer.say(data)
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        with pytest.raises(RemoteProtocolError) as refused:
            await sender.post(server.url, REQUEST, timeout=T)
        assert str(refused.value).startswith(f"http://127.0.0.1:{server.port}: the ")
        assert text in str(refused.value)


# ---------------------------------------------------------------------------------- how it fails


async def test_nobody_listens(sender: RpcClient) -> None:
    url = f"http://127.0.0.1:{await free_port()}/secret"
    with pytest.raises(PeerRefusedError, match="no connection could be made") as refused:
        await sender.post(url, REQUEST, timeout=T)
    assert (refused.value.url, refused.value.sent) == (url, False)
    assert "secret" not in str(refused.value)


async def test_a_name_that_cannot_be_found_is_no_refusal(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PeerError, match="there is no way to it") as lost:
        await sender.post("http://x..y:80/", REQUEST, timeout=T)
    assert (type(lost.value), lost.value.sent) == (PeerError, False)

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PeerError, match="Temporary failure in name resolution") as lost:
        await sender.post("http://nowhere:80/", REQUEST, timeout=T)
    assert type(lost.value) is PeerError
    assert await sender.probe("http://nowhere:80/", T)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), PeerError),
        (OSError(errno.EHOSTUNREACH, "No route to host"), PeerError),
        (
            OSError(f"Multiple exceptions: [Errno {errno.ENETUNREACH}] a, [Errno {errno.EHOSTUNREACH}] b"),
            PeerError,
        ),
        (
            OSError(f"Multiple exceptions: [Errno {errno.EADDRNOTAVAIL}] a, [Errno {errno.ECONNREFUSED}] b"),
            PeerRefusedError,
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), PeerRefusedError),
    ],
)
async def test_only_who_refuses_is_gone(
    error: OSError, kind: type[PeerError], sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    with pytest.raises(PeerError) as raised:
        await sender.post("http://10.1.2.3:80/", REQUEST, timeout=T)
    assert type(raised.value) is kind
    assert await sender.probe("http://10.1.2.3:80/", T) is (kind is PeerError)


@pytest.mark.parametrize(
    ("script", "says_"),
    [
        (says(), "the peer closed the connection before the answer was complete"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<methodResponse>"), "the peer closed"),
        (says(b"HTTP/1.1 200 O"), "the peer closed"),
        (says(reset=True), "the connection was lost"),
        (says(b"HTTP/1.1 200 OK\r\n", reset=True), "the connection was lost"),
    ],
    ids=["at once", "half a body", "half a line", "reset", "reset in the head"],
)
async def test_a_peer_that_ends_it_too_early_gets_it_once(
    sender: RpcClient, script: Script, says_: str
) -> None:
    async with ScriptedServer(script) as server:
        with pytest.raises(PeerClosedError, match=says_) as closed:
            await sender.post(server.url, REQUEST, timeout=T)
        assert closed.value.sent is True
        assert server.accepted == 1


async def test_the_answer_takes_too_long(sender: RpcClient) -> None:
    async with ScriptedServer(silent()) as server:
        with pytest.raises(PeerTimeoutError, match="did not answer in time") as late:
            await sender.post(server.url, REQUEST, timeout=0.5)
        assert late.value.sent is True


async def test_a_trickle_does_not_stretch_the_time(sender: RpcClient) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(SILENT[:-20])
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        with pytest.raises(PeerTimeoutError):
            await sender.post(server.url, REQUEST, timeout=0.05)


async def test_a_full_backlog_takes_too_long(sender: RpcClient) -> None:
    with socket.socket() as full, contextlib.ExitStack() as others:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with pytest.raises(PeerTimeoutError, match="no connection could be made in time") as late:
            await sender.post(url, REQUEST, timeout=0.05)
        assert late.value.sent is False
        assert await sender.probe(url, 0.05), "it may be alive"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL])
async def test_our_own_lack_is_not_held_against_the_peer(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def exhausted(*args: object) -> None:
        raise OSError(number, "no more of it")

    async with ScriptedServer(says(SILENT)) as server:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "create_connection", exhausted)
            patch.setattr(sender_module, "_LACK_PATIENCE", 0.06)
            with pytest.raises(PeerError, match="this process cannot open another") as lack:
                await sender.post(server.url, REQUEST, timeout=T)
            assert type(lack.value) is PeerError
            assert lack.value.sent is False
            assert await sender.probe(server.url, T)
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE


async def test_cancelling_closes_the_connection(sender: RpcClient) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.request()
        arrived.set()
        await peer.until_closed()
        closed.set()

    async with ScriptedServer(script) as server:
        post = asyncio.create_task(sender.post(server.url, REQUEST, timeout=T))
        await arrived.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        await closed.wait()


# ---------------------------------------------------------------------------------- kept connections


async def test_a_peer_that_says_so_keeps_its_connection(sender: RpcClient) -> None:
    async with ScriptedServer(keeps()) as server:
        for _ in range(20):
            assert await sender.post(server.url, REQUEST, timeout=T) == DONE
        assert server.accepted == 1


async def test_requests_at_once_have_a_connection_each_and_keep_it_while_the_burst_lasts(
    sender: RpcClient,
) -> None:
    six_closed = asyncio.Event()
    closed = 0

    async def script(peer: Conversation) -> None:
        nonlocal closed
        while await peer.request():
            await peer.say(http_answer(DONE, "Connection: keep-alive"))
        closed += 1
        if closed == 6:
            six_closed.set()

    async with ScriptedServer(script) as server:
        for _ in range(3):
            posts = [sender.post(server.url, REQUEST, timeout=T) for _ in range(10)]
            assert await asyncio.gather(*posts) == [DONE] * 10
            assert server.accepted == 10
        async with asyncio.timeout(T):
            await six_closed.wait()
        await asyncio.gather(*(sender.post(server.url, REQUEST, timeout=T) for _ in range(4)))
        assert (server.accepted, closed) == (10, 6)


async def test_answers_with_one_head_are_each_read_by_their_own_body(sender: RpcClient) -> None:
    """What is remembered of an answer is its head alone, and only where everything is in order."""
    bodies = [result_body(text) for text in ("m1", "m2", "m2", "m345", "m3")]
    cut = result_body("m7")

    async def script(peer: Conversation) -> None:
        for body in bodies:
            await peer.request()
            await peer.say(http_answer(body, "Connection: keep-alive"))
        await peer.request()
        answer = http_answer(cut, "Connection: keep-alive")
        await peer.say(answer[:-20], answer[-20:])
        await peer.request()
        await peer.say(http_answer(b"x" * len(cut), "Connection: keep-alive"))
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        for body in [*bodies, cut]:
            assert await sender.post(server.url, REQUEST, timeout=T) == body
        assert await sender.post(server.url, REQUEST, timeout=T) == b"x" * len(cut)
        assert server.accepted == 1


async def test_a_silent_peer_has_to_show_it_first() -> None:
    sender = RpcClient(trial=0.0)
    async with ScriptedServer(keeps(SILENT)) as server, ScriptedServer(says(SILENT)) as other:
        await sender.post(server.url, REQUEST, timeout=T)
        await sender.post(other.url, REQUEST, timeout=T)  # its way through the loop ends the trial
        for _ in range(20):
            await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted == 1
    await sender.close()


async def test_during_its_trial_a_connection_is_not_used(sender: RpcClient) -> None:
    async with ScriptedServer(keeps(SILENT)) as server:
        for _ in range(5):
            await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted == 5


async def test_a_server_of_one_connection_at_a_time_is_not_blocked_by_a_trial() -> None:
    sender = RpcClient(trial=0.02)
    one_at_a_time = asyncio.Lock()

    async def script(peer: Conversation) -> None:
        async with one_at_a_time:
            while await peer.request():
                await peer.say(SILENT)

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted == 2
    await sender.close()


async def test_a_trial_goes_on_while_others_are_answered() -> None:
    sender = RpcClient(trial=0.02)
    async with ScriptedServer(keeps(SILENT)) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        opened = 0
        while server.accepted > opened:  # until one is used again
            opened = server.accepted
            await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted > 1
    await sender.close()


async def test_ds9_closes_without_a_word_and_1000_posts_arrive_once_each_in_order(sender: RpcClient) -> None:
    """Line feeds, HTTP/1.1, no Connection header, closed after each answer."""
    seen: list[Value] = []

    async def script(peer: Conversation) -> None:
        _, params = load_call(await peer.request())
        seen.append(params[0])
        await peer.say(http_answer(DONE, end="\n"))

    async with ScriptedServer(script) as server:
        for number in range(1000):
            assert await sender.call(server.url, "x", [str(number)], timeout=T) == "done"
        assert seen == [str(number) for number in range(1000)]
        assert server.accepted == 1000


async def test_a_peer_that_closed_during_a_trial_is_not_tried_again() -> None:
    sender = RpcClient(trial=T)

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(SILENT)
        if peer.number > 1:
            await peer.until_closed()

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        await server.all_said()
        await sender.post(server.url, REQUEST, timeout=T)
        await server.all_said()  # the sender has closed it, at once
        assert sender._open == {}
    await sender.close()


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced(sender: RpcClient) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)

    async with ScriptedServer(script) as server:
        for number in range(1, 6):
            await sender.post(server.url, REQUEST, timeout=T)
            await sender.gone(server.url)
            assert server.accepted == number


async def test_a_kept_connection_that_closes_as_the_request_comes_is_replaced(sender: RpcClient) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        async def serve() -> socket.socket:
            accepted, _ = await loop.sock_accept(listener)
            await loop.sock_recv(accepted, 10_000)
            await loop.sock_sendall(accepted, KEEP)
            return accepted

        for _ in range(3):
            serving = asyncio.create_task(serve())
            # With no turn of the loop since the end of the last connection, which is not yet known here.
            assert await sender.post(url, REQUEST, timeout=T) == DONE
            (await serving).close()


@pytest.mark.both_loops
async def test_a_peer_that_reads_the_request_and_closes_without_an_answer_gets_it_once(
    sender: RpcClient,
) -> None:
    requests = []

    async def script(peer: Conversation) -> None:
        requests.append(await peer.request())
        await peer.say(KEEP)
        requests.append(await peer.request())

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        with pytest.raises(PeerClosedError) as closed:
            await sender.post(server.url, REQUEST, timeout=T)
        assert closed.value.sent
    assert requests == [REQUEST, REQUEST]


@pytest.mark.both_loops
async def test_a_handler_of_http_server_that_raises_gets_the_request_once(sender: RpcClient) -> None:
    handled = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            handled.append(self.path)
            if len(handled) > 1:
                raise ZeroDivisionError
            self.send_response(200)
            self.send_header("Connection", "keep-alive")
            self.send_header("Content-Length", str(len(DONE)))
            self.end_headers()
            self.wfile.write(DONE)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            assert await sender.post(url, REQUEST, timeout=T) == DONE
            with pytest.raises(PeerClosedError):
                await sender.post(url, REQUEST, timeout=T)
        finally:
            await asyncio.to_thread(server.shutdown)
            serving.join()
    assert len(handled) == 2


async def test_a_kept_connection_that_is_reset_as_the_request_comes_is_replaced(sender: RpcClient) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        if peer.number == 1:
            await peer.request()
            peer.reset()
        else:
            await peer.until_closed()

    async with ScriptedServer(script) as server:
        for _ in range(2):
            assert await sender.post(server.url, REQUEST, timeout=T) == DONE
        assert server.accepted == 2


async def test_a_kept_connection_that_breaks_within_the_answer_is_not_asked_again(sender: RpcClient) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        await peer.request()
        await peer.say(b"HTTP/1.1 200")

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        with pytest.raises(PeerClosedError):
            await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted == 1


async def test_a_request_that_was_long_under_way_is_not_sent_again(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_RETRY_WINDOW", -1.0)

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        await peer.request()
        peer.reset()

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        with pytest.raises(PeerClosedError):
            await sender.post(server.url, REQUEST, timeout=T)
        assert server.accepted == 1


async def test_a_peer_that_died_is_refused_but_may_have_got_the_request(sender: RpcClient) -> None:
    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        await peer.request()
        peer.reset()
        server._server.close()  # type: ignore[union-attr]

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        with pytest.raises(PeerRefusedError) as refused:
            await sender.post(server.url, REQUEST, timeout=T)
        assert refused.value.sent is True


async def test_bytes_that_nobody_asked_for_end_a_kept_connection(sender: RpcClient) -> None:
    answered, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        if peer.number == 1:
            await answered.wait()
            await peer.say(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            await peer.until_closed()
            closed.set()

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        answered.set()
        await closed.wait()
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE


async def test_an_answer_before_the_request_is_out_does_not_keep_the_connection() -> None:
    sender = RpcClient()

    async def script(peer: Conversation) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(KEEP)
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        for expected in (1, 2):
            assert await sender.post(server.url, b"x" * 20_000_000, timeout=T) == DONE
            assert server.accepted == expected
    await sender.close()


async def test_idle_connections_are_bounded_overall() -> None:
    sender = RpcClient(max_open=3)
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ScriptedServer(keeps())) for _ in range(5)]
        for server in servers:
            await sender.post(server.url, REQUEST, timeout=T)
        assert len(sender._open) <= 3
        for server in servers[-2:]:  # those used last are the ones kept
            await sender.post(server.url, REQUEST, timeout=T)
            assert server.accepted == 1
        await sender.post(servers[0].url, REQUEST, timeout=T)
        assert servers[0].accepted == 2
    await sender.close()


async def test_a_connection_that_is_being_closed_is_not_used() -> None:
    sender = RpcClient(max_open=1)
    async with ScriptedServer(keeps()) as server, ScriptedServer(keeps()) as other:
        await sender.post(server.url, REQUEST, timeout=T)
        # The first of these makes room in the same moment in which the second looks for a connection.
        await asyncio.gather(*(sender.post(each.url, REQUEST, timeout=T) for each in (other, server)))
        assert server.accepted == 2
    await sender.close()


async def test_a_trial_that_ends_while_the_connection_does_shows_nothing(sender: RpcClient) -> None:
    async with ScriptedServer(keeps(SILENT)) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        (connection,) = sender._open
        connection.close()
        peer = sender._pools[server.url]
        peer._end_trial()
        assert not peer.keeps


async def test_an_answer_and_the_end_of_its_time_in_the_same_moment(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PeerConnection.data_received

    def both(connection: PeerConnection, data: bytes) -> None:
        real(connection, data)
        connection._deadline = 0.0
        connection._ring()

    monkeypatch.setattr(PeerConnection, "data_received", both)
    async with ScriptedServer(keeps()) as server:
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE


async def test_connections_in_use_are_not_closed_for_others() -> None:
    sender = RpcClient(max_open=1)
    release = asyncio.Event()

    async def slow(peer: Conversation) -> None:
        while await peer.request():
            await release.wait()
            await peer.say(KEEP)

    async with ScriptedServer(slow) as server:
        posts = [asyncio.ensure_future(sender.post(server.url, REQUEST, timeout=T)) for _ in range(3)]
        asyncio.get_running_loop().call_later(0.02, release.set)
        assert await asyncio.gather(*posts) == [DONE] * 3
    await sender.close()


async def test_what_is_known_of_peers_is_bounded(sender: RpcClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "_MAX_PEERS", 10)
    async with ScriptedServer(says(SILENT)) as closing, ScriptedServer(keeps()) as keeping:
        await sender.post(keeping.url, REQUEST, timeout=T)
        for number in range(50):
            await sender.post(f"{closing.url}?{number}", REQUEST.replace(b"c1", b"c%d" % number), timeout=T)
            assert len(sender._pools) <= 12
        await sender.post(keeping.url, REQUEST, timeout=T)
        assert keeping.accepted == 1


# ---------------------------------------------------------------------------------- probe, gone, close


async def test_probing(sender: RpcClient) -> None:
    touched = asyncio.Event()

    async def script(peer: Conversation) -> None:
        if await peer.request():
            await peer.say(KEEP)
            await peer.until_closed()
        touched.set()

    async with ScriptedServer(script) as server:
        assert await sender.probe(server.url, T)
        await touched.wait()
        await sender.post(server.url, REQUEST, timeout=T)
        assert await sender.probe(server.url, T), "by the kept connection"
        assert server.accepted == 2
    assert not await sender.probe(f"http://127.0.0.1:{await free_port()}/", T)


async def test_who_is_there_is_told_without_a_connection_where_that_can_be(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closes(peer: Conversation) -> None:
        if await peer.request():
            await peer.say(http_answer(DONE, "Connection: close"))

    async with ScriptedServer(closes) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        if sys.platform.startswith("linux"):
            assert await sender.is_there(server.url, T, 0.0)
            assert server.accepted == 1, "the system has told it"
        with monkeypatch.context() as patch:
            patch.setattr(SocketTable, "listening_user", _denied)
            assert await sender.is_there(server.url, T, 600.0)
            assert server.accepted == 1, "it has answered a moment ago"
            assert await sender.is_there(server.url, T, 0.0)
            assert server.accepted == 2, "nothing else has told it for long"
    assert not await sender.is_there(server.url, T, 0.0), "nobody listens, and that was made sure"


async def test_where_the_table_says_nobody_but_somebody_answers_it_is_not_believed(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port may be forwarded by the system itself; then a connection is tried, but not each time."""
    monkeypatch.setattr(SocketTable, "listening_user", lambda *_: None)
    async with ScriptedServer(says(KEEP)) as server:
        for _ in range(3):
            assert await sender.is_there(server.url, T, 600.0)
        assert server.accepted == 1


def _denied(*_: object) -> int | None:
    raise PermissionError("not told")


@pytest.mark.parametrize("trusted", [True, False])
async def test_who_may_not_have_it_gets_nothing(trusted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def trusts(url: str, user: int) -> bool:
        asked.append((url, user))
        return trusted

    monkeypatch.setattr(SocketTable, "user_who_took", lambda *_: 1234)
    monkeypatch.setattr(SocketTable, "listening_user", lambda *_: 1234)
    sender = RpcClient(trusts=trusts)
    async with ScriptedServer(says(KEEP)) as server:
        if trusted:
            assert await sender.post(server.url, REQUEST, timeout=T) == DONE
        else:
            with pytest.raises(ForeignPeerError, match="user 1234 of this machine listens there now") as kept:
                await sender.post(server.url, REQUEST, timeout=T)
            assert (kept.value.user, kept.value.sent) == (1234, False)
            assert not await sender.is_there(server.url, T, 600.0)
        assert set(asked) == {(server.url, 1234)}
        assert server.accepted == 1
        await sender.close()


async def test_a_kept_connection_tells_when_its_peer_is_gone(sender: RpcClient) -> None:
    async with ScriptedServer(keeps()) as server:
        with pytest.raises(PeerError, match="no connection to it is kept open") as none:
            await sender.gone(server.url)
        assert none.value.sent is False
        await sender.post(server.url, REQUEST, timeout=T)
        watches = [asyncio.create_task(sender.gone(server.url)) for _ in range(2)]
        for _ in range(5):  # being used is not being gone
            await sender.post(server.url, REQUEST, timeout=T)
        assert not any(watch.done() for watch in watches)
        await server.stop()
        await asyncio.gather(*watches)


async def test_gone_waits_for_the_last_of_several(sender: RpcClient) -> None:
    release = [asyncio.Event() for _ in range(3)]

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        await release[peer.number - 1].wait()

    async with ScriptedServer(script) as server:
        await asyncio.gather(*(sender.post(server.url, REQUEST, timeout=T) for _ in range(3)))
        watch = asyncio.create_task(sender.gone(server.url))
        for number in range(3):
            assert not watch.done()
            release[number].set()
        await watch


async def test_a_watch_that_is_cancelled_leaves_nothing(sender: RpcClient) -> None:
    async with ScriptedServer(keeps()) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        watch = asyncio.ensure_future(sender.gone(server.url))
        await sender.post(server.url, REQUEST, timeout=T)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        assert not sender._pools[server.url].watchers


async def test_a_watch_and_its_end_in_the_same_moment(sender: RpcClient) -> None:
    async with ScriptedServer(keeps()) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        watch = asyncio.ensure_future(sender.gone(server.url))
        await sender.post(server.url, REQUEST, timeout=T)
        watch.cancel()
        sender._pools[server.url]._wake_watchers()
        with pytest.raises(asyncio.CancelledError):
            await watch


async def test_a_watched_connection_is_not_closed_to_make_room() -> None:
    sender = RpcClient(max_open=1)
    async with ScriptedServer(keeps()) as server, ScriptedServer(keeps()) as other:
        await sender.post(server.url, REQUEST, timeout=T)
        watch = asyncio.ensure_future(sender.gone(server.url))
        await sender.post(server.url, REQUEST, timeout=T)
        for _ in range(3):
            await sender.post(other.url, REQUEST, timeout=T)
        assert not watch.done()
        await sender.close()
        with pytest.raises(PeerError, match="the sender is closed"):
            await watch


async def test_closing_ends_everything() -> None:
    sender = RpcClient()
    arrived = asyncio.Event()

    async def mute(peer: Conversation) -> None:
        await peer.request()
        arrived.set()
        await peer.until_closed()

    async with ScriptedServer(mute) as silent_server, ScriptedServer(keeps()) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        pending = asyncio.ensure_future(sender.post(silent_server.url, REQUEST, timeout=T))
        await arrived.wait()
        await sender.close()
        await sender.close()
        with pytest.raises(PeerClosedError):
            await pending
        for refused in (sender.post(server.url, REQUEST, timeout=T), sender.gone(server.url)):
            with pytest.raises(PeerError, match="the sender is closed"):
                await refused
        with pytest.raises(PeerError, match="the sender is closed"):
            await sender.probe(server.url, T)


async def test_closing_while_a_kept_connection_is_used_does_not_open_another() -> None:
    sender = RpcClient()
    arrived = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.request()
        await peer.say(KEEP)
        await peer.request()
        arrived.set()
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        pending = asyncio.ensure_future(sender.post(server.url, REQUEST, timeout=T))
        await arrived.wait()
        await sender.close()
        with pytest.raises(PeerClosedError):
            await pending
        assert server.accepted == 1


async def test_closing_while_a_connection_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = RpcClient()
    loop = asyncio.get_running_loop()
    real = loop.create_connection

    async def close_meanwhile(*args: object) -> object:
        made = await real(*args)  # type: ignore[call-overload]
        await sender.close()
        return made

    monkeypatch.setattr(loop, "create_connection", close_meanwhile)
    async with ScriptedServer(keeps()) as server:
        with pytest.raises(PeerError, match="the sender is closed"):
            await sender.post(server.url, REQUEST, timeout=T)


async def test_a_connection_that_ends_as_soon_as_it_is_made(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    real = loop.create_connection

    async def lost(*args: object) -> object:
        transport, connection = await real(*args)  # type: ignore[call-overload]
        transport.abort()
        monkeypatch.undo()
        async with connect(server.port):  # takes the loop round
            assert not connection.usable
        return transport, connection

    monkeypatch.setattr(loop, "create_connection", lost)
    async with ScriptedServer(keeps()) as server:
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE  # on another one


# ---------------------------------------------------------------------------------- call


async def test_calling_our_own_server(sender: RpcClient) -> None:
    async def dispatch(method: str, params: list[Value]) -> Value:
        if method == "refuse":
            raise FaultError("no client 'c9'", code=FaultCode.UNKNOWN_CLIENT)
        return params

    sender = RpcClient()
    async with RpcServer(lambda request: answer(request, dispatch), name="test") as server:
        url = f"http://{server.url_host}:{server.port}/xmlrpc"
        several: list[list[Value]] = [["a", {"b": ["c"]}], ["x" * 1_000_000], []]
        for params in several:
            assert await sender.call(url, "echo", params, timeout=T) == params
        with pytest.raises(FaultError, match=r"^no client 'c9'$") as refused:
            await sender.call(url, "refuse", [], timeout=T)
        assert refused.value.code == FaultCode.UNKNOWN_CLIENT
        assert len(sender._open) == 1
        assert await sender.probe(url, T)
        watch = asyncio.ensure_future(sender.gone(url))
        await sender.call(url, "echo", [], timeout=T)
    await watch
    await sender.close()


async def test_a_fault_of_another_hub_is_the_plain_error(sender: RpcClient) -> None:
    async with ScriptedServer(says(http_answer(dump_fault(1, "java.lang.NullPointerException")))) as server:
        with pytest.raises(FaultError) as fault:
            await sender.call(server.url, "samp.hub.ping", [], timeout=T)
        assert (fault.value.code, fault.value.text) == (1, "java.lang.NullPointerException")


async def test_an_answer_that_is_no_response(sender: RpcClient) -> None:
    async with ScriptedServer(says(http_answer(b"<html></html>"))) as server:
        with pytest.raises(RemoteProtocolError):
            await sender.call(server.url, "samp.hub.ping", [], timeout=T)


async def test_one_timer_serves_many_requests(sender: RpcClient, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    made = 0
    call_at = loop.call_at

    def counted(*arguments: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal made
        made += 1
        return call_at(*arguments, **options)

    async with ScriptedServer(keeps()) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        monkeypatch.setattr(loop, "call_at", counted)
        for _ in range(20):
            await sender.post(server.url, REQUEST, timeout=T)
        assert made == 0
        await sender.post(server.url, REQUEST, timeout=T / 2)
        assert made == 1  # an earlier end needs an earlier alarm


@LINUX
async def test_it_tells_whether_a_peer_has_read_what_is_under_way(sender: RpcClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert not sender.has_unread(url)
        waiting = asyncio.ensure_future(sender.post(url, REQUEST, timeout=T))
        await asyncio.sleep(0)
        assert sender.has_unread(url)  # there is no connection yet
        loop = asyncio.get_running_loop()
        peer, _ = await loop.sock_accept(listening)
        with peer:
            peer.setblocking(False)
            head = await loop.sock_recv(peer, 5)
            assert sender.has_unread(url)
            assert (head + await loop.sock_recv(peer, 10_000)).endswith(REQUEST)
            assert not sender.has_unread(url)
            await loop.sock_sendall(peer, KEEP)
            assert await waiting == DONE
            assert not sender.has_unread(url)
            large = bytes(50_000_000)  # more than a connection has room for
            waiting = asyncio.ensure_future(sender.post(url, large, timeout=T))
            await loop.sock_recv(peer, 10_000)
            assert sender.has_unread(url)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert not sender.has_unread(url)


async def test_what_the_system_does_not_tell_counts_as_read(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    read = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.request()
        read.set()
        await peer.until_closed()

    async with ScriptedServer(script) as server:
        waiting = asyncio.ensure_future(sender.post(server.url, REQUEST, timeout=T))
        await read.wait()
        assert not sender.has_unread(server.url)
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_an_alarm_that_rings_early_is_set_again(sender: RpcClient) -> None:
    async with ScriptedServer(keeps()) as server:
        await sender.post(server.url, REQUEST, timeout=T)
        (connection,) = sender._open
        waiting = asyncio.ensure_future(sender.post(server.url, REQUEST, timeout=T))
        await asyncio.sleep(0)
        connection._ring()
        assert not waiting.done()
        assert await waiting == DONE


async def test_an_answer_like_the_last_one_is_not_read_anew(
    sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(keeps()) as server:
        assert await sender.post(server.url, REQUEST, timeout=T) == DONE
        monkeypatch.setattr(ResponseParser, "feed", lambda *_: pytest.fail("read anew"))
        for _ in range(3):
            assert await sender.post(server.url, REQUEST, timeout=T) == DONE
