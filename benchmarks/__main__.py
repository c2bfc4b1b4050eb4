"""`python -m benchmarks`: our hub, JSAMP's, pyvo's and a bare forwarder under the same load, in one run."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import ModuleType

from . import extras, transfers
from .bench import WARM_UP, Bench
from .hubs import KINDS, HubError
from .plan import Measure, Plan, full, quick
from .readme import renew
from .report import as_markdown, as_text
from .results import Results, describe_machine
from .rooms import measure_rooms, rooms_of, with_rooms
from .workloads import Outcome

_PARTS = (
    "workloads",
    "ready",
    "idle",
    "stall",
    "broadcast",
    "clients",
    "naive",
    "dbus",
    "tables",
    "topcat",
    "soak",
)
_ROOT = Path(__file__).parent.parent
_RESULTS = _ROOT / "benchmarks" / "RESULTS.md"
_PLOTS = _ROOT / "docs" / "benchmarks"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="the main workloads only; takes some minutes")
    add("--soak", type=float, metavar="MIN", help="minutes of soak (default: 10, with --quick none)")
    add("--json", type=Path, metavar="FILE", help="write all that was measured to FILE")
    add("--write", action="store_true", help="write RESULTS.md, the plots and README's figures")
    add("--parts", default="", metavar="NAME,...", help=f"only these parts: {', '.join(_PARTS)}")
    add("--soaked", type=Path, metavar="FILE", help="take the soak's figures from FILE, written by --json")
    add("--hubs", default="", metavar="NAME,...", help="only these hubs: " + ", ".join(k.name for k in KINDS))
    add("--reach", action="store_true", help="rooms instead: several hubs, beside one and JSAMP's bridge")
    add("--no-warm-up", action="store_true", help=f"do not give each hub {WARM_UP:,} messages first")
    return parser


class _Run:
    def __init__(self, plan: Plan, wanted: set[str], parts: set[str], folder: Path) -> None:
        self.plan = plan
        self._parts = parts
        self.results = Results(machine=describe_machine())
        self._folder = folder
        self._wanted = wanted
        self._benches: dict[str, Bench] = {}
        self._begun = perf_counter()

    def say(self, text: str) -> None:
        """Show progress."""
        print(f"[{perf_counter() - self._begun:6.1f} s] {text}", file=sys.stderr, flush=True)

    async def all(self, warm_up: int) -> Results:
        """Measure everything; every process is ended, whatever happens."""
        if "workloads" in self._parts:
            try:
                await self._start(warm_up)
                for measure in self.plan.measures:
                    await self._measure(measure)
            finally:
                await asyncio.gather(*(bench.stop() for bench in self._benches.values()))
        await self._extras()
        return self.results

    async def _extras(self) -> None:
        results, folder, plan = self.results, self._folder, self.plan
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "ready": lambda: extras.measure_ready(results, folder, self.say),
            "idle": lambda: extras.measure_idle(results, folder, plan, self.say),
            "stall": lambda: extras.measure_stall(results, folder, plan, self.say),
            "broadcast": lambda: extras.measure_broadcast(results, folder, self.say),
            "clients": lambda: extras.measure_clients(results, folder, plan, self.say),
            "naive": lambda: transfers.measure_naive(results, folder, plan, self.say),
            "dbus": lambda: transfers.measure_dbus(results, folder, plan, self.say),
            "tables": lambda: transfers.measure_tables(results, folder, plan, self.say),
            "topcat": lambda: transfers.measure_topcat(results, folder, plan, self.say),
        }
        if plan.soak:
            parts["soak"] = lambda: extras.measure_soak(results, folder, plan, self.say)
        for name, part in parts.items():
            if name not in self._parts:
                continue
            try:
                await part()
            except (HubError, OSError, RuntimeError, ValueError) as error:
                self._trouble(f"{name}: {error}")

    def _trouble(self, text: str) -> None:
        self.say(f"!! {text}")
        self.results.trouble.append(text)

    async def _start(self, warm_up: int) -> None:
        for kind in KINDS:
            if self._wanted and kind.name not in self._wanted:
                continue
            if how := kind.missing():
                self.results.missing[kind.name] = how
                self.say(f"{kind.title} is left out, since it is not installed; install it with: {how}")
                continue
            self._benches[kind.name] = Bench(kind, self._folder)
        # Two at a time: the slow ones would take longest, and nothing is measured yet.
        places = asyncio.Semaphore(2)
        await asyncio.gather(*(self._warm_up(name, warm_up, places) for name in list(self._benches)))

    async def _warm_up(self, name: str, warm_up: int, places: asyncio.Semaphore) -> None:
        async with places:
            try:
                outcome = await self._benches[name].start(warm_up)
            except HubError as error:
                self._trouble(str(error))
                await self._benches.pop(name).stop()
                return
        self._benches[name].hub.freeze()
        self.say(f"{name} is warm: {outcome.sent:,} messages {outcome.wrong}")

    async def _measure(self, measure: Measure) -> None:
        for number in range(self.plan.rounds):
            for name, bench in self._benches.items():
                if name not in measure.hubs:
                    continue
                job = measure.job
                if measure.part:
                    load = self.results.rate("notify", measure.of or name)
                    if not load:
                        continue
                    job = replace(job, rate=load * measure.part)
                bench.hub.thaw()
                try:
                    outcome = await bench.run(job)
                except HubError as error:
                    outcome = Outcome(error=str(error))
                finally:
                    bench.hub.freeze()
                self.results.add(measure.name, name, outcome)
                self._show(measure.name, number, name, outcome)

    def _show(self, measure: str, number: int, name: str, outcome: Outcome) -> None:
        self.say(
            f"{measure:22} round {number + 1}  {name:18} {outcome.rate:8,.0f}/s"
            f"  p50 {outcome.p50 * 1000:7.2f}  p99 {outcome.p99 * 1000:7.2f} ms  {outcome.wrong}"
        )
        if outcome.wrong:
            self.results.trouble.append(f"{measure}, round {number + 1}, {name}: {outcome.wrong}")


def main() -> int:
    """Run; return 0, or 1 if our own hub lost, doubled or swapped a message, or died."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.reach:
        return _rooms(arguments.write)
    soak = arguments.soak if arguments.soak is not None else (0.0 if arguments.quick else 10.0)
    plan = quick() if arguments.quick else full(0.0)
    plan = replace(plan, soak=60 * soak)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the hubs, too
    wanted = {name for name in arguments.hubs.split(",") if name}
    parts = {name for name in arguments.parts.split(",") if name} or set(_PARTS)
    if unknown := (parts - set(_PARTS)) | (wanted - {kind.name for kind in KINDS}):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="asyncsamp-bench-") as folder:
        run = _Run(plan, wanted, parts, Path(folder))
        results = asyncio.run(run.all(0 if arguments.no_warm_up else WARM_UP))
    if arguments.soaked:
        results.take_soak(json.loads(arguments.soaked.read_text()))
    print(as_text(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results.to_json(), indent=1))
    if arguments.write:
        command = "python -m benchmarks" + (" --quick" if arguments.quick else "")
        text = as_markdown(results, command)
        _RESULTS.write_text(with_rooms(text, rooms_of(_RESULTS.read_text() if _RESULTS.exists() else "")))
        for file in [] if arguments.quick else renew(results, _ROOT):
            print(f"wrote {file.relative_to(_ROOT)}")
        _plot(results)
    return 1 if _failed(results) else 0


def _rooms(write: bool) -> int:
    """Measure rooms; what is written takes its place in the results of all, which stay."""
    figures = asyncio.run(measure_rooms(lambda told: print(told, file=sys.stderr, flush=True)))
    print(figures.text)
    if write:
        _RESULTS.write_text(with_rooms(_RESULTS.read_text() if _RESULTS.exists() else "", figures.text))
        plots = _plots()
        if plots is not None:
            file = plots.plot_rooms(figures.many, _PLOTS)
            print(f"wrote {_RESULTS.relative_to(_ROOT)} and {file.relative_to(_ROOT)}")
    return 0


def _plot(results: Results) -> None:
    plots = _plots()
    if plots is not None:
        for file in plots.plot_all(results, _PLOTS):
            print(f"wrote {file.relative_to(_ROOT)}")


def _plots() -> ModuleType | None:
    try:
        from . import plots
    except ImportError:
        print("no plots: matplotlib is not installed; pip install '.[bench]'", file=sys.stderr)
        return None
    return plots


def _failed(results: Results) -> bool:
    outcomes = [
        outcome
        for hubs in results.outcomes.values()
        for name, rounds in hubs.items()
        if name.startswith("asyncsamp")
        for outcome in rounds
    ]
    return any(outcome.wrong for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
