"""Real parts in a room: JSAMP's tests and tools on joined hubs, and its hub attached."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import aiohttp
import pytest

from asyncsamp import Client, HubFaultError, Message, NotSubscribedError, ReplyError
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.hub.profiles.reach.invitation_files import write_invitation
from asyncsamp.mtypes import AppPing
from asyncsamp.values import ValueMap

from ..aio.nats_server import NatsServer
from . import conversation
from .conversation import PARAMS, WAIT
from .peers import ScriptedPeer, calc_storm, hub_tester, jsamp_hub, message_sender, scripted_peer, snooper
from .rooms import attached, bridge, joined_hub, room

pytestmark = pytest.mark.timeout(180)


async def test_hub_tester_passes_on_a_joined_hub(tmp_path: Path) -> None:
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        joined_hub(server, tmp_path, "there"),
    ):
        await hub_tester(here, tmp_path)


@pytest.mark.parametrize("mode", ["sync", "async", "notify", "random"])
async def test_calc_storm_passes_on_a_joined_hub(mode: str, tmp_path: Path) -> None:
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        joined_hub(server, tmp_path, "there"),
    ):
        printed = await calc_storm(here, tmp_path, clients=10, queries=20, mode=mode)
    assert "Elapsed time" in printed


async def test_messagesender_and_snooper_across(tmp_path: Path) -> None:
    heard: asyncio.Queue[Message] = asyncio.Queue()
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        joined_hub(server, tmp_path, "there") as there,
        Client("ours", lockfile=there) as client,
        Client("watcher", lockfile=here) as watcher,
    ):

        @client.on("test.order")
        async def order(message: Message) -> dict[str, str]:
            heard.put_nowait(message)
            return {"answer": f"to {message.params['k']}"}

        await client.settled()
        seen = await watcher.find("ours @there", timeout=WAIT)
        await conversation.until_subscribed(watcher, seen, "test.order")
        for mode in ("sync", "async"):
            printed = await message_sender(
                here, tmp_path, "test.order", {"k": mode}, mode=mode, target="ours @there"
            )
            assert f'"answer": "to {mode}"' in printed
        await message_sender(here, tmp_path, "test.order", {"k": "told"}, mode="notify")
        async with asyncio.timeout(WAIT):
            assert [(await heard.get()).params["k"] for _ in range(3)] == ["sync", "async", "told"]
        async with snooper(here, tmp_path, "test.*") as tool:
            snoop = await client.find("Snooper @here", timeout=WAIT)
            await conversation.until_subscribed(client, snoop, "test.order")
            await client.notify_all("test.order", {"k": "notified"})
            await tool.line('"k": "notified"')
            response = await client.call(snoop, "test.order", {"k": "called"}, timeout=WAIT)
            await tool.line('"k": "called"')
    assert response.status == "samp.warning"


async def test_clients_of_jsamps_hub_are_in_the_room(tmp_path: Path) -> None:
    """Started first, it needs nothing but a client: what both sides say to each other, and its end."""
    foreign = tmp_path / "jsamp.samp"
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        Client("ours", lockfile=here) as client,
        jsamp_hub(foreign, tmp_path) as hub,
    ):

        @client.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        async with (
            scripted_peer("jsamp", foreign, tmp_path) as peer,
            attached(server, foreign, tmp_path, "desk") as program,
        ):
            await peer.ask("declare_metadata", {"samp.name": "foreign"})
            await peer.ask("declare_subscriptions", {"test.echo": {}, "test.fail": {}, "test.hold": {}})
            seen = await client.find("foreign @desk", timeout=WAIT)
            await conversation.until_subscribed(client, seen, "test.hold")
            assert (await client.call(seen, "test.echo", PARAMS, timeout=WAIT)).result == PARAMS
            assert (await client.call_and_wait(seen, "test.echo", PARAMS, timeout=WAIT)).result == PARAMS
            with pytest.raises(ReplyError, match="told to fail"):
                await client.call(seen, "test.fail", {}, timeout=WAIT)
            await client.notify(seen, "test.echo", PARAMS)
            assert (await peer.event("notification")).message["samp.params"] == PARAMS
            assert [name for name in await _names(peer) if name.startswith("ours")] == ["ours @here"]
            await _speaks(peer, client)

            calling = asyncio.create_task(client.call(seen, "test.hold", {}, timeout=60))
            waiting = asyncio.create_task(client.call_and_wait(seen, "test.hold", {}, timeout=60))
            held = 0
            while held < 2:  # what was called before has come before
                held += (await peer.event("call")).message["samp.mtype"] == "test.hold"
            await hub.kill()
            await program.line("looked for again", stderr=True)
            async with asyncio.timeout(WAIT):
                with pytest.raises(ReplyError):
                    await calling
                with pytest.raises((ReplyError, HubFaultError)):
                    await waiting
                while seen.registered:
                    await asyncio.sleep(0.01)
            async with jsamp_hub(foreign, tmp_path), scripted_peer("jsamp", foreign, tmp_path) as again:
                await again.ask("declare_metadata", {"samp.name": "again"})
                await client.find("again @desk", timeout=WAIT)


async def _names(peer: ScriptedPeer) -> list[str]:
    clients = await peer.ask("get_registered_clients")
    return [str((await peer.ask("get_metadata", client)).get("samp.name")) for client in clients]


async def _speaks(peer: ScriptedPeer, client: Client) -> None:
    """The client of JSAMP's hub calls ours, in every way."""
    (ours,) = await peer.ask("get_subscribed_clients", "test.echo")
    message = {"samp.mtype": "test.echo", "samp.params": PARAMS}
    await peer.ask("call", ours, "tag 1", message)
    response = await peer.event("response")
    assert (response.sender, response.id, response.message["samp.result"]) == (ours, "tag 1", PARAMS)
    waited = await peer.ask("call_and_wait", ours, message, "10")
    assert (waited["samp.status"], waited["samp.result"]) == ("samp.ok", PARAMS)
    async with client.messages("test.note") as notes:
        while not await peer.ask("get_subscribed_clients", "test.note"):
            pass  # it is on its way
        await peer.ask("notify_all", {"samp.mtype": "test.note", "samp.params": PARAMS})
        async with asyncio.timeout(WAIT):
            note = await anext(notes)
    assert (note.params, note.sender_name) == (PARAMS, "foreign @desk")


async def own_room(server: NatsServer, folder: Path) -> Path:
    """Write an invitation that lets files follow: which a hub that is attached does not take from it."""
    path = folder / "own.reach"
    await asyncio.to_thread(write_invitation, path, Invitation(server.url, own=True))
    return path


async def test_a_tool_that_speaks_and_leaves_is_heard(tmp_path: Path) -> None:
    """JSAMP's messagesender says one thing and unregisters; progress comes with the caller's own id."""
    foreign = tmp_path / "jsamp.samp"
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        Client("ours", lockfile=here) as client,
        jsamp_hub(foreign, tmp_path),
        Client("worker", lockfile=foreign) as worker,
        attached(server, foreign, tmp_path, "desk", join=str(await own_room(server, tmp_path))),
    ):
        async with client.messages("test.note") as notes:
            ours = await worker.find("ours @here", timeout=WAIT)
            await conversation.until_subscribed(worker, ours, "test.note")
            url = (tmp_path / "jsamp.samp").as_uri()
            await message_sender(foreign, tmp_path, "test.note", {"url": url}, mode="notify")
            async with asyncio.timeout(WAIT):
                (got,) = (await anext(notes)).params.values()
            assert str(got).startswith("http://127.0.0.1:")
            async with aiohttp.ClientSession() as tool, tool.get(str(got)) as refused:
                assert refused.status == 403

        told = asyncio.Event()
        heard: list[str] = []

        @worker.on("test.long")
        async def long(message: Message) -> dict[str, str]:
            await worker.progress(message, "half", percent=50)
            await told.wait()  # JSAMP's hub delivers in threads, where the answer may overtake it
            return {"done": "1"}

        def hear(message: Message) -> None:
            heard.append(str(message.params["txt"]))
            told.set()

        await worker.settled()
        seen = await client.find("worker @desk", timeout=WAIT)
        await conversation.until_subscribed(client, seen, "test.long")
        answer = await client.call(seen, "test.long", on_progress=hear, timeout=WAIT)
        assert (answer.result, heard) == ({"done": "1"}, ["half"])


async def test_an_attached_hub_gives_its_files_if_it_is_told_to_and_takes_no_harm(tmp_path: Path) -> None:
    """As it is, what is harmless passes to a client of JSAMP's hub, and nothing else does."""
    foreign, table = tmp_path / "jsamp.samp", tmp_path / "table of mine.vot"
    content = b"<VOTABLE/>" * 100_000
    await asyncio.to_thread(table.write_bytes, content)
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        Client("ours", lockfile=here) as client,
        jsamp_hub(foreign, tmp_path),
        scripted_peer("jsamp", foreign, tmp_path) as peer,
        attached(server, foreign, tmp_path, "desk", "--reach-files", "sent"),
        client.messages("table.load.votable") as tables,
    ):
        await peer.ask("declare_metadata", {"samp.name": "foreign"})
        await peer.ask("declare_subscriptions", {"table.load.votable": {}, "script.test.run": {}})
        while not await peer.ask("get_subscribed_clients", "table.load.votable"):
            pass  # it is on its way
        message = {"samp.mtype": "table.load.votable", "samp.params": {"url": table.as_uri()}}
        await peer.ask("notify_all", message)
        async with asyncio.timeout(WAIT):
            url = str((await anext(tables)).params["url"])
        async with aiohttp.ClientSession(raise_for_status=True) as tool, tool.get(url) as answer:
            assert await answer.read() == content

        seen = await client.find("foreign @desk", timeout=WAIT)
        await conversation.until_subscribed(client, seen, "table.load.votable")
        for say in (client.call, client.call_and_wait, client.notify):
            with pytest.raises(NotSubscribedError, match=r"it takes table\.load\.votable$"):
                await say(seen, "script.test.run", PARAMS)
        assert not await client.notify_all("script.test.run", PARAMS)
        response = await client.call(seen, "table.load.votable", PARAMS, timeout=WAIT)
        assert response.result == PARAMS
        assert (await peer.event("call")).message["samp.mtype"] == "table.load.votable"  # the first to come


async def test_jsamps_bridge_beside_a_room_makes_no_circle(tmp_path: Path) -> None:
    """It shows each side's clients at the other, the room's too, once; and then nothing more comes."""
    async with (
        room(tmp_path) as server,
        joined_hub(server, tmp_path, "here") as here,
        joined_hub(server, tmp_path, "there") as there,
        Client("ours", lockfile=here) as ours,
        Client("theirs", lockfile=there) as theirs,
        bridge([here, there], tmp_path),
    ):
        of_room = {
            ours: ["Hub", "bridge", "theirs @there", "bridge @there"],
            theirs: ["Hub", "bridge", "ours @here", "bridge @here"],
        }
        of_bridge = {
            ours: ["theirs (proxy)", "ours @here (proxy)", "bridge @here (proxy)"],
            theirs: ["ours (proxy)", "theirs @there (proxy)", "bridge @there (proxy)"],
        }
        stay = {}
        for client in (ours, theirs):
            await client.get_clients()  # and follow who comes and goes
            await _come(client, [*of_room[client], *of_bridge[client]], WAIT)
            stay[client] = _names_at(client)
            _check(stay[client], of_room[client], of_bridge[client])
        async with _noted(ours) as came_here, _noted(theirs) as came_there:
            passing = [f"passing {number}" for number in range(5)]
            for name in passing:  # what comes and goes makes no more of it, either
                async with Client(name, lockfile=there):
                    await ours.find(f"{name} @there", timeout=WAIT)
                    await _come(ours, [f"{name} (proxy)"])
                    await _come(theirs, [f"{name} @there (proxy)"])
                    # The bridge shows its own proxy of one who leaves before it has looked at that proxy.
                    for client in (ours, theirs):
                        await client.call("bridge", AppPing(), timeout=WAIT)
                for client in (ours, theirs):
                    async with asyncio.timeout(WAIT):
                        while len(client.clients) > len(stay[client]):
                            await client.clients.changed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while True:
                        await ours.clients.changed()
        _check(
            came_here.values(),
            [f"{name} @there" for name in passing],
            [f"{name} (proxy)" for name in passing],
        )
        _check(came_there.values(), passing, [f"{name} @there (proxy)" for name in passing])
        for client in (ours, theirs):
            assert _names_at(client) == stay[client]


async def _come(client: Client, names: list[str], timeout: float = 10) -> None:
    """Wait until they are there, but not for ever: see `_check`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while not set(names) <= set(_names_at(client)):
                await client.clients.changed()


def _names_at(client: Client) -> list[str]:
    return sorted(other.name for other in client.clients.values())


def _check(names: Iterable[str], of_room: list[str], of_bridge: list[str]) -> None:
    """Check that each of the room's is there once, each of the bridge's at most once, and nobody else.

    What two hubs tell JSAMP's bridge at once may break it: it misses a client, or gives its proxy no name.
    """
    counted = Counter(names)
    assert counted.total() <= len(of_room) + len(of_bridge), counted
    counted.subtract(of_room)
    del counted[""]
    assert all(0 <= count <= (name in of_bridge) for name, count in counted.items()), counted


@contextlib.asynccontextmanager
async def _noted(client: Client) -> AsyncIterator[dict[str, str]]:
    """Note who registers from now on, by id, and what it calls itself."""
    came: dict[str, str] = {}

    async def note() -> None:
        async for event in events:
            if event.mtype == "samp.hub.event.register":
                came[str(event.params["id"])] = ""
            elif event.params["id"] in came and isinstance(metadata := event.params["metadata"], dict):
                came[str(event.params["id"])] = str(metadata.get("samp.name"))

    async with client.messages("samp.hub.event.register", "samp.hub.event.metadata") as events:
        noting = asyncio.create_task(note())
        try:
            yield came
        finally:
            noting.cancel()
            await asyncio.wait((noting,))
