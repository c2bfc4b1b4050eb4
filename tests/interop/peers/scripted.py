"""Clients of foreign libraries, each in a process of its own, that do what a test tells them.

The language is one JSON value a line. To the peer: `["notify", "c2", {...}]`, an operation of the
hub with its arguments, named as in pyvo (JSAMP's peer takes the same names). From the peer:
`{"answer": ...}` or `{"fault": "text"}`, one for each request, and between them events:
`{"event": "ready" | "notification" | "call" | "response", "sender": ..., "id": ..., "message": {...}}`.

Every peer answers a call of `test.fail` with samp.error, never answers `test.hold`, and answers any other
with samp.ok and the message's params as its result.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...installed import require_module
from .java import java_command
from .process import START_SECONDS, PeerError, Process, hub_variable, process

HERE = Path(__file__).parent
ANSWER_SECONDS = 30.0


class PeerFaultError(Exception):
    """The peer's library raised an error; the text is its own."""


@dataclass(frozen=True)
class Event:
    """Something that the peer received: `id` is a msg-id (call) or a msg-tag (response)."""

    sender: str
    id: str
    message: dict[str, Any]


class ScriptedPeer:
    """A foreign client; made by `scripted_peer`."""

    def __init__(self, running: Process) -> None:
        self.process = running
        self.id = ""
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._events: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)

    async def pump(self) -> None:
        """Sort the lines of the peer into answers and events, until it ends."""
        with contextlib.suppress(EOFError):
            for index in itertools.count():
                line = json.loads(await self.process.stdout.at(index))
                kind = line.get("event")
                queue = self._answers if kind is None else self._events[kind]
                queue.put_nowait(line)

    async def ready(self) -> None:
        """Wait until the peer is registered."""
        self.id = (await self._next(self._events["ready"], START_SECONDS, "did not register"))["id"]

    async def ask(self, operation: str, *arguments: Any) -> Any:
        """Let the peer do one hub operation; return the answer or raise `PeerFaultError`."""
        await self.process.write(json.dumps([operation, *arguments]))
        line = await self._next(self._answers, ANSWER_SECONDS, f"did not answer {operation}")
        if "fault" in line:
            raise PeerFaultError(line["fault"])
        return line["answer"]

    async def event(self, kind: str) -> Event:
        """Wait for the next "notification", "call" or "response" that the peer receives."""
        line = await self._next(self._events[kind], ANSWER_SECONDS, f"received no {kind}")
        return Event(line["sender"], line.get("id", ""), line["message"])

    async def _next(
        self, queue: asyncio.Queue[dict[str, Any]], timeout: float, failure: str
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout):
                return await queue.get()
        except TimeoutError:
            raise PeerError(self.process.report(failure)) from None


@contextlib.asynccontextmanager
async def scripted_peer(kind: str, lockfile: Path, home: Path) -> AsyncIterator[ScriptedPeer]:
    """Run a registered client of "jsamp", "pyvo", "astropy" or "asyncsamp" on the hub of `lockfile`."""
    async with process(
        _command(kind, home), name=f"{kind} client", home=home, env=hub_variable(lockfile)
    ) as running:
        peer = ScriptedPeer(running)
        pump = asyncio.create_task(peer.pump(), name=f"{kind} lines")
        try:
            await peer.ready()
            yield peer
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)


def _command(kind: str, home: Path) -> list[str]:
    if kind == "jsamp":
        return java_command(home, str(HERE / "JsampPeer.java"))
    if kind == "asyncsamp":
        return [sys.executable, str(HERE / "own_peer.py")]
    _require_samp(kind)
    return [sys.executable, str(HERE / "python_peer.py"), f"{kind}.samp"]


def _require_samp(kind: str) -> None:
    # astropy has announced the end of astropy.samp in favour of pyvo.samp.
    require_module(f"{kind}.samp", {"astropy": "astropy<9"}.get(kind, kind))


@contextlib.asynccontextmanager
async def python_hub(kind: str, lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run the hub of "pyvo" or "astropy" on `lockfile`."""
    _require_samp(kind)
    command = [sys.executable, str(HERE / "python_hub.py"), f"{kind}.samp", str(lockfile)]
    async with process(command, name=f"{kind} hub", home=home) as hub:
        await hub.line("^ready$")
        yield hub
