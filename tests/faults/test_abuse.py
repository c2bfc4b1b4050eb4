"""Two hundred clients, one in five misbehaving, and JSAMP's CalcStorm beside them.

A quarter of a minute here; with --long ten minutes, as written down in docs/security.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ..interop.peers import Process, calc_storm, own_hub, process
from .limited import memory

WELL, BAD = 160, 40
ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def load(home: Path, lockfile: Path, kind: str, count: int) -> AsyncIterator[Process]:
    """Run one half of `abuse.py`."""
    command = [sys.executable, "-m", "tests.faults.abuse", kind, str(lockfile), str(count)]
    async with process(command, name=kind, home=home, path=ROOT) as running:
        await running.line("^ready$", timeout=120)
        yield running


async def storm(home: Path, lockfile: Path, stop: asyncio.Event) -> None:
    """Run one CalcStorm after the other; it waits for ever for a message that is lost."""
    while not stop.is_set():
        await calc_storm(lockfile, home, clients=10, queries=30, mode="random", timeout=120)


async def measure(well: Process, number: int, seconds: float) -> dict[str, Any]:
    """Let the well-behaved send for so long, and return what they saw."""
    await well.write(str(seconds))
    async with asyncio.timeout(seconds + 180):
        result: dict[str, Any] = json.loads(await well.stdout.at(number))
    return result


@pytest.mark.timeout(1800)
@pytest.mark.alone
async def test_the_well_behaved_notice_nothing(tmp_path: Path, long: bool) -> None:
    alone, beside = (120.0, 600.0) if long else (3.0, 8.0)
    lockfile = tmp_path / "hub.samp"
    stop = asyncio.Event()
    async with (
        own_hub(lockfile, tmp_path, "--no-web-profile", "--log-level", "error") as hub,
        load(tmp_path, lockfile, "well", WELL) as well,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(storm(tmp_path, lockfile, stop), name="storm")
        before = await measure(well, 1, alone)
        async with load(tmp_path, lockfile, "bad", BAD):
            await asyncio.sleep(beside / 5)  # until the abuse is in full swing
            at_first = memory(hub.pid)
            during = await measure(well, 2, beside)
            at_last = memory(hub.pid)
        stop.set()
    assert hub.stderr.lines == []  # no error, and no traceback
    report = {"alone": before, "with abuse": during, "memory": [at_first, at_last]}
    print(json.dumps(report, indent=1))
    for phase in (before, during):
        assert (phase["lost"], phase["broadcasts missed"], phase["failures"]) == (0, 0, []), report
        assert phase["in order"], report
        assert phase["sent"] >= WELL, report
    # In the short form a single pause of a busy machine, and the throng after it, are the 99th percentile.
    assert during["p50"] <= max(3 * before["p50"], 0.2), report
    assert during["p99"] <= max(3 * before["p99"], 0.0 if long else 2.0), report
    assert at_last - at_first <= 30, report
