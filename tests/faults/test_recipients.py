"""Recipients that die, stop, answer nonsense or nothing: their callers are told, the others never notice."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, HubFaultError, Limits, ReplyError, SampError

from ..aio.raw import call
from ..interop.peers import process, scripted_peer
from .bystanders import Bystanders, bystanders, nothing_kept, the_log_says
from .misbehaving import MANNERS, drip, recipient, well

pytestmark = pytest.mark.both_loops

FAST = Limits(delivery_patience=0.1, refused_pause=0.01, vigil_interval=0.05, max_body=200_000)


@pytest.fixture
def limits(request: pytest.FixtureRequest) -> Limits:
    """Only who never answers is waited for; a busy machine may be late with the answers of the others."""
    if "never answering" in request.node.name:
        return dataclasses.replace(FAST, delivery_timeout=3.0)
    return FAST


@pytest.fixture
async def hub(tmp_path: Path, limits: Limits) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub:
        yield hub


@pytest.fixture
async def others(hub: Hub) -> AsyncIterator[Bystanders]:
    async with bystanders(hub.lockfile) as others:
        yield others


@pytest.mark.parametrize("manner", MANNERS)
async def test_a_caller_is_told_how_the_recipient_misbehaved(
    manner: str, hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    how, says = MANNERS[manner]
    async with Client("caller", lockfile=hub.lockfile) as caller, recipient(hub, how) as bad:
        with pytest.raises(ReplyError, match=says) as error:
            await caller.call(bad.id, "bad.call", timeout=20)
        assert f"client {bad.id!r}: did not take the call" in str(error.value)
        the_log_says(caplog, says)  # before it is asked again
        with pytest.raises(SampError, match=says):
            await caller.call_and_wait(bad.id, "bad.call", timeout=20)
        await caller.notify(bad.id, "bad.note")
        await others.went_on()
        assert [method.rpartition(".")[2] for method, _ in bad.deliveries[:2]] == ["receiveCall"] * 2
        await call(hub, "unregister", bad.key)
    nothing_kept(hub)
    assert others.longest < 10.0


async def test_one_that_fails_at_every_message_does_not_fill_the_log(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    how, says = MANNERS["status 500"]
    async with Client("caller", lockfile=hub.lockfile) as caller, recipient(hub, how) as bad:
        for _ in range(20):
            await caller.notify(bad.id, "bad.note")
        with pytest.raises(ReplyError, match=says):  # it comes behind them
            await caller.call(bad.id, "bad.call", timeout=20)
        the_log_says(caplog, *[says] * 5)
        await others.went_on()
        await call(hub, "unregister", bad.key)
    nothing_kept(hub)


async def test_one_that_answers_by_a_byte_at_a_time_is_borne(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client("caller", lockfile=hub.lockfile) as caller, recipient(hub, drip) as slow:
        asked = asyncio.create_task(caller.call(slow.id, "bad.call", timeout=20))
        await slow.came.wait()
        _, params = slow.deliveries[0]
        await call(hub, "reply", slow.key, str(params[2]), {"samp.status": "samp.ok", "samp.result": {}})
        assert (await asked).status == "samp.ok"
        await others.went_on()
        the_log_says(caplog)


async def test_one_that_dies_is_removed_and_its_callers_told(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    """Failures 4 and 5 of other hubs: the call is never answered, and the dead stay for ever."""
    async with Client("caller", lockfile=hub.lockfile) as caller, recipient(hub, well) as dying:
        waiting = asyncio.create_task(caller.call_and_wait(dying.id, "bad.call", timeout=0))
        await dying.came.wait()
        await dying.stop_listening()
        async with asyncio.timeout(20):
            with pytest.raises(SampError, match=f"client {dying.id!r}: left before it answered"):
                await waiting
        assert dying.id not in await caller.get_registered_clients()
    await others.went_on()
    nothing_kept(hub)
    the_log_says(caplog, f"client {dying.id} is gone: nobody listens")


async def test_a_dead_subscriber_spoils_no_broadcast(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    """Failure 5 of other hubs: one dead subscriber makes callAll fault after half of it went out."""
    async with (
        Client("caller", lockfile=hub.lockfile) as caller,
        Client("ok", lockfile=hub.lockfile) as alive,
    ):

        @alive.on("bad.call")
        async def handle(_: object) -> dict[str, str]:
            return {"here": "1"}

        await alive.settled()
        async with recipient(hub, well) as dead:
            await dead.stop_listening()
            answers = {who: response async for who, response in caller.call_all("bad.call", timeout=20)}
        assert answers[alive.public_id].result == {"here": "1"}
        assert answers[dead.id].status == "samp.error"
    the_log_says(caplog, f"client {dead.id} is gone: nobody listens")
    nothing_kept(hub)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_process(fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(delivery_patience=0.1, refused_pause=0.01, vigil_interval=0.05)
    async with (
        Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub,
        scripted_peer("asyncsamp", tmp_path / "hub.samp", tmp_path) as peer,
    ):
        await peer.ask("declare_subscriptions", {"test.hold": {}, "test.echo": {}})
        async with bystanders(hub.lockfile) as others, Client("caller", lockfile=hub.lockfile) as caller:
            held = asyncio.create_task(caller.call(peer.id, "test.hold", timeout=30))
            await peer.event("call")
            if fault == "stopped":
                peer.process.send_signal(signal.SIGSTOP)
                for number in range(100):
                    await caller.notify(peer.id, "test.echo", {"n": number})
                await others.went_on()
                the_log_says(caplog)  # it may be busy; nothing is wrong yet
                peer.process.send_signal(signal.SIGCONT)
                seen = [
                    int((await peer.event("notification")).message["samp.params"]["n"]) for _ in range(100)
                ]
                assert sorted(seen) == list(range(100))  # each once, none lost
                if sys.platform == "linux":  # which tells that it has not read what is under way
                    assert seen == list(range(100))
            await peer.process.kill()
            async with asyncio.timeout(20):
                with pytest.raises(SampError, match="left before it answered"):
                    await held
            the_log_says(caplog, f"client {peer.id} (own) is gone: nobody listens")
        nothing_kept(hub, clients=0)


WATCHER = """
import asyncio, sys
from asyncsamp import Client

async def main():
    async with Client("watcher", lockfile=sys.argv[1]) as client, client.messages("test.note"):
        await client.get_clients()
        while True:
            print("sees", *sorted(other.name for other in client.clients.values()), flush=True)
            await client.clients.changed()

asyncio.run(main())
"""
"""A program that says whom it sees, each time that changes."""


@pytest.mark.timeout(120)
async def test_one_that_was_stopped_learns_who_came_and_left(tmp_path: Path) -> None:
    limits = Limits(outbox=20, delivery_patience=0.05, deliveries_in_flight=4)
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile, limits=limits),
        Client("sender", lockfile=lockfile) as sender,
        process([sys.executable, "-c", WATCHER, lockfile], name="watcher", home=tmp_path) as watcher,
    ):
        early = await Client("early", lockfile=lockfile).register()
        await watcher.line("^sees .*early")
        stopped = (await sender.find("watcher")).public_id
        watcher.send_signal(signal.SIGSTOP)
        with contextlib.suppress(HubFaultError):  # it takes no more
            for number in range(1_000):
                await sender.notify(stopped, "test.note", {"n": number})
        with pytest.raises(HubFaultError, match="does not take its messages"):
            await sender.notify(stopped, "test.note")
        await early.unregister()
        async with Client("late", lockfile=lockfile):
            seen = len(watcher.stdout.lines)
            watcher.send_signal(signal.SIGCONT)
            async with asyncio.timeout(60):
                while "early" in (now := await watcher.stdout.at(seen)) or "late" not in now:
                    seen += 1


@pytest.mark.timeout(120)
async def test_a_full_outbox_refuses_and_goes_on_when_it_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(outbox=50, delivery_patience=0.05, deliveries_in_flight=4)
    release = asyncio.Event()

    async def later(peer: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await well(peer, reader, writer)  # type: ignore[arg-type]

    async with (
        Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub,
        bystanders(hub.lockfile) as others,
        Client("sender", lockfile=hub.lockfile) as sender,
        recipient(hub, later) as lazy,
    ):
        told = []
        for number in range(200):
            told += [number] if lazy.id in await sender.notify_all("bad.note", {"n": number}) else []
        assert 50 <= len(told) <= 60
        with pytest.raises(SampError, match="does not take its messages, and no more can be kept for it"):
            await sender.notify(lazy.id, "bad.note")
        await others.went_on()
        release.set()
        async with asyncio.timeout(30):
            while len(lazy.deliveries) < len(told):
                await others.went_on(1)
        received = [int(params[2]["samp.params"]["n"]) for _, params in lazy.deliveries]  # type: ignore[index]
        assert sorted(received) == told  # what was accepted came, and what was not was said
        the_log_says(caplog, f"client {lazy.id} does not take its messages")
        await call(hub, "unregister", lazy.key)
