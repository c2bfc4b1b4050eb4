"""The others: two well-behaved clients that speak with each other while something goes wrong beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message

__all__ = ["Bystanders", "bystanders", "nothing_kept", "the_log_says"]

_BATCH = 10
"""Notifications that are sent one after the other before the next call."""

_SECONDS = 30.0


class Bystanders:
    """A sender and a receiver; made by `bystanders`."""

    def __init__(self, sender: Client, receiver: Client) -> None:
        self.sender = sender
        self.receiver = receiver
        self.sent = 0
        self.received: list[int] = []
        self.longest = 0.0
        self._more = asyncio.Condition()
        self._stop = False

    async def take(self, message: Message) -> dict[str, str]:
        """The receiver's handler."""
        async with self._more:
            self.received.append(int(str(message.params["n"])))
            self._more.notify_all()
        return {"n": str(message.params["n"])}

    async def speak(self) -> None:
        """Send notifications, and a call after each batch, until told to stop."""
        clock = asyncio.get_running_loop().time
        while not self._stop:
            begun = clock()
            for _ in range(_BATCH):
                await self.sender.notify(self.receiver.public_id, "other.note", {"n": self.sent})
                self.sent += 1
            answer = await self.sender.call(
                self.receiver.public_id, "other.call", {"n": self.sent}, timeout=_SECONDS
            )
            assert answer.result == {"n": str(self.sent)}
            self.sent += 1
            self.longest = max(self.longest, clock() - begun)

    async def went_on(self, more: int = 3 * _BATCH) -> None:
        """Wait until so many further messages have been received."""
        wanted = len(self.received) + more
        async with asyncio.timeout(_SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.received) >= wanted)

    async def end(self, speaking: asyncio.Task[None]) -> None:
        """Let the sender come to an end; fail unless all was received, once, and in order."""
        self._stop = True
        async with asyncio.timeout(_SECONDS):
            await speaking
            async with self._more:
                await self._more.wait_for(lambda: len(self.received) >= self.sent)
        assert self.received == list(range(self.sent))


@contextlib.asynccontextmanager
async def bystanders(lockfile: Path | None) -> AsyncIterator[Bystanders]:
    """Let two clients speak; at the end nothing between them was lost or out of order."""
    async with (
        Client("bystander that sends", lockfile=lockfile) as sender,
        Client("bystander that receives", lockfile=lockfile) as receiver,
    ):
        others = Bystanders(sender, receiver)
        receiver.on("other.note", "other.call")(_in_turn(others))
        await receiver.settled()
        speaking = asyncio.create_task(others.speak(), name="bystanders")
        try:
            await others.went_on(_BATCH)
            yield others
            await others.went_on()
            await others.end(speaking)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


def _in_turn(others: Bystanders):  # type: ignore[no-untyped-def]
    async def handle(message: Message) -> dict[str, str]:
        return await others.take(message)

    return handle


def nothing_kept(hub: Hub, *, clients: int = 2) -> None:
    """Fail unless the hub keeps as many clients, and nothing of those that have gone."""
    engine, profile = hub.engine, hub._standard
    core = engine._core
    assert len(engine.clients) == clients
    ids = {*engine.clients, hub.engine.hub_id}
    assert set(engine._deliveries._couriers) == set(engine._deliveries._outboxes) == set(core._clients) == ids
    assert set(engine.last_active) | set(engine._deliveries._complaints) <= ids
    assert set(profile._keys) == set(profile._clients.values()) == set(engine.clients)
    assert set(profile._callbacks) <= ids
    assert core.congested == set()
    open_calls = {pending.recipient for pending in core._pending.values()}
    assert open_calls <= ids
    assert not engine._deliveries._farewells


def the_log_says(caplog: pytest.LogCaptureFixture, *texts: str) -> None:
    """Fail unless the hub logged these warnings, one for each text, and no other.

    That all stood still may be said at any time, and again: a busy machine does that.
    """
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("asyncsamp.")
    ]
    busy = "stood still"
    said = [line for line in warnings if busy not in line]
    wanted = [text for text in texts if busy not in text]
    assert len(said) == len(wanted), said
    for line, text in zip(said, wanted, strict=True):
        assert text in line
    for text in set(texts) - set(wanted):
        assert any(text in line for line in warnings), warnings
