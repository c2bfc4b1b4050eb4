"""asyncsamp.discovery.reading: the lockfile read from files and over http, and is it alive (STD-60..66)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp.discovery import (
    Location,
    find_hub,
    is_alive,
    locate,
    read_lockfile,
    reading,
    stale_lockfile,
)
from asyncsamp.discovery.files import MAX_LOCKFILE
from asyncsamp.errors import HubNotFoundError, LockfileError
from asyncsamp.lockfile import Lockfile
from asyncsamp.rpc.client import RpcClient

from ..pinged import FAULT, Pinged, pinged

TEXT = "samp.secret=abc\nsamp.hub.xmlrpc.url=http://127.0.0.1:8001/xmlrpc\nsamp.profile.version=1.3\n"
LOCKFILE = Lockfile("abc", "http://127.0.0.1:8001/xmlrpc")


@pytest.fixture
async def sender() -> AsyncIterator[RpcClient]:
    sender = RpcClient()
    yield sender
    await sender.close()


@pytest.fixture
async def server() -> AsyncIterator[Pinged]:
    async with pinged() as server:
        yield server


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return locate({}, tmp_path / "x.samp")


@pytest.fixture
def nobody() -> str:
    """A URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}/xmlrpc"


# ---- files


async def test_a_file(location: Location) -> None:
    assert location.path is not None
    location.path.write_text(TEXT)
    assert await read_lockfile(location) == LOCKFILE


async def test_a_path_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "my hub.samp").write_text(TEXT)
    environ = {"SAMP_HUB": f"std-lockurl:file://localhost{tmp_path}/my%20hub.samp"}
    assert await read_lockfile(locate(environ)) == LOCKFILE


async def test_a_link_is_followed(location: Location, tmp_path: Path) -> None:
    assert location.path is not None
    (tmp_path / "real").write_text(TEXT)
    location.path.symlink_to("real")
    assert await read_lockfile(location) == LOCKFILE


async def test_bytes_that_are_no_utf8_harm_only_their_line(location: Location) -> None:
    assert location.path is not None
    location.path.write_bytes(b"hub.label=caf\xe9\n" + TEXT.encode())
    assert await read_lockfile(location) == LOCKFILE


async def test_no_file(location: Location) -> None:
    with pytest.raises(HubNotFoundError) as caught:
        await read_lockfile(location)
    assert caught.value.looked_at == (str(location.path),)


async def test_no_file_where_the_variable_says(tmp_path: Path) -> None:
    location = locate({"SAMP_HUB": f"std-lockurl:file://{tmp_path}/x.samp"})
    with pytest.raises(HubNotFoundError, match=r"looked at .*/x\.samp, named by SAMP_HUB"):
        await read_lockfile(location)


async def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(HubNotFoundError):
        await read_lockfile(locate({}, tmp_path / "x" / "y.samp"))


async def test_garbage_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "x.samp").write_bytes(bytes(range(256)))
    location = locate({"SAMP_HUB": f"std-lockurl:file://{tmp_path}/x.samp"})
    with pytest.raises(LockfileError, match=r"it has no samp\.secret") as caught:
        await read_lockfile(location)
    assert caught.value.path == str(tmp_path / "x.samp")


async def test_a_long_file(location: Location) -> None:
    assert location.path is not None
    padding = "#" * (MAX_LOCKFILE - len(TEXT) - 1) + "\n"
    location.path.write_text(padding + TEXT)
    assert await read_lockfile(location) == LOCKFILE
    location.path.write_text(padding + TEXT + "\n")
    with pytest.raises(LockfileError, match="it is longer than 65536 bytes"):
        await read_lockfile(location)


async def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LockfileError, match=r"it is not a regular file|it cannot be read"):
        await read_lockfile(locate({}, tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
async def test_a_named_pipe_does_not_hold_us_up(location: Location) -> None:
    assert location.path is not None
    os.mkfifo(location.path)
    with pytest.raises(LockfileError, match="it is not a regular file"):
        await read_lockfile(location)


async def test_what_cannot_be_read(location: Location) -> None:
    assert location.path is not None
    location.path.symlink_to(location.path)
    with pytest.raises(LockfileError, match="it cannot be read: "):
        await read_lockfile(location)


# ---- http


async def test_over_http(server: Pinged) -> None:
    server.text = TEXT
    assert await read_lockfile(locate({"SAMP_HUB": f"std-lockurl:{server.url}"})) == LOCKFILE


async def test_no_proxy_is_used(server: Pinged, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nobody)
    server.text = TEXT
    assert await read_lockfile(locate({}, server.url)) == LOCKFILE


@pytest.mark.parametrize("status", [404, 410])
async def test_nothing_there_over_http(server: Pinged, status: int) -> None:
    server.status = status
    with pytest.raises(HubNotFoundError) as caught:
        await read_lockfile(locate({}, server.url))
    assert caught.value.looked_at == (server.url,)


async def test_another_status_over_http(server: Pinged) -> None:
    server.status = 500
    with pytest.raises(LockfileError, match="the server answered with HTTP status 500"):
        await read_lockfile(locate({}, server.url))


async def test_too_much_over_http(server: Pinged) -> None:
    server.text = TEXT + "#" * 10_000_000
    with pytest.raises(LockfileError, match="it is longer than 65536 bytes"):
        await read_lockfile(locate({}, server.url))


async def test_nobody_there_over_http(nobody: str) -> None:
    with pytest.raises(HubNotFoundError) as caught:
        await read_lockfile(locate({}, nobody))
    assert caught.value.looked_at == (f"{nobody}: no connection",)


async def test_a_silent_server(server: Pinged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FETCH_TIMEOUT", 0.05)
    server.may_answer.clear()
    with pytest.raises(HubNotFoundError, match=r"no answer within 0\.05 s"):
        await read_lockfile(locate({}, server.url))


async def test_a_server_that_speaks_no_http() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(LockfileError, match="it cannot be had over http; is the URL"):
            await read_lockfile(locate({}, f"http://127.0.0.1:{port}/me"))


# ---- is it alive


async def test_a_hub_that_answers_its_ping_is_alive(server: Pinged, sender: RpcClient) -> None:
    assert await is_alive(server.url, sender) is True
    [request] = server.requests
    assert "<methodName>samp.hub.ping</methodName>" in request
    assert "<value>" not in request


async def test_a_fault_is_no_life(server: Pinged, sender: RpcClient) -> None:
    server.text = FAULT
    assert await is_alive(server.url, sender) is False


async def test_some_other_web_server_is_no_hub(server: Pinged, sender: RpcClient) -> None:
    server.status = 404
    assert await is_alive(server.url, sender) is False


async def test_nobody_is_dead(nobody: str, sender: RpcClient) -> None:
    assert await is_alive(nobody, sender) is False


@pytest.mark.parametrize("url", ["file:///x", "http://[::1", "", "http://host.invalid:99999/"])
async def test_what_cannot_be_asked_is_dead(url: str, sender: RpcClient) -> None:
    assert await is_alive(url, sender) is False


async def test_silence_is_death(server: Pinged, sender: RpcClient) -> None:
    server.may_answer.clear()
    assert await is_alive(server.url, sender, timeout=1.0) is False
    assert len(server.requests) == 1


# ---- what a client does


async def test_find_hub_reads_anew_each_time(location: Location, sender: RpcClient) -> None:
    assert location.path is not None
    for secret in ("one", "two"):
        location.path.write_text(TEXT.replace("abc", secret))
        where, found = await find_hub(sender, environ={}, lockfile=location.path)
        assert where == location
        assert found.secret == secret


async def test_find_hub_without_a_lockfile(location: Location, sender: RpcClient) -> None:
    with pytest.raises(HubNotFoundError):
        await find_hub(sender, environ={"SAMP_HUB": str(location.path)})


async def test_find_hub_that_pings(location: Location, server: Pinged, sender: RpcClient) -> None:
    assert location.path is not None
    location.path.write_text(TEXT.replace(LOCKFILE.url, server.url))
    _, found = await find_hub(sender, lockfile=location.path, ping=True)
    assert found.url == server.url
    assert len(server.requests) == 1


async def test_a_client_keeps_a_stale_lockfile(location: Location, nobody: str, sender: RpcClient) -> None:
    """STD-65: the file is its hub's, who may come back."""
    assert location.path is not None
    location.path.write_text(TEXT.replace(LOCKFILE.url, nobody))
    with pytest.raises(HubNotFoundError) as caught:
        await find_hub(sender, lockfile=location.path, ping=True)
    assert f"{location.path}, but no hub answers at {nobody} which it names" in str(caught.value)
    assert location.path.exists()


def test_the_stale_lockfile_error_shows_no_secret(location: Location) -> None:
    assert "abc" not in str(stale_lockfile(location, LOCKFILE))
