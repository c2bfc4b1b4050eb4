"""The client's side: our `Client` over each connection, and pyvo's, sending and receiving at the same hub.

`python -m benchmarks.clients KIND WORKLOAD LOCKFILE WEB-PORT SECONDS` prints a line of
JSON; run as a child process.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from asyncsamp import Client, DirectConnection, Hub, Message
from asyncsamp.client.web import WebConnection
from asyncsamp.interfaces import Registration
from asyncsamp.values import ValueMap

__all__ = ["KINDS", "WORKLOADS"]

KINDS = ("standard", "web", "direct", "pyvo", "compat", "bare direct")
WORKLOADS = ("notify", "call")

_OLD_NAMES = {"pyvo": "pyvo.samp", "compat": "asyncsamp.compat"}

MTYPE = "test.echo"
_PARAMS = {"text": "x" * 100}
_AT_ONCE = 10


async def _repeat(seconds: float, once: Callable[[], Awaitable[object]]) -> tuple[int, float]:
    """Do `once` ten at a time for `seconds`; return how often and how long."""
    begun = perf_counter()
    done = 0

    async def worker() -> None:
        nonlocal done
        while perf_counter() - begun < seconds:
            await once()
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())
    return done, perf_counter() - begun


async def _ours(kind: str, workload: str, lockfile: str, web_port: int, seconds: float) -> tuple[int, float]:
    """Two clients of ours; a notification counts when its handler has had it."""
    async with AsyncExitStack() as stack:
        hub = (
            await stack.enter_async_context(Hub(lockfile=f"{lockfile}.direct")) if kind == "direct" else None
        )

        def client(name: str) -> Client:
            if hub is not None:
                return Client(name, connection=DirectConnection(hub))
            if kind == "web":
                return Client(name, connection=WebConnection(port=web_port))
            return Client(name, lockfile=lockfile)

        receiver = client("receiver")
        seen = 0
        arrived = asyncio.Event()

        @receiver.on(MTYPE)
        async def echo(message: Message) -> ValueMap:
            nonlocal seen
            seen += 1
            arrived.set()
            return message.params

        sender = await stack.enter_async_context(client("sender"))
        await stack.enter_async_context(receiver)
        await receiver.settled()
        if workload == "call":
            return await _repeat(seconds, lambda: sender.call(receiver.public_id, MTYPE, _PARAMS))
        sent, begun = 0, perf_counter()

        async def notify() -> None:
            nonlocal sent
            sent += 1
            await sender.notify(receiver.public_id, MTYPE, _PARAMS)
            while sent - seen > 500:  # more would measure how much can be queued
                arrived.clear()
                await arrived.wait()

        await _repeat(seconds, notify)
        async with asyncio.timeout(10):
            while seen < sent:
                arrived.clear()
                await arrived.wait()
        return seen, perf_counter() - begun


class _Echo:
    """The least receiver there can be: answers each call through its connection."""

    def __init__(self, connection: DirectConnection) -> None:
        self._connection = connection
        self.replies: set[asyncio.Task[object]] = set()
        self.responses: dict[str, asyncio.Future[None]] = {}
        self.seen = 0

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        self.seen += 1

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        response: ValueMap = {"samp.status": "samp.ok", "samp.result": message["samp.params"]}
        task = asyncio.ensure_future(self._connection.ask_hub("reply", msg_id, response))
        self.replies.add(task)
        task.add_done_callback(self.replies.discard)

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self.responses.pop(msg_tag).set_result(None)

    def connection_lost(self, reason: str) -> None:
        raise AssertionError(reason)


async def _bare_direct(workload: str, lockfile: str, seconds: float) -> tuple[int, float]:
    """Two DirectConnections without a Client: what the hub itself does."""
    message: ValueMap = {"samp.mtype": MTYPE, "samp.params": dict(_PARAMS)}
    async with Hub(lockfile=f"{lockfile}.direct") as hub:
        connections = [DirectConnection(hub) for _ in range(2)]
        echoes = [_Echo(connection) for connection in connections]
        ids: list[str] = []
        for connection, echo in zip(connections, echoes, strict=True):
            registration: Registration = await connection.register("bench", echo)
            ids.append(registration.self_id)
            await connection.listen()
            await connection.ask_hub("declareSubscriptions", {MTYPE: {}})
        loop = asyncio.get_running_loop()
        number = 0

        async def call() -> None:
            nonlocal number
            number += 1
            tag = f"t{number}"
            waiter = echoes[0].responses[tag] = loop.create_future()
            await connections[0].ask_hub("call", ids[1], tag, message)
            await waiter

        async def notify() -> None:
            nonlocal number
            number += 1
            await connections[0].ask_hub("notify", ids[1], message)
            while number - echoes[1].seen > 100:
                await asyncio.sleep(0)

        done = await _repeat(seconds, call if workload == "call" else notify)
        for connection in connections:
            await connection.close()
    return done


def _old_names(module: str, workload: str, lockfile: str, seconds: float) -> tuple[int, float]:
    """Two of pyvo's clients, or of the drop-in for them; one thread sends, and waits each time."""
    samp = importlib.import_module(module)
    samp.conf.use_internet = False

    def connect() -> Any:
        client = samp.SAMPIntegratedClient(name="bench")
        secret, url = _read(lockfile)
        client.connect(hub_params={"samp.secret": secret, "samp.hub.xmlrpc.url": url})
        return client

    receiver, sender = connect(), connect()
    seen = threading.Semaphore(0)

    def on_notification(key: str, source: str, mtype: str, params: Any, extra: Any) -> None:
        seen.release()

    def on_call(key: str, source: str, msg_id: str, mtype: str, params: Any, extra: Any) -> None:
        receiver.reply(msg_id, {"samp.status": "samp.ok", "samp.result": params})

    receiver.bind_receive_notification(MTYPE, on_notification)
    receiver.bind_receive_call(MTYPE, on_call)
    message = {"samp.mtype": MTYPE, "samp.params": _PARAMS}
    target, begun, done = receiver.get_public_id(), perf_counter(), 0
    while perf_counter() - begun < seconds:
        if workload == "notify":
            sender.notify(target, message)
            if not seen.acquire(timeout=5):
                break
        else:
            try:
                sender.call_and_wait(target, message, "1")
            except samp.SAMPProxyError:  # pyvo's hub loses an answer now and then
                continue
        done += 1
    taken = perf_counter() - begun
    sender.disconnect()
    receiver.disconnect()
    return done, taken


def _read(lockfile: str) -> tuple[str, str]:
    text = Path(lockfile).read_text(encoding="utf-8")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return lines["samp.secret"], lines["samp.hub.xmlrpc.url"]


def main() -> None:
    """Measure one kind and print the outcome."""
    kind, workload, lockfile, web_port, seconds = *sys.argv[1:5], float(sys.argv[5])
    gc.freeze()
    if kind in _OLD_NAMES:
        done, taken = _old_names(_OLD_NAMES[kind], workload, lockfile, seconds)
    elif kind == "bare direct":
        done, taken = asyncio.run(_bare_direct(workload, lockfile, seconds))
    else:
        done, taken = asyncio.run(_ours(kind, workload, lockfile, int(web_port), seconds))
    print(json.dumps({"done": done, "seconds": taken}), flush=True)


if __name__ == "__main__":
    main()
