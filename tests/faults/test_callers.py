"""Callers that vanish, in each state that a request can be in: nothing is left, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Hub, Limits, xmlrpc
from asyncsamp.values import Value

from ..aio.raw import PING, call, port_of, post, register, stranger
from ..aio.wire import connect
from ..installed import require_program
from .bystanders import Bystanders, bystanders, nothing_kept, the_log_says
from .misbehaving import recipient, well

pytestmark = pytest.mark.both_loops

MESSAGE: Value = {"samp.mtype": "bad.call", "samp.params": {}}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    limits = Limits(refused_pause=0.01, vigil_interval=0.05, delivery_patience=0.1)
    async with Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub:
        yield hub


@pytest.fixture
async def others(hub: Hub) -> AsyncIterator[Bystanders]:
    async with bystanders(hub.lockfile) as others:
        yield others


def connections(hub: Hub) -> int:
    """Return how many connections the Standard Profile has open."""
    server = hub._standard._server
    assert server is not None
    return len(server.server.limit)


async def until_gone(hub: Hub, count: int, others: Bystanders) -> None:
    """Wait until the hub has no more connections than that, while the others go on."""
    async with asyncio.timeout(30):
        while connections(hub) > count:
            await others.went_on(1)


WHOLE = post(xmlrpc.dump_call("samp.hub.ping", []))


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"POST", WHOLE[:30], WHOLE[:-20], WHOLE, WHOLE * 50],
    ids=["nothing", "a word", "half a head", "half a body", "a request", "fifty requests"],
)
async def test_a_stranger(
    sent: bytes, end: str, hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    before = connections(hub)
    for _ in range(10):
        async with connect(port_of(hub)) as (_, writer):
            writer.write(sent)
            await writer.drain()
            if end == "reset":
                writer.transport.abort()
    await until_gone(hub, before, others)
    the_log_says(caplog)  # strangers come and go; they must not fill the log
    nothing_kept(hub)


async def test_one_that_never_reads_its_answers(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    before = connections(hub)
    key, client = await register(hub)
    await call(hub, "declareMetadata", key, {"big": "x" * 500_000})
    request = post(xmlrpc.dump_call("samp.hub.getMetadata", [key, client]))
    async with connect(port_of(hub)) as (_, writer):
        writer.write(request * 40)
        await others.went_on()
        writer.transport.abort()
    await call(hub, "unregister", key)
    await until_gone(hub, before, others)
    the_log_says(caplog)
    nothing_kept(hub)


async def test_one_that_waits_for_an_answer(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    key, client = await register(hub)
    async with recipient(hub, well) as asked:
        async with connect(port_of(hub)) as (_, writer):
            writer.write(post(xmlrpc.dump_call("samp.hub.callAndWait", [key, asked.id, MESSAGE, "0"])))
            await asked.came.wait()
            assert hub.engine._core.owes_reply(asked.id)
        async with asyncio.timeout(30):
            while hub.engine._core.owes_reply(asked.id):
                await others.went_on(1)
        msg_id = str(asked.deliveries[0][1][2])
        response: Value = {"samp.status": "samp.ok", "samp.result": {}}
        body = post(xmlrpc.dump_call("samp.hub.reply", [asked.key, msg_id, response]))
        fault = xmlrpc.load_response((await stranger(hub, body))[1])
        assert isinstance(fault, xmlrpc.Fault)  # nobody waits any more
        assert "its sender has left" in fault.text
        for gone in (key, asked.key):
            await call(hub, "unregister", gone)
    nothing_kept(hub)
    left = [record.getMessage() for record in caplog.records if "no longer waits" in record.getMessage()]
    assert left == [f"client {client} no longer waits for an answer of client {asked.id}"]


async def test_one_that_is_gone_when_its_answer_comes(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    async with recipient(hub, well) as asked, recipient(hub, well, "other") as caller:
        await call(hub, "call", caller.key, asked.id, "tag", MESSAGE)
        await asked.came.wait()
        await caller.stop_listening()
        msg_id = str(asked.deliveries[0][1][2])
        await call(hub, "reply", asked.key, msg_id, {"samp.status": "samp.ok", "samp.result": {}})
        async with asyncio.timeout(30):
            while caller.id in hub.engine.clients:
                await others.went_on(1)
        await call(hub, "unregister", asked.key)
    nothing_kept(hub)
    the_log_says(caplog, f"client {caller.id} is gone: nobody listens")


@pytest.mark.parametrize("step", ["registered", "with a callback", "with subscriptions"])
async def test_one_that_registers_and_is_never_seen_again(
    step: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(refused_pause=0.01)
    async with (
        Hub(lockfile=tmp_path / "hub.samp", limits=limits, client_timeout=4.0) as hub,
        bystanders(hub.lockfile) as others,
    ):
        if step == "with subscriptions":
            async with recipient(hub, well):
                pass
        else:
            await register(hub, "" if step == "registered" else "http://127.0.0.1:9/")
        async with asyncio.timeout(60):
            while len(hub.engine.clients) > 2:
                await others.went_on(1)
        the_log_says(caplog, " is removed: ")
        nothing_kept(hub)


async def test_keys_and_calls_of_one_who_left_are_worth_nothing(hub: Hub, others: Bystanders) -> None:
    """Failure 7 of other hubs: anyone may answer anyone's call, repeatedly."""
    thief, _ = await register(hub)
    async with recipient(hub, well) as asked, recipient(hub, well, "other") as caller:
        msg_id = await call(hub, "call", caller.key, asked.id, "tag", MESSAGE)
        answer: Value = {"samp.status": "samp.ok", "samp.result": {}}
        for key, taken in ((thief, False), (caller.key, False), (asked.key, True), (asked.key, False)):
            reply = post(xmlrpc.dump_call("samp.hub.reply", [key, msg_id, answer]))
            _, body = await stranger(hub, reply)
            assert isinstance(xmlrpc.load_response(body), xmlrpc.Fault) is not taken
        async with asyncio.timeout(30):
            await caller.came.wait()
        assert [method for method, _ in caller.deliveries] == ["samp.client.receiveResponse"]
        for key in (thief, asked.key, caller.key):
            await call(hub, "unregister", key)
        body = (await stranger(hub, post(xmlrpc.dump_call("samp.hub.getRegisteredClients", [thief]))))[1]
        fault = xmlrpc.load_response(body)
        assert isinstance(fault, xmlrpc.Fault)
        assert thief not in fault.text
    nothing_kept(hub)


async def test_hostile_requests_beside_the_others(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    """Failures 1 and 11 of other hubs: files are read by entities; a length of 2 GB takes the memory."""
    caplog.set_level("DEBUG")
    file = "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
    laughs = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
    xml = "<?xml version='1.0'?>{}<methodCall><methodName>&{};</methodName></methodCall>"
    deep = "<?xml version='1.0'?><methodCall><methodName>a</methodName><params><param>"
    documents = [
        xml.format(file, "e").encode(),
        xml.format(laughs, "b").encode(),
        xml.format(file, "e").encode("utf-16"),
        (deep + "<value><array><data>" * 2_000).encode(),
    ]
    for body in documents:
        status, answer = await stranger(hub, post(body))
        assert (status, b"<fault>" in answer, b"root:" in answer) == (200, True, False)
    lengths = [b"Content-Length: 2000000000", b"Content-Length: 1\r\nContent-Length: 2"]
    lengths += [b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"X: " + b"y" * 20_000]
    lengths += [b"\r\n".join(b"X-%d: y" % number for number in range(500)), b"Content-Encoding: gzip"]
    for header in lengths:
        request = b"POST /xmlrpc HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n"
        assert (await stranger(hub, request))[0] in (400, 413, 415)
    await others.went_on()
    nothing_kept(hub)
    the_log_says(caplog)


async def test_one_that_sends_no_more_after_its_request(tmp_path: Path) -> None:
    """As `nc -N` does. A hub that keeps its state answers a registration only once that is written."""
    nc = require_program("nc", "netcat-openbsd")
    async with Hub(lockfile=tmp_path / "hub.samp", state=tmp_path / "state") as hub:
        secret = hub._standard.secret
        for request in (PING, xmlrpc.dump_call("samp.hub.register", [secret])):
            caller = await asyncio.create_subprocess_exec(
                *(nc, "-N", "127.0.0.1", str(port_of(hub))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(30):
                answer, _ = await caller.communicate(post(request))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert not isinstance(xmlrpc.load_response(answer.partition(b"\r\n\r\n")[2]), xmlrpc.Fault)
        assert len(hub.engine.clients) == 1
