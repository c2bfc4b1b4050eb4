"""The Web Profile by raw HTTP: registering, operations, messages across the profiles (WEB-1..24)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, FaultCode, FaultError, Limits, Message, xmlrpc
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value

from ..connections import turns_until
from ..webpage import ORIGIN, Page, WebHub, open_request, read_answer, request, web_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path) as running:
        yield running


async def test_ping_needs_no_key_and_takes_any(hub: WebHub) -> None:
    page = Page(hub.port)
    for params in ([], ["no-such-key"], ["a", "b"]):
        assert (await page.post("samp.webhub.ping", *params)).value == ""


async def test_registering_gives_ids_key_and_translator(hub: WebHub) -> None:
    answer = await Page(hub.port).post("samp.webhub.register", {"samp.name": "a page"})
    info = answer.value
    assert isinstance(info, dict)
    urls = {"samp.url-translator", "x-asyncsamp.upload"}
    assert set(info) == {"samp.hub-id", "samp.self-id", "samp.private-key"} | urls
    assert not any(str(info["samp.private-key"]) in str(info[url]) for url in urls)
    assert str(info["samp.url-translator"]).startswith(f"http://127.0.0.1:{hub.port}/")


async def test_a_plain_string_is_a_name_too(hub: WebHub) -> None:
    assert isinstance((await Page(hub.port).post("samp.webhub.register", "an old page")).value, dict)


@pytest.mark.parametrize(
    "params", [[], [{}], [{"samp.name": " "}], [{"samp.name": ["x"]}], [["x"]], ["a", "b"]]
)
async def test_registering_without_a_name_is_a_fault(hub: WebHub, params: list[Any]) -> None:
    answer = await Page(hub.port).post("samp.webhub.register", *params)
    assert answer.status == 200
    assert answer.fault.code == FaultCode.BAD_PARAMETERS
    assert "samp.name" in answer.fault.text


async def test_web_and_standard_clients_share_the_hub(hub: WebHub) -> None:
    client = Client("desktop", lockfile=hub.lockfile)

    @client.on("table.load.votable")
    async def load(message: Message) -> dict[str, str]:
        return {"rows": "3", "from": message.sender}

    async with client:
        page = await hub.page("coord.pointAt.sky")
        await page.call("declareMetadata", {"samp.name": "the page"})
        assert (await client.find("the page")).public_id == page.id
        assert client.public_id in await page.call("getRegisteredClients")
        assert (await page.call("getMetadata", client.public_id))["samp.name"] == "desktop"
        assert client.public_id in await page.call("getSubscribedClients", "table.load.votable")

        message = {"samp.mtype": "table.load.votable", "samp.params": {"url": "http://x.example/t.vot"}}
        waited = await page.call("callAndWait", client.public_id, message, "10")
        assert waited["samp.result"] == {"rows": "3", "from": page.id}
        msg_id = await page.call("call", client.public_id, "tag", message)
        assert msg_id
        ((method, params),) = await page.pull()
        assert (method, params[0], params[1]) == ("receiveResponse", client.public_id, "tag")
        assert params[2]["samp.status"] == "samp.ok"

        await client.notify(page.id, "coord.pointAt.sky", {"ra": 1.5})
        ((method, params),) = await page.pull()
        assert (method, params[0]) == ("receiveNotification", client.public_id)
        assert params[1] == {"samp.mtype": "coord.pointAt.sky", "samp.params": {"ra": "1.5"}}

        asking = asyncio.create_task(client.call(page.id, "coord.pointAt.sky", {}, timeout=10))
        ((method, params),) = await page.pull()
        assert (method, params[0]) == ("receiveCall", client.public_id)
        await page.call("reply", params[1], {"samp.status": "samp.ok", "samp.result": {"seen": "1"}})
        assert (await asking).result == {"seen": "1"}

        await page.call("unregister")
        assert page.id not in await client.get_registered_clients()
    assert (await page.fault("getRegisteredClients")).code == FaultCode.NOT_REGISTERED


async def test_two_pages_speak_to_each_other(hub: WebHub) -> None:
    one, two = await hub.page("table.*"), await hub.page("table.*", origin="https://other.example.org")
    message = {"samp.mtype": "table.highlight.row", "samp.params": {"row": "7"}}
    assert await one.call("notifyAll", message) == [two.id]
    assert await two.pull() == [("receiveNotification", [one.id, message])]


async def test_unknown_methods_and_keys_are_faults(hub: WebHub) -> None:
    page = await hub.page()
    assert (await page.post("samp.hub.ping")).fault.code == FaultCode.UNKNOWN_METHOD
    assert (await page.fault("noSuchThing")).code == FaultCode.UNKNOWN_METHOD
    assert (await page.post("samp.webhub.getRegisteredClients")).fault.code == FaultCode.BAD_PARAMETERS
    page.key = "wk-nonsense"
    for operation in ("getRegisteredClients", "pullCallbacks", "unregister"):
        assert (await page.fault(operation)).code == FaultCode.NOT_REGISTERED


async def test_a_key_is_good_for_its_own_profile_only(hub: WebHub) -> None:
    page = await hub.page()
    sender = RpcClient()
    try:
        with pytest.raises(FaultError, match="not known"):
            await sender.call(hub.hub.url, "samp.hub.getRegisteredClients", [page.key], timeout=30)
        lines = hub.lockfile.read_text().splitlines()
        secret = next(line for line in lines if line.startswith("samp.secret=")).partition("=")[2]
        info = await sender.call(hub.hub.url, "samp.hub.register", [secret], timeout=30)
        assert isinstance(info, dict)
        page.key = str(info["samp.private-key"])
    finally:
        await sender.close()
    assert (await page.fault("getRegisteredClients")).code == FaultCode.NOT_REGISTERED


async def test_bad_xml_is_a_fault_that_a_page_can_read(hub: WebHub) -> None:
    for body in (b"", b"<methodCall>", b"\x00\xff", b"<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall/>"):
        answer = await request(hub.port, "POST", "/", {"Origin": ORIGIN}, body)
        assert (answer.status, answer.fault.code) == (200, FaultCode.MALFORMED)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert (await Page(hub.port).post("samp.webhub.ping")).value == ""


async def test_a_page_that_nobody_let_in_may_not_fill_the_memory(hub: WebHub) -> None:
    large: dict[str, Value] = {"x": "y" * 200_000}
    headers = {"Origin": ORIGIN, "Content-Length": "60000000"}
    for key in ("", "wk-" + 32 * "0"):
        body = xmlrpc.dump_call("samp.webhub.declareMetadata", [key, large])
        answer = await request(hub.port, "POST", "/", headers, body)  # answered before the rest is sent
        assert answer.fault.text == "above 65536 bytes a known private key must come first"
        assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    page = await hub.page("a.b")
    assert await page.call("declareMetadata", large) == ""
    await page.call("unregister")
    assert "must come first" in (await page.fault("declareMetadata", large)).text


async def test_a_body_that_cannot_be_taken_is_a_fault_too(hub: WebHub) -> None:
    headers = {"Origin": ORIGIN, "Content-Encoding": "gzip"}
    answer = await request(hub.port, "POST", "/", headers, b"x")
    assert (answer.status, answer.fault.code) == (200, FaultCode.MALFORMED)
    headers = {"Origin": ORIGIN, "Content-Length": str(2**33)}
    reader, writer = await open_request(hub.port, "POST", "/", headers)
    assert (await read_answer(reader)).fault.code == FaultCode.MALFORMED
    writer.close()
    await writer.wait_closed()


async def test_a_beacon_is_taken_as_text(hub: WebHub) -> None:
    page = await hub.page()
    body = xmlrpc.dump_call("samp.webhub.unregister", [page.key])
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}
    assert (await request(hub.port, "POST", "/", headers, body)).value == ""
    assert (await page.fault("getRegisteredClients")).code == FaultCode.NOT_REGISTERED


async def test_both_loopback_addresses_are_served(hub: WebHub) -> None:
    body = xmlrpc.dump_call("samp.webhub.ping", [])
    for host, name in (("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "[::1]")):
        answer = await request(hub.port, "POST", "/", {"Host": f"{name}:{hub.port}"}, body, host)
        assert answer.value == ""


async def test_the_hub_goes_without_web_clients_disturbing_it(hub: WebHub) -> None:
    page = await hub.page("samp.hub.event.shutdown")
    pulling = asyncio.create_task(page.pull("600"))
    async with Client("watcher", lockfile=hub.lockfile) as client:
        await client.get_registered_clients()
    await hub.hub.shutdown()
    ((method, params),) = await pulling
    assert (method, params[1]["samp.mtype"]) == ("receiveNotification", "samp.hub.event.shutdown")


async def test_a_page_between_two_pulls_hears_that_the_hub_goes(tmp_path: Path) -> None:  # HUB-9
    async with web_hub(tmp_path, limits=Limits(shutdown_patience=30)) as hub:
        page = await hub.page("samp.hub.event.shutdown")
        assert hub.profile._service is not None
        waiting = hub.profile._service._pages[page.id].pulls
        stopping = asyncio.create_task(hub.hub.shutdown())
        await turns_until(lambda: len(waiting) == 1)
        ((_, params),) = await page.pull("600")
        assert params[1]["samp.mtype"] == "samp.hub.event.shutdown"
        await stopping


async def test_a_closed_page_holds_up_the_end_no_longer_than_any_client(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with web_hub(tmp_path, limits=Limits(shutdown_patience=0.1)) as hub:
        for _ in range(3):
            await hub.page("samp.hub.event.shutdown")
        begun = loop.time()
        await hub.hub.shutdown()
        assert loop.time() - begun < 20


async def test_a_silent_connection_is_not_hung_up_on(hub: WebHub) -> None:
    """A browser holds one while its user is asked about the local network."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await reader.read(1)
    body = xmlrpc.dump_call("samp.webhub.ping", [])
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost:%d\r\n" % hub.port)
    writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (await read_answer(reader)).value == ""
    writer.close()
    await writer.wait_closed()
