"""Two hundred clients whose hub is killed: all notice, and all are back as soon as there is one again.

Once here; with --long ten times, with and without a state file, and after a while without a hub.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from ..interop.peers import own_hub, process

COUNT = 200
AWAY = 5.0
"""Seconds without a hub, after which clients look for one less often."""

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", [False, True], ids=["without state", "with state"])
@pytest.mark.alone
async def test_all_are_back_within_seconds(tmp_path: Path, state: bool, long: bool) -> None:
    kills, bound = (10, 2.0) if long else (1, 5.0)  # other tests run beside the short form
    lockfile = tmp_path / "hub.samp"
    options = ["--no-web-profile", *(["--state", str(tmp_path / "state.json")] if state else [])]
    command = [sys.executable, "-m", "tests.faults.crowd", str(lockfile), str(COUNT)]
    noticed: list[float] = []
    back: list[float] = []
    async with process(command, name="crowd", home=tmp_path, path=ROOT) as crowd:

        async def said(what: str) -> float:
            """Return when the crowd has said one line more."""
            async with asyncio.timeout(30):
                line = await crowd.stdout.at(1 + len(noticed) + len(back))
            assert line.startswith(what), crowd.report("said something else")
            return float(line.split()[1])

        for number in range(kills + 1):
            if long and number == 1:
                await asyncio.sleep(AWAY)
            async with own_hub(lockfile, tmp_path, *options) as hub:
                begun = time.monotonic()
                if number:
                    back.append(await said("back") - begun)
                else:
                    await crowd.line("^ready")
                begun = time.monotonic()
                await hub.kill()
            noticed.append(await said("lost") - begun)
    print(f"noticed after {max(noticed):.2f} s, back after {max(back):.2f} s at most")
    assert max(noticed) <= bound, noticed
    assert max(back) <= bound, back
