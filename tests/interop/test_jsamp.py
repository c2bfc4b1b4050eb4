"""JSAMP, the reference implementation: its tests, tools and clients on our hub, our client on its hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message

from . import conversation
from .peers import calc_storm, hub_tester, message_sender, own_hub, snooper


@pytest.mark.timeout(150)
async def test_hub_tester_passes(tmp_path: Path) -> None:
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        assert hub.lockfile is not None
        await hub_tester(hub.lockfile, tmp_path)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("mode", ["sync", "async", "notify", "random"])
@pytest.mark.parametrize(("clients", "queries"), [(20, 100), (100, 20)])
async def test_calc_storm_passes(mode: str, clients: int, queries: int, tmp_path: Path) -> None:
    # The hub has a process of its own: here every message is logged, and the loop is in debug mode.
    lockfile = tmp_path / "hub.samp"
    async with own_hub(lockfile, tmp_path):
        printed = await calc_storm(lockfile, tmp_path, clients=clients, queries=queries, mode=mode)
    assert "Elapsed time" in printed


async def test_a_client_of_jsamp_speaks_to_ours_on_our_hub(tmp_path: Path) -> None:
    async with conversation.both("asyncsamp", "jsamp", tmp_path) as (client, peer):
        await conversation.peer_speaks(client, peer)
        await conversation.peer_leaves(client, peer)


async def test_our_client_speaks_to_jsamps_on_our_hub(tmp_path: Path) -> None:
    async with conversation.both("asyncsamp", "jsamp", tmp_path) as (client, peer):
        await conversation.ours_speaks(client, peer)


async def test_a_client_of_jsamp_speaks_to_ours_on_jsamps_hub(tmp_path: Path) -> None:
    async with conversation.both("jsamp", "jsamp", tmp_path) as (client, peer):
        await conversation.peer_speaks(client, peer)
        await conversation.peer_leaves(client, peer)


async def test_our_client_speaks_to_jsamps_on_jsamps_hub(tmp_path: Path) -> None:
    async with conversation.both("jsamp", "jsamp", tmp_path) as (client, peer):
        await conversation.ours_speaks(client, peer)


async def test_messagesender_reaches_our_client_in_every_mode(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    heard: list[Message] = []
    client = Client("ours", lockfile=lockfile)

    @client.on("test.order")
    async def order(message: Message) -> dict[str, str]:
        heard.append(message)
        return {"answer": f"to {message.params['k']}"}

    async with Hub(lockfile=lockfile), client:
        for mode in ("sync", "async"):
            printed = await message_sender(
                lockfile, tmp_path, "test.order", {"k": mode}, mode=mode, target="ours"
            )
            assert f'"answer": "to {mode}"' in printed
        printed = await message_sender(lockfile, tmp_path, "test.order", {"k": "all"}, mode="async")
        assert '"answer": "to all"' in printed
        async with client.messages("test.note") as notes:
            await message_sender(lockfile, tmp_path, "test.note", {"k": "v"}, mode="notify")
            note = await anext(notes)
    assert (note.params, note.msg_id) == ({"k": "v"}, None)
    assert [message.params["k"] for message in heard] == ["sync", "async", "all"]


async def test_snooper_logs_what_our_client_sends(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("ours", lockfile=lockfile) as client,
        snooper(lockfile, tmp_path, "test.*") as tool,
    ):
        snoop = await client.find("Snooper", timeout=60)
        await conversation.until_subscribed(client, snoop, "test.order")
        await client.notify_all("test.order", {"k": "notified"})
        await tool.line('"k": "notified"')
        response = await client.call(snoop.public_id, "test.order", {"k": "called"}, timeout=30)
        await tool.line('"k": "called"')
    assert response.status == "samp.warning"
    assert response.errortxt == "Message logged, not acted on"
