"""What dies without a word: a recipient in the middle of a call, a hub under its clients."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, HubLostError, Limits, Message, SampError

from .conversation import until_subscribed
from .peers import Process, jsamp_hub, own_hub, scripted_peer

pytestmark = pytest.mark.alone  # since it measures


@pytest.fixture
def noticed_within(long: bool) -> float:
    """Seconds within which it is; a busy machine stands still for some now and then."""
    return 2.0 if long else 10.0


@pytest.mark.parametrize("kind", ["asyncsamp", "pyvo", "jsamp"])
async def test_a_caller_hears_of_a_killed_recipient(kind: str, tmp_path: Path, noticed_within: float) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("caller", lockfile=lockfile) as client,
        scripted_peer(kind, lockfile, tmp_path) as peer,
    ):
        await peer.ask("declare_subscriptions", {"test.hold": {}, "test.echo": {}})
        waiting = asyncio.create_task(client.call_and_wait(peer.id, "test.hold", {}, timeout=0))
        calling = asyncio.create_task(client.call(peer.id, "test.hold", {}))
        for _ in range(2):
            await peer.event("call")
        # Order is kept, so both calls have been taken for good once this one has come.
        await client.notify(peer.id, "test.echo", {})
        await peer.event("notification")

        await peer.process.kill()
        async with asyncio.timeout(noticed_within):
            for call in (waiting, calling):
                with pytest.raises(SampError, match=peer.id):
                    await call
        assert peer.id not in await client.get_registered_clients()


@pytest.mark.parametrize("kind", ["asyncsamp", "jsamp"])
async def test_a_caller_hears_of_a_recipient_that_froze_and_was_killed(
    kind: str, tmp_path: Path, noticed_within: float
) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("caller", lockfile=lockfile) as client,
        scripted_peer(kind, lockfile, tmp_path) as peer,
    ):
        await peer.ask("declare_subscriptions", {"test.echo": {}})
        peer.process.send_signal(signal.SIGSTOP)
        # The kernel still takes the connection: the delivery hangs, with the others behind it.
        waiting = asyncio.create_task(client.call_and_wait(peer.id, "test.echo", {}, timeout=0))
        calling = asyncio.create_task(client.call(peer.id, "test.echo", {}))
        assert peer.id in await client.get_registered_clients()

        await peer.process.kill()
        async with asyncio.timeout(noticed_within):
            for call in (waiting, calling):
                with pytest.raises(SampError, match=peer.id):
                    await call


@pytest.mark.parametrize("start_hub", [own_hub, jsamp_hub])
async def test_our_clients_are_back_by_themselves_after_a_killed_hub(
    start_hub: Callable[[Path, Path], AbstractAsyncContextManager[Process]],
    tmp_path: Path,
    noticed_within: float,
) -> None:
    lockfile = tmp_path / "hub.samp"
    # JSAMP's hub keeps no connection open that could tell of its death: it has to be asked.
    limits = Limits(close_timeout=0.1, hub_check_interval=0.1)
    receiver = Client("receiver", metadata={"x.k": "v"}, lockfile=lockfile, limits=limits)
    sender = Client("sender", lockfile=lockfile, limits=limits)

    @receiver.on("test.echo", annotation={"x": "1"})
    async def echo(message: Message) -> dict[str, str]:
        return {"n": str(message.params["n"])}

    @receiver.on("test.hold")
    async def hold(message: Message) -> None:
        await asyncio.Event().wait()

    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(start_hub(lockfile, tmp_path))
        await stack.enter_async_context(receiver)
        await stack.enter_async_context(sender)
        assert (await sender.call(receiver.public_id, "test.echo", {"n": 1}, timeout=30)).result == {"n": "1"}
        lost = asyncio.create_task(sender.call_and_wait(receiver.public_id, "test.hold", {}, timeout=0))
        await sender.call(receiver.public_id, "test.echo", {"n": 2}, timeout=30)

        await hub.kill()
        async with asyncio.timeout(noticed_within):
            with pytest.raises(HubLostError):
                await lost
        await stack.enter_async_context(start_hub(lockfile, tmp_path))
        probe = await stack.enter_async_context(Client("probe", lockfile=lockfile))
        found = await probe.find("receiver", timeout=30)
        await probe.find("sender", timeout=30)
        await until_subscribed(probe, found, "test.echo")
        assert found.metadata["x.k"] == "v"
        assert (await probe.get_subscriptions(found.public_id))["test.echo"] == {"x": "1"}
        await sender.wait_registered(timeout=30)
        here = await sender.find("receiver", timeout=30)
        assert (await sender.call(here.public_id, "test.echo", {"n": 3}, timeout=30)).result == {"n": "3"}
