"""What a client shares: over HTTP as tools and browsers ask for it, and as file:// URLs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from astropy.table import Table

from asyncsamp import Client, DataError, Message
from asyncsamp._util import file_urls
from asyncsamp.data import sending
from asyncsamp.data.fetching import fetch
from asyncsamp.data.share.files import LocalFiles, _retired

from ..desktops import pair

DATA = bytes(range(256)) * 10


def path_of(url: str) -> Path:
    return Path(file_urls.parse(url).paths[0])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    client = Client("sharer", lockfile=tmp_path / "samp")
    yield client
    await client.unregister()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


async def test_bytes(client: Client, session: aiohttp.ClientSession) -> None:
    url = await client.share(DATA, name="a b.fits")
    async with session.get(url) as answer:
        assert answer.status == 200
        assert await answer.read() == DATA
        assert answer.headers["Content-Type"] == "application/fits"
        assert answer.headers["Content-Length"] == "2560"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_urls_cannot_be_guessed(client: Client, session: aiohttp.ClientSession) -> None:
    one = await client.share(DATA, name="x.vot")
    two = await client.share(DATA, name="x.vot")
    assert one != two
    assert one.startswith("http://127.0.0.1:")
    token = one.split("/")[3]
    assert len(token) >= 22
    for wrong in (one[:-1], one.replace(token, token[::-1]), one.rsplit("/", 1)[0], one + "/properties"):
        async with session.get(wrong) as answer:
            assert answer.status == 404
            assert DATA not in await answer.read()


async def test_head_and_options_and_others(client: Client, session: aiohttp.ClientSession) -> None:
    url = await client.share(DATA, name="x.vot")
    async with session.head(url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "2560")
        assert answer.headers["Content-Type"] == "application/x-votable+xml"
        assert await answer.read() == b""
    headers = {"Origin": "https://a.example", "Access-Control-Request-Private-Network": "true"}
    async with session.options(url, headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
        assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    async with session.post(url, data=b"x") as answer:
        assert answer.status == 405


@pytest.mark.parametrize(
    ("asked", "status", "expected", "told"),
    [
        ("bytes=0-9", 206, DATA[:10], "bytes 0-9/2560"),
        ("bytes=2550-", 206, DATA[-10:], "bytes 2550-2559/2560"),
        ("bytes=-10", 206, DATA[-10:], "bytes 2550-2559/2560"),
        ("bytes=2550-9999", 206, DATA[-10:], "bytes 2550-2559/2560"),
        ("bytes=-9999", 206, DATA, "bytes 0-2559/2560"),
        ("bytes=2560-", 416, b"", "bytes */2560"),
        ("bytes=0-1,5-6", 200, DATA, None),
        ("rows=0-1", 200, DATA, None),
        ("bytes=9-2", 200, DATA, None),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "file"])
async def test_ranges(
    client: Client,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    kind: str,
    asked: str,
    status: int,
    expected: bytes,
    told: str | None,
) -> None:
    (tmp_path / "x.bin").write_bytes(DATA)
    url = await client.share(DATA if kind == "bytes" else tmp_path / "x.bin")
    async with session.get(url, headers={"Range": asked}) as answer:
        assert answer.status == status
        assert await answer.read() == expected
        assert answer.headers.get("Content-Range") == told
    async with session.get(url, headers={"Range": "bytes=0-9", "If-Range": '"x"'}) as answer:
        assert answer.status == 200


async def test_a_large_file_is_streamed(
    client: Client, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "large.fits"
    path.write_bytes(b"0123456789abcdef" * 200_000)
    url = await client.share(path)
    assert url.endswith("/large.fits")
    async with session.get(url) as answer:
        assert answer.content_length == 3_200_000
        assert await answer.read() == await asyncio.to_thread(path.read_bytes)
    async with session.get(url) as answer:
        await answer.content.readexactly(10)  # and hangs up: nobody is harmed


async def test_functions(client: Client, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"file")
    calls = []

    def plain() -> bytes:
        calls.append(1)
        return b"bytes"

    async def coroutine() -> Path:
        return tmp_path / "f"

    def generator() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    async def stream() -> AsyncIterator[bytes]:
        yield b"c"
        yield b"d"

    def nonsense() -> int:
        return 3

    sources: list[tuple[Any, bytes]] = [
        (plain, b"bytes"),
        (coroutine, b"file"),
        (generator, b"ab"),
        (stream, b"cd"),
    ]
    for source, expected in sources:
        url = await client.share(source, content_type="text/plain")
        async with session.get(url) as answer:
            assert await answer.read() == expected
            assert answer.headers["Content-Type"] == "text/plain"
    url = await client.share(plain)
    assert len(calls) == 1  # not before somebody asks
    for _ in range(2):
        async with session.get(url) as answer:
            assert answer.headers["Accept-Ranges"] == "bytes"
    assert len(calls) == 3
    async with session.get(await client.share(nonsense)) as answer:
        assert answer.status == 404


async def test_what_cannot_be_shared(client: Client, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        await client.share(tmp_path / "none")
    with pytest.raises(DataError, match="cannot share int"):
        await client.share(3)  # type: ignore[arg-type]
    path = tmp_path / "goes"
    path.write_bytes(b"x")
    url = await client.share(path)
    path.unlink()
    async with session.get(url) as answer:
        assert answer.status == 404
        assert str(tmp_path) not in await answer.text()


async def test_it_ends_with_unshare_with_its_time_and_with_the_client(
    client: Client, session: aiohttp.ClientSession
) -> None:
    stays = await client.share(DATA)
    url = await client.share(DATA)
    short = await client.share(DATA, lifetime=0.01)
    assert client.unshare(url)
    assert not client.unshare(url)
    for gone in (url, short):
        async with asyncio.timeout(30):
            while True:
                async with session.get(gone) as answer:
                    if answer.status == 404:
                        break
    async with session.get(stays) as answer:
        assert answer.status == 200
    await client.unregister()
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(stays)
    assert not client.unshare(stays)


async def test_file_urls_leave_nothing_behind(client: Client, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert await client.share(tmp_path / "f", local=True) == f"file://{tmp_path}/f"
    url = await client.share(DATA, name="x.fits", local=True)
    called = await client.share(lambda: DATA, local=True)
    assert await fetch(url) == await fetch(called) == DATA
    with pytest.raises(DataError, match="only bytes and files"):
        await client.share(lambda: iter([b"x"]), local=True)
    assert client.unshare(url)
    with pytest.raises(DataError, match="cannot read"):
        await fetch(url)
    await client.unregister()
    with pytest.raises(DataError, match="cannot read"):
        await fetch(called)


async def test_a_file_url_ends_with_its_time(client: Client) -> None:
    stays = await client.share(DATA, local=True)
    url = await client.share(DATA, local=True, lifetime=0.01)
    async with asyncio.timeout(30):
        while len(client._context().files) > 1:
            await asyncio.sleep(0)
    with pytest.raises(OSError, match="No such"):
        path_of(url).open("rb")
    assert not client.unshare(url)
    assert client.unshare(await client.share(DATA, local=True, lifetime=1000))
    assert await fetch(stays) == DATA


async def test_many_file_urls_do_not_take_all_descriptors(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kept the number of its descriptor for good, so that some hundred were the last."""
    open_before = open_descriptors()
    monkeypatch.setattr("asyncsamp.data.share.files._MOST_DESCRIPTORS", len(_retired) + 5)
    for number in range(20):
        url = await client.share(b"%d" % number, local=True)
        assert await fetch(url) == b"%d" % number
        assert client.unshare(url)
    kept = await client.share(DATA, local=True)
    assert path_of(kept).read_bytes() == DATA
    assert open_descriptors() <= open_before + 5
    await client.unregister()
    assert not path_of(kept).exists()


def open_descriptors() -> int:
    """How many descriptors are open but for connections: those of the hub and the client come and go."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            count += not str(descriptor.readlink()).startswith("socket:")
    return count


async def test_file_urls_of_what_was_sent_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_KEPT_AFTER", 0.01)
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on("image.load.fits", "table.load.votable")
        async def load(message: Message) -> None:
            assert await fetch(str(message.params["url"]))

        await receiver.settled()
        await sender.send_image([[1, 2], [3, 4]], "receiver", local=True)
        await sender.send_table(Table({"a": [1]}), "receiver", local=True, name="x" * 300)
        async with asyncio.timeout(30):
            while len(sender._context().files):
                await asyncio.sleep(0)


async def test_long_names_keep_their_ending(client: Client) -> None:
    for name in ("x" * 300 + ".fits", "\N{SNOWMAN}" * 100, "x." + "y" * 300):
        assert await fetch(await client.share(DATA, name=name, local=True)) == DATA


async def test_a_file_that_nobody_waits_for_any_more_is_taken_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = client._context().files
    writing, go = threading.Event(), threading.Event()
    put = files._put

    def slow(data: bytes, name: str) -> str:
        writing.set()
        go.wait(5)
        return put(data, name)

    monkeypatch.setattr(files, "_put", slow)
    sharing = asyncio.create_task(client.share(DATA, local=True))
    assert await asyncio.to_thread(writing.wait, 5)
    sharing.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await sharing
    assert len(files) == 0


SHARE_AND_WAIT = """
import asyncio, sys
from asyncsamp import Client

async def main():
    client = Client("x", lockfile=sys.argv[1])
    print(await client.share(b"data", local=True, name="x.vot"), flush=True)
    print(await client.share(b"data", name="x.vot"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_no_file_is_left_after_kill_9(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SHARE_AND_WAIT, str(tmp_path / "samp"), stdout=asyncio.subprocess.PIPE, env=env
    )
    assert process.stdout is not None
    async with asyncio.timeout(15):
        local = (await process.stdout.readline()).decode().strip()
        served = (await process.stdout.readline()).decode().strip()
        assert await fetch(local) == await fetch(served) == b"data"
        process.kill()
        await process.wait()
    for url in (local, served):
        with pytest.raises(DataError):
            await fetch(url)
    assert not path_of(local).exists()
    assert list(temporary.iterdir()) == []


async def test_where_there_are_no_files_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems a folder is used, and what a killed process left is swept up by the next."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    left = tmp_path / f"asyncsamp-{process.pid}-abc"
    mine = tmp_path / f"asyncsamp-{os.getpid()}-other"
    odd = tmp_path / f"asyncsamp-{10**30}-abc"  # of no process that there can be
    for folder in (left, mine, odd):
        folder.mkdir()
    files = LocalFiles()
    url = await files.put(DATA, "x.fits")
    assert url.endswith("/x.fits")
    assert await fetch(url) == DATA
    assert not left.exists()
    assert not odd.exists()
    assert mine.exists()
    assert files.drop("file:///other") is False
    short = await files.put(DATA, "x" * 300 + ".fits")
    assert short.endswith("x.fits")
    files.expire(short, 0.01)
    async with asyncio.timeout(30):
        while path_of(short).exists():
            await asyncio.sleep(0)
    assert len(files) == 1
    await files.close()
    with pytest.raises(DataError):
        await fetch(url)


async def test_a_web_client_reads_through_the_hubs_translator(client: Client) -> None:
    """WEB-30: the URL is appended, encoded, to what the hub gave."""
    from aiohttp import web

    from asyncsamp.rpc import RpcServer

    asked = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.raw_path)
        return web.Response(body=b"data")

    async with RpcServer(handle) as server:
        via = f"http://127.0.0.1:{server.port}/translate?file%3A%2F%2F%2Fa%20b"
        assert await fetch("file:///a b", via=via) == b"data"
    assert asked == ["/translate?file%3A%2F%2F%2Fa%20b"]


async def test_a_reader_that_is_cancelled_leaves_nothing(client: Client) -> None:
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await asyncio.Event().wait()
        yield b"never"

    reading = asyncio.create_task(fetch(await client.share(slow)))
    await asyncio.wait_for(begun.wait(), 30)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    assert reading.cancelled()


@pytest.mark.both_loops
async def test_a_file_url_never_means_another_file(client: Client, tmp_path: Path) -> None:
    """`/proc/PID/fd/N` became whatever the program opened next, which a web page could then read."""
    url = await client.share(b"mine", local=True)
    assert path_of(url).read_bytes() == b"mine"
    assert client.unshare(url)
    (tmp_path / "private").write_bytes(b"secret")
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context((tmp_path / "private").open("rb"))
        with pytest.raises(OSError, match="No such"):
            path_of(url).open("rb")
