"""What our client and a foreign one say to each other, on whatever hub: every operation of the standard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Hub, Message, RemoteClient, ReplyError

from .peers import PeerFaultError, ScriptedPeer, jsamp_hub, python_hub, scripted_peer

PARAMS: dict[str, Any] = {
    "text": " \"quoted\" \\ & <tag> 'and' so on ",
    "empty": "",
    "lines": "one\n\ttwo",
    "list": ["1", [], {"deep": ["x"]}],
    "map": {"": "an empty key", "empty": {}},
}
"""White space, empty things and markup must come through as they are (DATA-2..6)."""

WAIT = 30.0
"""Seconds, in which on a busy machine a Java program may have to start first."""


@contextlib.asynccontextmanager
async def hub_of(kind: str, home: Path) -> AsyncIterator[Path]:
    """Run the hub of "asyncsamp", "jsamp", "pyvo" or "astropy"; gives its lockfile."""
    lockfile = home / "hub.samp"
    hub: contextlib.AbstractAsyncContextManager[object]
    if kind == "asyncsamp":
        hub = Hub(lockfile=lockfile)
    elif kind == "jsamp":
        hub = jsamp_hub(lockfile, home)
    else:
        hub = python_hub(kind, lockfile, home)
    async with hub:
        yield lockfile


@contextlib.asynccontextmanager
async def our_client(lockfile: Path) -> AsyncIterator[Client]:
    """Register a client of ours that echoes, fails, and takes notifications."""
    client = Client("ours", metadata={"samp.description.text": "an & b", "x.list": ["1"]}, lockfile=lockfile)

    @client.on("test.echo")
    async def echo(message: Message) -> dict[str, Any]:
        return message.params

    @client.on("test.fail")
    async def fail(message: Message) -> None:
        raise ValueError("told to fail")

    async with client:
        yield client


@contextlib.asynccontextmanager
async def both(hub: str, kind: str, home: Path) -> AsyncIterator[tuple[Client, ScriptedPeer]]:
    """Run a hub, a client of ours and one of `kind`, both with metadata and subscriptions declared."""
    async with (
        hub_of(hub, home) as lockfile,
        our_client(lockfile) as client,
        scripted_peer(kind, lockfile, home) as peer,
    ):
        await peer.ask("declare_metadata", {"samp.name": "foreign", "x.map": {"k": " v "}})
        await peer.ask("declare_subscriptions", {"test.echo": {"x": "1"}, "test.fail": {}, "test.hold": {}})
        found = await client.find("foreign", timeout=30)
        assert found.public_id == peer.id
        yield client, peer


async def until_subscribed(client: Client, other: RemoteClient, mtype: str) -> None:
    """Wait until `other` has told the hub that it takes `mtype`: registering comes some steps before."""
    async with asyncio.timeout(WAIT), client.messages("samp.hub.event.subscriptions") as declarations:
        while not other.subscribes(mtype):
            await anext(declarations)


async def ours_speaks(
    client: Client, peer: ScriptedPeer, *, faithful: bool = True, theirs: str = "", ours: str = ""
) -> None:
    """Everything that our client can say to a foreign one; `faithful` and the ids as in `peer_speaks`."""
    theirs, ours = theirs or peer.id, ours or client.public_id
    assert theirs in await client.get_registered_clients()
    assert (await client.get_metadata(theirs))["x.map"] == {"k": " v "}
    assert (await client.get_subscriptions(theirs))["test.echo"] == {"x": "1"}
    subscribed = await client.get_subscribed_clients("test.echo")
    assert subscribed == {theirs: {"x": "1"} if faithful else {}}

    await client.notify(theirs, "test.echo", PARAMS)
    heard = await peer.event("notification")
    assert (heard.sender, heard.message["samp.params"]) == (ours, PARAMS)
    assert list(await client.notify_all("test.echo", {"n": 1})) == [theirs]
    assert (await peer.event("notification")).message["samp.params"] == {"n": "1"}

    assert (await client.call(theirs, "test.echo", PARAMS, timeout=WAIT)).result == PARAMS
    assert (await client.call_and_wait(theirs, "test.echo", PARAMS, timeout=WAIT)).result == PARAMS
    with pytest.raises(ReplyError, match="told to fail"):
        await client.call(theirs, "test.fail", {}, timeout=WAIT)
    answers = [answer async for answer in client.call_all("test.echo", PARAMS, timeout=WAIT)]
    assert [(who, response.result) for who, response in answers] == [(theirs, PARAMS)]


async def peer_speaks(
    client: Client, peer: ScriptedPeer, *, faithful: bool = True, theirs: str = "", ours: str = ""
) -> None:
    """Everything that a foreign client can say to ours.

    `faithful` is False on the hubs of astropy and pyvo, which drop annotations and
    add keys of their own to messages. On different hubs `theirs` is what our client knows the foreign one
    by, and `ours` the other way round.
    """
    theirs, ours = theirs or peer.id, ours or client.public_id
    await peer.ask("ping")
    assert ours in await peer.ask("get_registered_clients")
    metadata = await peer.ask("get_metadata", ours)
    assert metadata["samp.name"].partition(" @")[0] == "ours"
    assert metadata["samp.description.text"] == "an & b"
    assert metadata["x.list"] == ["1"]
    assert {"test.echo", "test.fail"} <= set(await peer.ask("get_subscriptions", ours))
    assert ours in await peer.ask("get_subscribed_clients", "test.echo")
    with pytest.raises(PeerFaultError):
        await peer.ask("get_metadata", "nobody")

    await _peer_notifies(client, peer, theirs, ours, faithful=faithful)
    message = {"samp.mtype": "test.echo", "samp.params": PARAMS}
    await peer.ask("call", ours, "tag 1", message)
    response = await peer.event("response")
    assert (response.sender, response.id, response.message["samp.result"]) == (ours, "tag 1", PARAMS)
    called = await peer.ask("call_all", "tag-2", message)
    assert ours in called
    response = await peer.event("response")
    assert (response.sender, response.id, response.message["samp.status"]) == (ours, "tag-2", "samp.ok")
    waited = await peer.ask("call_and_wait", ours, message, "10")
    assert (waited["samp.status"], waited["samp.result"]) == ("samp.ok", PARAMS)
    failed = await peer.ask("call_and_wait", ours, {"samp.mtype": "test.fail", "samp.params": {}}, "10")
    assert failed["samp.status"] == "samp.error"
    assert "told to fail" in failed["samp.error"]["samp.errortxt"]


async def _peer_notifies(
    client: Client, peer: ScriptedPeer, theirs: str, ours: str, *, faithful: bool
) -> None:
    async with client.messages("test.note") as notes:
        while ours not in await peer.ask("get_subscribed_clients", "test.note"):
            pass  # it is on its way between two hubs
        note = {"samp.mtype": "test.note", "samp.params": PARAMS, "x.extra": "kept"}
        await peer.ask("notify", ours, note)
        first = await anext(notes)  # other hubs deliver in threads, which may overtake each other
        told = await peer.ask("notify_all", {**note, "samp.params": {"n": "2"}})
        assert told == [ours]
        second = await anext(notes)
    assert (first.sender, first.params, first.msg_id) == (theirs, PARAMS, None)
    assert first.extra["x.extra"] == "kept"
    assert not faithful or set(first.extra) == {"x.extra"}
    assert second.params == {"n": "2"}


async def peer_leaves(client: Client, peer: ScriptedPeer) -> None:
    """Our view of the others loses a client that unregisters."""
    view = await client.find("foreign", timeout=30)
    async with client.messages("samp.hub.event.unregister") as leavers:
        await peer.ask("disconnect")
        assert (await anext(leavers)).params["id"] == peer.id
    assert not view.registered
    assert peer.id not in client.clients
