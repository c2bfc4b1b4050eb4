"""A hub with a state file is killed and started again, and clients of any make do not notice."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client

from .conversation import until_subscribed
from .peers import ds9, own_hub, scripted_peer
from .peers.desktop import DS9_NAME

pytestmark = pytest.mark.timeout(150)

KINDS = ("jsamp", "pyvo", "astropy")


async def test_libraries_go_on_over_a_killed_hub(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    state = "--state", str(tmp_path / "hub.state")
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        client = await stack.enter_async_context(Client("ours", lockfile=lockfile))
        peers = [await stack.enter_async_context(scripted_peer(kind, lockfile, tmp_path)) for kind in KINDS]
        for peer in peers:
            await peer.ask("declare_metadata", {"samp.name": "a peer", "x.id": peer.id})
            await peer.ask("declare_subscriptions", {"test.echo": {}})
        await client.get_clients()  # from now on we can be called back, too
        before = client.public_id

        await hub.kill()
        await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        await client.wait_registered(30)

        assert client.public_id == before
        for peer in peers:
            assert (await client.get_metadata(peer.id))["x.id"] == peer.id
            # to the peer ...
            echoed = await client.call(peer.id, "test.echo", {"text": peer.id}, timeout=30)
            assert echoed.result["text"] == peer.id
            # ... and from it, with the key that it was given before the crash
            await peer.ask("notify", before, {"samp.mtype": "samp.app.ping", "samp.params": {}})
            assert "hub" in await peer.ask("get_registered_clients")


async def test_ds9_goes_on_over_a_killed_hub(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    state = "--state", str(tmp_path / "hub.state")
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        client = await stack.enter_async_context(Client("ours", lockfile=lockfile))
        await stack.enter_async_context(ds9(lockfile, tmp_path))
        found = await client.find(DS9_NAME, timeout=60)
        await until_subscribed(client, found, "ds9.get")
        version = await client.call(found, "ds9.get", {"cmd": "version"}, timeout=30)

        await hub.kill()
        await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        await client.wait_registered(30)

        again = await client.call(found.public_id, "ds9.get", {"cmd": "version"}, timeout=30)
        assert again.result == version.result
