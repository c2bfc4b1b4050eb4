"""asyncsamp.hub.page.kept: an open page finds the hub again that comes back after a crash."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Hub
from asyncsamp.hub.page import HubPage
from asyncsamp.hub.page.kept import Kept, KeptFile

from .test_server import Browser


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp") as running:
        yield running


async def crashed(hub: Hub, state: Path) -> Browser:
    """Run a page, and leave what it has kept as a crash would."""
    async with HubPage(hub, state=state) as page:
        browser = Browser(page.new_link())
        await browser.enter()
        kept = await asyncio.to_thread(state.read_bytes)
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert not state.exists()
    state.write_bytes(kept)
    return browser


async def test_a_browser_is_still_in_after_a_crash(hub: Hub, tmp_path: Path) -> None:
    browser = await crashed(hub, tmp_path / "state.page")
    async with HubPage(hub, state=tmp_path / "state.page"), browser.events() as events:
        assert (await anext(events))[0] == "hello"


async def test_a_port_that_is_taken_is_given_up(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await crashed(hub, tmp_path / "state.page")
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", browser.port)
    async with server, HubPage(hub, state=tmp_path / "state.page") as page:
        other = Browser(page.new_link())
        assert other.port != browser.port
        other.headers = {**browser.headers, "Origin": other.origin}
        assert (await other.post("/link", {})).status == 401
    assert "another port than before" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"port": 70000, "sessions": {}}',
        '{"port": 1, "sessions": []}',
        '{"port": 1, "sessions": {"a": ""}}',
        '{"port": 1, "sessions": {"a": 1}}',
    ],
)
async def test_what_is_damaged_does_not_count(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text(text)
    assert await KeptFile(tmp_path / "kept").read() == Kept(0, {})
    assert "the saved state of the hub's page" in caplog.text


async def test_a_file_that_cannot_be_written_is_only_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await KeptFile(tmp_path / "no" / "kept").write(Kept(1, {}))
    assert "will not find it after a crash" in caplog.text


async def test_without_a_file_nothing_is_kept() -> None:
    file = KeptFile(None)
    await file.write(Kept(1, json.loads("{}")))
    assert await file.read() == Kept(0, {})
    await file.remove()
