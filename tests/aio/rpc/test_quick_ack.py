"""Peers that write head and body separately do not stall a kept connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer, ThreadingMixIn
from time import perf_counter
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import pytest

from asyncsamp.rpc import RpcClient, connection, quick_ack
from tests.aio.wire import call_body, result_body
from tests.installed import require_program

POSTS = 15


class Naive(BaseHTTPRequestHandler):
    """Python's own server as its documentation has it: head and body leave by two writes."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        type(self).connections += 1
        super().setup()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = result_body()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "keep-alive")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def naive() -> Iterator[str]:
    Naive.connections = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Naive)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.asynccontextmanager
async def a_client() -> AsyncIterator[RpcClient]:
    client = RpcClient()
    try:
        yield client
    finally:
        await client.close()


async def times(client: RpcClient, url: str) -> list[float]:
    """Post, with a pause before each: the system waits with its acknowledgement only then."""
    taken = []
    for _ in range(POSTS):
        await asyncio.sleep(0.01)
        begun = perf_counter()
        await client.post(url, call_body(), timeout=30)
        taken.append(perf_counter() - begun)
    return taken


@pytest.mark.skipif(not quick_ack.CAN_HASTEN, reason="this system cannot be told to acknowledge at once")
@pytest.mark.alone
async def test_a_naive_server_is_kept_and_does_not_stall(naive: str) -> None:
    async with a_client() as client:
        taken = await times(client, naive)
    assert Naive.connections == 1
    assert statistics.median(taken) < 0.02, taken  # Linux waits 40 ms


@pytest.mark.alone
async def test_where_the_system_cannot_be_told_it_is_not_kept(
    naive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CAN_HASTEN", False)
    monkeypatch.setattr(connection, "hasten", lambda transport: None)
    async with a_client() as client:
        taken = await times(client, naive)
    # The head and the body may by chance come as one; nearly never they do.
    assert Naive.connections > POSTS / 2
    # A stall of 40 ms would be in nearly each of them.
    assert statistics.quantiles(taken, n=4)[0] < 0.02, taken


class OneWrite(Naive):
    """As servers of Go, Rust and the like answer: by one write."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = result_body()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.wfile.write(head + body)


class KeptXmlRpc(SimpleXMLRPCRequestHandler):
    """xmlrpc.server, told to keep connections."""

    protocol_version = "HTTP/1.1"
    rpc_paths = ("/", "/RPC2")


@contextlib.contextmanager
def serving(server: TCPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def one_write() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneWrite)
    server.daemon_threads = True
    with serving(server) as url:
        yield url


class ThreadingXmlRpc(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True


@pytest.fixture
def xmlrpc_server() -> Iterator[str]:
    server = ThreadingXmlRpc(("127.0.0.1", 0), KeptXmlRpc, logRequests=False)
    server.register_function(lambda *params: "", "echo")
    with serving(server) as url:
        yield url


_NODE = """
const http = require("http");
const body = process.argv[1];
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(200, {"Content-Type": "text/xml", "Content-Length": body.length});
    response.flushHeaders();
    response.write(body.slice(0, 10));
    response.end(body.slice(10));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture
def node() -> Iterator[str]:
    """Node's http, whose head, beginning and rest leave by three writes."""
    program = require_program("node", "nodejs")
    process = subprocess.Popen([program, "-e", _NODE, result_body().decode()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(not quick_ack.CAN_HASTEN, reason="this system cannot be told to acknowledge at once")
@pytest.mark.parametrize("kind", ["one_write", "xmlrpc_server", "node"])
@pytest.mark.alone
async def test_other_servers_do_not_stall_either(request: pytest.FixtureRequest, kind: str) -> None:
    url = request.getfixturevalue(kind)
    async with a_client() as client:
        taken = await times(client, url)
    assert statistics.median(taken) < 0.02, taken


async def test_what_has_no_socket_is_left_alone() -> None:
    quick_ack.hasten(asyncio.Transport())
    ours, theirs = socket.socketpair()  # no TCP
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    quick_ack.hasten(transport)
    transport.close()
    theirs.close()
    await asyncio.sleep(0)
