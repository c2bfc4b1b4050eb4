"""Reading answers in every framing that peers use, and refusing the rest (STD-40, STD-43)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.errors import RemoteProtocolError
from asyncsamp.rpc.response_parser import MAX_HEAD, ResponseParser
from tests.aio.wire import http_answer, result_body

BODY = result_body("done")
LIMIT = 10_000


def read(*pieces: bytes, max_body: int = LIMIT) -> tuple[ResponseParser, bool]:
    reader = ResponseParser(max_body)
    return reader, [reader.feed(piece) for piece in pieces][-1]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


FRAMINGS = {
    "1.1": (http_answer(BODY), None),
    "1.1 keep": (http_answer(BODY, "Connection: Keep-Alive"), True),
    "1.1 close": (http_answer(BODY, "connection: close"), False),
    "1.0": (http_answer(BODY, status="HTTP/1.0 200 OK"), False),
    "1.0 keep": (http_answer(BODY, "Connection: keep-alive", status="HTTP/1.0 200 OK"), True),
    "bare LF": (http_answer(BODY, end="\n"), None),
    "no reason": (http_answer(BODY, status="HTTP/1.1 200"), None),
    "continue first": (b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(BODY), None),
    "blank before colon": (http_answer(BODY).replace(b"Content-Length:", b"CONTENT-LENGTH :"), None),
    "upgrade offered": (http_answer(BODY, "Connection: upgrade"), None),
    "identity": (http_answer(BODY, "Content-Encoding: identity"), None),
    "length twice, the same": (http_answer(BODY, f"Content-Length: {len(BODY)}"), None),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\n" + BODY.rstrip(), False),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;ext=1\r\n%b\r\n%x\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:]),
        None,
    ),
    "chunks, bare LF": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n%x\n%b\n0\n\n" % (len(BODY), BODY),
        None,
    ),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_each_framing_is_read_whole_and_in_two_halves(framing: str) -> None:
    data, keep = FRAMINGS[framing]
    for pieces in ([data], [data[:9], data[9:]], [data[:-30], data[-30:]]):
        reader, whole = read(*pieces)
        assert whole
        assert reader.body.rstrip() == BODY.rstrip()
        assert reader.keep is keep


@pytest.mark.parametrize("framing", FRAMINGS)
def test_each_framing_is_read_byte_by_byte(framing: str) -> None:
    reader = ResponseParser(LIMIT)
    fed = [reader.feed(byte) for byte in one_by_one(FRAMINGS[framing][0])]
    assert True in fed
    assert reader.body.rstrip() == BODY.rstrip()


def test_nothing_read_yet_has_not_started() -> None:
    reader = ResponseParser(LIMIT)
    assert not reader.started
    assert not reader.feed(b"H")
    assert reader.started
    assert not reader.feed_eof()


def test_a_length_that_counts_characters_is_mended_by_the_closing_tag() -> None:
    body = "<methodResponse><params>\u00e9\u00e9\u00e9</params></methodResponse>".encode()
    head = b"HTTP/1.1 200 OK\nContent-length: %d\n\n" % (len(body) - 3)
    reader, whole = read(head + body)
    assert whole
    assert reader.body == body
    reader, whole = read(head + body[:-3])
    assert not whole
    assert reader.feed(body[-3:])
    assert reader.body == body
    assert reader.keep is False


def test_a_length_that_is_too_large_is_mended_by_the_closing_tag() -> None:
    reader, whole = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + BODY.rstrip())
    assert whole
    assert reader.body == BODY.rstrip()
    assert reader.keep is False


def test_bytes_after_the_body_end_the_connection() -> None:
    reader, whole = read(http_answer(BODY, "Connection: keep-alive") + b"HTTP/1.1 200 OK\r\n")
    assert whole
    assert reader.body == BODY
    assert reader.keep is False
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\nmore" % (
        len(BODY),
        BODY,
    )
    reader, whole = read(chunks)
    assert whole
    assert reader.keep is False


def test_a_body_that_is_no_response_ends_where_its_length_says() -> None:
    reader, whole = read(http_answer(b"<html></html>"))
    assert whole
    assert reader.body == b"<html></html>"
    reader, whole = read(http_answer(b""))
    assert whole
    assert reader.body == b""


def test_both_length_and_chunks_are_read_as_chunks_and_not_kept() -> None:
    data = FRAMINGS["chunks"][0].replace(b"OK\r\n", b"OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n")
    reader, whole = read(data)
    assert whole
    assert reader.body == BODY
    assert reader.keep is False


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n<half>", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<half>", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<methodResponse>12345678", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<half\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n</methodResponse>\r\n", True),
    ],
)
def test_the_end_of_the_connection(data: bytes, whole: bool) -> None:
    reader = ResponseParser(LIMIT)
    if data:
        assert not reader.feed(data)
    assert reader.feed_eof() is whole
    assert reader.keep is False


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"ICY 200 OK\r\n", "not HTTP/1: it begins with b'ICY 200 OK"),
        (b"\x16\x03\x01", "not HTTP/1"),
        (b"HTTP/2 200 OK\r\n\r\n", "not HTTP/1"),
        (b"HTTP/1.1 ok\r\n\r\n", "not HTTP/1"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the answer is HTTP 404 Not Found, not 200"),
        (b"HTTP/1.1 204\r\n\r\n", "the answer is HTTP 204, not 200"),
        (http_answer(b"", "Content-Length: 3"), "wrong Content-Length"),
        (http_answer(b"").replace(b"Length: 0", b"Length: -1"), "wrong Content-Length: b'-1'"),
        (http_answer(b"").replace(b"Length: 0", b"Length: " + b"9" * 30), "wrong Content-Length"),
        (http_answer(b"").replace(b"Length: 0", b"Length: 10001"), "announces 10001 bytes; at most 10000"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "Transfer-Encoding b'gzip, chunked'",
        ),
        (http_answer(b"", "Content-Encoding: gzip"), "Content-Encoding b'gzip'"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 6000, f"longer than {MAX_HEAD} bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_001, "larger than 10000 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 10_001,
            "larger than 10000",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "wrong chunk line: b'zz'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "wrong chunk line: b'b'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, "without an end"),
    ],
)
def test_what_is_no_answer_is_refused_at_once(data: bytes, says: str) -> None:
    with pytest.raises(RemoteProtocolError, match="answer") as refused:
        read(data)
    assert says in str(refused.value)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_give_an_answer_or_a_protocol_error(pieces: list[bytes]) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        reader = ResponseParser(LIMIT)
        try:
            fed = [reader.feed(piece) for piece in [start, *pieces] if piece]
            whole = True in fed or reader.feed_eof()
        except RemoteProtocolError:
            continue
        assert whole in (True, False)


@given(st.sampled_from(sorted(FRAMINGS)), st.lists(st.integers(1, 400), max_size=6))
def test_how_an_answer_is_cut_into_packets_does_not_matter(framing: str, cuts: list[int]) -> None:
    data = FRAMINGS[framing][0]
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    reader = ResponseParser(LIMIT)
    fed = [reader.feed(data[start:end]) for start, end in pairwise(places)]
    assert True in fed
    assert reader.body.rstrip() == BODY.rstrip()
