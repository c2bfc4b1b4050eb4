"""What the hub's page costs the hub: `python -m benchmarks.page [--rounds N]`.

Processor time of the hub for each message, of a hub without the page, of one whose page nobody watches, and
of one whose page is watched, turn by turn; what an idle page costs; and how large what travels to it is. The
watcher reads the stream as a browser does. What the page does with it in Chromium is tested in
tests/interop/web/test_page_figures.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp

from .bench import Bench
from .hubs import KINDS, HubError
from .workloads import Job

__all__ = ["Watcher"]

_PLAIN = KINDS[0]
_PAGED = replace(
    _PLAIN,
    name="asyncsamp-page",
    title="asyncsamp with its page",
    command=lambda lockfile: [*_PLAIN.command(lockfile), "page"],
)
_NOTIFY = Job("notify", seconds=0.4)  # short: other work on the machine comes and goes
_BIG = Job("notify", clients=2, active=1, size=10_000_000, limit=3, seconds=30.0, patience=30.0)
_IDLE = 10.0
_SAMPLED = 10.0


class Watcher:
    """A page that is open in a browser: it reads the stream of events."""

    def __init__(self) -> None:
        self.bytes = 0
        self.batches = 0

    @contextlib.asynccontextmanager
    async def watching(self, link: str) -> AsyncIterator[None]:
        """Open the page by its link, and read it meanwhile."""
        base, _, token = link.partition("#")
        origin = base.rstrip("/")
        jar = aiohttp.CookieJar(unsafe=True)  # of a host that is an address
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            entered = await session.post(f"{base}session", json={"token": token}, headers={"Origin": origin})
            headers = {"X-Asyncsamp-Page": (await entered.json())["key"]}
            timeout = aiohttp.ClientTimeout(total=None)
            async with session.get(f"{base}events", headers=headers, timeout=timeout) as stream:
                first = await stream.content.readuntil(b"\n\n")
                assert first.startswith(b"event: hello"), first[:100]
                reading = asyncio.create_task(self._read(stream))
                try:
                    yield
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, stream: aiohttp.ClientResponse) -> None:
        async for chunk in stream.content.iter_any():
            self.bytes += len(chunk)
            self.batches += chunk.count(b"event: batch")


async def _link(bench: Bench) -> str:
    """Ask the hub for a new link: it prints one for each line that it gets."""
    before = len(re.findall(r"^page ", bench.hub.output(), re.MULTILINE))
    bench.hub.ask()
    async with asyncio.timeout(10):
        while len(found := re.findall(r"^page (\S+)$", bench.hub.output(), re.MULTILINE)) <= before:
            await asyncio.sleep(0.01)
    return str(found[-1])


async def _cost(bench: Bench) -> tuple[float, float]:
    """Return microseconds of processor time for each message, and messages a second."""
    before = _nanoseconds(bench)
    outcome = await bench.run(_NOTIFY)
    if outcome.wrong:
        raise HubError(outcome.wrong)
    return (_nanoseconds(bench) - before) / 1000 / outcome.done, outcome.done / outcome.seconds


async def _share(bench: Bench, folder: Path) -> dict[str, float]:
    """Sample the hub's stack at full load while a page watches: which part of its time the page takes.

    Other work on the machine makes everything slower alike, so that it does not change the share.
    """
    profiler, samples = shutil.which("py-spy"), folder / "samples"
    if profiler is None:
        print("the share is not measured: pip install py-spy", file=sys.stderr)
        return {}
    sampling = "record", "--pid", str(bench.hub.pid), "--duration", f"{_SAMPLED:.0f}", "--rate", "400"
    async with Watcher().watching(await _link(bench)):
        process = await asyncio.create_subprocess_exec(
            *(profiler, *sampling, "--format", "raw", "--output", str(samples)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await bench.run(replace(_NOTIFY, seconds=_SAMPLED + 2))  # a profiler needs its time to start
        if await process.wait():
            print("the share is not measured: py-spy may not look at another process here", file=sys.stderr)
            return {}
    stacks = [line.rsplit(" ", 1) for line in samples.read_text().splitlines()]
    of_page = sum(int(count) for stack, count in stacks if "hub/page/" in stack or "hub/observer.py" in stack)
    return {"percent of the hub's time, watched": 100 * of_page / sum(int(count) for _, count in stacks)}


def _nanoseconds(bench: Bench) -> int:
    """Return the processor time of the hub's loop, finer than in ticks."""
    return int(Path(f"/proc/{bench.hub.pid}/schedstat").read_text().split()[0])


async def measure(rounds: int, folder: Path) -> dict[str, float]:
    """Return the figures by their names."""
    plain, paged = Bench(_PLAIN, folder), Bench(_PAGED, folder)
    costs: dict[str, list[tuple[float, float]]] = {"none": [], "unwatched": [], "watched": []}
    figures: dict[str, float] = {}
    try:
        await plain.start()
        await paged.start()
        names = list(costs)
        for number in range(rounds):
            for place in range(3):  # in another order each time: who comes first may find a rested machine
                name = names[(number + place) % 3]
                async with contextlib.AsyncExitStack() as stack:
                    if name == "watched":
                        await stack.enter_async_context(Watcher().watching(await _link(paged)))
                    costs[name].append(await _cost(plain if name == "none" else paged))
            shown = "  ".join(f"{name} {of[-1][0]:6.1f} us {of[-1][1]:7,.0f}/s" for name, of in costs.items())
            print(f"round {number + 1}: {shown}", file=sys.stderr)
        figures |= await _idle(paged) | await _big(paged) | await _share(paged, folder)
    finally:
        await asyncio.gather(plain.stop(), paged.stop())
    for name, of in costs.items():
        figures[f"us a message, {name}"] = median(cost for cost, _ in of)
        figures[f"messages a second, {name}"] = median(rate for _, rate in of)
    # Each round has its own weather: its figures are compared with one another.
    for name in ("unwatched", "watched"):
        ratios = [cost / before for (cost, _), (before, _) in zip(costs[name], costs["none"], strict=True)]
        low, middle, high = _middle(ratios)
        figures[f"slower in percent, {name}"] = 100 * (middle - 1)
        figures[f"slower in percent, {name}, from"] = 100 * (low - 1)
        figures[f"slower in percent, {name}, to"] = 100 * (high - 1)
    return figures


def _middle(values: list[float]) -> tuple[float, float, float]:
    """Return the median between the bounds of its 95 % interval, which assume nothing about the noise."""
    ordered = sorted(values)
    half = round(0.98 * len(ordered) ** 0.5)
    last = len(ordered) - 1
    return ordered[max(0, last // 2 - half)], median(ordered), ordered[min(last, (last + 1) // 2 + half)]


async def _idle(bench: Bench) -> dict[str, float]:
    watcher = Watcher()
    async with watcher.watching(await _link(bench)):
        await asyncio.sleep(0.5)  # what the opening left to do
        before, sent = _nanoseconds(bench), watcher.bytes
        await asyncio.sleep(_IDLE)
        used = _nanoseconds(bench) - before
        return {"ms in 10 s, idle page": used / 1e6, "bytes in 10 s, idle page": watcher.bytes - sent}


async def _big(bench: Bench) -> dict[str, float]:
    watcher = Watcher()
    async with watcher.watching(await _link(bench)):
        begun = perf_counter()
        outcome = await bench.run(_BIG)
        await asyncio.sleep(0.5)
        assert outcome.done == _BIG.limit, outcome
        return {"kB for three messages of 10 MB": watcher.bytes / 1000, "s for them": perf_counter() - begun}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncsamp-bench-") as folder:
        figures = asyncio.run(measure(arguments.rounds, Path(folder)))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    for name, value in figures.items():
        print(f"{name:40} {value:12,.2f}")


if __name__ == "__main__":
    main()
