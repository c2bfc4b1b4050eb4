"""One hub with a load process of its own: a job goes in, an outcome comes out, whatever dies or hangs."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .hubs import HubError, HubKind, RunningHub
from .workloads import Job, Outcome

__all__ = ["WARM_UP", "Bench"]

WARM_UP = 10_000
"""Messages that a hub has before the clock starts; JSAMP's compiler needs them."""

_PATIENCE = 60.0
"""Seconds beyond its time that a job may take before hub and load are taken for hanging."""


class Bench:
    """A hub under test and its load process; both are started again if they die or hang."""

    def __init__(self, kind: HubKind, folder: Path) -> None:
        self.kind = kind
        self.hub = RunningHub(kind, folder / kind.name)
        self._load: asyncio.subprocess.Process | None = None
        self._warm_up = WARM_UP

    async def start(self, warm_up: int = WARM_UP) -> Outcome:
        """Start hub and load, and warm the hub up. Raises `HubError`."""
        self._warm_up = warm_up
        await self.hub.start()
        self._load = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        if not warm_up:
            return Outcome()
        return await self.run(Job("notify", limit=warm_up, seconds=warm_up / 100))

    async def stop(self) -> None:
        """End both."""
        if self._load is not None and self._load.returncode is None:
            self._load.kill()
            await self._load.wait()
        await self.hub.stop()

    async def run(self, job: Job) -> Outcome:
        """Do one job. A hub that has died is started again. Raises `HubError` if it cannot be."""
        if not self.hub.alive:
            await self.stop()
            await self.start(self._warm_up)
        self.hub.forget_peak()
        cpu = self.hub.cpu_seconds()
        outcome = await self._ask(job)
        if outcome.wrong:
            await self.hub.notice_end()
        if self.hub.alive and not outcome.error.startswith("hangs"):
            outcome.hub_cpu = self.hub.cpu_seconds() - cpu
            outcome.hub_peak = self.hub.memory(peak=True)
            return outcome
        if not self.hub.alive:
            outcome.error = f"the hub died: {self.hub.last_words()}"
        await self.stop()
        return outcome

    async def _ask(self, job: Job) -> Outcome:
        assert self._load is not None
        assert self._load.stdin is not None
        assert self._load.stdout is not None
        order = {"job": asdict(job), "target": asdict(self.hub.target)}
        self._load.stdin.write(json.dumps(order).encode() + b"\n")
        try:
            async with asyncio.timeout(job.seconds + _PATIENCE):
                line = await self._load.stdout.readline()
        except TimeoutError:
            return Outcome(error=f"hangs: no end within {job.seconds + _PATIENCE:g} s")
        if not line:
            raise HubError("the load process died; its reason stands above")
        return Outcome(**json.loads(line))
