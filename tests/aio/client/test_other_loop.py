"""A client that is registered in one event loop says so when it is used in another one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Hub, Message, NotRegisteredError, WrongLoopError

CALLS: dict[str, tuple[Any, ...]] = {
    "aladin": ("reset",),
    "call": ("hub", "samp.app.ping"),
    "call_and_wait": ("hub", "samp.app.ping"),
    "declare_metadata": ({},),
    "ds9": ("quit",),
    "ds9_get": ("version",),
    "find": ("hub",),
    "get_clients": (),
    "get_metadata": ("hub",),
    "get_registered_clients": (),
    "get_subscribed_clients": ("a.b",),
    "get_subscriptions": ("hub",),
    "get_table": (),
    "highlight_row": ("t", 1),
    "notify": ("hub", "samp.app.ping"),
    "notify_all": ("a.b",),
    "open": ("t.vot",),
    "point_at": (1.0, 2.0),
    "progress": (Message("a.b", {}, "hub", "m1"), "half of it"),
    "receive_image": (),
    "receive_table": (),
    "register": (),
    "reply": ("m1",),
    "select_rows": ("t", [1]),
    "send_image": ("i.fits",),
    "send_moc": ("m.fits",),
    "send_spectrum": ("s.fits",),
    "send_table": ("t.vot",),
    "settled": (),
    "share": (b"x",),
    "unregister": (),
    "wait_for": ("hub",),
    "wait_registered": (),
}


def test_none_is_forgotten() -> None:
    public = {
        name
        for name, method in inspect.getmembers(Client, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert set(CALLS) == public


@pytest.fixture
async def client(tmp_path: Path) -> Any:
    async with Hub(lockfile=tmp_path / "samp"), Client("me", lockfile=tmp_path / "samp") as client:
        await client.get_clients()
        yield client


def elsewhere(work: Callable[[], Coroutine[Any, Any, object]]) -> Callable[[], None]:
    """Return a function that runs `work` in a loop of its own; it must fail at once."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work()

    def run() -> None:
        with pytest.raises(WrongLoopError, match="the client 'me' cannot "):
            asyncio.run(bounded())

    return run


@pytest.mark.parametrize("name", CALLS)
async def test_every_operation_says_so(client: Client, name: str) -> None:
    await asyncio.to_thread(elsewhere(lambda: getattr(client, name)(*CALLS[name])))
    assert client.registered
    assert (await client.call("hub", "samp.app.ping", timeout=30)).ok


@pytest.mark.both_loops
async def test_so_does_what_waits_for_others(client: Client) -> None:
    stream, changes, tables = client.messages("a.b"), client.hub_changes(), client.tables()
    answers = client.call_all("a.b")
    await client.settled()
    await client.notify(client.public_id, "a.b", {"still": "here"})

    async def entered() -> None:
        async with client:
            pass

    async def changed() -> None:
        await client.clients.changed()

    for work in (
        *(stream.__anext__, stream.__aenter__, changes.__anext__, tables.__anext__, tables.__aenter__),
        *(lambda: anext(answers), entered, changed),
    ):
        await asyncio.to_thread(elsewhere(work))
    assert (await anext(stream)).params == {"still": "here"}
    stream.close()
    tables.close()


async def test_so_does_what_changes_what_it_takes(client: Client) -> None:
    async def handler(message: Message) -> None:
        """Do nothing."""

    for change in (
        lambda: client.on("a.c")(handler),
        lambda: client.off("a.b"),
        lambda: client.messages("a.b"),
    ):
        with pytest.raises(WrongLoopError, match=r"cannot (take messages|change what it takes) here"):
            await asyncio.to_thread(change)


def test_a_loop_that_has_ended_is_said_to_have(tmp_path: Path) -> None:
    async def begin() -> tuple[Hub, Client]:
        hub = Hub(lockfile=tmp_path / "samp")
        await hub.start()
        return hub, await Client("me", lockfile=tmp_path / "samp").register()

    async def end() -> None:
        await client.unregister()
        await hub.shutdown()

    first = asyncio.new_event_loop()
    try:
        hub, client = first.run_until_complete(begin())
        for name, arguments in CALLS.items():
            with pytest.raises(WrongLoopError, match="which runs no more; make a new client"):
                asyncio.run(getattr(client, name)(*arguments))
        first.run_until_complete(end())
    finally:
        first.close()


def test_after_the_end_of_a_run_it_may_register_in_the_next_one(tmp_path: Path) -> None:
    """`asyncio.run` ends what is registered; the client is free."""
    client = Client("me", lockfile=tmp_path / "samp")

    async def stay() -> None:
        await client.register()

    async def leave() -> None:
        async with client:
            assert (await client.call("hub", "samp.app.ping", timeout=30)).ok

    async def both() -> None:
        async with Hub(lockfile=tmp_path / "samp"):
            await asyncio.to_thread(asyncio.run, stay())
            for work in (client.notify_all("a.b"), client.call("hub", "samp.app.ping")):
                with pytest.raises(NotRegisteredError, match="'me' left when its event loop ended"):
                    await asyncio.to_thread(asyncio.run, work)
            await asyncio.to_thread(asyncio.run, leave())
            with pytest.raises(NotRegisteredError, match="'me' is not registered, so it cannot"):
                await asyncio.to_thread(asyncio.run, client.notify_all("a.b"))
            await asyncio.to_thread(asyncio.run, leave())

    asyncio.run(both())
