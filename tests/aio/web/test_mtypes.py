"""Which messages web clients may send, and what they see of others, by raw HTTP (WEB-60..62)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, FaultCode, Message

from ..webpage import WebHub, web_hub

HARMLESS = {"x-samp.mostly-harmless": "1"}
HARMFUL = {"x-samp.mostly-harmless": "0"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WebHub]:
    async with web_hub(tmp_path) as running:
        yield running


async def take(message: Message) -> None:
    """Take any message."""


def message(mtype: str) -> dict[str, Any]:
    return {"samp.mtype": mtype, "samp.params": {}}


@pytest.fixture
async def tool(hub: WebHub) -> AsyncIterator[Client]:
    client = Client("tool", lockfile=hub.lockfile)
    client.on("table.load.votable", "script.run")(take)
    client.on("tool.safe", annotation=HARMLESS)(take)
    client.on("table.delete", annotation=HARMFUL)(take)
    async with client:
        yield client


async def test_what_is_not_on_the_list_is_refused(hub: WebHub, tool: Client) -> None:
    page = await hub.page()
    for mtype in ("script.run", "table.delete"):
        for operation, params in (
            ("notify", [tool.public_id, message(mtype)]),
            ("call", [tool.public_id, "tag", message(mtype)]),
            ("callAndWait", [tool.public_id, message(mtype), "10"]),
        ):
            fault = await page.fault(operation, *params)
            assert (fault.code, mtype in fault.text) == (FaultCode.NOT_ALLOWED, True)
        assert await page.call("notifyAll", message(mtype)) == []
        assert await page.call("callAll", "tag", message(mtype)) == {}
    for mtype in ("table.load.votable", "tool.safe"):
        assert await page.call("notifyAll", message(mtype)) == [tool.public_id]
        answered = await page.call("callAndWait", tool.public_id, message(mtype), "10")
        assert answered["samp.status"] == "samp.ok"


async def test_what_may_not_be_sent_is_hidden(hub: WebHub, tool: Client) -> None:
    page = await hub.page("samp.hub.event.subscriptions", "script.run")
    seen = await page.call("getSubscriptions", tool.public_id)
    assert {"table.load.votable", "tool.safe"} <= set(seen)
    assert not {"script.run", "table.delete"} & set(seen)
    assert list(await page.call("getSubscribedClients", "table.load.votable")) == [tool.public_id]
    assert await page.call("getSubscribedClients", "script.run") == {}
    assert set(await page.call("getSubscriptions", page.id)) == {"samp.hub.event.subscriptions", "script.run"}
    ((_, params),) = await page.pull()
    assert set(params[1]["samp.params"]["subscriptions"]) == {"samp.hub.event.subscriptions", "script.run"}
    tool.on("ds9.set", "image.load.fits")(take)
    await tool.settled()
    ((_, params),) = await page.pull()
    assert params[1]["samp.params"]["id"] == tool.public_id
    assert "image.load.fits" in params[1]["samp.params"]["subscriptions"]
    assert not {"ds9.set", "script.run"} & set(params[1]["samp.params"]["subscriptions"])


async def test_who_takes_everything_can_be_reached(hub: WebHub) -> None:
    snoop = Client("snoop", lockfile=hub.lockfile)
    snoop.on("*")(take)
    async with snoop:
        page = await hub.page()
        assert {"table.*", "coord.*"} <= set(await page.call("getSubscriptions", snoop.public_id))
        assert list(await page.call("getSubscribedClients", "table.load.fits")) == [snoop.public_id]
        assert await page.call("notifyAll", message("coord.pointAt.sky")) == [snoop.public_id]
        assert (await page.fault("notify", snoop.public_id, message("ds9.set"))).code == FaultCode.NOT_ALLOWED


async def test_the_desktop_may_send_pages_anything(hub: WebHub, tool: Client) -> None:
    page = await hub.page("script.run")
    await tool.notify(page.id, "script.run", {})
    assert len(await page.pull()) == 1


async def test_pages_cannot_speak_for_the_hub(hub: WebHub, tool: Client) -> None:
    page = await hub.page()
    forged = await page.fault("notify", tool.public_id, message("samp.hub.event.shutdown"))
    assert forged.code == FaultCode.NOT_ALLOWED


async def test_the_limit_can_be_lifted_or_drawn_elsewhere(tmp_path: Path) -> None:
    for mtypes, allowed in ((None, True), (["script.*"], True), (["table.*"], False)):
        async with web_hub(tmp_path, mtypes=mtypes) as hub:
            client = Client("tool", lockfile=hub.lockfile)
            client.on("script.run")(take)
            async with client:
                page = await hub.page("samp.hub.event.subscriptions")
                assert (await page.call("notifyAll", message("script.run")) == [client.public_id]) is allowed
                assert ("script.run" in await page.call("getSubscriptions", client.public_id)) is allowed
