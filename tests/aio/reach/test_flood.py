"""Recipients that do not take their messages, and what a room does with clients that take everything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import pytest

import asyncsamp
from asyncsamp import Client, HubFaultError, Message, RemoteClient
from asyncsamp.hub.profiles.reach import wire
from asyncsamp.hub.profiles.reach.link import Outgoing
from asyncsamp.hub.profiles.reach.wire import Item, Messages, Sync, dump_item
from asyncsamp.values import Value, ValueMap

from ..couriers import FakeCourier
from ..hub_process import hub_process
from ..nats_server import PATIENCE, running_server
from .rooms import LIMITS, Place, name_of, names, open_room, stranger, until

OUTBOX, WINDOW = 100, 20


@pytest.mark.timeout(120)
async def test_a_full_recipient_holds_up_nobody_and_loses_nothing(tmp_path: Path) -> None:
    """It is paused; its senders are refused, as on one machine; what was accepted arrives in order."""
    limits = replace(LIMITS, outbox=OUTBOX, reach_window=WINDOW)
    async with open_room(tmp_path) as room:
        here, there = await room.join("here", limits=limits), await room.join("there", limits=limits)
        courier = FakeCourier()
        courier.hold = lambda delivery: True
        engine = there.hub.engine
        slow = engine.register(courier)
        engine.set_callable(slow, True)
        await engine.operate(slow, "declareMetadata", [{"samp.name": "slow"}])
        await engine.operate(slow, "declareSubscriptions", [{"test.note": {}}])
        tool, sender = await there.client("tool"), await here.client("sender")

        @tool.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        await tool.settled()
        seen = await sender.find("slow @there", timeout=PATIENCE)
        other = await sender.find("tool @there", timeout=PATIENCE)
        await until(lambda: seen.subscribes("test.note") and other.subscribes("test.echo"))
        accepted, refusals = [], []
        for number in range(5 * (2 * OUTBOX + 3 * WINDOW)):
            try:
                await sender.notify(seen, "test.note", {"number": number})
                accepted.append(number)
            except HubFaultError as error:
                refusals.append(str(error))
        assert all("slow @there" in refusal for refusal in refusals)
        assert OUTBOX < len(accepted) <= 2 * OUTBOX + 5 * WINDOW
        for _ in range(20):
            answer = await sender.call_and_wait(other, "test.echo", {"k": "v"}, timeout=PATIENCE)
            assert answer.result == {"k": "v"}
        courier.let_go()
        await courier.until(lambda: len(courier.numbers) >= len(accepted))
        assert courier.numbers == accepted
        async with asyncio.timeout(PATIENCE):
            while True:  # it takes part again
                try:
                    await sender.notify(seen, "test.note", {"number": -2})
                    break
                except HubFaultError:
                    await asyncio.sleep(0.01)
        await courier.until(lambda: courier.numbers[-1] == -2)


@pytest.mark.timeout(120)
async def test_what_is_said_to_several_full_recipients_reaches_each(tmp_path: Path) -> None:
    limits = replace(LIMITS, outbox=OUTBOX, reach_window=WINDOW)
    async with open_room(tmp_path) as room, stranger(room) as bus:
        here = await room.join("here", limits=limits)
        hub, engine, couriers = await name_of(bus, here), here.hub.engine, [FakeCourier() for _ in range(6)]
        recipients: list[tuple[str, str | None]] = []
        for courier in couriers:
            courier.hold = lambda delivery: True
            slow = engine.register(courier)
            engine.set_callable(slow, True)
            await engine.operate(slow, "declareSubscriptions", [{"test.note": {}}])
            recipients.append((slow, None))
        line = Outgoing("0a", frames=1, size=1)
        count = OUTBOX + WINDOW

        def say(item: Item) -> None:
            (payload,) = line.put(*dump_item(item), 1 << 20)
            bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)

        one = wire.RemoteClient("c1", {"samp.name": "one"}, {})
        say(Sync("far", [one]))
        watcher = await here.client("watcher")
        await watcher.find("one @far", timeout=PATIENCE)
        for number in range(count):
            message: ValueMap = {"samp.mtype": "test.note", "samp.params": {"number": str(number)}}
            say(Messages("c1", recipients, message))
        await couriers[0].until(lambda: couriers[0].under_way)
        say(Sync("further", [one]))
        await until(lambda: "further" in here.reach.hubs)  # all before it has been taken
        for courier in couriers:
            courier.let_go()
        for courier in couriers:
            await courier.until(partial(_has_taken, courier, count))
            assert courier.numbers == list(range(count))


@pytest.mark.timeout(120)
async def test_what_was_accepted_arrives_though_its_sender_has_left(tmp_path: Path) -> None:
    """Most of it waits here for the window, the rest there for its recipient; then the sender goes, too."""
    limits = replace(LIMITS, outbox=OUTBOX, reach_window=WINDOW)
    async with open_room(tmp_path) as room:
        here = await room.join("here", limits=replace(limits, outbox=1000))
        there = await room.join("there", limits=limits)
        courier = FakeCourier()
        courier.hold = lambda delivery: True
        engine = there.hub.engine
        slow = engine.register(courier)
        engine.set_callable(slow, True)
        await engine.operate(slow, "declareMetadata", [{"samp.name": "slow"}])
        await engine.operate(slow, "declareSubscriptions", [{"test.note": {}}])
        sender, watcher = await here.client("sender"), await there.client("watcher")
        seen = await sender.find("slow @there", timeout=PATIENCE)
        await until(lambda: seen.subscribes("test.note"))
        count = OUTBOX + 10 * WINDOW
        for number in range(count):
            await sender.notify(seen, "test.note", {"number": number})
        await watcher.find("sender @here", timeout=PATIENCE)
        await sender.unregister()
        await (await here.client("next")).unregister()
        assert len(courier.numbers) < OUTBOX
        courier.let_go()
        await courier.until(lambda: len(courier.numbers) >= count)
        assert courier.numbers == list(range(count))
        await until(lambda: "sender @here" not in names(watcher))


@pytest.mark.timeout(120)
async def test_what_was_accepted_arrives_though_its_sender_has_left_before_it_was_shown(
    tmp_path: Path,
) -> None:
    """The window is full all the while, so that nothing of it could cross."""
    limits = replace(LIMITS, reach_window=WINDOW)
    async with open_room(tmp_path) as room:
        here, there = await room.join("here", limits=limits), await room.join("there", limits=limits)
        tool, filler = await there.client("tool"), await here.client("filler")
        async with tool.messages("test.note", limit=100) as came:
            seen = await filler.find("tool @there", timeout=PATIENCE)
            await until(lambda: seen.subscribes("test.note"))
            room.server.freeze()
            for number in range(2 * WINDOW):
                await filler.notify(seen, "test.note", {"n": str(number)})
            passing = await here.client("passing")
            for number in range(2 * WINDOW, 2 * WINDOW + 3):
                await passing.notify(seen.public_id, "test.note", {"n": str(number)})
            await passing.unregister()
            room.server.thaw()
            async with asyncio.timeout(PATIENCE):
                got = [await anext(came) for _ in range(2 * WINDOW + 3)]
            assert [message.params["n"] for message in got] == [str(n) for n in range(2 * WINDOW + 3)]
            assert got[-1].sender_name in ("passing @here", "")
            await until(lambda: "passing @here" not in names(tool))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seconds", [0.0, 0.001], ids=["frozen", "slow"])
@pytest.mark.alone
async def test_a_flood_costs_both_hubs_little_and_their_other_clients_nothing(
    seconds: float, long: bool, tmp_path: Path
) -> None:
    """Hubs in processes of their own, a tool that is frozen or slow; with --long, the limits of users."""
    here, there = tmp_path / "here.samp", tmp_path / "there.samp"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        server = await enter(running_server(tmp_path / "server"))
        hubs = []
        for lockfile in (here, there):
            if long:
                options = ("--join", server.url, "--reach-label", lockfile.stem, "--reach-mtypes", "all")
                hubs.append((await enter(hub_process(lockfile, 0, *options))).process)
            else:
                hubs.append(await enter(program("small_hub.py", lockfile, server.url, OUTBOX)))
        tool = await enter(program("slow_tool.py", there, "victim", seconds))
        other, sender = await enter(Client("other", lockfile=there)), await enter(Client("s", lockfile=here))
        caller = await enter(Client("caller", lockfile=here))

        @other.on("test.echo")
        async def answer(message: Message) -> ValueMap:
            return message.params

        await other.settled()
        victim = await sender.find("victim @there", timeout=PATIENCE)
        echo = await caller.find("other @there", timeout=PATIENCE)
        await until(lambda: victim.subscribes("test.n") and echo.subscribes("test.echo"))
        for _ in range(20):
            await caller.call_and_wait(echo, "test.echo", {}, timeout=PATIENCE)
        before = [resident(hub.pid) for hub in hubs]
        if not seconds:
            tool.send_signal(signal.SIGSTOP)
        flooding = asyncio.create_task(flood(sender, victim, rest=3_000 if long else 100))
        taken: list[float] = []
        while not flooding.done():
            begun = perf_counter()
            await caller.call_and_wait(echo, "test.echo", {}, timeout=PATIENCE)
            taken.append(perf_counter() - begun)
            await asyncio.sleep(0.005)
        accepted, refused = await flooding
        more = [(resident(hub.pid) - kept) / 1024 for hub, kept in zip(hubs, before, strict=True)]
        print(f"{len(accepted)} accepted, {refused} refused; hubs {more[0]:+.1f}, {more[1]:+.1f} MiB")
        print(f"{len(taken)} calls of others: p50 {median(taken) * 1000:.1f} ms")
        assert refused
        assert max(more) < 64
        if long:
            assert quantiles(taken, n=100)[98] < 0.050
        else:  # few calls, on a machine that does other things, too
            assert median(taken) < 0.250
        tool.send_signal(signal.SIGCONT)
        reading = asyncio.create_task(lines_of(tool))
        while not reading.done():
            try:
                await sender.notify(victim, "test.n", {"n": "end"})
                break
            except HubFaultError:
                await asyncio.sleep(0.05)
        came = await reading
        assert not differences(came, [*accepted, "end"])


@asynccontextmanager
async def program(name: str, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program that lies here until the end of the block."""
    tool = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(asyncsamp.__file__).parents[1])},
    )
    try:
        assert tool.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await tool.stdout.readline() == b"ready\n"
        yield tool
    finally:
        if tool.returncode is None:
            tool.kill()
        await tool.communicate()


async def lines_of(tool: asyncio.subprocess.Process) -> list[str]:
    """Return what a tool writes to its end. However slow the machine is, it must go on."""
    assert tool.stdout is not None
    lines: list[str] = []
    while True:
        async with asyncio.timeout(PATIENCE):
            line = await tool.stdout.readline()
        if not line:
            return lines
        lines.append(line.decode().strip())


async def flood(sender: Client, victim: RemoteClient, *, rest: int) -> tuple[list[str], int]:
    """Send until it has been refused `rest` times; return what was accepted, and how often it was not."""
    accepted: list[str] = []
    refused = number = 0
    text = "x" * 1000
    while refused < rest:
        try:
            await sender.notify(victim, "test.n", {"n": str(number), "text": text})
            accepted.append(str(number))
        except HubFaultError:
            refused += 1
        number += 1
    return accepted, refused


def differences(came: list[str], sent: list[str]) -> str:
    """Say in a few words what is missing, doubled or swapped; "" if nothing is."""
    counts = Counter(came)
    order = {number: place for place, number in enumerate(sent)}
    found = {
        "missing": [number for number in sent if number not in counts],
        "doubled": [number for number, count in counts.items() if count > 1],
        "not sent": [number for number in counts if number not in order],
        "after a later one": [
            number
            for before, number in pairwise(came)
            if order.get(number, 0) < order.get(before, 0) and counts[number] == 1
        ],
    }
    return "; ".join(f"{len(those)} {what}: {those[:5]}" for what, those in found.items() if those)


def _has_taken(courier: FakeCourier, count: int) -> bool:
    return len(courier.numbers) >= count


def resident(pid: int) -> int:
    """Return how much memory a process has now, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def test_who_takes_everything_hears_nothing_of_the_other_hub_itself(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        tool, sender = await there.client("tool"), await here.client("sender")
        async with tool.messages("*", "samp.hub.event.*") as came:
            seen = await sender.find("tool @there", timeout=PATIENCE)
            await until(lambda: seen.subscribes("test.note"))
            await (await here.client("passing")).unregister()
            await sender.notify(seen, "test.note", {})
            own = set(there.hub.engine.clients) | {there.hub.engine.hub_id}
            heard = []
            async with asyncio.timeout(PATIENCE):
                while (message := await anext(came)).mtype != "test.note":
                    heard.append(message)
        assert {message.sender for message in heard} <= {there.hub.engine.hub_id}
        assert {str(message.params["id"]) for message in heard if "id" in message.params} & own


async def test_a_client_that_declares_before_it_can_be_called_is_shown_then(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        sender = await here.client("sender")
        courier = FakeCourier()
        engine = there.hub.engine
        early = engine.register(courier)
        await engine.operate(early, "declareSubscriptions", [{"test.note": {}}])
        await engine.operate(early, "declareMetadata", [{"samp.name": "early"}])
        seen = await sender.find("early @there", timeout=PATIENCE)
        assert not seen.subscribes("test.note")
        engine.set_callable(early, True)
        await until(lambda: seen.subscribes("test.note"))
        await sender.notify(seen, "test.note", {"number": 1})
        await courier.until(lambda: courier.numbers == [1])


async def test_a_server_that_comes_later(tmp_path: Path) -> None:
    """Both hubs start without it, and go on alone."""
    async with open_room(tmp_path) as room:
        await room.server.kill()
        here, there = await room.join("here"), await room.join("there")
        tool, sender = await there.client("tool"), await here.client("sender")
        assert tool.registered
        assert not here.reach.connected
        await room.server.start()
        await sender.find("tool @there", timeout=2 * PATIENCE)


async def test_who_has_declared_nothing_is_not_shown_and_a_bridges_proxy_never(tmp_path: Path) -> None:
    """A bridge names the callback of its proxies first: shown at once, they would go in circles."""
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        watcher = await here.client("watcher")
        engine = there.hub.engine
        for name, more in (("proxy", {"bridge.proxy.source": "elsewhere"}), ("plain", {})):
            client = engine.register(FakeCourier())
            engine.set_callable(client, True)
            await engine.operate(client, "declareMetadata", [{"samp.name": name, **more}])
        silent = engine.register(FakeCourier())
        engine.set_callable(silent, True)
        async with watcher.messages("test.note") as notes:
            await watcher.find("plain @there", timeout=PATIENCE)
            await until(lambda: "watcher @here" in {_name(there, one) for one in engine.clients})
            (listener,) = [one for one in engine.clients if _name(there, one) == "watcher @here"]
            await until(lambda: "test.note" in there.hub.clients[listener].subscriptions)
            assert sorted(_name(here, one) for one in here.hub.engine.clients) == ["plain @there", "watcher"]
            note: list[Value] = [listener, {"samp.mtype": "test.note", "samp.params": {}}]
            await engine.operate(silent, "notify", note)  # and so it is shown
            async with asyncio.timeout(PATIENCE):
                await anext(notes)
        assert sorted(_name(here, one) for one in here.hub.engine.clients) == ["", "plain @there", "watcher"]


def _name(place: Place, client: str) -> str:
    return str(place.hub.clients[client].metadata.get("samp.name", ""))
