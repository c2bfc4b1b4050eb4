"""Large values are coded in a thread, so that the loop stays live; small ones are not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncsamp import xmlrpc
from asyncsamp.errors import LocalProtocolError
from asyncsamp.rpc import offload
from asyncsamp.values import Value
from asyncsamp.xmlrpc import Encoded

BIG = "x" * (offload.LARGE + 1)
ROWS: list[Value] = [str(row) for row in range(10_000)]
DEEP: Value = ""
for _ in range(100_000):
    DEEP = [DEEP]


class Threads:
    """Notes in which threads the codec runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
        self.seen: list[bool] = []
        real = getattr(xmlrpc, function)

        def noting(*args: object) -> object:
            self.seen.append(threading.current_thread() is threading.main_thread())
            return real(*args)

        monkeypatch.setattr(xmlrpc, function, noting)


@pytest.mark.parametrize(
    ("value", "at_once"),
    [
        ("small", True),
        (["a", {"b": ["c"]}], True),
        (xmlrpc.encode_value(BIG), True),
        ([BIG], False),
        ({"a": {"b": BIG}}, False),
        (ROWS, False),
    ],
    ids=["string", "nested", "encoded already", "list", "map", "rows"],
)
async def test_writing(value: Value | Encoded, at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, answers = Threads(monkeypatch, "dump_call"), Threads(monkeypatch, "dump_response")
    assert await offload.dump_call("echo", [value]) == xmlrpc.dump_call("echo", [value])
    assert await offload.dump_response(value) == xmlrpc.dump_response(value)
    assert calls.seen == answers.seen == [at_once, True]


async def test_one_large_string_is_written_at_once_in_an_answer() -> None:
    assert await offload.dump_response(BIG) == xmlrpc.dump_response(BIG)


@pytest.mark.parametrize(("value", "at_once"), [("small", True), (BIG, False)], ids=["small", "large"])
async def test_reading(value: str, at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, answers = Threads(monkeypatch, "load_call"), Threads(monkeypatch, "load_response")
    assert await offload.load_call(xmlrpc.dump_call("echo", [value])) == ("echo", [value])
    assert await offload.load_response(xmlrpc.dump_response(value)) == value
    assert calls.seen == answers.seen == [at_once]


@pytest.mark.parametrize(("value", "at_once"), [({"a": "b"}, True), (ROWS, False)], ids=["small", "large"])
async def test_encoding(value: Value, at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = Threads(monkeypatch, "encode_value")
    assert await offload.encode_value(value) == xmlrpc.encode_value(value)
    assert encoding.seen == [at_once, True]


async def test_absurd_depth_is_the_codecs_error() -> None:
    with pytest.raises(LocalProtocolError, match="deep"):
        await offload.dump_call("echo", [DEEP])


async def test_the_loop_stays_live_meanwhile() -> None:
    loop = asyncio.get_running_loop()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if not coding.done():
            loop.call_soon(tick)

    coding = asyncio.ensure_future(offload.dump_call("echo", [[BIG, BIG]]))
    loop.call_soon(tick)
    assert await coding
    assert ticks > 1
