"""What is cut, killed, hostile or in circles: nothing accepted is lost, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Client, HubFaultError, Message, ReplyError
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.reach.bus import NatsBus
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.hub.profiles.reach.wire import Messages, RemoteClient, Sync, dump_frames, dump_item

from ..cancelling import each_await
from ..nats_server import PATIENCE, running_server
from .rooms import LIMITS, names, open_room, stranger, until


async def test_a_server_that_is_killed_costs_no_message_and_no_call(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop, cluster = await room.join("laptop"), await room.join("cluster")
        tool, notebook = await laptop.client("tool"), await cluster.client("notebook")
        asked, answer = asyncio.Event(), asyncio.Event()

        @tool.on("test.slow")
        async def slow(message: Message) -> None:
            asked.set()
            await answer.wait()

        async with tool.messages("test.note", limit=10_000) as notes:
            there = await notebook.find("tool @laptop", timeout=PATIENCE)
            calling = asyncio.create_task(notebook.call(there, "test.slow", timeout=PATIENCE))
            await asked.wait()
            accepted = 0
            for number in range(600):
                if number == 200:
                    await room.server.kill()
                if number == 400:
                    await room.server.start()
                await notebook.notify(there, "test.note", {"n": number})
                accepted += 1
            answer.set()
            async with asyncio.timeout(PATIENCE):
                came = [int(str((await anext(notes)).params["n"])) for _ in range(accepted)]
            assert came == list(range(accepted))
            assert (await calling).ok


@pytest.mark.timeout(180)
async def test_who_waits_for_a_hub_that_leaves_or_is_killed_is_told(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        # Who has left or does not answer is known to be gone long before this patience is over.
        here = await room.join("here", limits=replace(LIMITS, reach_patience=3 * PATIENCE))
        notebook = await here.client("notebook")
        for number in (signal.SIGTERM, signal.SIGKILL):
            lockfile = tmp_path / f"there-{number}"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "asyncsamp.hub", "--no-web-profile", "--lockfile", str(lockfile)),
                *("--join", room.server.url, "--reach-label", "there", "--reach-mtypes", "all"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert process.stdout is not None
            await process.stdout.readline()
            tool = Client("tool", lockfile=lockfile, reconnect=False)
            await tool.register()
            asked = asyncio.Semaphore(0)

            @tool.on("test.never")
            async def never(message: Message, asked: asyncio.Semaphore = asked) -> None:
                asked.release()
                await asyncio.Event().wait()

            await tool.settled()
            seen = await notebook.find("tool @there", timeout=PATIENCE)
            async with asyncio.timeout(PATIENCE):
                while not seen.subscribes("test.never"):
                    await asyncio.sleep(0.01)
            waiting = asyncio.create_task(notebook.call_and_wait(seen, "test.never", timeout=3 * PATIENCE))
            calling = asyncio.create_task(notebook.call(seen, "test.never", timeout=3 * PATIENCE))
            async with asyncio.timeout(PATIENCE):
                await asked.acquire()
                await asked.acquire()
            process.send_signal(number)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(HubFaultError, match="tool @there"):
                    await waiting
                with pytest.raises(ReplyError, match="tool @there"):
                    await calling
            await process.communicate()
            await tool.unregister()
            await until(lambda: not here.reach.hubs)
            assert "tool @there" not in names(notebook)


async def test_a_stop_that_was_cancelled_is_called_again(tmp_path: Path) -> None:
    async with running_server(tmp_path / "server") as server:
        engine = HubEngine(LIMITS, {"samp.name": "hub"})
        reach = Reach(invitation_of_url(server.url))
        await reach.start(engine)
        await until(lambda: reach.connected)
        cancelled = 0
        async for cancelled in each_await(reach.stop):
            await reach.stop()
            left = {task.get_name() for task in asyncio.all_tasks()}
            assert not any(name.startswith("asyncsamp-") for name in left), (cancelled, left)
            await reach.start(engine)
            await until(lambda: reach.connected)
        await engine.shut_down(tell=False)
    assert cancelled > 2


async def test_a_hub_that_is_let_in_while_it_leaves_says_nothing_after_its_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_room(tmp_path) as room, stranger(room) as bus:
        heard: list[str] = []
        bus.subscribe("samp.room.anybody.*.*", lambda message: heard.append(message.subject.split(".")[-1]))
        engine = HubEngine(LIMITS, {"samp.name": "hub"})
        reach = Reach(invitation_of_url(room.server.url))
        await reach.start(engine)
        await until(lambda: "here" in heard)
        close = NatsBus.close

        async def closes(itself: NatsBus) -> None:
            if itself is reach._bus:
                reach._back()  # the server is there again
            await close(itself)

        monkeypatch.setattr(NatsBus, "close", closes)
        await reach.stop()
        await engine.shut_down(tell=False)
        await until(lambda: "bye" in heard)
        await asyncio.sleep(0.3)
        assert heard[-1] == "bye"


async def test_two_rooms_on_one_hub_pass_nothing_on(tmp_path: Path) -> None:
    async with open_room(tmp_path / "1") as one, open_room(tmp_path / "2") as two:
        from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
        from asyncsamp.hub.profiles.reach.profile import Reach

        second = Reach(invitation_of_url(two.server.url), label="middle", mtypes=None)
        middle = await one.join("middle", profiles=lambda: [second])
        left, right = await one.join("left"), await two.join("right")
        for place in (left, middle, right):
            await place.client(f"tool of {place.label}")
        seen = await middle.client("watcher")
        await seen.find("tool of left @left", timeout=PATIENCE)
        await seen.find("tool of right @right", timeout=PATIENCE)
        await until(lambda: len(left.hub.clients) == 3 and len(right.hub.clients) == 3)
        assert len(middle.hub.clients) == 4


@pytest.mark.timeout(60)
async def test_a_hostile_member_gets_nothing_in(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        # Who is given up here is so for what it said, not since it says no more.
        limits = replace(LIMITS, reach_clients=20, max_body=4_000_000, reach_patience=1_000.0)
        here = await room.join("here", mtypes=["table.*"], limits=limits)
        tool = await here.client("tool")
        async with stranger(room) as bus:
            heard: asyncio.Queue[str] = asyncio.Queue()
            bus.subscribe("samp.room.anybody.*.here", lambda m: heard.put_nowait(m.subject))
            hub = ".".join((await heard.get()).split(".")[2:4])
            async with tool.messages("*") as got:
                evil = RemoteClient("c1", {"samp.name": "evil"}, {})

                def send(sender: str, *payloads: bytes) -> None:
                    for payload in payloads:
                        bus.publish(f"samp.room.{sender}.to.{hub}", payload)

                def frames(*items: Sync | Messages) -> list[bytes]:
                    made: list[bytes] = []
                    for number, item in enumerate(items, 1):
                        made += dump_frames("0a", number, *dump_item(item), 1 << 20)
                    return made

                bad = [
                    Messages("c1", [(tool.public_id, None)], {"samp.mtype": mtype, "samp.params": {}})
                    for mtype in ("samp.hub.disconnect", "samp.hub.event.shutdown", "client.env.get", "x.y")
                ]
                good = Messages(
                    "c1", [(tool.public_id, None)], {"samp.mtype": "table.x", "samp.params": {"n": "1"}}
                )
                send("anybody.00000001", *frames(Sync("e", [evil]), *bad, good))
                async with asyncio.timeout(PATIENCE):
                    async for message in got:
                        if not message.mtype.startswith("samp.hub.event."):
                            break
                assert message.mtype == "table.x"
                assert message.sender_name == "evil @e"
                # what is no frame ends that hub for good
                send("anybody.nohub", *frames(Sync("nohub", [evil])))
                send("anybody.00000002", b"= 0a 1 sync\n" + json.dumps([1e30]).encode())
                send("anybody.00000003", b"= 0a 1 sync\n" + b"[" * 10_000)
                deep = b"[" * 10_000 + b"]" * 10_000
                send("anybody.00000006", b"= 0a 1 sync\n" + deep)
                send("anybody.00000007", b'= 0a 1 sync\n["x",[["c1",{"k":' + deep + b"},{}]]]")
                send("anybody.00000001", b"nonsense")
                await until(lambda: not here.reach.hubs)
                send("anybody.00000001", *frames(Sync("e", [evil])))
                huge = b"9" * 30
                for number, payload in enumerate(
                    (
                        b"= 0a " + huge + b" sync\n[]",
                        b"A 0a " + huge,
                        b'= 0a 1 sync\n["x",[[' + huge + b",{},{}]]]",
                        b'= 0a 1 client\n["c1",{},{}]',
                        b"\xff" * 100_000,
                        b"",
                    )
                ):
                    send(f"anybody.0000001{number}", payload)
                endless = [b"+ 0a %d sync\n%s" % (n, b"[" * 500_000) for n in range(1, 18)]
                send("anybody.00000005", *endless)
                many = [RemoteClient(f"c{n}", {}, {}) for n in range(100_000)]
                send("anybody.00000004", *frames(Sync("many", many)))
                await until(lambda: here.reach.hubs.get("many") == 20)
                assert set(here.reach.hubs) == {"many"}
