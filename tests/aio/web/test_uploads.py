"""Uploads to the Web Profile: what a page has made, at a URL that programs can read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from asyncsamp import Client, Limits
from asyncsamp.hub.profiles.web import uploads

from ..webpage import Answer, Page, WebHub, close, open_request, read_answer, request, web_hub

SMALL = Limits(web_upload_bytes=100_000, web_upload_bytes_all=150_000)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path, limits=SMALL) as running:
        yield running


def open_files(folder: Path) -> int:
    """How many files of `folder` this process has open, though they have no name any more."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was the descriptor of this very loop
            count += str(link.readlink()).startswith(f"{folder}/")
    return count


def url_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    url = json.loads(answer.body)["url"]
    assert isinstance(url, str)
    return url


async def read(url: str, method: str = "GET", **headers: str) -> Answer:
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    assert parts.port is not None
    return await request(parts.port, method, parts.path, headers)


async def test_what_a_page_uploads_can_be_read(hub: WebHub) -> None:
    page = await hub.page()
    url = url_of(await page.upload("m31.vot", b"the table"))
    answer = await read(url)
    assert (answer.status, answer.body) == (200, b"the table")
    assert answer.headers["content-type"] == "application/x-votable+xml"
    assert url.endswith("/m31.vot")
    assert urlsplit(url).port != hub.port
    part = await read(url, Range="bytes=4-6")
    assert (part.status, part.body) == (206, b"tab")
    port, path = urlsplit(url).port, urlsplit(url).path
    assert port is not None
    reader, writer = await open_request(port, "HEAD", path, {})
    head = await reader.read()
    await close(writer)
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Length: 9\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert (await read(url + "x")).status == 404


async def test_a_page_of_html_runs_no_script(hub: WebHub) -> None:
    url = url_of(await (await hub.page()).upload("a.html", b"<script>alert(1)</script>"))
    answer = await read(url)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_browser_is_told_that_the_page_may(hub: WebHub) -> None:
    page = await hub.page()
    target = urlsplit(page.upload_url).path + "t.vot"
    asked = {
        "Origin": page.origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await request(hub.port, "OPTIONS", target, asked)
    assert answer.headers["access-control-allow-origin"] == page.origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    uploaded = await page.upload("t.vot", b"x")
    assert uploaded.headers["access-control-allow-origin"] == page.origin


async def test_a_program_and_another_page_get_it_by_a_message(hub: WebHub) -> None:
    """The page names its own upload first, which would close any other URL to pages."""
    other = await hub.page("table.load.votable", origin="https://other.example.org")
    async with Client("desktop", lockfile=hub.lockfile) as desktop:
        page = await hub.page("table.load.votable")
        url = url_of(await page.upload("t.vot", b"the table"))
        await page.call("notify", other.id, {"samp.mtype": "table.load.votable", "samp.params": {"url": url}})
        ((_, params),) = await other.pull()
        shown = params[1]["samp.params"]["url"]
        assert shown.startswith(other.translator)
        answer = await other.get(shown.removeprefix(other.translator))
        assert (answer.status, answer.body) == (200, b"the table")
        await desktop.notify(page.id, "table.load.votable", {"url": url})  # sent back, to highlight in it
        ((_, params),) = await page.pull()
        assert (await page.get(params[1]["samp.params"]["url"].removeprefix(page.translator))).status == 200


async def test_it_ends_with_the_page(hub: WebHub) -> None:
    page = await hub.page()
    url = url_of(await page.upload("t.vot", b"x"))
    await page.call("unregister")
    assert (await read(url)).status == 404
    answer = await page.upload("t.vot", b"x")
    assert answer.status == 403
    assert b"token" in answer.body


async def test_who_reads_already_may_read_on(hub: WebHub) -> None:
    page = await hub.page()
    data = os.urandom(100_000)
    url = url_of(await page.upload("t.vot", data))
    parts = urlsplit(url)
    assert parts.port is not None
    reader, writer = await open_request(parts.port, "GET", parts.path, {})
    beginning = await reader.read(1000)
    await page.call("unregister")
    answer = beginning + await reader.read()
    await close(writer)
    assert answer.endswith(data)


async def test_no_file_is_seen_and_no_descriptor_stays(
    hub: WebHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    page = await hub.page()
    urls = [url_of(await page.upload("t.vot", b"x" * 1000)) for _ in range(10)]
    assert not list(folder.iterdir())
    assert [(await read(url)).status for url in urls] == [200] * 10
    async with asyncio.timeout(30):
        while open_files(folder) != 10:  # those who read have read, but each closes its own in a thread
            await asyncio.sleep(0.005)
    await page.call("unregister")
    assert open_files(folder) == 0


async def test_in_parts(hub: WebHub) -> None:
    page = await hub.page()
    begun = json.loads((await page.upload("t.vot?part=new", b"the ")).body)
    assert set(begun) == {"part"}
    more = await page.upload(f"t.vot?part={begun['part']}", b"tab")
    assert json.loads(more.body) == begun
    url = url_of(await page.upload(f"t.vot?part={begun['part']}&last=1", b"le"))
    assert (await read(url)).body == b"the table"
    again = await page.upload(f"t.vot?part={begun['part']}", b"x")
    assert (again.status, b"no such upload" in again.body) == (404, True)


async def test_a_part_is_the_pages_own_and_ends_with_it(hub: WebHub) -> None:
    one, two = await hub.page(), await hub.page()
    part = json.loads((await one.upload("t.vot?part=new", b"x" * 60_000)).body)["part"]
    assert (await two.upload(f"t.vot?part={part}&last=1", b"x")).status == 404
    refused = await one.upload(f"t.vot?part={part}", b"x" * 60_000)
    assert refused.status == 413
    assert (await one.upload(f"t.vot?part={part}", b"x")).status == 404  # a refusal ends it
    url_of(await one.upload("t.vot", b"x" * 90_000))  # and takes no room
    await two.upload("t.vot?part=new", b"x" * 40_000)
    await two.call("unregister")
    url_of(await (await hub.page()).upload("t.vot", b"x" * 50_000))


async def test_one_that_does_not_go_on_ends(hub: WebHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 1.0)
    page = await hub.page()
    part = json.loads((await page.upload("t.vot?part=new", b"x" * 90_000)).body)["part"]
    async with asyncio.timeout(30):
        while (await page.upload("t.vot", b"x" * 60_000)).status != 200:  # until there is room again
            pass
    assert (await page.upload(f"t.vot?part={part}&last=1", b"x")).status == 404


class TestBounds:
    async def test_one_page(self, hub: WebHub) -> None:
        page = await hub.page()
        url_of(await page.upload("a", b"x" * 60_000))
        answer = await page.upload("b", b"x" * 60_000)
        assert (answer.status, answer.body) == (
            413,
            b"the upload is too large: the hub keeps 100,000 bytes for one page\n",
        )
        url_of(await page.upload("c", b"x" * 40_000))  # what was refused has taken no room

    async def test_all_pages(self, hub: WebHub) -> None:
        one, two = await hub.page(), await hub.page()
        url_of(await one.upload("a", b"x" * 100_000))
        answer = await two.upload("b", b"x" * 60_000)
        assert (answer.status, answer.body) == (
            413,
            b"the upload is too large: the hub keeps 150,000 bytes for all pages together\n",
        )
        await one.call("unregister")
        url_of(await two.upload("b", b"x" * 60_000))

    async def test_what_is_under_way_counts_until_its_request_ends(self, hub: WebHub) -> None:
        """Also when its page has left meanwhile, and once only: else others could have more than there is."""
        one = await hub.page()
        sent = {"Origin": one.origin, "Transfer-Encoding": "chunked"}
        piece = b"15f90\r\n" + b"x" * 90_000 + b"\r\n"
        target = urlsplit(one.upload_url).path + "big"
        reader, writer = await open_chunked(hub.port, target, sent, piece)
        while True:  # until the hub has taken it
            other = await hub.page()
            if (await other.upload("a", b"x" * 100_000)).status == 413:
                break
            await other.call("unregister")
        await one.call("unregister")
        assert (await other.upload("a", b"x" * 100_000)).status == 413
        writer.write(b"1\r\ny\r\n")
        answer = await read_answer(reader)
        await close(writer)
        assert (answer.status, answer.body) == (403, b"the page was unregistered while it uploaded\n")
        url_of(await other.upload("a", b"x" * 100_000))
        assert (await (await hub.page()).upload("b", b"x" * 60_000)).status == 413

    async def test_the_number_of_one_page(self, tmp_path: Path) -> None:
        async with web_hub(tmp_path, limits=Limits(web_uploads=3)) as hub:
            page = await hub.page()
            url_of(await page.upload("empty", b""))
            url_of(await page.upload("a", b"x"))
            part = json.loads((await page.upload("b?part=new", b"x")).body)["part"]
            for name in ("c", "c?part=new"):
                answer = await page.upload(name, b"x")
                assert (answer.status, answer.body) == (
                    429,
                    b"the hub keeps 3 uploads for one page, until that is unregistered\n",
                )
            url_of(await page.upload(f"b?part={part}&last=1", b"x"))  # which is not a new one
            url_of(await (await hub.page()).upload("a", b"x"))

    @pytest.mark.parametrize(
        ("limits", "descriptors"), [(Limits(web_uploads_all=2), None), (Limits(), 11)], ids=["limit", "files"]
    )
    async def test_the_number_of_all_pages(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits, descriptors: int | None
    ) -> None:
        monkeypatch.setattr(uploads, "allowed", lambda: descriptors)
        async with web_hub(tmp_path, limits=limits) as hub:
            one, two = await hub.page(), await hub.page()
            url_of(await one.upload("a", b"x"))
            url_of(await one.upload("b", b"x"))
            answer = await two.upload("c", b"x")
            assert (answer.status, answer.body) == (
                429,
                b"the hub keeps 2 uploads for all pages together, until one is unregistered\n",
            )
            await one.call("unregister")
            url_of(await two.upload("c", b"x"))
            url_of(await two.upload("d", b"x"))

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC])
    async def test_no_more_files_or_space(
        self, hub: WebHub, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def refuse(**asked: object) -> None:
            raise OSError(number, os.strerror(number))

        page = await hub.page()
        with monkeypatch.context() as patch:
            patch.setattr("tempfile.TemporaryFile", refuse)
            assert (await page.upload("a", b"x")).status == 507
        url_of(await page.upload("a", b"x"))

    async def test_ten_at_once_that_announce_nothing(self, hub: WebHub) -> None:
        """Together they are too large, and none says so before."""
        page = await hub.page()
        piece = b"9c40\r\n" + b"x" * 40_000 + b"\r\n0\r\n\r\n"
        target = urlsplit(page.upload_url).path

        async def upload(number: int) -> Answer:
            sent = {"Origin": page.origin, "Transfer-Encoding": "chunked", "Content-Length": ""}
            reader, writer = await open_chunked(hub.port, f"{target}{number}", sent, piece)
            try:
                return await read_answer(reader)
            finally:
                await close(writer)

        answers = await asyncio.gather(*(upload(number) for number in range(10)))
        assert sorted(answer.status for answer in answers)[:2] == [200, 200]
        assert {answer.status for answer in answers[2:]} <= {200, 413}
        assert sum(answer.status == 200 for answer in answers) == 2

    async def test_a_broken_upload_takes_no_room(self, hub: WebHub) -> None:
        page = await hub.page()
        target = urlsplit(page.upload_url).path + "t.vot"
        sent = {"Origin": page.origin, "Content-Length": "90000"}
        _, writer = await open_request(hub.port, "POST", target, sent, b"x" * 50_000)
        await close(writer)
        while True:  # until the hub has seen its end
            answer = await page.upload("t.vot", b"x" * 60_000)
            if answer.status == 200:
                break
            assert answer.status == 413
            await asyncio.sleep(0)

    async def test_one_that_stalls_ends(self, hub: WebHub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uploads, "PATIENCE", 0.05)
        page = await hub.page()
        target = urlsplit(page.upload_url).path + "t.vot"
        sent = {"Origin": page.origin, "Content-Length": "90000"}
        reader, writer = await open_request(hub.port, "POST", target, sent, b"x")
        answer = await read_answer(reader)
        await close(writer)
        assert answer.status == 408


async def open_chunked(
    port: int, target: str, headers: dict[str, str], body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"POST {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    return reader, writer


@pytest.mark.parametrize("name", ["", "%00", "x" * 201, "a%0Ab"])
async def test_names_that_are_not_taken(hub: WebHub, name: str) -> None:
    page = await hub.page()
    answer = await page.upload(name, b"x")
    assert answer.status == 400
    assert b"needs a name" in answer.body


@pytest.mark.parametrize("target", ["/upload/", "/upload/x", "/upload/x/y", "/upload/../upload/x/y"])
async def test_a_wrong_token(hub: WebHub, target: str) -> None:
    answer = await request(hub.port, "POST", target, {"Origin": "https://evil.example.org"}, b"x")
    assert answer.status == 403


async def test_the_host_is_checked(hub: WebHub) -> None:
    page = await hub.page()
    answer = await page.upload("t.vot", b"x", Host="evil.example.org")
    assert answer.status == 403


NAMES = [
    "a b.vot",
    "50%.vot",
    "a+b&c=d.fits",
    "a#1?.vot",
    "M 31 Öst.vot",
    "../../etc/passwd",
    "星.vot",
    "-",
]


async def test_any_name_comes_back(hub: WebHub) -> None:
    page = await hub.page()
    for name in NAMES:
        url = url_of(await page.upload(quote(name, safe=""), name.encode()))
        assert unquote(url.rpartition("/")[2]) == name.replace("/", "-")
        assert (await read(url)).body == name.encode()


async def test_the_hub_stops_with_uploads_kept_and_under_way(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page: Page = await hub.page()
        url = url_of(await page.upload("t.vot", b"x"))
        target = urlsplit(page.upload_url).path + "t.vot"
        _, writer = await open_request(
            hub.port, "POST", target, {"Origin": page.origin, "Content-Length": "9000"}, b"x"
        )
    await close(writer)
    with pytest.raises(ConnectionRefusedError):
        await read(url)
