"""`python -m benchmarks.versus FOLDER`: our hub and client as they are here and in another checkout.

Both do the main workloads turn by turn, so that whatever else the machine does meets both; a ratio is the
median of those of the turns. It takes three minutes, with `--turns 3` two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from .bench import Bench
from .hubs import KINDS, HubKind
from .results import describe_machine
from .workloads import Job

_ROOT = Path(__file__).parent.parent
_SECONDS = 0.8
_BOUND = 0.95
"""Below this a workload counts as slower."""

_JOBS = {
    "notify": Job("notify"),
    "call": Job("call"),
    "callAndWait": Job("callAndWait"),
    "broadcast to 100": Job("broadcast", clients=100),
    "register": Job("register"),
    "notify 10 kB": Job("notify", size=10_000),
    "notify 1 MB": Job("notify", size=1_000_000, clients=2, active=2),
}
_KINDS = ("standard", "web", "direct", "bare direct")
_CLIENTS = [(kind, workload) for kind in _KINDS for workload in ("notify", "call")]


def _run_in(folder: Path, module: str, *arguments: str) -> list[str]:
    """Return a command that runs a module of the benchmarks as they are in `folder`."""
    python = ["env", "-C", str(folder), f"PYTHONPATH={folder / 'src'}", sys.executable]
    return [*python, "-m", module, *arguments]


def _kind(name: str, folder: Path) -> HubKind:
    return replace(
        KINDS[0], name=name, command=lambda lockfile: _run_in(folder, "benchmarks.our_hub", str(lockfile))
    )


class _Side:
    """One checkout: its hub, its load, and what it did in each turn."""

    def __init__(self, name: str, folder: Path, place: Path) -> None:
        self.folder = folder
        self.bench = Bench(_kind(name, folder), place)
        self.lockfile = place / name / "lockfile"
        self.rates: dict[str, list[float]] = {}

    async def do(self, name: str, job: Job) -> None:
        self.bench.hub.thaw()
        outcome = await self.bench.run(replace(job, seconds=_SECONDS))
        self.bench.hub.freeze()
        if outcome.wrong:
            print(f"!! {self.folder}: {name}: {outcome.wrong}", file=sys.stderr)
        self.rates.setdefault(name, []).append(outcome.rate)

    async def be_client(self, kind: str, workload: str) -> None:
        """Run the client library of this checkout at its own hub."""
        self.bench.hub.thaw()
        found = re.search(r"web (\d+)", self.bench.hub.output())
        port = found[1] if found else "0"
        command = _run_in(
            self.folder, "benchmarks.clients", kind, workload, str(self.lockfile), port, str(_SECONDS)
        )
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        self.bench.hub.freeze()
        seen = json.loads(printed) if printed else {"done": 0, "seconds": 1.0}
        name = f"client, {kind} {workload}"
        self.rates.setdefault(name, []).append(seen["done"] / seen["seconds"])


async def _compare(before: _Side, after: _Side, turns: int) -> None:
    sides = [before, after]
    try:
        for side in sides:
            await side.bench.start()
            side.bench.hub.freeze()
        for turn in range(turns):
            print(f"turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
            for name, job in _JOBS.items():
                for side in sides:
                    await side.do(name, job)
            for kind, workload in _CLIENTS:
                for side in sides:
                    await side.be_client(kind, workload)
            sides.reverse()
    finally:
        for side in sides:
            await side.bench.stop()


def _table(before: _Side, after: _Side) -> tuple[str, bool]:
    """Return the table, and whether nothing is slower."""
    lines = ["| workload | before /s | after /s | ratio | of the turns |", "|---|---|---|---|---|"]
    well = True
    for name, rates in before.rates.items():
        ratios = sorted(new / old for old, new in zip(rates, after.rates[name], strict=True) if old)
        if not ratios:
            lines.append(f"| {name} | - | {statistics.median(after.rates[name]):,.0f} | - | - |")
            continue
        old, new = statistics.median(rates), statistics.median(after.rates[name])
        ratio = statistics.median(ratios)
        well = well and ratio >= _BOUND
        mark = "" if ratio >= _BOUND else " **slower**"
        lines.append(
            f"| {name} | {old:,.0f} | {new:,.0f} | {ratio:.2f}{mark} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
        )
    return "\n".join(lines), well


def _commit(folder: Path) -> str:
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _write(table: str, folder: Path, turns: int) -> None:
    before, after = map(_commit, (folder, _ROOT))
    machine = "\n".join(f"- {name}: {value}" for name, value in describe_machine().items())
    (_ROOT / "benchmarks" / "VERSUS.md").write_text(
        "# This version beside an earlier one\n\n"
        f"Written by `python -m benchmarks.versus FOLDER --turns {turns} --write`: commit {after}\n"
        f"beside {before}, turn by turn; a ratio is the median of the ratios of the turns.\n\n"
        f"{machine}\n\n{table}\n"
    )


def main() -> int:
    """Compare; return 1 if a workload has become slower by more than a twentieth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versus", description=__doc__)
    parser.add_argument("folder", type=Path, help="the other checkout: what is before")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write VERSUS.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncsamp-versus-") as place:
        before = _Side("before", arguments.folder.resolve(), Path(place))
        after = _Side("after", _ROOT, Path(place))
        asyncio.run(_compare(before, after, arguments.turns))
    table, well = _table(before, after)
    print(table)
    if arguments.write:
        _write(table, before.folder, arguments.turns)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
