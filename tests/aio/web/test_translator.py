"""The URL translator by raw HTTP: which URLs, in which spelling, how, and never which (WEB-30..36)."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from asyncsamp import Client, FaultCode, Message
from asyncsamp._util import hosts

from ..web_server import Server
from ..webpage import ORIGIN, Page, WebHub, close, open_request, request, web_hub


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text="hello", content_type="application/x-votable+xml")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path, rewrite_urls=False) as running:
        yield running


@pytest.fixture
async def desktop(hub: WebHub) -> AsyncIterator[Client]:
    async with Client("desktop", lockfile=hub.lockfile) as client:
        yield client


async def send(client: Client, page: Page, url: str) -> Any:
    """Send a URL to the page, deep inside a message, and return it as it arrives."""
    await client.notify(page.id, "table.load.votable", {"deep": [{"url": url}]})
    ((_, params),) = await page.pull()
    return params[1]["samp.params"]["deep"][0]["url"]


@pytest.mark.parametrize(
    "name", ["t.vot", "a b.vot", "50%.vot", "a+b&c=d.vot", "a#1.vot", "\u00fc.vot", "x?y.vot"]
)
async def test_a_file_is_read_by_any_spelling(
    hub: WebHub, desktop: Client, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"the table")
    page = await hub.page("table.load.votable")
    url = file.as_uri()
    assert await send(desktop, page, url) == url
    for spelled in (url, quote(url, safe=""), quote(url, safe=":/"), page.translator + url):
        answer = await page.get(spelled)
        assert (answer.status, answer.body) == (200, b"the table"), spelled
        assert answer.headers["content-type"] == "application/x-votable+xml"
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_url_need_not_be_encoded(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    file = tmp_path / "50% of a+b & c.fits"
    file.write_bytes(b"image")
    page = await hub.page("table.load.votable")
    for url in (f"file://{file}", f"file:{file}", f"file://localhost/{file}"):
        await send(desktop, page, url)
        as_browsers_do = url.replace(" ", "%20")
        for spelled in (as_browsers_do, quote(url, safe="")):
            answer = await page.get(spelled)
            assert (answer.status, answer.body) == (200, b"image"), spelled
            assert answer.headers["content-type"] == "application/fits"


async def test_ranges_of_a_file(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"0123456789")
    page = await hub.page("table.load.votable")
    url = await send(desktop, page, file.as_uri())
    for asked, got, told in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ):
        answer = await page.get(url, Range=asked)
        assert (answer.status, answer.body, answer.headers["content-range"]) == (206, got, told)
    for asked in ("lines=1-2", "bytes=1-2,4-5", "bytes=-", "bytes=4-2"):
        answer = await page.get(url, Range=asked)
        assert (answer.status, answer.body) == (200, b"0123456789")
    for asked in ("bytes=10-", "bytes=-0"):
        answer = await page.get(url, Range=asked)
        assert (answer.status, answer.headers["content-range"]) == (416, "bytes */10")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    whole = await page.get(url)
    assert whole.headers["accept-ranges"] == "bytes"
    changed = await page.get(url, **{"Range": "bytes=2-4", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"})
    assert changed.status == 200
    same = await page.get(url, **{"Range": "bytes=2-4", "If-Range": whole.headers["last-modified"]})
    assert same.status == 206


async def test_http_is_passed_on_whole(hub: WebHub, desktop: Client) -> None:
    async def serve(request: web.BaseRequest) -> web.Response:
        if request.path == "/gone":
            return web.Response(status=410, text="gone")
        headers = {"ETag": '"1"', "Set-Cookie": "a=b", "Content-Disposition": "inline", "X-Other": "1"}
        return web.Response(body=b"table", status=206, headers={**headers, "Content-Range": "bytes 0-4/9"})

    server = Server(serve)
    async with server as base:
        page = await hub.page("table.load.votable")
        url = await send(desktop, page, f"{base}/t.vot?a=1&b=%26+c#row3")
        answer = await page.get(url.partition("#")[0], Range="bytes=0-4", Cookie="secret=1")
        assert (answer.status, answer.body) == (206, b"table")
        assert answer.headers["content-range"] == "bytes 0-4/9"
        assert answer.headers["server"] == "asyncsamp"
        assert answer.headers["etag"] == '"1"'
        assert not {"set-cookie", "x-other"} & set(answer.headers)
        method, path, headers = server.asked[-1]
        assert (method, path, headers["Range"]) == ("GET", "/t.vot?a=1&b=%26+c", "bytes=0-4")
        assert not {"Cookie", "Origin", "Referer"} & set(headers)
        gone = await send(desktop, page, f"{base}/gone")
        answer = await page.get(gone)
        assert (answer.status, answer.body) == (410, b"gone")
        assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_an_empty_body_is_asked_for_again(hub: WebHub, desktop: Client) -> None:
    bodies = [b"", b"table"]

    async def serve(request: web.BaseRequest) -> web.Response:
        return web.Response(body=bodies.pop(0))

    async with Server(serve) as base:
        page = await hub.page("table.load.votable")
        answer = await page.get(await send(desktop, page, f"{base}/t.vot"))
    assert answer.body == b"table"


async def test_a_server_that_is_not_there_is_a_502(
    hub: WebHub, desktop: Client, unused_tcp_port: int
) -> None:
    page = await hub.page("table.load.votable")
    url = await send(desktop, page, f"http://127.0.0.1:{unused_tcp_port}/t.vot")
    answer = await page.get(url)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (502, ORIGIN)


async def test_a_body_that_breaks_off_is_not_taken_for_whole(hub: WebHub, desktop: Client) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return response

    async with Server(serve) as base:
        page = await hub.page("table.load.votable")
        url = await send(desktop, page, f"{base}/t.vot")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await page.get(url)


async def test_only_what_was_sent_to_this_very_client(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_text("table")
    (tmp_path / "secret.vot").write_text("secret")
    page, other = await hub.page("table.load.votable"), await hub.page("table.load.votable")
    url = await send(desktop, page, (tmp_path / "t.vot").as_uri())
    secret = (tmp_path / "secret.vot").as_uri()
    for client, asked in (
        (page, secret),
        (page, "file:///etc/passwd"),
        (page, url.replace("t.vot", "../secret.vot")),
        (page, url + "/../secret.vot"),
        (page, tmp_path.as_uri()),
        (page, ""),
        (other, url),
    ):
        answer = await client.get(asked)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, ORIGIN), asked
        assert b"only URLs" in answer.body
    assert (await page.get(url)).body == b"table"


async def test_tokens_no_wrong_dead(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_text("table")
    page = await hub.page("table.load.votable")
    url = await send(desktop, page, (tmp_path / "t.vot").as_uri())
    assert (await page.get(url)).status == 200
    token = page.translator
    await page.call("unregister")
    for base in (token, f"{token[:-3]}xx?", f"http://127.0.0.1:{hub.port}/translator/?"):
        page.translator = base
        answer = await page.get(url)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, ORIGIN)
        assert b"no such token" in answer.body


async def test_a_private_key_is_no_token(hub: WebHub) -> None:
    page = await hub.page()
    answer = await request(hub.port, "GET", f"/translator/{page.key}?file:///etc/passwd", {})
    assert answer.status == 403


async def test_what_a_page_named_first_stays_closed(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    """A tool repeats what a page told it; that must not open the user's files to any page."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")

    @desktop.on("table.load.votable")
    async def load(message: Message) -> dict[str, Any]:
        return {"loaded": message.params["url"]}

    @desktop.on("table.load.fits")
    async def load_path(message: Message) -> dict[str, Any]:
        return {"loaded": "file://" + str(message.params["path"])}

    await desktop.settled()
    page, accomplice = await hub.page("table.load.votable"), await hub.page("table.load.votable")
    url = secret.as_uri()
    for spelled in (url, f" {url}", url.replace("file:///", "file:/"), url.replace("secret", "%73ecret")):
        message = {"samp.mtype": "table.load.votable", "samp.params": {"url": spelled}}
        await page.call("callAndWait", desktop.public_id, message, "10")
        for reader in (page, accomplice):
            await send(desktop, reader, url)
            assert (await reader.get(url)).status == 403
    other = tmp_path / "other.txt"
    other.write_text("other")
    message = {"samp.mtype": "table.load.fits", "samp.params": {"path": str(other)}}
    answered = await page.call("callAndWait", desktop.public_id, message, "10")
    assert (await page.get(answered["samp.result"]["loaded"])).status == 403


async def test_urls_of_responses_metadata_and_subscriptions_count(hub: WebHub, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("icon.png", "result.vot", "note.txt")]
    for file in files:
        file.write_text(file.name)
    icon, result, note = (file.as_uri() for file in files)
    client = Client("desktop", metadata={"samp.icon.url": icon}, lockfile=hub.lockfile)

    @client.on("table.get", annotation={"doc": note})
    async def get(message: Message) -> dict[str, str]:
        return {"url": result}

    async with client:
        page = await hub.page("table.load.votable")
        for url in (icon, result, note):
            assert (await page.get(url)).status == 403
        await page.call("getMetadata", client.public_id)
        await page.call("getSubscriptions", client.public_id)
        message: Any = {"samp.mtype": "table.get", "samp.params": {}}
        await page.call("callAndWait", client.public_id, message, "10")
        for file, url in zip(files, (icon, result, note), strict=True):
            assert (await page.get(url)).body == file.name.encode()


async def test_redirects_never_lead_into_files_or_the_hub(
    hub: WebHub, desktop: Client, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    targets: dict[str, str] = {}

    async def serve(request: web.BaseRequest) -> web.Response:
        if request.path in targets:
            return web.Response(status=302, headers={"Location": targets[request.path]})
        return web.Response(text="arrived")

    async with Server(serve) as base:
        targets |= {
            "/good": "/there",
            "/file": (tmp_path / "secret.txt").as_uri(),
            "/hub": hub.hub.url,
            "/web": f"http://localhost:{hub.port}/crossdomain.xml",
            "/loop": "/loop",
            "/ftp": "ftp://127.0.0.1/",
        }
        page = await hub.page("table.load.votable")
        answers = {path: await page.get(await send(desktop, page, base + path)) for path in targets}
    assert (answers["/good"].status, answers["/good"].body) == (200, b"arrived")
    assert [answers[path].status for path in ("/file", "/hub", "/web", "/ftp")] == [403] * 4
    assert answers["/loop"].status == 502
    assert not any(b"secret" in answer.body for answer in answers.values())


HERE = {
    "127.0.0.1": 403,
    "127.1": 403,
    "2130706433": 403,
    "0": 403,
    "0.0.0.0": 403,
    "[::]": 403,
    "[::1]": 403,
    "[::ffff:127.0.0.1]": 403,
    "localhost": 403,
    "\uff11\uff12\uff17.0.0.1": 403,
    "near.example.org": 502,
    "nowhere.example.org": 502,
}
"""Names of this machine, and what a page gets that is led there from elsewhere."""


ELSEWHERE = "127.0.0.2"
"""Stands for a server elsewhere."""

ADDRESSES = {
    "away.example.org": ELSEWHERE,
    "near.example.org": "127.0.0.1",
    "nowhere.example.org": "0.0.0.0",
    socket.gethostname(): "127.0.0.1",
}


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    find = loop.getaddrinfo

    async def find_all(host: Any, *args: Any, **options: Any) -> Any:
        return await find(ADDRESSES.get(host, host), *args, **options)

    monkeypatch.setattr(loop, "getaddrinfo", find_all)
    reaches = hosts.reaches_this_machine
    monkeypatch.setattr(hosts, "reaches_this_machine", lambda host: host != ELSEWHERE and reaches(host))


@pytest.mark.both_loops
async def test_redirects_from_elsewhere_never_lead_onto_this_machine(
    hub: WebHub, desktop: Client, names: None
) -> None:
    async def serve(request: web.BaseRequest) -> web.Response:
        if request.path == "/there":
            return web.Response(text="arrived")
        host = list(HERE)[int(request.path[1:])]
        raise web.HTTPFound(f"http://{host}:{request.url.port}/there")

    async with Server(serve, "127.0.0.1", ELSEWHERE) as base:
        away = base.replace("127.0.0.1", "away.example.org")
        page = await hub.page("table.load.votable")
        assert (await page.get(await send(desktop, page, f"{away}/there"))).body == b"arrived"
        for number, (host, status) in enumerate(HERE.items()):
            answer = await page.get(await send(desktop, page, f"{away}/{number}"))
            assert (answer.status, b"arrived" in answer.body) == (status, False), host


@pytest.mark.both_loops
async def test_a_name_from_elsewhere_never_means_this_machine(
    hub: WebHub, desktop: Client, names: None
) -> None:
    """Rebinding: the page's own site says what address its name has."""
    async with Server(hello, "127.0.0.1") as base:
        page = await hub.page("table.load.votable")
        for host, status in (
            ("near.example.org", 502),
            ("nowhere.example.org", 502),
            ("2130706433", 403),
            ("localhost", 200),
            (socket.gethostname(), 200),
        ):
            answer = await page.get(await send(desktop, page, base.replace("127.0.0.1", host)))
            assert (answer.status, answer.body == b"hello") == (status, status == 200), host


async def test_the_hub_itself_is_not_read(hub: WebHub, desktop: Client) -> None:
    page = await hub.page("table.load.votable")
    for url in (hub.hub.url, f"http://localhost:{hub.port}/", f"http://x.example.org:{hub.port}/"):
        answer = await page.get(await send(desktop, page, url))
        assert (answer.status, b"hub itself" in answer.body) == (403, True)


async def test_only_plain_files_are_read(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    page = await hub.page("table.load.votable")
    for url, status in (
        (tmp_path.as_uri(), 403),
        ((tmp_path / "pipe").as_uri(), 403),
        ("file:///dev/zero", 403),
        ((tmp_path / "none").as_uri(), 404),
        ("file://elsewhere.example.org/x", 404),
        ("file:///a%00b", 404),
    ):
        answer = await page.get(await send(desktop, page, url))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, ORIGIN), url


async def test_only_get_and_head(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_text("table")
    page = await hub.page("table.load.votable")
    url = await send(desktop, page, (tmp_path / "t.vot").as_uri())
    target = "/" + page.translator.partition("://")[2].partition("/")[2] + url
    reader, writer = await open_request(hub.port, "HEAD", target, {})
    head = await reader.read()
    await close(writer)
    assert b"Content-Length: 5\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert (await page.get(url, "PUT")).status == 405
    posted = await request(hub.port, "POST", target, {"Origin": ORIGIN}, b"")
    assert posted.fault.code == FaultCode.MALFORMED


async def test_64_mb_pass_without_being_held(hub: WebHub, desktop: Client, tmp_path: Path) -> None:
    size, piece = 64 * 2**20, bytes(2**20)
    file = tmp_path / "big.fits"
    with file.open("wb") as out:
        out.truncate(size)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(size // len(piece)):
            await response.write(piece)
        return response

    async with Server(serve) as base:
        page = await hub.page("table.load.votable")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for url in (file.as_uri(), f"{base}/big.fits"):
            target = "/" + page.translator.partition("://")[2].partition("/")[2]
            target += await send(desktop, page, url)
            reader, writer = await open_request(hub.port, "GET", target, {"Origin": ORIGIN})
            got = 0
            while data := await reader.read(2**20):
                got += len(data)
            assert got > size
            await close(writer)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 24 * 1024  # kilobytes


async def ignore(message: Message) -> None:
    """Take it."""


async def notify(page: Page, client: Client, params: Any) -> None:
    await page.call("notify", client.public_id, {"samp.mtype": "table.load.votable", "samp.params": params})


@pytest.mark.parametrize("said", ["key", "text", "twice", "relative", "link", "hard link"])
@pytest.mark.both_loops
async def test_what_a_page_names_in_another_way_is_closed_to_it(
    hub: WebHub, tmp_path: Path, said: str
) -> None:
    secret = tmp_path / "secret.vot"
    secret.write_text("secret")
    (tmp_path / "link.vot").symlink_to(secret)
    os.link(secret, tmp_path / "hard.vot")
    params: dict[str, Any] = {
        "key": {secret.as_uri(): "1"},
        "text": {"script": f"load {secret}; quit"},
        "twice": {"url": secret.as_uri().replace("secret", "%2573ecret")},
        "relative": {"url": f"../{tmp_path.name}/secret.vot"},
        "link": {"url": (tmp_path / "link.vot").as_uri()},
        "hard link": {"url": (tmp_path / "hard.vot").as_uri()},
    }
    client = Client("tool", lockfile=hub.lockfile)
    client.on("table.load.votable")(ignore)
    async with client:
        page = await hub.page("table.load.votable")
        await notify(page, client, params[said])
        answer = await page.get(await send(client, page, secret.as_uri()))
    assert (answer.status, b"secret" in answer.body) == (403, False)


async def test_what_was_sent_before_somebody_named_it_stays_open(hub: WebHub, tmp_path: Path) -> None:
    table = tmp_path / "t.vot"
    table.write_text("table")
    (tmp_path / "link.vot").symlink_to(table)
    client = Client("tool", lockfile=hub.lockfile)
    client.on("table.load.votable")(ignore)
    async with client:
        one, two = [await hub.page("table.load.votable") for _ in range(2)]
        url = await send(client, one, table.as_uri())
        await notify(two, client, {"url": (tmp_path / "link.vot").as_uri()})
        assert (await one.get(url)).body == b"table"
        assert (await two.get(await send(client, two, table.as_uri()))).status == 403


@pytest.mark.both_loops
async def test_a_site_that_names_too_much_disturbs_no_other(
    hub: WebHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "t.vot"
    table.write_text("table")
    client = Client("tool", lockfile=hub.lockfile)
    client.on("table.load.votable")(ignore)
    async with client:
        for _ in range(3):  # as a page that is reloaded
            page = await hub.page("table.load.votable")
            await notify(page, client, {"urls": [f"https://h.example.net/{n}" for n in range(25_000)]})
        assert caplog.text.count("named too many files and URLs") == 1
        other = await hub.page("table.load.votable", origin="https://b.example.com")
        assert (await page.get(await send(client, page, table.as_uri()))).status == 403
        assert (await other.get(await send(client, other, table.as_uri()))).body == b"table"
