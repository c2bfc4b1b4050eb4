"""Figures beside the workloads: readiness, memory of idle clients, stalls, soak, and the client libraries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from . import clients
from .bench import Bench
from .hubs import KINDS, HubKind, RunningHub
from .plan import Plan
from .results import Results
from .workloads import Job

__all__ = [
    "measure_broadcast",
    "measure_clients",
    "measure_idle",
    "measure_ready",
    "measure_soak",
    "measure_stall",
]

Say = Callable[[str], None]

_OURS = KINDS[0]
_STARTS = 7
_BIG = Job("notify", clients=2, active=1, size=10_000_000, limit=3, seconds=30.0, patience=30.0)
_SOAK_STEP = 15.0
"""Seconds of each piece of the soak; the first and the last are compared."""


async def measure_ready(results: Results, folder: Path, say: Say) -> None:
    """Time `python -m asyncsamp.hub` to its ready line, and `import aiohttp`, in turn."""
    lockfile = folder / "ready"
    hub = [sys.executable, "-m", "asyncsamp.hub", "--lockfile", str(lockfile)]
    for _ in range(_STARTS):
        results.note("import aiohttp s", await _until_line([sys.executable, "-c", _IMPORT], b"done"))
        results.note("ready s", await _until_line(hub, b"ready"))
    ready, imported = results.figure("ready s"), results.figure("import aiohttp s")
    say(f"hub ready after {ready:.3f} s, import aiohttp takes {imported:.3f} s")


_IMPORT = "import aiohttp; print('done', flush=True)"


async def _until_line(command: list[str], word: bytes) -> float:
    begun = perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = await process.stdout.readline()
    taken = perf_counter() - begun
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    await process.wait()
    if word not in line:
        raise RuntimeError(f"{command} printed {line!r}")
    return taken


async def measure_idle(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Register clients at a fresh hub, each with a connection that stays open, and see what its memory is."""
    bench = Bench(_OURS, folder / "idle")
    try:
        await bench.start(warm_up=200)
        before = bench.hub.memory()
        outcome = await bench.run(Job("idle", clients=plan.idle_clients, seconds=20.0))
    finally:
        await bench.stop()
    if outcome.error or not outcome.done:
        results.trouble.append(f"idle clients: {outcome.wrong or 'none registered'}")
        return
    results.note("idle client kB", (outcome.hub_peak - before) * 1024 / outcome.done)
    say(f"{results.figure('idle client kB'):.1f} kB for each of {outcome.done} idle clients")


async def measure_stall(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Relay messages of 10 MB through a hub that watches its own loop; the longest stall of each round."""
    kind = replace(
        _OURS,
        name="watched",
        command=lambda lockfile: [*_OURS.command(lockfile), "beat"],
    )
    bench = Bench(kind, folder / "stall")
    try:
        await bench.start(warm_up=1_000)
        await bench.run(replace(_BIG, limit=1))
        for _ in range(max(3, plan.rounds)):
            seen = len(_stalls(bench.hub))
            outcome = await bench.run(_BIG)
            if outcome.wrong:
                results.trouble.append(f"10 MB through the watched hub: {outcome.wrong}")
            results.note("stall ms", 1000 * max(_stalls(bench.hub)[seen:], default=0.0))
    finally:
        await bench.stop()
    say(f"longest stall with 10 MB messages: {results.figure('stall ms'):.1f} ms")


async def measure_broadcast(results: Results, folder: Path, say: Say) -> None:
    """Broadcast 1 MB to 100 clients, again and again, and see what the hub takes above what it had."""
    bench = Bench(_OURS, folder / "broadcast")
    try:
        await bench.start(warm_up=1_000)
        await bench.run(Job("broadcast", clients=100, limit=20, seconds=5.0))
        before = bench.hub.memory()
        outcome = await bench.run(
            Job("broadcast", clients=100, size=1_000_000, limit=3, seconds=30.0, patience=30.0)
        )
    finally:
        await bench.stop()
    if outcome.wrong:
        results.trouble.append(f"1 MB to 100 clients: {outcome.wrong}")
    results.note("broadcast MB", outcome.hub_peak - before)
    say(f"1 MB to 100 clients: {results.figure('broadcast MB'):.1f} MB above idle")


def _stalls(hub: RunningHub) -> list[float]:
    return [float(text) for text in re.findall(r"stall ([0-9.]+)", hub.output())]


async def measure_soak(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Notify and call for `plan.soak` seconds at one hub; compare rate and memory of its ends."""
    bench = Bench(_OURS, folder / "soak")
    rates: list[float] = []
    memory: list[float] = []
    steps = max(4, round(plan.soak / _SOAK_STEP / 2) * 2)
    try:
        await bench.start()
        for step in range(steps):
            workload = ("notify", "call")[step % 2]
            outcome = await bench.run(Job(workload, seconds=_SOAK_STEP, clients=20))
            results.add("soak", _OURS.name, outcome)
            rates.append(outcome.rate)
            memory.append(bench.hub.memory())
            results.note(f"soak {workload} rate", outcome.rate)
            results.note("soak MB", memory[-1])
            seen = f"{workload} {outcome.rate:,.0f}/s, {memory[-1]:.1f} MB {outcome.wrong}"
            say(f"soak {step + 1}/{steps}: {seen}")
    finally:
        await bench.stop()
    third = max(2, steps // 6 * 2)
    first, last = rates[:third], rates[-third:]
    results.note("soak rate ratio", sum(last) / sum(first))
    results.note("soak growth %", 100 * (memory[-1] / memory[1] - 1))


async def measure_clients(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Run each client library in a process of its own against our hub."""
    hub = RunningHub(_OURS, folder / "clients")
    await hub.start()
    lockfile = folder / "clients" / "lockfile"
    found = re.search(r"web (\d+)", hub.output())
    web_port = found[1] if found else "0"
    pyvo: HubKind = next(kind for kind in KINDS if kind.name == "pyvo")
    try:
        for _ in range(plan.rounds):
            for workload in clients.WORKLOADS:
                for kind in clients.KINDS:
                    if kind == "pyvo" and pyvo.missing():
                        continue
                    rate = await _client(kind, workload, str(lockfile), web_port, plan.seconds_outside)
                    results.note(f"{kind} {workload}", rate)
                    say(f"client {kind} {workload}: {rate:,.0f}/s")
    finally:
        await hub.stop()
    if not pyvo.missing():
        await _pyvo_at_its_own(pyvo, results, folder, plan, say)


async def _pyvo_at_its_own(kind: HubKind, results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Run pyvo's clients against pyvo's hub: what a program has that does not use the drop-in."""
    hub = RunningHub(kind, folder / "pyvo-clients")
    await hub.start()
    lockfile = str(folder / "pyvo-clients" / "lockfile")
    try:
        for _ in range(plan.rounds):
            for workload in clients.WORKLOADS:
                rate = await _client("pyvo", workload, lockfile, "0", plan.seconds_outside)
                results.note(f"pyvo at pyvo's hub {workload}", rate)
                say(f"client pyvo at pyvo's hub {workload}: {rate:,.0f}/s")
    finally:
        await hub.stop()


async def _client(kind: str, workload: str, lockfile: str, web_port: str, seconds: float) -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.clients", kind, workload, lockfile, web_port, str(seconds)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds + 30):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 0.0
    outcome = json.loads(printed) if printed else {"done": 0, "seconds": 1.0}
    return float(outcome["done"]) / float(outcome["seconds"])
