"""One XML-RPC request to its answer, by raw HTTP (STD-6, STD-7, STD-40, STD-42, STD-43)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from asyncsamp import xmlrpc
from asyncsamp.errors import FaultCode, FaultError, LocalProtocolError, RemoteProtocolError
from asyncsamp.rpc import RpcServer, answer, endpoint, fault_response, result_response
from asyncsamp.values import Value
from asyncsamp.xmlrpc import Encoded, Fault, encode_value, load_response
from tests.aio.wire import call_body, connect

LIMIT = 100_000
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def dispatch(method: str, params: list[Value]) -> Value | Encoded:
    if method == "refuse":
        raise FaultError("no such client", code=FaultCode.UNKNOWN_CLIENT)
    if method == "garbled":
        raise RemoteProtocolError("an mtype with a blank")
    if method == "broken":
        raise ZeroDivisionError("k-secret")
    if method == "wrong value":
        return None  # type: ignore[return-value]
    if method == "encoded":
        return encode_value(params)
    return params[0] if params else method


async def handle(request: web.BaseRequest) -> web.Response:
    return await answer(request, dispatch, headers={"Access-Control-Allow-Origin": "*"})


@contextlib.asynccontextmanager
async def raw(
    *, max_body: int = LIMIT, handler: object = handle
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with (
        RpcServer(handler, max_body=max_body, name="test") as server,  # type: ignore[arg-type]
        connect(server.port) as streams,
    ):
        yield streams


def post(body: bytes, *headers: str, path: str = "/xmlrpc", version: str = "1.1") -> bytes:
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: 127.0.0.1",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Return status line, headers and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-1])}
    return head[0], headers, await reader.readexactly(int(headers["content-length"]))


async def ask(request: bytes) -> tuple[str, dict[str, str], bytes]:
    async with raw() as (reader, writer):
        writer.write(request)
        return await read_answer(reader)


async def call(method: str, *params: str) -> Value | Fault:
    status, _, body = await ask(post(call_body(method, *params)))
    assert status == "HTTP/1.1 200 OK"
    return load_response(body)


async def test_a_result_comes_with_these_headers_and_no_others() -> None:
    status, headers, body = await ask(post(call_body("echo", "hi")))
    assert status == "HTTP/1.1 200 OK"
    assert load_response(body) == "hi"
    del headers["date"]
    assert headers == {
        "content-type": "text/xml",
        "content-length": str(len(body)),
        "connection": "keep-alive",
        "server": "asyncsamp",
        "access-control-allow-origin": "*",
    }


async def test_a_connection_is_kept_as_the_peer_wishes() -> None:
    async with raw() as (reader, writer):
        for _ in range(3):
            writer.write(post(call_body("echo", "hi")))
            assert (await read_answer(reader))[0] == "HTTP/1.1 200 OK"
        writer.write(post(call_body("echo", "hi"), "Connection: close"))
        assert (await read_answer(reader))[1]["connection"] == "close"
        assert await reader.read() == b""


async def test_http_1_0_is_answered_and_closed() -> None:
    async with raw() as (reader, writer):
        writer.write(post(call_body("echo", "hi"), version="1.0"))
        status, headers, body = await read_answer(reader)
        assert status == "HTTP/1.0 200 OK"
        assert "connection" not in headers
        assert load_response(body) == "hi"
        assert await reader.read() == b""


async def test_http_1_0_keeps_a_connection_when_asked_to() -> None:
    _, headers, _ = await ask(post(call_body("echo"), "Connection: keep-alive", version="1.0"))
    assert headers["connection"] == "keep-alive"


@pytest.mark.parametrize("path", ["/", "/RPC2", "/RPC2/", "/xmlrpc", "/xmlrpc/", "http://127.0.0.1/xmlrpc"])
async def test_paths_that_are_served(path: str) -> None:
    assert (await ask(post(call_body("echo"), path=path)))[0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("path", ["/other", "/xmlrpc/x", "/XMLRPC", "//"])
async def test_other_paths_are_not(path: str) -> None:
    status, headers, body = await ask(post(call_body("echo"), path=path))
    assert status == "HTTP/1.1 404 Not Found"
    assert b"XML-RPC is spoken at /xmlrpc" in body
    assert headers["access-control-allow-origin"] == "*"


async def test_any_path_if_none_is_named() -> None:
    async def anywhere(request: web.BaseRequest) -> web.Response:
        return await answer(request, dispatch, paths=None)

    async with raw(handler=anywhere) as (reader, writer):
        writer.write(post(call_body("echo"), path="/other"))
        status, headers, _ = await read_answer(reader)
    assert status == "HTTP/1.1 200 OK"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE"])
async def test_only_post_is_spoken(method: str) -> None:
    status, headers, body = await ask(f"{method} /xmlrpc HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert status == "HTTP/1.1 405 Method Not Allowed"
    assert headers["allow"] == "POST"
    assert b"POST only" in body


async def test_a_refusal_is_a_fault_with_its_code_and_text() -> None:
    assert await call("refuse") == Fault(FaultCode.UNKNOWN_CLIENT, "no such client")


async def test_what_cannot_be_understood_is_a_malformed_fault() -> None:
    assert await call("garbled") == Fault(FaultCode.MALFORMED, "an mtype with a blank")


@pytest.mark.parametrize(
    "body", [b"", b"\0\1\2", b"<methodCall>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"]
)
async def test_a_body_that_is_no_call_is_a_malformed_fault(body: bytes) -> None:
    status, _, answered = await ask(post(body))
    fault = load_response(answered)
    assert status == "HTTP/1.1 200 OK"
    assert isinstance(fault, Fault)
    assert fault.code == FaultCode.MALFORMED


@pytest.mark.parametrize("method", ["broken", "wrong value"])
async def test_an_error_of_ours_says_nothing_but_in_the_log(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await call(method) == Fault(FaultCode.INTERNAL, "internal error in the hub")
    assert [(record.name, record.levelname) for record in caplog.records] == [("asyncsamp.rpc", "ERROR")]
    assert "Traceback" in caplog.text


async def test_encoded_results_go_out_as_they_are() -> None:
    assert await call("encoded", "a", "b") == ["a", "b"]


async def test_large_calls_and_answers_go_through() -> None:
    body = xmlrpc.dump_call("echo", [["x" * 1000] * 2000])
    async with raw(max_body=10_000_000) as (reader, writer):
        writer.write(post(body))
        _, _, answered = await read_answer(reader)
    assert load_response(answered) == ["x" * 1000] * 2000


@pytest.mark.parametrize(
    "request_",
    [
        post(b"x" * (LIMIT + 1)),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n\r\n",
        b"POST / HTTP/1.0\nContent-Length: 2000000000\n\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n18a88\r\n"
        + b"x" * 0x18A88
        + b"\r\n0\r\n\r\n",
    ],
)
async def test_a_body_that_is_too_large_is_refused(request_: bytes) -> None:
    status, headers, body = await ask(request_)
    assert " 413 " in status
    assert body == b"at most 100000 bytes are taken\n"
    assert headers["access-control-allow-origin"] == "*"


async def test_a_chunked_body_that_goes_on_and_on_is_refused() -> None:
    async with raw(max_body=1000) as (reader, writer):
        writer.write(CHUNKED)
        chunk = b"1f4\r\n" + b"x" * 500 + b"\r\n"
        writer.write(chunk * 3)
        assert " 413 " in (await read_answer(reader))[0]


async def test_a_chunked_body_is_taken() -> None:
    body = call_body("echo", "hi")
    _, _, answered = await ask(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert load_response(answered) == "hi"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "nonsense"])
async def test_compressed_bodies_are_refused_unopened(coding: str) -> None:
    bomb = gzip.compress(b"x" * 50_000_000) if coding == "gzip" else zlib.compress(b"x" * 1000)
    status, _, body = await ask(post(bomb, f"Content-Encoding: {coding}"))
    assert status == "HTTP/1.1 415 Unsupported Media Type"
    assert body == b"compressed bodies are not taken\n"


async def test_identity_is_no_compression() -> None:
    assert (await ask(post(call_body("echo"), "Content-Encoding: Identity")))[0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: -5",
        "Content-Length: 5\r\nTransfer-Encoding: x",
        "Content-Length: 5\r\nBad header\r\n",
        "X: " + "y" * 10_000,
        "\r\n".join(f"X-{number}: y" for number in range(200)),
    ],
)
async def test_smuggling_and_header_floods_are_refused(headers: str) -> None:
    status, _, _ = await ask(f"POST /xmlrpc HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n0\r\n\r\n".encode())
    assert status == "HTTP/1.0 400 Bad Request"


async def test_a_wrong_chunk_is_refused() -> None:
    status, _, _ = await ask(CHUNKED + b"zz\r\n")
    assert status == "HTTP/1.0 400 Bad Request"


async def test_a_body_that_breaks_off_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        # As aiohttp's parser in Python does for a wrong chunk; the one in C lets the body stand still.
        request.content.set_exception(web.RequestPayloadError("a wrong chunk"))
        return await handle(request)

    async with raw(handler=handler) as (reader, writer):
        writer.write(CHUNKED)
        status, _, body = await read_answer(reader)
        assert await reader.read() == b""
    assert status == "HTTP/1.1 400 Bad Request"
    assert body == b"the body cannot be read: a wrong chunk\n"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_body_that_comes_late_is_waited_for() -> None:
    body = call_body("echo", "hi")
    request = post(body)
    async with raw() as (reader, writer):
        for piece in (request[:-20], request[-20:-10], request[-10:]):
            writer.write(piece)
            await writer.drain()
        assert load_response((await read_answer(reader))[2]) == "hi"


async def test_a_body_that_stands_still_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "READ_TIMEOUT", 0.01)
    async with raw() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n<half")
        status, headers, body = await read_answer(reader)
    assert status == "HTTP/1.1 408 Request Timeout"
    assert headers["connection"] == "close"
    assert body == b"the body ended before its Content-Length\n"


async def test_expect_continue_is_answered() -> None:
    request = post(call_body("echo", "hi"), "Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    async with raw() as (reader, writer):
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert load_response((await read_answer(reader))[2]) == "hi"


async def test_cancelling_an_answer_cancels_the_dispatch() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(method: str, params: list[Value]) -> Value:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    async def handler(request: web.BaseRequest) -> web.Response:
        return await answer(request, endless)

    async with RpcServer(handler, name="test") as server:
        async with connect(server.port) as (_, writer):
            writer.write(post(call_body()))
            await begun.wait()
        await cancelled.wait()


async def test_the_building_blocks_serve_other_profiles() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        if request.path == "/fault":
            return fault_response(request, 7, "no", {"X-Web": "1"})
        if request.path == "/wrong":
            with pytest.raises(LocalProtocolError):
                await result_response(request, None)  # type: ignore[arg-type]
        return await result_response(request, {"a": "b"})

    async with raw(handler=handler) as (reader, writer):
        answers = []
        for path in ("/fault", "/wrong", "/"):
            writer.write(post(b"", path=path))
            answers.append(await read_answer(reader))
    assert [load_response(body) for _, _, body in answers] == [Fault(7, "no"), {"a": "b"}, {"a": "b"}]
    assert answers[0][1]["x-web"] == "1"
    assert "x-web" not in answers[1][1]
