"""Programs that speak the Web Profile are answered without aiohttp, and lose nothing by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp import Client, Hub, Message
from asyncsamp.client.web import WebConnection
from asyncsamp.hub.profiles.web import WebProfile, allow_all
from asyncsamp.values import Value
from asyncsamp.xmlrpc import dump_call, load_response
from tests.aio.wire import connect

MTYPE = "test.echo"


@pytest.fixture
async def profile(tmp_path: Path) -> AsyncIterator[WebProfile]:
    profile = WebProfile(consent=allow_all, port=0, mtypes=None)
    async with Hub(lockfile=tmp_path / "samp", profiles=[profile]):
        yield profile


@pytest.fixture
def by_aiohttp(monkeypatch: pytest.MonkeyPatch) -> list[web.BaseRequest]:
    """Return the list of what aiohttp gets to see from now on."""
    seen: list[web.BaseRequest] = []
    make = web.BaseRequest.__init__

    def counted(self: web.BaseRequest, *arguments: object, **options: object) -> None:
        seen.append(self)
        make(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(web.BaseRequest, "__init__", counted)
    return seen


def request(profile: WebProfile, method: str, *params: Value, headers: str = "") -> bytes:
    body = dump_call(f"samp.webhub.{method}", params)
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{profile.port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> Value:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    value = load_response(await reader.readexactly(length))
    assert isinstance(value, str | list | dict)
    return value


async def register_puller(
    profile: WebProfile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, str]:
    """Register a client that pulls by hand; return its key and its id."""
    writer.write(request(profile, "register", {"samp.name": "puller"}))
    registered = await answer(reader)
    assert isinstance(registered, dict)
    key = str(registered["samp.private-key"])
    wanted: list[tuple[str, Value]] = [("allowReverseCallbacks", "1"), ("declareSubscriptions", {MTYPE: {}})]
    for method, param in wanted:
        writer.write(request(profile, method, key, param))
        await answer(reader)
    return key, str(registered["samp.self-id"])


async def test_programs_that_register_call_and_pull_do_not_trouble_aiohttp(
    profile: WebProfile, by_aiohttp: list[web.BaseRequest]
) -> None:
    async with (
        Client("caller", connection=WebConnection(port=profile.port)) as caller,
        Client("callee", connection=WebConnection(port=profile.port)) as callee,
    ):

        @callee.on(MTYPE)
        async def echo(message: Message) -> dict[str, Value]:
            return message.params

        await callee.settled()
        params = {"text": "x", "list": ["1", {"a": ""}]}
        for _ in range(5):
            assert (await caller.call(callee.public_id, MTYPE, params)).result == params
            assert (await caller.call_and_wait(callee.public_id, MTYPE, params)).result == params
    assert not by_aiohttp


@pytest.mark.parametrize("headers", ["Origin: http://page.example\r\n", "Referer: http://page.example/x\r\n"])
async def test_pages_are_answered_by_aiohttp(
    profile: WebProfile, by_aiohttp: list[web.BaseRequest], headers: str
) -> None:
    async with connect(profile.port) as (reader, writer):
        writer.write(request(profile, "ping", headers=headers))
        assert await answer(reader) == ""
    assert len(by_aiohttp) == 1


async def test_a_host_that_is_not_ours_is_refused(profile: WebProfile) -> None:
    async with connect(profile.port) as (reader, writer):
        asked = request(profile, "ping").replace(b"127.0.0.1", b"evil.example")
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        assert b"the Web Profile is called localhost" in await reader.readexactly(length)


@pytest.mark.parametrize("half", [True, False])
async def test_a_pull_whose_caller_has_gone_takes_nothing_along(
    profile: WebProfile, tmp_path: Path, half: bool
) -> None:
    async with (
        Client("sender", lockfile=tmp_path / "samp") as sender,
        connect(profile.port) as (reader, writer),
    ):
        key, public_id = await register_puller(profile, reader, writer)
        async with connect(profile.port) as (gone_reader, gone_writer):
            gone_writer.write(request(profile, "pullCallbacks", key, "20"))
            writer.write(request(profile, "ping", key))
            await answer(reader)  # so the pull was read
            if half:
                gone_writer.write_eof()
                assert await gone_reader.read() == b""
        await sender.notify(public_id, MTYPE, {"n": "1"})
        writer.write(request(profile, "pullCallbacks", key, "20"))
        pulled = await answer(reader)
        assert isinstance(pulled, list)
        callback = pulled[0]
        assert isinstance(callback, dict)
        assert callback["samp.methodName"] == "receiveNotification"


async def test_what_a_caller_that_goes_has_not_taken_stays_in_its_queue(
    profile: WebProfile, tmp_path: Path
) -> None:
    async with (
        Client("sender", lockfile=tmp_path / "samp") as sender,
        connect(profile.port) as (reader, writer),
    ):
        key, public_id = await register_puller(profile, reader, writer)
        async with connect(profile.port) as (gone_reader, gone_writer):
            gone_writer.write(request(profile, "pullCallbacks", key, "20"))
            await sender.notify(public_id, MTYPE, {"text": "x" * 20_000_000})  # more than sockets hold
            await gone_reader.readuntil(b"\r\n\r\n")
            gone_writer.transport.abort()
        pulled: Value = []
        while not pulled:  # until the hub has seen that the first one is gone
            writer.write(request(profile, "pullCallbacks", key, "20"))
            pulled = await answer(reader)
        assert isinstance(pulled, list)
        assert "receiveNotification" in str(pulled[0])[:200]
