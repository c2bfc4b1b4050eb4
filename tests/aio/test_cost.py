"""What a message and a client cost, counted and not timed: what was cut away must not creep back.

How fast it is, `python -m benchmarks` tells.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asyncsamp import Client, DirectConnection, Hub, Limits, Message, xmlrpc
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.standard import StandardProfile
from asyncsamp.rpc import RpcClient, XmlRpcServer
from asyncsamp.rpc.connection_limit import ConnectionLimit
from asyncsamp.values import ValueMap
from asyncsamp.xmlrpc import codec

MESSAGES = 40
MTYPE = "test.echo"
PARAMS = {"text": "x" * 100}


class Counts:
    """Counts, from `begin` on, what is made for messages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: Counter[str] = Counter()
        self._loop = loop = asyncio.get_running_loop()
        loop.set_task_factory(self._make_task)
        for owner, name, label in (
            (loop, "call_at", "timers"),
            (RpcClient, "_connect", "connections"),
            (web.BaseRequest, "__init__", "requests by aiohttp"),
            (codec, "_parse", "documents by expat"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name), label))

    def close(self) -> None:
        """Count tasks no more."""
        self._loop.set_task_factory(None)

    def per_message(self) -> dict[str, float]:
        """Return what was counted for each of `MESSAGES`."""
        return {label: count / MESSAGES for label, count in self.seen.items()}

    def _counted(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.seen[label] += 1
            return function(*arguments, **options)

        return counted

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self.seen["tasks"] += 1
        return asyncio.Task(coro, loop=loop, **options)


class Pair:
    """A sender and a receiver at a hub, warm: their connections are open."""

    def __init__(self, sender: Client, receiver: Client) -> None:
        self.sender = sender
        self.receiver = receiver
        self.came = 0
        self.arrived = asyncio.Event()

    async def receive(self, message: Message) -> ValueMap:
        self.came += 1
        self.arrived.set()
        return message.params

    async def notify(self, count: int) -> None:
        """Send one after the other; each has come before the next leaves."""
        for _ in range(count):
            self.arrived.clear()
            await self.sender.notify(self.receiver.public_id, MTYPE, PARAMS)
            await self.arrived.wait()

    async def call(self, count: int) -> None:
        for _ in range(count):
            await self.sender.call(self.receiver.public_id, MTYPE, PARAMS)


@pytest.fixture(params=["standard", "direct"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(Hub(lockfile=tmp_path / "samp"))

        def client(name: str) -> Client:
            if request.param == "direct":
                return Client(name, connection=DirectConnection(hub))
            return Client(name, lockfile=tmp_path / "samp")

        pair = Pair(client("sender"), client("receiver"))
        pair.receiver.on(MTYPE)(pair.receive)
        await stack.enter_async_context(pair.sender)
        await stack.enter_async_context(pair.receiver)
        await pair.receiver.settled()
        await pair.notify(5)
        await pair.call(5)
        yield pair


async def settle() -> None:
    """Let what the last message has begun come to its end."""
    for _ in range(50):
        await asyncio.sleep(0)


STANDARD = "standard"
# For hub and both clients together. A task for the delivery, none for a handler that does not wait; of a
# call, one for the answer, and one for the delivery of the response.
NOTIFY = {"tasks": 1.0}
CALL = {"tasks": 3.0}
DIRECT_NOTIFY = {"tasks": 1.0}
DIRECT_CALL = {"tasks": 3.0}


async def test_what_a_notification_costs(
    pair: Pair, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settle()
    counts = Counts(monkeypatch)
    await pair.notify(MESSAGES)
    await settle()
    counts.close()
    bound = NOTIFY if STANDARD in request.node.name else DIRECT_NOTIFY
    assert_at_most(counts.per_message(), bound)


async def test_what_a_call_costs(
    pair: Pair, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settle()
    counts = Counts(monkeypatch)
    await pair.call(MESSAGES)
    await settle()
    counts.close()
    bound = CALL if STANDARD in request.node.name else DIRECT_CALL
    assert_at_most(counts.per_message(), bound)


def assert_at_most(seen: dict[str, float], bound: dict[str, float]) -> None:
    # A tenth more: vigils and the like run beside.
    too_many = {label: count for label, count in seen.items() if count > bound.get(label, 0.0) + 0.1}
    assert not too_many, f"for each message there are {too_many}, where {bound} is known to do"


async def test_after_a_storm_no_more_tasks_are_alive_than_before(pair: Pair) -> None:
    await settle()
    before = our_tasks()
    await asyncio.gather(
        *(pair.call(10) for _ in range(20)),
        *(pair.sender.notify(pair.receiver.public_id, MTYPE) for _ in range(200)),
    )
    while pair.came < 5 + 5 + 200 + 200:
        pair.arrived.clear()
        await pair.arrived.wait()
    for _ in range(5_000):  # turns of the loop: none of it waits for a time
        if len(our_tasks()) <= len(before):
            return
        await asyncio.sleep(0)
    assert our_tasks() == before


def our_tasks() -> list[str]:
    """Return the names of our tasks; aiohttp has one of its own for each connection."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    return sorted(name for name in names if name.startswith("asyncsamp-"))


class Wire(asyncio.Transport):
    """A connection of which only this end is real, so that only the hub's memory is weighed."""

    def write(self, data: Any) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.mark.timeout(60)
async def test_the_memory_of_an_idle_client() -> None:
    clients = 100
    profile = StandardProfile()
    engine = HubEngine(Limits(), {})
    profile._engine = engine
    server = XmlRpcServer(profile.dispatch, profile._knows_key).server
    server.limit = ConnectionLimit(10 * clients)
    server.web = server.make_web()
    connections = []

    async def come(number: int) -> None:
        answered = profile.dispatch("samp.hub.register", [profile.secret])
        assert isinstance(answered, dict)
        key = answered["samp.private-key"]
        url = f"http://127.0.0.1:{number + 1}/xmlrpc"
        profile.dispatch("samp.hub.setXmlrpcCallback", [key, url])
        metadata: ValueMap = {"samp.name": f"client {number}", "samp.description.text": "x" * 100}
        profile.dispatch("samp.hub.declareMetadata", [key, metadata])
        subscriptions: ValueMap = {f"test.mtype-{number}.{kind}": {} for kind in range(10)}
        profile.dispatch("samp.hub.declareSubscriptions", [key, subscriptions])
        connection = server.make_front()
        connection.connection_made(Wire())
        body = xmlrpc.dump_call("samp.hub.ping", [])
        head = b"POST /xmlrpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        for _ in range(2):
            connection.data_received(head + body)
            await settle()
        connections.append(connection)

    await come(clients)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(clients):
            await come(number)
        gc.collect()
        memory, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        for connection in connections:
            connection.connection_lost(None)
        await settle()
        await engine.shut_down(tell=False)
    assert memory / clients < 40 * 1024
