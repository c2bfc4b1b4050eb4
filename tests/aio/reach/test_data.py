"""The data port: what one hub offers is read at another, and nothing else. The nats-server is real."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from asyncsamp.data.share.content import BytesContent
from asyncsamp.hub.profiles.reach import reading, serving, unsure
from asyncsamp.hub.profiles.reach.bus import BusMessage
from asyncsamp.hub.profiles.reach.transfer import ALIVE, Ask, Credit, Data, End, Failure, Head, read_said
from asyncsamp.hub.profiles.reach.urls import NOT_OFFERED
from asyncsamp.reading.share_server import ShareServer

from ..nats_server import PATIENCE
from ..web_server import Server
from .sides import ROOM, Sides, two_sides

LARGE = 24 * 1024 * 1024


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[Sides]:
    async with two_sides(tmp_path / "server") as sides:
        yield sides


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.fits"
    path.write_bytes(random.Random(1).randbytes(LARGE))
    return path


@pytest.mark.parametrize(
    "name", ["t.vot", "a b.vot", "50%25.vot", "a#1.vot", "x?y.vot", "\u00fc.vot", "[x].csv", "empty"]
)
async def test_a_file_is_read_whole_and_in_parts(sides: Sides, tmp_path: Path, name: str) -> None:
    content = b"" if name == "empty" else b"0123456789"
    (tmp_path / name).write_bytes(content)
    url = sides.sent((tmp_path / name).as_uri())
    status, body, headers = await sides.bob.read(url)
    assert (status, body) == (200, content)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(content))
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Server"] == "asyncsamp"
    status, body, head = await sides.bob.read(url, "HEAD")
    assert (status, body, head["Content-Length"]) == (200, b"", str(len(content)))
    if content:
        for asked, got in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-3", b"789")):
            status, body, told = await sides.bob.read(url, Range=asked)
            assert (status, body) == (206, got)
            assert told["Content-Range"].endswith("/10")
        assert (await sides.bob.read(url, Range="bytes=10-"))[0] == 416
        changed = await sides.bob.read(url, Range="bytes=1-2", If_Range="Thu, 01 Jan 1970 00:00:00 GMT")
        assert changed[:2] == (200, content)


async def test_a_raw_file_url_is_read_too(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "a b.vot").write_bytes(b"table")
    for url in (
        f"file://{tmp_path}/a b.vot",
        f"file:{tmp_path}/a b.vot",
        f"file://localhost{tmp_path}/a%20b.vot",
    ):
        assert (await sides.bob.read(sides.sent(url)))[:2] == (200, b"table")


async def test_a_page_of_html_runs_no_script(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<script>alert(1)</script>")
    _, _, headers = await sides.bob.read(sides.sent(f"file://{tmp_path}/a.html"))
    assert headers["Content-Type"].startswith("text/html")
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_what_a_client_shares_is_read(sides: Sides) -> None:
    server = ShareServer()
    content = random.Random(2).randbytes(3_000_000)
    try:
        url = await server.share(BytesContent(content), name="a b.vot", content_type=None, lifetime=None)
        got = sides.sent(url)
        assert got.endswith("/a%20b.vot")
        status, body, headers = await sides.bob.read(got)
        assert (status, body == content) == (200, True)
        assert headers["Content-Type"] == "application/x-votable+xml"
        assert (await sides.bob.read(got, Range="bytes=5-9"))[:2] == (206, content[5:10])
        server.unshare(url)
        assert (await sides.bob.read(got))[0] == 404
    finally:
        await server.close()


async def test_a_server_of_the_desktop_is_read_without_redirects(sides: Sides, tmp_path: Path) -> None:
    calls = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request)
        if request.path == "/empty-at-first":
            return web.Response(body=b"" if len(calls) == 1 else b"table")
        if request.path == "/unknown-length":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(100):
                await response.write(b"x" * 10_000)
            return response
        raise web.HTTPFound(f"http://127.0.0.1:{request.url.port}/secret")

    async with Server(serve) as base:
        assert (await sides.bob.read(sides.sent(f"{base}/empty-at-first")))[:2] == (200, b"table")
        assert (await sides.bob.read(sides.sent(f"{base}/unknown-length")))[:2] == (200, b"x" * 1_000_000)
        status, body, _ = await sides.bob.read(sides.sent(f"{base}/there"))
        assert (status, b"redirect" in body) == (403, True)
        assert all(request.path != "/secret" for request in calls)
        assert calls[0].headers["Accept-Encoding"] == "identity"


async def test_what_is_not_offered_is_refused_with_its_reason(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_bytes(b"table")
    url = (tmp_path / "t.vot").as_uri()
    status, body, _ = await sides.bob.read(sides.sent(url, trusted=False))
    assert (status, b"a program must have sent it, not a web page" in body) == (403, True)
    base = sides.sent(url).partition("/alice")[0]
    status, body, _ = await sides.bob.read(base + NOT_OFFERED)
    assert (status, b"is not offered" in body) == (403, True)
    for path in ("/", "/x", "/alice.0123abcd/short/x", f"/{sides.bob.name}/{'x' * 22}/t"):
        assert (await sides.bob.read(base + path))[0] == 404
    assert (await sides.bob.read(f"{base}/alice.0123abcd/{'x' * 22}/t.vot"))[0] == 502
    assert (await sides.bob.read(sides.sent(url), "POST"))[0] == 405
    assert (await sides.bob.read(sides.sent(url), "OPTIONS"))[0] == 204


@pytest.mark.parametrize("offers", [False])
async def test_without_leave_nothing_is_read(tmp_path: Path, offers: bool) -> None:
    (tmp_path / "t.vot").write_bytes(b"table")
    async with two_sides(tmp_path / "server", offers=offers) as sides:
        assert (await sides.bob.read(sides.sent((tmp_path / "t.vot").as_uri())))[0] == 403


async def test_only_plain_files_and_never_the_hubs_own(sides: Sides, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    secret = tmp_path / ".samp"
    secret.write_text("samp.secret=x")
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "hard").hardlink_to(secret)
    sides.alice.engine.own_files.add(str(secret))
    for path, status in (
        (tmp_path, 403),
        (tmp_path / "pipe", 403),
        (Path("/dev/zero"), 403),
        (secret, 403),
        (tmp_path / "link", 403),
        (tmp_path / "hard", 403),
        (tmp_path / "none", 404),
    ):
        assert (await sides.bob.read(sides.sent(path.as_uri())))[0] == status, path


async def test_the_hub_itself_is_not_read(sides: Sides) -> None:
    async def hello(request: web.BaseRequest) -> web.Response:
        return web.Response(text="hello")

    async with Server(hello) as base:
        sides.alice.engine.own_ports.add(urlsplit(base).port or 0)
        assert (await sides.bob.read(sides.sent(base + "/")))[0] == 403
    own = sides.alice.port.urls.incoming("file:///x", site="")
    assert isinstance(own, str)
    assert (await sides.bob.read(sides.sent(own.replace(NOT_OFFERED, "/x"))))[0] == 403


@pytest.mark.parametrize("named", ["path", "link", "hard link"])
async def test_what_another_member_named_is_not_read_when_a_tool_repeats_it(
    sides: Sides, tmp_path: Path, named: str
) -> None:
    secret = tmp_path / "key"
    secret.write_text("secret")
    name = secret if named == "path" else tmp_path / "other"
    if named == "link":
        name.symlink_to(secret)
    if named == "hard link":
        name.hardlink_to(secret)
    sides.alice.port.urls.incoming({"url": name.as_uri()}, site="reach:mallory")
    assert (await sides.bob.read(sides.sent(secret.as_uri())))[0] == 403
    (tmp_path / "table").write_text("table")
    assert (await sides.bob.read(sides.sent((tmp_path / "table").as_uri())))[0] == 200


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch)
    yield held
    held.release.set()


class Held:
    """Paths that the system says nothing of until `release` is set, as on a file server that is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: set[str] = set()
        self.asked = threading.Event()
        self.release = threading.Event()
        real = Path.stat

        def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
            if str(path) in self.paths:
                self.asked.set()
                self.release.wait(PATIENCE)
            return real(path, follow_symlinks=follow_symlinks)

        monkeypatch.setattr(Path, "stat", stat)


async def test_what_others_name_later_holds_up_no_reading(sides: Sides, tmp_path: Path, held: Held) -> None:
    (tmp_path / "t.vot").write_bytes(b"table")
    url = sides.sent((tmp_path / "t.vot").as_uri())
    held.paths.add("/away/0")
    sides.alice.port.urls.incoming([f"/away/{number}" for number in range(1000)], site="reach:mallory")
    await asyncio.to_thread(held.asked.wait, PATIENCE)
    assert (await sides.bob.read(url))[:2] == (200, b"table")


async def test_what_others_named_before_is_waited_for(
    sides: Sides, tmp_path: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader hears meanwhile that the hub is there, and never gets a file that another member named."""
    monkeypatch.setattr(serving, "_PULSE", 0.05)
    (tmp_path / "key").write_text("secret")
    (tmp_path / "other").hardlink_to(tmp_path / "key")
    (tmp_path / "t.vot").write_bytes(b"table")
    held.paths.add(str(tmp_path / "other"))
    sides.alice.port.urls.incoming({"url": (tmp_path / "other").as_uri()}, site="reach:mallory")
    secret, table = (sides.sent((tmp_path / name).as_uri()) for name in ("key", "t.vot"))
    mallory = Mallory(sides)
    mallory.ask(Ask(secret.split("/")[4], "0" * 16, "GET", {}).dump())
    reading = asyncio.ensure_future(sides.bob.read(table))
    for _ in range(3):
        assert read_said((await mallory.next()).payload) == ALIVE
    assert not reading.done()
    held.release.set()
    while (said := read_said((await mallory.next()).payload)) == ALIVE:
        pass
    assert isinstance(said, Head)
    assert said.status == 403
    assert (await reading)[:2] == (200, b"table")


async def test_what_cannot_be_told_in_time_is_not_read(
    sides: Sides, tmp_path: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsure, "_PATIENCE", 0.2)
    (tmp_path / "t.vot").write_bytes(b"table")
    held.paths.add("/away")
    sides.alice.port.urls.incoming("/away", site="reach:mallory")
    url = sides.sent((tmp_path / "t.vot").as_uri())
    status, body, _ = await sides.bob.read(url)
    assert (status, b"cannot tell yet which files others named before it was sent" in body) == (403, True)
    held.release.set()
    assert (await sides.bob.read(url))[:2] == (200, b"table")


async def test_a_killed_server_does_not_end_a_reading(sides: Sides, large: Path) -> None:
    whole = hashlib.sha256(large.read_bytes()).hexdigest()
    got, cut = hashlib.sha256(), False
    async with sides.bob.tool.get(sides.sent(large.as_uri())) as answer:
        total = 0
        async for piece in answer.content.iter_chunked(65536):
            got.update(piece)
            total += len(piece)
            if total > LARGE // 3 and not cut:
                cut = True
                await sides.server.kill()
                await sides.server.start()
    assert (total, got.hexdigest()) == (LARGE, whole)


async def test_a_range_goes_on_after_a_cut(large: Path, nats_program: str, tmp_path: Path) -> None:
    first, last = 1_000_001, LARGE - 3
    body, cut = bytearray(), False
    asked = {"Range": f"bytes={first}-{last}"}
    async with (
        two_sides(tmp_path / "server", program=nats_program) as sides,
        sides.bob.tool.get(sides.sent(large.as_uri()), headers=asked) as answer,
    ):
        async for piece in answer.content.iter_chunked(65536):
            body += piece
            if len(body) > LARGE // 3 and not cut:
                cut = True
                await sides.server.kill()
                await sides.server.start()
    assert body == large.read_bytes()[first : last + 1]


async def test_a_file_that_changed_meanwhile_breaks_the_reading(sides: Sides, tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    path.write_bytes(bytes(LARGE))
    async with sides.bob.tool.get(sides.sent(path.as_uri())) as answer:
        await answer.content.readexactly(LARGE // 3)
        await sides.server.kill()
        path.write_bytes(b"1" * LARGE)
        os.utime(path, (1, 1))
        await sides.server.start()
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()


def sending() -> list[asyncio.Task[object]]:
    """Return the tasks that send what is read at another hub."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "asyncsamp-reach-serving"]


async def test_a_tool_that_hangs_up_ends_the_reading_at_the_other_hub(sides: Sides, large: Path) -> None:
    async with sides.bob.tool.get(sides.sent(large.as_uri())) as answer:
        await answer.content.readexactly(100_000)
        tasks = sending()
        assert tasks
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer.close()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(tasks)
    assert loop.time() - begun < 10.0  # a reader of whom nothing is heard is given up after 15


async def test_a_tool_whose_disk_is_full_lets_go_and_may_try_again(sides: Sides, large: Path) -> None:
    """It writes what it reads to a disk without room, and ends; nothing of it is left at either hub."""
    url = sides.sent(large.as_uri())
    for target, status in (("/dev/full", 1), ("/dev/full", 1), ("/dev/null", 0)):
        tool = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", COPY, url, target),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert tool.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await tool.stdout.readline() == b"open\n"
            assert sending()
            _, said = await tool.communicate(b"\n")
        assert (tool.returncode, b"No space left" in said) == (status, bool(status)), said
        async with asyncio.timeout(PATIENCE):
            while sending():
                await asyncio.sleep(0.01)


COPY = """
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as source, open(sys.argv[2], "wb") as target:
    print("open", flush=True)
    sys.stdin.readline()
    shutil.copyfileobj(source, target, 1 << 20)
"""


async def test_a_hub_that_is_gone_is_told_to_the_tool(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_bytes(b"table")
    url = sides.sent((tmp_path / "t.vot").as_uri())
    await sides.alice.port.close()
    status, body, _ = await sides.bob.read(url)
    assert (status, body) == (502, b"the hub that has it is gone\n")


async def test_a_source_may_be_slow(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower than the silence after which a hub is asked again: the owner says that it is alive."""
    monkeypatch.setattr(reading, "SILENCE", 2.0)
    monkeypatch.setattr(serving, "_PULSE", 0.05)
    calls = 0
    release = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        asyncio.get_running_loop().call_later(3.0, release.set)
        await release.wait()
        return web.Response(body=b"table")

    async with Server(serve) as base:
        assert (await sides.bob.read(sides.sent(base + "/t")))[:2] == (200, b"table")
    assert calls == 1


async def test_pieces_fit_into_what_the_server_takes(tmp_path: Path, large: Path) -> None:
    async with two_sides(tmp_path / "server", "max_payload: 65536\n") as sides:
        assert (await sides.bob.read(sides.sent(large.as_uri())))[1] == large.read_bytes()


async def test_more_transfers_than_a_hub_may_have_wait_for_their_turn(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_bytes(b"x" * 300_000)
    url = sides.sent((tmp_path / "t.vot").as_uri())
    answers = await asyncio.gather(*(sides.bob.read(url) for _ in range(40)))
    assert {(status, len(body)) for status, body, _ in answers} == {(200, 300_000)}


@pytest.mark.parametrize(("named", "one_more"), [(True, Failure), (False, Head)])
async def test_the_hubs_of_one_member_share_what_it_may_have(
    named: bool, one_more: type, tmp_path: Path
) -> None:
    """Where the server proves names; else all hubs share what there is for all."""
    (tmp_path / "t.vot").write_bytes(b"table")
    release = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response(body=b"table")

    async with two_sides(tmp_path / "server", named=named) as sides, Server(serve) as base:
        urls = base + "/t", (tmp_path / "t.vot").as_uri()
        slow, quick = (sides.sent(url).split("/")[4] for url in urls)
        mallory = Mallory(sides)
        for number in range(80 if named else 63):
            ask = Ask(slow, f"{number:016x}", "GET", {}).dump()
            mallory.ask(ask, sender=f"bob.{number:08x}")
        mallory.ask(Ask(quick, "f" * 16, "GET", {}).dump(), sender="bob.0000ffff")
        while isinstance(said := read_said((await mallory.next()).payload), bytes):
            pass
        assert isinstance(said, one_more)
        release.set()


class Mallory:
    """A member that speaks by hand."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.bus = sides.bob.bus
        self.count = 0
        self.came: asyncio.Queue[BusMessage] = asyncio.Queue()

    def ask(self, payload: bytes, *, inbox: str = "", sender: str = "bob.0123abcd") -> str:
        self.count += 1
        own = f"samp.{ROOM}.{self.sides.alice.name}.answer.{sender}.{self.count:02x}"
        self.bus.subscribe(own, self.came.put_nowait)
        self.bus.publish(f"samp.{ROOM}.{sender}.get.{self.sides.alice.name}", payload, inbox or own)
        return own

    async def next(self) -> BusMessage:
        async with asyncio.timeout(PATIENCE):
            return await self.came.get()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b"[" * 60_000,
        b'{"token": 1}',
        b"x" * 100_000,
        b'{"token": "' + b"x" * 22 + b'"}',
    ],
)
async def test_what_cannot_be_understood_is_refused(sides: Sides, payload: bytes) -> None:
    mallory = Mallory(sides)
    mallory.ask(payload)
    said = read_said((await mallory.next()).payload)
    assert isinstance(said, Failure)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 30, ""])
def test_a_length_that_is_not_a_number_is_left_out(length: str) -> None:
    said = read_said(Head(200, {"Content-Length": length, "Content-Type": "text/plain"}).dump())
    assert said == Head(200, {"Content-Type": "text/plain"})


async def test_nothing_is_sent_to_the_inbox_of_another(
    sides: Sides, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.vot").write_bytes(b"table")
    token = sides.sent((tmp_path / "t.vot").as_uri()).split("/")[4]
    mallory = Mallory(sides)
    ask = Ask(token, "0" * 16, "GET", {}).dump()
    mallory.ask(ask, inbox=f"samp.m31.{sides.alice.name}.answer.carol.0123abcd.0a")
    mallory.ask(ask, inbox="samp.m31.bob.0123abcd.to.alice")
    mallory.ask(ask, sender="carol.nohub")
    mallory.ask(ask)
    assert isinstance(read_said((await mallory.next()).payload), Head)
    assert caplog.text.count("asks that an answer goes to another hub") == 2


async def test_a_reader_that_says_nothing_gets_no_more_than_its_credit(
    sides: Sides, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_SILENCE", 2.0)
    monkeypatch.setattr(serving, "_PULSE", 0.05)
    mallory = Mallory(sides)
    mallory.ask(Ask(sides.sent(large.as_uri()).split("/")[4], "0" * 16, "GET", {}).dump())
    first = await mallory.next()
    sides.bob.bus.publish(first.reply, Credit(0, 10**18).dump())
    async with asyncio.timeout(PATIENCE):
        while "asyncsamp-reach-serving" in {task.get_name() for task in asyncio.all_tasks()}:
            await asyncio.sleep(0.01)
    mallory.ask(b"")  # the refusal of this comes after all that was sent
    sent = 0
    while not isinstance(said := read_said((await mallory.next()).payload), Failure):
        assert not isinstance(said, End)
        if isinstance(said, Data):
            sent = said.offset + len(said.piece)
            assert sent <= 16 * 1024 * 1024
    assert sent > 0
