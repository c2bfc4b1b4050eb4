"""What a user's own code can do wrong: block, raise, hang, answer twice or too late, cancel itself."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import asyncsamp
from asyncsamp import Client, Hub, Limits, Message, ReplyError, SampError

from .bystanders import Bystanders, bystanders, nothing_kept, the_log_says

pytestmark = pytest.mark.both_loops

SHORT = Limits(close_timeout=1.0)  # the goodbye has it as well


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "hub.samp") as hub:
        yield hub


@pytest.fixture
async def others(hub: Hub) -> AsyncIterator[Bystanders]:
    async with bystanders(hub.lockfile) as others:
        yield others


async def test_a_handler_that_raises_is_run_once(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    """Failure 13 of other hubs: a handler that raises is run ten times for one message."""
    runs = []
    async with Client("bad", lockfile=hub.lockfile) as bad, Client("caller", lockfile=hub.lockfile) as caller:

        @bad.on("bad.call")
        async def handle(message: Message) -> None:
            runs.append(message)
            raise ValueError("on purpose")

        await bad.settled()
        with pytest.raises(ReplyError, match="ValueError: on purpose"):
            await caller.call(bad.public_id, "bad.call", timeout=30)
        await others.went_on()
    assert len(runs) == 1
    the_log_says(caplog, "the handler of bad.call failed")
    nothing_kept(hub)


async def test_a_handler_that_cancels_itself(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client("bad", lockfile=hub.lockfile) as bad, Client("caller", lockfile=hub.lockfile) as caller:

        @bad.on("bad.call")
        async def handle(_: Message) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.Event().wait()

        await bad.settled()
        for _ in range(2):  # the client goes on
            with pytest.raises(ReplyError, match="cancelled before it ended"):
                await caller.call(bad.public_id, "bad.call", timeout=30)
        await others.went_on()
    the_log_says(caplog, *["the handler of bad.call was cancelled before it ended"] * 2)
    nothing_kept(hub)


async def test_a_handler_that_hangs_ends_with_its_client(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    begun = asyncio.Event()
    async with Client("caller", lockfile=hub.lockfile) as caller:
        async with Client("bad", lockfile=hub.lockfile, limits=SHORT) as bad:

            @bad.on("bad.call")
            async def handle(_: Message) -> None:
                begun.set()
                await asyncio.Event().wait()

            await bad.settled()
            held = asyncio.create_task(caller.call(bad.public_id, "bad.call", timeout=30))
            await begun.wait()
            await others.went_on()
        with pytest.raises(SampError, match=r"cancelled before it ended|left before it answered"):
            await held
    the_log_says(caplog, "asyncsamp-handler-bad.call takes too long to end and is cancelled")
    nothing_kept(hub)


async def test_a_second_reply_is_refused_and_one_after_the_end(
    hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client("caller", lockfile=hub.lockfile) as caller:
        bad = Client("bad", lockfile=hub.lockfile)
        messages: list[Message] = []
        async with bad, bad.messages("bad.call", answer=False) as stream:
            asked = asyncio.create_task(caller.call(bad.public_id, "bad.call", timeout=30))
            messages.append(await anext(stream))
            await bad.reply(messages[0], {"n": 1})
            assert (await asked).result == {"n": "1"}
            with pytest.raises(SampError, match="was answered already"):
                await bad.reply(messages[0], {"n": 2})
            await others.went_on()
        with pytest.raises(SampError):
            await bad.reply(messages[0], {"n": 3})
    the_log_says(caplog)  # who replied was told
    nothing_kept(hub)


async def test_a_loop_that_is_blocked(hub: Hub, others: Bystanders, caplog: pytest.LogCaptureFixture) -> None:
    """Hub and all clients share the loop that a handler blocks: longer than patience, liveness and probe."""
    async with Client("bad", lockfile=hub.lockfile) as bad, Client("caller", lockfile=hub.lockfile) as caller:

        @bad.on("bad.call")
        async def handle(_: Message) -> dict[str, str]:
            end = time.perf_counter() + 5
            while time.perf_counter() < end:
                pass
            return {"done": "1"}

        await bad.settled()
        calls = [
            caller.call_and_wait(bad.public_id, "bad.call", timeout=60),
            caller.call(bad.public_id, "samp.app.ping", timeout=60),
        ]
        answers = await asyncio.gather(*calls)
        assert answers[0].result == {"done": "1"}
        assert await caller.get_registered_clients()
    the_log_says(caplog, "the event loop that the hub runs in stood still for ")
    nothing_kept(hub)


async def test_the_clock_of_the_wall_does_not_matter(
    hub: Hub, others: Bystanders, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 + (-1) ** next(days) * 4e8)  # 13 years forth and back
    await others.went_on()
    async with Client("late", lockfile=hub.lockfile, limits=SHORT) as late:

        @late.on("bad.call")
        async def handle(_: Message) -> None:
            await asyncio.Event().wait()

        await late.settled()
        begun = time.perf_counter()
        with pytest.raises(TimeoutError):
            await others.sender.call(late.public_id, "bad.call", timeout=0.2)
        assert 0.15 < time.perf_counter() - begun < 30
        late.off("bad.call")
    nothing_kept(hub)


def test_nothing_asks_for_the_time_of_day() -> None:
    asked = re.compile(r"\btime\.time\(|datetime\.(now|today|utcnow)|from time import .*\btime\b")
    package = Path(asyncsamp.__file__).parent
    places = ("hub", "client", "rpc", "discovery")
    told = {
        "rpc/front.py": "writes it into the Date of an answer",
        "hub/tap.py": "tells who records when a message was sent",
        "hub/profiles/reach/profile.py": "an invitation ends at a time of day",
    }
    for path in (path for place in places for path in (package / place).rglob("*.py")):
        if str(path.relative_to(package)) not in told:
            assert not asked.search(path.read_text()), path
