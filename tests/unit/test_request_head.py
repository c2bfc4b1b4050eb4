"""asyncsamp.rpc.request_head: which requests are plain, and which heads are known again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.rpc.request_head import MAX_HEAD, HeadMemory, RequestHead, read_head
from tests.aio.wire import post


def test_a_plain_head_is_read() -> None:
    request = post(b"one", "User-Agent: x", "Accept: */*")
    assert read_head(request) == RequestHead("1.1", "127.0.0.1", 3, True, len(request) - 3)


@pytest.mark.parametrize(
    ("headers", "version", "keep_alive"),
    [
        ((), "1.1", True),
        (("Connection: close",), "1.1", False),
        (("Connection: Keep-Alive",), "1.0", True),
        ((), "1.0", False),
    ],
)
def test_whether_the_connection_is_kept(headers: tuple[str, ...], version: str, keep_alive: bool) -> None:
    head = read_head(post(b"", *headers, version=version))
    assert head is not None
    assert head.keep_alive is keep_alive


def test_http_1_0_needs_no_host() -> None:
    bare = post(b"one", version="1.0").replace(b"Host: 127.0.0.1\r\n", b"")
    head = read_head(bare)
    assert head is not None
    assert head.host is None
    assert read_head(bare.replace(b"HTTP/1.0", b"HTTP/1.1")) is None


@pytest.mark.parametrize(
    "request_",
    [
        post(b"one")[:20],
        post(b"one", "Content-Length: 3"),
        post(b"one", "Transfer-Encoding: chunked"),
        post(b"one", "transfer-encoding : chunked"),
        post(b"one", "Expect: 100-continue"),
        post(b"one", "Upgrade: websocket"),
        post(b"one", "Content-Encoding: gzip"),
        post(b"one", "Origin: http://evil.example"),
        post(b"one", "sec-fetch-site: none"),
        post(b"one", "Host: evil.example"),
        post(b"one", "Connection: upgrade"),
        post(b"one", "X: a\x00b"),
        post(b"one", "X: folded", " more"),
        post(b"one", "no colon"),
        post(b"one", "X: " + "x" * MAX_HEAD),
        post(b"one", path="/other"),
        post(b"one", path="/xmlrpc?x=1"),
        post(b"one", version="2.0"),
        post(b"one").replace(b": 3", b": +3"),
        post(b"one").replace(b": 3", b": "),
        post(b"one").replace(b": 3", b": 3, 3"),
        post(b"one").replace(b": 3", b": 0000000003"),
        post(b"one").replace(b"POST", b"GET"),
        post(b"one").replace(b"Content-Length: 3\r\n", b""),
        b"",
    ],
)
def test_anything_else_is_not_plain(request_: bytes) -> None:
    assert read_head(request_) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_none(data: bytes) -> None:
    assert read_head(data) is None
    read_head(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n" + data + b"\r\n\r\n")


def learnt(request: bytes, most: int = 1000) -> HeadMemory:
    memory = HeadMemory(most)
    head = read_head(request)
    assert head is not None
    memory.learn(request, head)
    return memory


def test_the_same_head_with_another_length_is_known_again() -> None:
    memory = learnt(post(b"one"))
    assert memory.body_of(post(b"three")) == b"three"
    assert memory.body_of(post(b"")) == b""


def test_nothing_is_known_before_it_was_learnt() -> None:
    assert HeadMemory(1000).body_of(post(b"one")) is None


def test_a_length_in_an_odd_place_is_not_learnt() -> None:
    memory = HeadMemory(1000)
    memory.learn(b"POST / HTTP/1.1\r\n\r\n", RequestHead("1.1", None, 0, True, 19))
    assert memory.body_of(b"POST / HTTP/1.1\r\n\r\n") is None


def test_bodies_up_to_the_bound_are_taken() -> None:
    assert HeadMemory(10).takes(10)
    assert not HeadMemory(10).takes(11)


@pytest.mark.parametrize(
    "request_",
    [
        post(b"three", "Origin: http://evil.example"),
        post(b"three", path="/other"),
        post(b"three")[:-1],
        post(b"three") + b"P",
        post(b"three").replace(b": 5", b": +5"),
        post(b"three").replace(b": 5", b": 5 "),
        post(b"three").replace(b": 5", b": "),
        post(b"three").replace(b": 5", b": 00000000005"),
        post(b"three").replace(b": 5", b": 5, 5"),
        post(b"x" * 1001),
        b"",
    ],
)
def test_another_head_is_not_known(request_: bytes) -> None:
    assert learnt(post(b"one")).body_of(request_) is None
