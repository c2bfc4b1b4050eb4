"""Tables from client to client and to TOPCAT, and naive callback servers: each in processes of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .dbus import dbus_is_missing
from .hubs import KINDS, RunningHub
from .plan import Plan
from .results import Results
from .tables import WAYS, topcat_is_missing

__all__ = ["measure_dbus", "measure_naive", "measure_tables", "measure_topcat"]

Say = Callable[[str], None]

_PATIENCE = 600.0

BY_PATH = 200_000
"""Rows of a table that goes by path alone."""


async def measure_naive(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Call clients that write head and body separately, at our hub and at JSAMP's."""
    for kind in KINDS:
        if kind.name not in ("asyncsamp", "jsamp") or kind.missing():
            continue
        place = folder / f"naive-{kind.name}"
        hub = RunningHub(kind, place)
        await hub.start()
        try:
            for _ in range(plan.rounds):
                seen = await _child(
                    "benchmarks.naive", str(place / "lockfile"), str(2 * plan.seconds_outside)
                )
                results.note(f"naive p50 ms, {kind.name}", seen["p50"])
                results.note(f"naive burst s, {kind.name}", seen["burst"])
        finally:
            await hub.stop()
        p50, burst = (results.figure(f"naive {what}, {kind.name}") for what in ("p50 ms", "burst s"))
        say(
            f"naive clients at {kind.name}: callAndWait p50 {p50:.1f} ms, callAll of 50 to four {burst:.2f} s"
        )


async def measure_dbus(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """See what the bus of a desktop does with as many method calls."""
    if dbus_is_missing():
        results.missing["dbus-daemon"] = "apt-get install -y --no-install-recommends dbus-daemon"
        return
    for _ in range(plan.rounds):
        for name, value in (await _child("benchmarks.dbus", str(plan.seconds_outside))).items():
            results.note(f"dbus {name}", value)
    notify, call = (results.figure(f"dbus {what}") for what in ("notify", "call"))
    say(f"dbus-daemon: {notify:,.0f} calls without an answer a second, {call:,.0f} with one")


async def measure_tables(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Send tables of several lengths from client to client, in each way."""
    if importlib.util.find_spec("astropy") is None:
        results.missing["tables"] = "pip install '.[astropy]'"
        return
    hub = RunningHub(KINDS[0], folder / "tables")
    await hub.start()
    try:
        await _tables(results, str(folder / "tables" / "lockfile"), plan, say)
    finally:
        await hub.stop()


async def _tables(results: Results, lockfile: str, plan: Plan, say: Say) -> None:
    for rows in (*plan.table_rows, BY_PATH):
        for way in WAYS if rows in plan.table_rows else ("path",):
            if way == "pyvo" and importlib.util.find_spec("pyvo") is None:
                continue
            if rows > 100_000 and way == "pyvo":
                continue  # minutes, and two gigabytes
            seen = await _child("benchmarks.tables", way, str(rows), lockfile)
            for name, value in seen.items():
                results.note(f"table {way} {rows} {name}", value)
            say(f"table of {rows:,} rows, {way}: " + ", ".join(f"{k} {v:.2f}" for k, v in seen.items()))


async def measure_topcat(results: Results, folder: Path, plan: Plan, say: Say) -> None:
    """Send a large table to the real TOPCAT, until it lists it."""
    if topcat_is_missing():
        results.missing["topcat"] = "apt-get install -y --no-install-recommends topcat xvfb xauth"
        return
    hub = RunningHub(KINDS[0], folder / "topcat")
    await hub.start()
    try:
        seen = await _child(
            "benchmarks.tables", "topcat", str(plan.topcat_rows), str(folder / "topcat" / "lockfile")
        )
    finally:
        await hub.stop()
    for name, value in seen.items():
        results.note(f"topcat {name}", value)
    results.note("topcat rows", plan.topcat_rows)
    say(
        f"table of {plan.topcat_rows:,} rows to TOPCAT: " + ", ".join(f"{k} {v:.2f}" for k, v in seen.items())
    )


async def _child(module: str, *arguments: str) -> dict[str, float]:
    """Run one measurement. Raises RuntimeError if it fails or hangs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"HOME": "/nonexistent"} if module == "benchmarks.naive" else None,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            printed, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"{module} {' '.join(arguments[:2])} hangs") from None
    if process.returncode:
        words = said.decode(errors="replace").strip().splitlines() or ["no reason"]
        raise RuntimeError(f"{module} {' '.join(arguments[:2])} failed: {words[-1][:200]}")
    seen: dict[str, float] = json.loads(printed.splitlines()[-1])
    return seen
