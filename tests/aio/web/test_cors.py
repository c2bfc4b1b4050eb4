"""What browsers ask for, and who is refused before anything is read (WEB-40..50, WEB-63, WEB-81)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import FaultCode, xmlrpc

from ..webpage import ORIGIN, WebHub, request, web_hub

PING = xmlrpc.dump_call("samp.webhub.ping", [])


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "origin", [ORIGIN, "http://127.0.0.1:8000", "null", "file://", "moz-extension://3a-b", "HTTP://A.B"]
)
async def test_preflight(hub: WebHub, origin: str) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = await request(hub.port, "OPTIONS", "/", headers)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "7200"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert answer.headers["vary"] == "Origin"


async def test_private_network_is_answered_only_when_asked(hub: WebHub) -> None:
    answer = await request(hub.port, "OPTIONS", "/", {"Origin": ORIGIN})
    assert "access-control-allow-private-network" not in answer.headers


async def test_results_and_faults_bear_the_origin(hub: WebHub) -> None:
    for body in (PING, xmlrpc.dump_call("samp.webhub.nothing", []), b"<"):
        answer = await request(hub.port, "POST", "/", {"Origin": ORIGIN}, body)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["vary"] == "Origin"


async def test_without_an_origin_nothing_is_echoed(hub: WebHub) -> None:
    answer = await request(hub.port, "POST", "/", {}, PING)
    assert answer.value == ""
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "host", ["evil.example.org", "127.0.0.1.evil.example.org:{port}", "localhost:1", "[::2]:{port}", ""]
)
async def test_a_rebound_name_is_refused(hub: WebHub, host: str) -> None:
    headers = {"Host": host.format(port=hub.port), "Origin": ORIGIN}
    answer = await request(hub.port, "POST", "/", headers, PING)
    assert (answer.status, answer.fault.code) == (200, FaultCode.NOT_ALLOWED)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    for method in ("GET", "OPTIONS"):
        answer = await request(hub.port, method, "/", headers)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, ORIGIN)


async def test_http_1_0_without_host_is_served(hub: WebHub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(PING) + PING)
    assert b"<methodResponse>" in await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "origin", ["nonsense", "https://a b", "https://a.org/path", "javascript:x", "https://" + "a" * 300]
)
async def test_an_origin_that_no_browser_sends_is_refused(hub: WebHub, origin: str) -> None:
    answer = await request(hub.port, "POST", "/", {"Origin": origin}, PING)
    assert (answer.status, answer.fault.code) == (200, FaultCode.NOT_ALLOWED)
    assert "access-control-allow-origin" not in answer.headers


async def test_other_methods_and_pages_say_what_is_here(hub: WebHub) -> None:
    for method, path, status in (("GET", "/", 404), ("PUT", "/", 405), ("GET", "/crossdomain.xml", 404)):
        answer = await request(hub.port, method, path, {"Origin": ORIGIN})
        assert answer.status == status
        assert b"Web Profile" in answer.body
        assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_policy_files_are_served_behind_a_flag(tmp_path: Path) -> None:
    async with web_hub(tmp_path, policy_files=True) as hub:
        flash = await request(hub.port, "GET", "/crossdomain.xml", {})
        assert (flash.status, flash.headers["content-type"]) == (200, "text/x-cross-domain-policy")
        assert b'<allow-access-from domain="*"/>' in flash.body
        silverlight = await request(hub.port, "GET", "/clientaccesspolicy.xml", {})
        assert (silverlight.status, silverlight.headers["content-type"]) == (200, "text/xml")
        assert b'<domain uri="*"/>' in silverlight.body
