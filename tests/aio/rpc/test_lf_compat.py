"""DS9's bare line feeds and character counts, mended in front of aiohttp; clean peers untouched."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp import xmlrpc
from asyncsamp.rpc import RpcServer, front
from asyncsamp.rpc.connection_limit import ConnectionLimit
from asyncsamp.rpc.endpoint import STRANGERS_BODY
from asyncsamp.rpc.front import Front
from asyncsamp.rpc.lf_compat import MAX_HEAD, LineFeedRepair
from tests.aio.wire import call_body, connect

LIMIT = 10_000
BODY = call_body("samp.hub.ping")
CLEAN = b"POST /xmlrpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
ACCENTED = "<methodCall><methodName>caf\u00e9</methodName><params></params></methodCall>"


def ds9(body: bytes, length: int | None = None) -> bytes:
    """Return a request as DS9 writes it."""
    announced = len(body) if length is None else length
    return b"POST /xmlrpc HTTP/1.0\nContent-Type: text/xml\nContent-length: %d\n\n%b" % (announced, body)


def mended(body: bytes) -> bytes:
    """Return what the parser gets for it."""
    return (
        b"POST /xmlrpc HTTP/1.0\r\nContent-Type: text/xml\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    )


def feed_bytes(mender: LineFeedRepair, data: bytes) -> bytes:
    return b"".join(mender.feed(data[place : place + 1]) for place in range(len(data)))


def test_a_clean_peer_passes_from_its_first_line_on() -> None:
    mender = LineFeedRepair(LIMIT)
    assert mender.feed(CLEAN[:10]) == b""
    assert mender.waits_for == "head"
    assert mender.feed(CLEAN[10:40]) == CLEAN[:40]
    assert mender.passing


def test_blank_lines_before_a_request_mean_nothing() -> None:
    assert LineFeedRepair(LIMIT).feed(b"\r\n\n\n" + CLEAN) == CLEAN
    assert LineFeedRepair(LIMIT).feed(b"\n\r\n" + ds9(BODY)) == mended(BODY.rstrip() + b"\n")


@pytest.mark.parametrize("body", [BODY, BODY.rstrip()])
def test_ds9_is_mended_whole_and_byte_by_byte(body: bytes) -> None:
    assert LineFeedRepair(LIMIT).feed(ds9(body)) == mended(body)
    mender = LineFeedRepair(LIMIT)
    assert feed_bytes(mender, ds9(body)) == mended(body)
    assert not mender.passing
    assert mender.waits_for == ""
    assert mender.feed(b"what follows it") == b""


def test_only_the_first_lines_may_end_in_a_bare_line_feed() -> None:
    mixed = ds9(BODY).replace(b"xml\n", b"xml\r\n", 1)
    assert LineFeedRepair(LIMIT).feed(mixed) == mended(BODY)


def test_a_length_that_counts_characters_is_corrected() -> None:
    body = ACCENTED.encode()
    assert LineFeedRepair(LIMIT).feed(ds9(body, len(ACCENTED))) == mended(body)
    mender = LineFeedRepair(LIMIT)
    assert mender.feed(ds9(body, len(ACCENTED))[:-1]) == b""
    assert mender.waits_for == "tag"
    assert mender.feed(body[-1:]) == mended(body)


def test_a_body_without_its_tag_goes_on_as_announced_when_given_up() -> None:
    mender = LineFeedRepair(LIMIT)
    assert mender.feed(ds9(b"<methodCall>and more", 12)) == b""
    assert mender.waits_for == "tag"
    assert mender.give_up() == mended(b"<methodCall>")


def test_a_body_that_grows_beyond_the_limit_goes_on_as_announced() -> None:
    mender = LineFeedRepair(LIMIT)
    assert mender.feed(ds9(b"x" * 9_999)) == b""
    assert mender.feed(b"xx") == mended(b"x" * 9_999)


def test_a_connection_header_is_replaced() -> None:
    request = ds9(BODY).replace(b"HTTP/1.0\n", b"HTTP/1.1\nCONNECTION : keep-alive\n")
    assert LineFeedRepair(LIMIT).feed(request) == mended(BODY).replace(b"HTTP/1.0", b"HTTP/1.1")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\nAccept: */*",
        b"POST / HTTP/1.0\nContent-Length: 3\nContent-Length: 4",
        b"POST / HTTP/1.0\nContent-Length: 3\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.0\nContent-Length: +3",
        b"POST / HTTP/1.0\nContent-Length: 10001",
    ],
)
def test_a_length_that_cannot_be_mended_is_left_to_the_parser(head: bytes) -> None:
    mender = LineFeedRepair(LIMIT)
    assert (
        mender.feed(head + b"\n\nabc") == head.replace(b"\n", b"\r\n") + b"\r\nConnection: close\r\n\r\nabc"
    )
    assert mender.passing


def test_no_body_needs_no_tag() -> None:
    assert LineFeedRepair(LIMIT).feed(ds9(b"")) == mended(b"")


@pytest.mark.parametrize("junk", [b"x" * MAX_HEAD, b"POST / HTTP/1.0\n" + b"X: y\n" * MAX_HEAD])
def test_an_endless_head_is_left_to_the_parser(junk: bytes) -> None:
    mender = LineFeedRepair(LIMIT)
    assert mender.feed(junk[: MAX_HEAD - 1]) == b""
    assert mender.feed(junk[MAX_HEAD - 1 : MAX_HEAD]) == junk[:MAX_HEAD]
    assert mender.passing


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.booleans())
def test_any_bytes_are_passed_or_held_never_an_error(pieces: list[bytes], like_ds9: bool) -> None:
    mender = LineFeedRepair(50)
    out = bytearray()
    for piece in ([b"POST / HTTP/1.0\nContent-Length: 9\n"] if like_ds9 else []) + pieces:
        out += piece if mender.passing else mender.feed(piece)
    if mender.passing and not like_ds9 and b"Connection: close" not in out:
        assert bytes(out) in b"".join(pieces)


async def echo_body(request: web.BaseRequest) -> web.Response:
    return web.Response(body=await request.read())


async def test_ds9_is_answered_byte_by_byte() -> None:
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        for byte in ds9(ACCENTED.encode(), len(ACCENTED)):
            writer.write(bytes([byte]))
            await writer.drain()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + ACCENTED.encode())


async def test_one_request_a_connection_though_it_says_http_1_1() -> None:
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        writer.write(ds9(BODY).replace(b"HTTP/1.0\n", b"HTTP/1.1\nHost: x\n") * 2)
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close\r\n" in answer


async def test_clean_requests_are_answered_on_one_connection() -> None:
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        for _ in range(3):
            writer.write(CLEAN)
            await reader.readuntil(BODY)


async def test_no_tag_is_waited_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "TAG_PATIENCE", 0.01)
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        writer.write(ds9(b"garbage"))
        assert (await reader.read()).endswith(b"\r\n\r\ngarbage")


async def test_a_body_that_never_comes_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_PATIENCE", 0.01)
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        writer.write(ds9(BODY, 5000))
        assert await reader.read() == b""


async def test_a_peer_that_leaves_while_its_body_is_awaited() -> None:
    async with RpcServer(echo_body, name="test") as server:
        async with connect(server.port) as (_, writer):
            writer.write(ds9(BODY, 5000))
            await writer.drain()
        async with connect(server.port) as (reader, writer):
            writer.write(ds9(BODY))
            assert (await reader.read()).endswith(BODY)


async def test_giving_up_on_a_connection_that_has_ended_does_nothing() -> None:
    server = RpcServer(echo_body)
    server.limit = ConnectionLimit(10)
    handler = Front(server, None, max_body=LIMIT)
    handler.connection_lost(None)
    handler._give_up_on_tag()
    assert handler.transport is None


async def test_more_of_a_body_does_not_prolong_the_wait_for_it() -> None:
    server = RpcServer(echo_body)
    server.limit = ConnectionLimit(10)
    handler = Front(server, None, max_body=LIMIT)
    handler.data_received(ds9(b"<methodCall>", 20))
    body_timer = handler._patience
    assert body_timer is not None
    handler.data_received(b"1234567")
    assert handler._patience is body_timer
    handler.data_received(b"8")  # as announced, but without its tag
    tag_timer = handler._patience
    assert body_timer.cancelled()
    handler.data_received(b"9")
    assert handler._patience is tag_timer is not None
    handler.connection_lost(None)
    assert tag_timer.cancelled()


async def test_a_larger_body_is_not_held_back_but_judged_as_it_comes() -> None:
    called = asyncio.Event()

    async def judge(request: web.BaseRequest) -> web.Response:
        called.set()
        return await echo_body(request)

    async with RpcServer(judge, name="test") as server, connect(server.port) as (reader, writer):
        body = xmlrpc.dump_call("big", ["x" * STRANGERS_BODY])
        request = ds9(body)
        writer.write(request[:1000])
        async with asyncio.timeout(30):
            await called.wait()
        writer.write(request[1000:])
        assert (await reader.read()).endswith(b"\r\n\r\n" + body)


async def test_large_bodies_arrive_whole_from_both_kinds_of_peer() -> None:
    body = xmlrpc.dump_call("big", ["x" * 3_000_000])
    clean = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with RpcServer(echo_body, name="test") as server:
        for request in (ds9(body), clean + body):
            async with connect(server.port) as (reader, writer):
                writer.write(request)
                assert (await reader.read()).endswith(b"\r\n\r\n" + body)


async def test_what_is_no_http_is_refused_with_a_log_line_that_does_not_quote_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "asyncsamp.rpc")
    async with RpcServer(echo_body, name="test") as server, connect(server.port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nk-secret\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
    assert "refused a request that is not valid HTTP" in caplog.text
    assert "k-secret" not in caplog.text


async def test_an_error_of_ours_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: web.BaseRequest) -> web.Response:
        raise ZeroDivisionError("ours")

    async with RpcServer(broken, name="test") as server, connect(server.port) as (reader, writer):
        writer.write(CLEAN.replace(b"Host", b"Connection: close\r\nHost"))
        assert b"500 Internal Server Error" in await reader.read()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "ZeroDivisionError: ours" in caplog.text
