"""Pages that send to the relay what they should not: strangers, all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from asyncsamp import DataError, RemoteProtocolError
from asyncsamp.browser import PageSocket
from asyncsamp.browser.relay import WINDOW, PageError
from asyncsamp.browser.socket import frame, unframe

PAGE = "0123456789abcdef"


class RawPage:
    """A page by hand: it sends any bytes, and knows what it was asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, data: bytes = b"", **message: Any) -> None:
        await self.socket.send_bytes(frame({"page": PAGE, **message}, data))

    async def asked(self, op: str) -> dict[str, Any]:
        """Return the next message of that kind."""
        async with asyncio.timeout(10):
            while True:
                message, _ = unframe(await self.socket.receive_bytes())
                assert isinstance(message, dict)
                if message["op"] == op:
                    return message


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[PageSocket, str]]:
    socket = PageSocket()
    app = web.Application()
    app.router.add_get("/relay", socket.handle)
    app.router.add_get("/{name}", socket.serve_module)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield socket, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def page(base: str) -> AsyncIterator[RawPage]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{base}/relay", headers={"Origin": base}) as socket,
    ):
        yield RawPage(socket)


JUNK = [
    b"",
    b"\0\0",
    b"\0\0\0\x04null",
    b"\0\0\0\x02[]",
    b"\xff\xff\xff\xff{}",
    b"\0\0\0\x05{bad}",
    b"\0\0\xc3\x50" + b"[" * 50_000,
    *(
        frame(message, b"")
        for message in (
            {},
            {"page": 5, "op": "ready"},
            {"page": "short", "op": "ready"},
            {"page": "x" * 65, "op": "ready"},
            {"page": "another-page-id", "op": "bye"},
            {"page": PAGE},
            {"page": PAGE, "op": "answer", "id": "1"},
            {"page": PAGE, "op": "answer", "id": 10**30},
            {"page": PAGE, "op": "error", "id": [], "kind": {}, "text": 5},
        )
    ),
]


async def test_what_is_not_valid_is_ignored() -> None:
    async with served() as (socket, base), page(base) as raw:
        await raw.send(op="ready")
        await raw.asked("take")
        for junk in JUNK:
            await raw.socket.send_bytes(junk)
        posting = asyncio.create_task(socket.relay.post("http://localhost:21012/", b"x"))
        number = (await raw.asked("post"))["id"]
        await raw.send(b"whole", op="answer", id=number, status=200, last=True)
        assert await posting == (200, b"whole")


@pytest.mark.parametrize("kind", [5, None, "x" * 1000, "denied"])
async def test_an_error_of_a_page_is_a_short_text(kind: object) -> None:
    async with served() as (socket, base), page(base) as raw:
        await raw.send(op="ready")
        await raw.asked("take")
        posting = asyncio.create_task(socket.relay.post("http://localhost:21012/", b"x"))
        number = (await raw.asked("post"))["id"]
        await raw.send(op="error", id=number, kind=kind, text="y" * 5000)
        with pytest.raises(PageError) as caught:
            await posting
        assert len(str(caught.value)) <= 300
        assert ("does not let this page" in str(caught.value)) == (kind == "denied")


async def test_a_page_that_breaks_off_ends_what_it_was_asked_for() -> None:
    async with served() as (socket, base):
        async with page(base) as raw:
            await raw.send(op="ready")
            await raw.asked("take")
            posting = asyncio.create_task(socket.relay.post("http://localhost:21012/", b"x"))
            await raw.asked("post")
        with pytest.raises(PageError, match="closed, or loaded again"):
            await posting
        assert not socket.relay.ready
        with pytest.raises(PageError, match="no page is connected"):
            await socket.relay.post("http://localhost:21012/", b"x")


OTHER = "fedcba9876543210"


@pytest.fixture
def short_doubt(monkeypatch: pytest.MonkeyPatch) -> float:
    """A page is given up soon; gives more seconds than that takes."""
    monkeypatch.setattr("asyncsamp.browser.relay._LOOKS", 3)
    monkeypatch.setattr("asyncsamp.browser.relay._LOOK", 0.05)
    return 0.4


async def doubted_at_work(
    socket: PageSocket, first: RawPage, second: RawPage
) -> tuple[asyncio.Task[tuple[int, bytes]], int]:
    """Let the first page be asked whether it is there while it posts; return the post, and its number."""
    await first.send(op="ready")
    await first.asked("take")
    posting = asyncio.create_task(socket.relay.post("http://localhost:21012/", b"x"))
    number = (await first.asked("post"))["id"]
    await second.send(op="ready", page=OTHER)
    await first.asked("who")
    return posting, number


async def test_a_page_that_left_without_a_word_gives_way(short_doubt: float) -> None:
    """Its connection stands still: a tab that was killed, a laptop that is shut."""
    async with served() as (socket, base), page(base) as first, page(base) as second:
        posting, number = await doubted_at_work(socket, first, second)
        with pytest.raises(PageError, match="closed, or loaded again"):
            await posting
        stop = await first.asked("stop")  # in case it is there, only slow
        assert (stop["page"], stop["id"]) == (PAGE, number)
        await second.asked("who")
        await second.send(op="ready", page=OTHER)
        assert (await second.asked("take"))["page"] == OTHER


async def test_a_page_that_is_there_stays(short_doubt: float) -> None:
    async with served() as (socket, base), page(base) as first, page(base) as second:
        await first.send(op="ready")
        await first.asked("take")
        await second.send(op="ready", page=OTHER)
        await first.asked("who")
        await first.send(op="ready")
        await asyncio.sleep(short_doubt)
        await second.send(op="ready", page=OTHER)  # which asks once more
        await first.asked("who")
        await first.send(op="ready")
        await asyncio.sleep(short_doubt)
        posting = asyncio.create_task(socket.relay.post("http://localhost:21012/", b"x"))
        number = (await first.asked("post"))["id"]
        await first.send(b"whole", op="answer", id=number, status=200, last=True)
        assert await posting == (200, b"whole")


async def test_a_page_that_works_stays(short_doubt: float) -> None:
    """What it says of its work comes before its answer, which waits behind the data."""
    async with served() as (socket, base), page(base) as first, page(base) as second:
        posting, number = await doubted_at_work(socket, first, second)
        await first.send(b"a half", op="answer", id=number, status=200, last=False)
        await asyncio.sleep(short_doubt)
        await first.send(b", and the other", op="answer", id=number, status=200, last=True)
        assert await posting == (200, b"a half, and the other")


async def test_what_is_posted_when_somebody_ends_is_told_to_each_page() -> None:
    async with served() as (socket, base):
        async with page(base) as first:
            await first.send(op="ready")
            assert (await first.asked("farewell"))["url"] == ""
            socket.relay.promise("http://localhost:21012/", b"goodbye", b"closed")
            for op in ("farewell", "leaving"):
                assert (await first.asked(op))["url"] == "http://localhost:21012/"
        async with page(base) as second:
            await second.send(op="ready", page=OTHER)
            for op in ("farewell", "leaving"):
                assert (await second.asked(op))["url"] == "http://localhost:21012/"
            socket.relay.promise("", None, None)
            for op in ("farewell", "leaving"):
                assert (await second.asked(op))["url"] == ""


async def test_who_gives_up_tells_the_page() -> None:
    async with served() as (socket, base), page(base) as raw:
        await raw.send(op="ready")
        await raw.asked("take")
        fetching = asyncio.create_task(anext(socket.relay.get("http://localhost:21012/x")))
        number = (await raw.asked("get"))["id"]
        fetching.cancel()
        await asyncio.wait({fetching})
        assert (await raw.asked("stop"))["id"] == number


HUB = "http://localhost:21012/"


@contextlib.asynccontextmanager
async def used_page() -> AsyncIterator[tuple[PageSocket, RawPage]]:
    """The page that is used, with nothing under way."""
    async with served() as (socket, base), page(base) as raw:
        await raw.send(op="ready")
        await raw.asked("take")
        yield socket, raw


async def test_an_answer_is_not_larger_than_it_may_be() -> None:
    async with used_page() as (socket, raw):
        posting = asyncio.create_task(socket.relay.post(HUB, b"x", max_body=1000))
        number = (await raw.asked("post"))["id"]
        for size, op in ((600, "ack"), (401, "stop")):
            await raw.send(bytes(size), op="answer", id=number, status=200, last=False)
            assert (await raw.asked(op))["id"] == number
        with pytest.raises(RemoteProtocolError, match="larger than 1000 bytes"):
            await posting


async def test_what_a_server_says_of_its_error_is_one_plain_line() -> None:
    async with used_page() as (socket, raw):
        pieces = socket.relay.get(f"{HUB}x")
        first = asyncio.create_task(anext(pieces))
        number = (await raw.asked("get"))["id"]
        said = b"not\n offered \x1b[31m" + b"x" * 1000
        await raw.send(said, op="answer", id=number, status=403, last=True)
        with pytest.raises(DataError) as caught:
            await first
        text = str(caught.value)
        assert text.startswith("HTTP 403: not offered ?[31mxxx")
        assert len(text) < 320


async def test_a_page_sends_no_more_pieces_than_may_be_under_way() -> None:
    """The reader is slow, and what it does not take would wait in the program's memory."""
    async with used_page() as (socket, raw):
        pieces = socket.relay.get(f"{HUB}x")
        first = asyncio.create_task(anext(pieces))
        number = (await raw.asked("get"))["id"]
        await raw.send(b"a piece", op="answer", id=number, status=200, last=False)
        assert await first == b"a piece"
        for _ in range(2 * WINDOW):
            await raw.send(b"one more", op="answer", id=number, status=200, last=False)
        posting = asyncio.create_task(socket.relay.post(HUB, b"x"))
        await raw.send(b"", op="answer", id=(await raw.asked("post"))["id"], status=200, last=True)
        await posting  # so that all before it has come
        with pytest.raises(PageError, match="more at once than it may"):
            await anext(pieces)
        assert (await raw.asked("stop"))["id"] == number


async def test_what_is_over_is_not_stopped() -> None:
    """Each message to a notebook's page goes through its server."""
    async with used_page() as (socket, raw):
        for _ in range(2):
            posting = asyncio.create_task(socket.relay.post(HUB, b"x"))
            message, _ = unframe(await raw.socket.receive_bytes())
            while isinstance(message, dict) and message["op"] in ("farewell", "leaving", "state"):
                message, _ = unframe(await raw.socket.receive_bytes())
            assert isinstance(message, dict)
            assert message["op"] == "post"
            await raw.send(b"", op="answer", id=message["id"], status=200, last=True)
            assert await posting == (200, b"")


async def test_a_page_says_that_it_has_heard_what_is_slow() -> None:
    """Else Jupyter's server holds back what follows, for 40 ms."""
    async with used_page() as (socket, raw):
        for slow in (False, True):
            posting = asyncio.create_task(socket.relay.post(HUB, b"x", slow=slow))
            asked = await raw.asked("post")
            assert asked.get("slow", False) == slow
            await raw.send(b"not a piece", op="heard", id=asked["id"])
            await raw.send(b"whole", op="answer", id=asked["id"], status=200, last=True)
            assert await posting == (200, b"whole")


async def test_a_page_that_does_not_read_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncsamp.browser.socket._MAX_WAITING_BYTES", 1000)
    async with used_page() as (socket, raw):
        for _ in range(3):  # none of which is on its way before this task waits
            socket.relay.show("connected", "x" * 500)
        assert (await raw.asked("state"))["text"] != "x" * 500
        async with asyncio.timeout(10):
            await socket.relay.wait_left()


async def test_only_the_modules_are_served() -> None:
    async with served() as (_, base), aiohttp.ClientSession() as session:
        for name, status in (
            ("relay.js", 200),
            ("socket.js", 200),
            ("widget.js", 404),
            ("..%2Frelay.py", 404),
        ):
            async with session.get(f"{base}/{name}") as answer:
                assert answer.status == status
                if status == 200:
                    assert answer.content_type == "text/javascript"


def test_frames() -> None:
    message = {"op": "piece", "id": 3, "text": "\u00fc"}
    framed = frame(message, b"\0data")
    assert unframe(framed) == (message, b"\0data")
    assert json.loads(framed[4 : 4 + int.from_bytes(framed[:4])]) == message
