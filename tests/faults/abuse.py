"""Load with abuse, as a script: `python -m tests.faults.abuse well|bad LOCKFILE COUNT ...`.

`well` runs clients that send each other notifications and calls at a steady pace and prints what became of
them; `bad` runs clients that misbehave in every way that the tests beside this file know, until it is ended.
`test_abuse.py` puts them together with a hub, and with JSAMP's CalcStorm.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from asyncsamp import Limits, StandardConnection, xmlrpc
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value, ValueMap

from .misbehaving import MANNERS, Manner, Recipient, drip

PERIOD = 0.8
"""Seconds between two messages of one well-behaved client."""

BROADCASTS = 0.2
"""Seconds between two broadcasts, which every bad client gets too."""


# ---- those who behave


class Quiet:
    """A client with no more than it needs, so that a process can hold 160 of them and still tell the time.

    It does not subscribe to hub events: of each newcomer a hub with 200 `Client`s tells 200, and one process
    that holds most of them would measure itself.
    """

    def __init__(self, name: str, lockfile: str, take: Callable[[str, ValueMap], None]) -> None:
        self.name = name
        self.public_id = ""
        self._take = take
        self._connection = StandardConnection(lockfile=lockfile, limits=Limits(request_timeout=60))
        self._waiting: dict[str, asyncio.Future[ValueMap]] = {}
        self._tags = itertools.count()
        self._replies: set[asyncio.Task[Value]] = set()

    async def register(self) -> None:
        """Register and subscribe."""
        self.public_id = (await self._connection.register(self.name, self)).self_id
        await self._connection.ask_hub("declareMetadata", {"samp.name": self.name})
        await self._connection.listen()
        mtypes: ValueMap = {mtype: {} for mtype in ("well.note", "well.call", "well.all")}
        await self._connection.ask_hub("declareSubscriptions", mtypes)

    async def send(self, operation: str, *params: Value) -> Value:
        """Do a hub operation."""
        return await self._connection.ask_hub(operation, *params)

    async def call(self, recipient: str, message: ValueMap) -> ValueMap:
        """Call and return the response."""
        tag = f"t{next(self._tags)}"
        answered: asyncio.Future[ValueMap] = asyncio.get_running_loop().create_future()
        self._waiting[tag] = answered
        try:
            await self.send("call", recipient, tag, message)
            async with asyncio.timeout(60):
                return await answered
        finally:
            del self._waiting[tag]

    async def leave(self) -> None:
        """Unregister and close."""
        await self.send("unregister")
        await self._connection.close()

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        self._take(str(message["samp.mtype"]), _params(message))

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        self._take(str(message["samp.mtype"]), _params(message))
        response: ValueMap = {"samp.status": "samp.ok", "samp.result": message["samp.params"]}
        task = asyncio.ensure_future(self.send("reply", msg_id, response))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self._waiting[msg_tag].set_result(response)

    def connection_lost(self, reason: str) -> None:
        raise AssertionError(reason)


def _params(message: ValueMap) -> ValueMap:
    params = message["samp.params"]
    assert isinstance(params, dict)
    return params


def _message(mtype: str, n: int) -> ValueMap:
    return {"samp.mtype": mtype, "samp.params": {"n": str(n)}}


class Well:
    """Clients in a ring, each sending to the next."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.sent = [0] * count
        self.received: list[list[int]] = [[] for _ in range(count)]
        self.latencies: list[float] = []
        self.broadcasts = [0] * count
        self.failures: list[str] = []
        self._sent_at: dict[tuple[int, int], float] = {}

    async def run(self, lockfile: str) -> None:
        """For each line of input, a number of seconds, send for so long and print what was seen."""
        clients = [self._client(number, lockfile) for number in range(self.count)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.register())
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await self._phase(clients, float(line))), flush=True)
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.leave())

    async def _phase(self, clients: list[Quiet], seconds: float) -> dict[str, Any]:
        """Send for so long, wait for what is under way, and return what was seen."""
        self.sent = [0] * self.count
        self.received = [[] for _ in clients]
        self.latencies, self.failures, self.broadcasts = [], [], [0] * self.count
        end = perf_counter() + seconds
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(clients):
                recipient = clients[(number + 1) % self.count].public_id
                group.create_task(self._send(number, client, recipient, end))
            told = group.create_task(self._broadcast(clients[0], end))
        await self._quiet(told.result())
        return self._report(told.result())

    def _client(self, number: int, lockfile: str) -> Quiet:
        def take(mtype: str, params: ValueMap) -> None:
            if mtype == "well.all":
                self.broadcasts[number] += 1
                return
            n = int(str(params["n"]))
            self.received[number].append(n)
            self.latencies.append(perf_counter() - self._sent_at.pop((number, n)))

        return Quiet(f"well {number}", lockfile, take)

    async def _send(self, number: int, client: Quiet, recipient: str, end: float) -> None:
        to = (number + 1) % self.count
        await asyncio.sleep(PERIOD * number / self.count)
        while perf_counter() < end:
            begun = perf_counter()
            n = self.sent[number]
            self.sent[number] += 1
            self._sent_at[to, n] = begun
            try:
                if n % 4:
                    await client.send("notify", recipient, _message("well.note", n))
                else:
                    answer = await client.call(recipient, _message("well.call", n))
                    assert answer["samp.result"] == {"n": str(n)}
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(max(0.0, begun + PERIOD - perf_counter()))

    async def _broadcast(self, client: Quiet, end: float) -> int:
        told = 0
        while perf_counter() < end:
            try:
                await client.send("notifyAll", _message("well.all", told))
                told += 1
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(BROADCASTS)
        return told

    async def _quiet(self, told: int) -> None:
        for _ in range(400):
            if not self._sent_at and min(self.broadcasts[1:]) == told:
                return
            await asyncio.sleep(0.05)

    def _report(self, told: int) -> dict[str, Any]:
        latencies = sorted(self.latencies)
        senders = [(number - 1) % self.count for number in range(self.count)]
        return {
            "sent": sum(self.sent),
            "lost": len(self._sent_at),
            "in order": all(
                received == list(range(self.sent[sender]))
                for received, sender in zip(self.received, senders, strict=True)
            ),
            "broadcasts": told,
            "broadcasts missed": sum(told - heard for heard in self.broadcasts[1:]),
            "failures": self.failures[:5],
            "p50": latencies[len(latencies) // 2],
            "p99": latencies[len(latencies) * 99 // 100],
        }


# ---- those who do not


class Bad:
    """The means of one bad client: an endless supply of connections to a hub."""

    def __init__(self, lockfile: str) -> None:
        found = parse_lockfile(Path(lockfile).read_text(), lockfile)
        self.secret, self.url = found.secret, found.url
        self.port = int(found.url.rpartition(":")[2].partition("/")[0])
        self.sender = RpcClient()

    async def ask(self, method: str, *params: Any) -> Any:
        """Do one hub operation."""
        return await self.sender.call(self.url, f"samp.hub.{method}", params, timeout=20)

    async def raw(self, data: bytes, *, read: bool = True) -> None:
        """Send bytes on a new connection, read a little, and be gone."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(data)
            await writer.drain()
            if read:
                async with asyncio.timeout(0.5):
                    await _.read(200)
        writer.transport.abort()

    @contextlib.asynccontextmanager
    async def recipient(self, manner: Manner, *mtypes: str) -> AsyncIterator[Recipient]:
        """Be a client that is called back, in that manner."""
        peer = Recipient(manner, forgetful=True)
        peer.server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, backlog=1024)
        registration = await self.ask("register", self.secret)
        peer.key, peer.id = registration["samp.private-key"], registration["samp.self-id"]
        port = peer.server.sockets[0].getsockname()[1]
        await self.ask("setXmlrpcCallback", peer.key, f"http://127.0.0.1:{port}/")
        await self.ask("declareSubscriptions", peer.key, {mtype: {} for mtype in mtypes})
        try:
            yield peer
        finally:
            await peer.stop_listening()


Way = Callable[[Bad], Awaitable[None]]


def _manner(manner: Manner) -> Way:
    async def go(bad: Bad) -> None:
        async with bad.recipient(manner, "*") as peer:
            for n in range(200):
                message = {"samp.mtype": "bad.note", "samp.params": {"n": str(n)}}
                with contextlib.suppress(Exception):
                    await bad.ask("notify", peer.key, peer.id, message)  # to itself, beside all broadcasts
                await asyncio.sleep(0.25)

    return go


async def _strange(bad: Bad) -> None:
    body = b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><methodCall/>"
    head = b"POST /xmlrpc HTTP/1.1\r\nHost: localhost\r\n"
    ping = xmlrpc.dump_call("samp.hub.ping", [])
    for data in (
        b"",
        b"POST",
        bytes(range(256)) * 20,
        head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        head + b"Content-Length: 2000000000\r\n\r\n" + b"x" * 100_000,
        head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        head + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n",
        head + b"Content-Length: %d\r\nOrigin: http://evil.example\r\n\r\n%b" % (len(ping), ping),
        (head + b"Content-Length: %d\r\n\r\n%b" % (len(ping), ping)) * 20,
    ):
        await bad.raw(data)
        await asyncio.sleep(0.1)


async def _deep(bad: Bad) -> None:
    deep = b"<methodCall><methodName>a</methodName><params><param>" + b"<value><array><data>" * 3000
    head = b"POST /xmlrpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(deep)
    await bad.raw(head + deep)
    await asyncio.sleep(0.2)


async def _come_and_go(bad: Bad) -> None:
    registration = await bad.ask("register", bad.secret)
    key = registration["samp.private-key"]
    await bad.ask("declareMetadata", key, {"samp.name": ["no", "string"], "x": "y" * 10_000})
    await bad.ask("unregister", key)
    await asyncio.sleep(1.0)  # everybody is told of each step: 500 deliveries


async def _vanish(bad: Bad) -> None:
    async with bad.recipient(MANNERS["never answering"][0], "bad.call") as peer:
        message: Value = {"samp.mtype": "bad.call", "samp.params": {}}
        for n in range(20):
            call = xmlrpc.dump_call("samp.hub.callAndWait", [peer.key, peer.id, message, "0"])
            await bad.raw(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(call), call)
            )
            await bad.ask("call", peer.key, peer.id, f"t{n}", message)
            await asyncio.sleep(0.2)
    # and it leaves without a word: its port is closed


async def _steal(bad: Bad) -> None:
    registration = await bad.ask("register", bad.secret)
    key = registration["samp.private-key"]
    for n in range(200):
        with contextlib.suppress(Exception):
            await bad.ask("reply", key, f"m{n}-00000000", {"samp.status": "samp.ok", "samp.result": {}})
        with contextlib.suppress(Exception):
            await bad.ask("nonsense", key, [{"a": []}] * 100)
        await asyncio.sleep(0.05)
    await bad.ask("unregister", key)


async def _heavy(bad: Bad) -> None:
    async with bad.recipient(MANNERS["never answering"][0], "bad.big") as peer:
        for _ in range(20):
            message = {"samp.mtype": "bad.big", "samp.params": {"text": "x" * 300_000}}
            with contextlib.suppress(Exception):
                await bad.ask("notify", peer.key, peer.id, message)
            await asyncio.sleep(0.5)


WAYS: list[Way] = [
    *(_manner(manner) for manner, _ in MANNERS.values()),
    *(_manner(drip), _strange, _deep, _come_and_go, _vanish, _steal, _heavy),
]


async def misbehave(lockfile: str, count: int) -> None:
    """Run so many bad clients until the process is ended."""
    stop = asyncio.Event()

    async def one(way: Way) -> None:
        bad = Bad(lockfile)
        await asyncio.sleep(random.random())
        while not stop.is_set():
            try:
                await way(bad)
            except Exception:
                await asyncio.sleep(0.2)  # refused, as it should be

    ways = itertools.islice(itertools.cycle(WAYS), count)
    tasks = [asyncio.create_task(one(way)) for way in ways]
    print("ready", flush=True)
    await asyncio.gather(*tasks)


def main() -> None:
    kind, lockfile, count = sys.argv[1:]
    if kind == "bad":
        asyncio.run(misbehave(lockfile, int(count)))
    else:
        asyncio.run(Well(int(count)).run(lockfile))


if __name__ == "__main__":
    main()
