"""Processes are killed and stopped, and the hub too, while all call each other: no call is lost in silence.

Some seconds with six processes here; with --long three minutes with thirty.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ..interop.peers import Process, own_hub, process
from ..ports import lasting_port

ROOT = Path(__file__).parents[2]


class Chaos:
    """The processes, those that were killed included."""

    def __init__(self, home: Path, stack: AsyncExitStack) -> None:
        self.home = home
        self.lockfile = home / "hub.samp"
        self.running: list[Process] = []
        self.killed: list[Process] = []
        self.hub: Process | None = None
        self.done: Counter[str] = Counter()
        self._stack = stack
        self._names = itertools.count()

    async def start_hub(self) -> None:
        state = str(self.home / "state.json")
        port = [] if self.hub else ["--port", str(lasting_port())]  # later it knows it by its state
        running = own_hub(self.lockfile, self.home, "--no-web-profile", "--state", state, *port)
        self.hub = await self._stack.enter_async_context(running)

    async def add(self) -> None:
        command = [sys.executable, "-m", "tests.faults.chaos", str(self.lockfile), f"n{next(self._names)}"]
        running = process(command, name="chaos", home=self.home, path=ROOT)
        self.running.append(await self._stack.enter_async_context(running))

    async def kill(self, one: Process) -> None:
        """Kill a process; another one takes its place."""
        self.running.remove(one)
        self.killed.append(one)
        await one.kill()
        await self.add()

    async def stop(self, one: Process, seconds: float) -> None:
        """Let a process stand still for a while."""
        one.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        one.send_signal(signal.SIGCONT)

    async def kill_hub(self) -> None:
        assert self.hub is not None
        await self.hub.kill()
        await self.start_hub()

    async def one_thing(self, chance: random.Random) -> None:
        """Let something happen."""
        what = chance.choices(["kill", "stop", "hub"], [8, 10, 1])[0]
        self.done[what] += 1
        one = chance.choice(self.running)
        await one.line("^ready", timeout=60)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        if what == "kill":
            await self.kill(one)
        elif what == "stop":
            await self.stop(one, chance.uniform(0.2, 1.5))
        else:
            await self.kill_hub()

    async def finish(self) -> None:
        """Let all send no more, and wait for their answers."""
        for one in self.running:
            await one.line("^ready", timeout=60)
            await one.write("stop")
        for one in self.running:
            await one.line("^done", timeout=90)


def numbers(processes: Iterable[Process], what: str) -> Counter[str]:
    """Return which calls they say that of, and how often."""
    lines = (line.split() for one in processes for line in one.stdout.lines)
    return Counter(words[1] for words in lines if words[:1] == [what] and len(words) > 1)


@pytest.mark.timeout(900)
async def test_no_call_is_lost_in_silence(tmp_path: Path, long: bool) -> None:
    count, seconds = (30, 180.0) if long else (5, 4.0)
    chance = random.Random(11)
    async with AsyncExitStack() as stack:
        chaos = Chaos(tmp_path, stack)
        await chaos.start_hub()
        for _ in range(count):
            await chaos.add()
        for one in chaos.running:
            await one.line("^ready", timeout=60)
        end = asyncio.get_running_loop().time() + seconds
        if not long:  # at least one of each
            await chaos.kill(chaos.running[0])
            await chaos.stop(chaos.running[0], 0.5)
            await chaos.kill_hub()
        while asyncio.get_running_loop().time() < end:
            await chaos.one_thing(chance)
        await chaos.finish()
        everybody = [*chaos.running, *chaos.killed]
    sent = numbers(chaos.running, "sent")
    ok, failed = numbers(chaos.running, "ok"), numbers(chaos.running, "failed")
    took = numbers(everybody, "took")
    report = f"{dict(chaos.done)}: {sum(numbers(everybody, 'sent').values())} calls, of {sum(sent.values())} "
    report += f"whose callers have lived {sum(ok.values())} were answered and {sum(failed.values())} failed"
    print(report)
    assert ok, report
    assert numbers(everybody, "lost") == {}, "a call was neither answered nor ended"
    assert sent == ok + failed, "each has one end"
    assert max(took.values()) == 1, "a call was handled twice"
    assert set(ok) <= set(took), "an answer to what nobody has handled"
    for one in everybody:
        assert not [line for line in one.stderr.lines if "Traceback" in line], one.report("failed")
