"""What an open page costs the hub, in function calls: other work on the machine does not change them."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Hub
from asyncsamp.delivery import Delivery
from asyncsamp.hub.page.feed import MOST, Feed

MESSAGES = 500


class Taker:
    """A client that takes everything, without a socket."""

    async def deliver(self, delivery: Delivery) -> None: ...

    async def is_alive(self, client: str) -> bool:
        return True

    def has_unread(self, client: str) -> bool:
        return False

    def forget(self, client: str) -> None: ...


async def calls_per_message(hub: Hub, one: str, two: str) -> float:
    """Return how many functions a notification runs, by the hub's own ways, of Python and of C."""
    count = 0
    note: Any = {"samp.mtype": "test.note", "samp.params": {"text": "x"}}

    def called(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        for _ in range(MESSAGES):
            await hub.engine.operate(one, "notify", [two, note])
        await asyncio.sleep(0)
    finally:
        sys.setprofile(None)
    return count / MESSAGES


async def test_messages_that_are_not_shown_cost_next_to_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asyncsamp")  # at DEBUG the log watches every message
    asyncio.get_running_loop().set_debug(False)
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        one, two = (hub.engine.register(Taker()) for _ in range(2))
        hub.engine.set_callable(two, True)
        await hub.engine.operate(two, "declareSubscriptions", [{"test.note": {}}])
        alone = await calls_per_message(hub, one, two)
        feed = Feed(hub)
        await asyncio.sleep(0)
        note: Any = {"samp.mtype": "test.note", "samp.params": {}}
        for _ in range(MOST):
            await hub.engine.operate(one, "notify", [two, note])
        await asyncio.sleep(0)
        watched = await calls_per_message(hub, one, two)
        batch = await feed.batch()
        assert (batch["total"], batch["missed"]) == (MOST + MESSAGES, MESSAGES)
        feed.close()
        again = await calls_per_message(hub, one, two)
    # By the wire a message takes some hundred calls more than here.
    assert watched - alone <= 5, (alone, watched)
    assert abs(again - alone) < 0.5, (alone, again)


async def test_an_open_page_is_left_alone_while_nothing_happens(tmp_path: Path) -> None:
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        feed = Feed(hub)
        batch = asyncio.create_task(feed.batch())
        await asyncio.sleep(0)
        timers = waiting_timers(asyncio.get_running_loop())
        feed_timers = [timer for timer in timers if "feed" in repr(timer)]
        assert not batch.done()
        assert feed_timers == []
        batch.cancel()
        feed.close()


def waiting_timers(loop: Any) -> list[Any]:
    """Return the loop's timers; there is no public way."""
    return list(getattr(loop, "_scheduled", []))
