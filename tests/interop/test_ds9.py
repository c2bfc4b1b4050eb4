"""DS9: a raw peer that speaks as it does, and the real one under an X server of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Hub

from .conversation import until_subscribed
from .peers import DS9_NAME, ds9, ok, raw_ds9

COUNT = 1_000


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Answer `ds9.get` with its command, and some text that is longer in bytes than in characters."""
    return ok({"value": f"{message['samp.params']['cmd']} --- naïve Ångström"})


async def test_the_raw_peer_calls_and_is_called(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("ours", lockfile=lockfile) as client,
        raw_ds9(lockfile, answer) as raw,
    ):
        found = await client.find("raw", timeout=30)
        assert (found.public_id, found.metadata["ds9.version"]) == (raw.public_id, "ds9")
        # Its reply is there before its answer to receiveCall, and its Content-Length counts characters.
        response = await client.call(raw.public_id, "ds9.get", {"cmd": "version"}, timeout=30)
        assert response.result == {"value": "version --- naïve Ångström"}
        waited = await client.call_and_wait(raw.public_id, "ds9.get", {"cmd": "wcs"}, timeout=30)
        assert waited.result == {"value": "wcs --- naïve Ångström"}

        ping = {"samp.mtype": "samp.app.ping", "samp.params": {}}
        response_map = await raw.call("samp.hub.callAndWait", raw.key, client.public_id, ping, "10")
        assert response_map["samp.status"] == "samp.ok"
        clients = await raw.call("samp.hub.getRegisteredClients", raw.key)
        assert client.public_id in clients
        await raw.call("samp.hub.call", raw.key, client.public_id, "tag", ping)
        methods = [method for method, _ in await raw.wait_for(3)]
        assert methods == ["samp.client.receiveCall"] * 2 + ["samp.client.receiveResponse"]
        assert raw.complaints == []


@pytest.mark.timeout(150)
async def test_a_thousand_notifications_reach_it_once_each_and_in_order(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("ours", lockfile=lockfile) as client,
        raw_ds9(lockfile, answer) as raw,
    ):
        for number in range(COUNT):
            await client.notify(raw.public_id, "ds9.set", {"cmd": number, "text": "a < b"})
        await client.call(raw.public_id, "ds9.get", {"cmd": "the last"}, timeout=120)
        received = await raw.wait_for(COUNT + 1)
        assert raw.complaints == []
    commands = [parameters[-1]["samp.params"]["cmd"] for _, parameters in received]
    assert commands == [str(number) for number in range(COUNT)] + ["the last"]
    assert received[0][1][-1]["samp.params"]["text"] == "a < b"


async def test_what_is_sent_to_it_is_ascii_even_when_the_sender_was_not(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    params: dict[str, Any] = {"cmd": "naïve\n\n<Ångström>", "empty": "", "list": [], "map": {}}
    async with Hub(lockfile=lockfile), raw_ds9(lockfile, answer) as raw:
        message = {"samp.mtype": "ds9.set", "samp.params": params}
        await raw.call("samp.hub.notify", raw.key, raw.public_id, message)
        [(_, parameters)] = await raw.wait_for(1)
        assert parameters[-1]["samp.params"] == params
        assert raw.complaints == []


@pytest.mark.timeout(150)
async def test_the_real_ds9_registers_and_answers(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("ours", lockfile=lockfile) as client,
        ds9(lockfile, tmp_path),
    ):
        found = await client.find(DS9_NAME, timeout=60)
        await until_subscribed(client, found, "ds9.get")
        response = await client.call(found.public_id, "ds9.get", {"cmd": "version"}, timeout=30)
        waited = await client.call_and_wait(found.public_id, "ds9.get", {"cmd": "version"}, timeout=30)
    assert str(response.result["value"]).startswith("ds9 ")
    assert waited.result == response.result
