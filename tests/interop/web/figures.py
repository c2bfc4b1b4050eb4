"""Figures of the Web Profile with a real browser, ours and JSAMP's in the same run.

`python -m tests.interop.web.figures` prints the table that docs/web.md shows; it takes two minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncsamp import Client, Message

from ...aio.webpage import Page as RawPage
from ..peers.process import Process, process
from .browser import tab_context
from .harness import FILES, jsamp_web_hub, open_page, until_gone
from .network import own_network
from .site import Site, open_site

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

__all__ = ["Latency", "asyncsamp_hub", "measure_calls", "measure_notifications"]

PAUSE = 0.01
"""Seconds between two notifications: they are to be measured one by one."""

STAMPS = """samp.stamps = []; samp.onmessage = () =>
samp.stamps.push((performance.timeOrigin + performance.now()) / 1000); 0"""

CALLS = """async ([to, number]) => {
const times = [], message = {'samp.mtype': 'test.echo', 'samp.params': {n: '1'}};
for (let count = 0; count < number; count++) {
  const begun = performance.now();
  await samp.do('callAndWait', to, message, '10');
  times.push((performance.now() - begun) / 1000);
}
return times }"""


class Latency:
    """Times in seconds, and what is told of them."""

    def __init__(self, times: list[float]) -> None:
        self.p50 = statistics.median(times)
        self.p99 = statistics.quantiles(times, n=100)[98]

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms"


@contextlib.asynccontextmanager
async def asyncsamp_hub(home: Path) -> AsyncIterator[tuple[Path, Process]]:
    """Run `python -m asyncsamp.hub` as a user does, but that every page is let in."""
    lockfile = home / "asyncsamp.samp"
    command = [sys.executable, "-m", "asyncsamp.hub", "--lockfile", str(lockfile)]
    command += ["--web-consent", "allow", "--web-any-mtype"]
    env = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    async with process(command, name="hub", home=home, env=env) as hub:
        await hub.line("SAMP hub ready")
        yield lockfile, hub


async def measure_notifications(context: BrowserContext, site: Site, lockfile: Path, number: int) -> Latency:
    """Time from a standard client's notify to the handler in the page."""
    async with Client("sender", lockfile=lockfile) as client:
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.note")
        await tab.evaluate(STAMPS)
        skew = await _skew(tab)
        for _ in range(30):
            await client.notify(page_id, "test.note", {})
        await tab.wait_for_function("samp.stamps.length >= 30")
        await tab.evaluate("samp.stamps.length = 0")
        sent = []
        for count in range(number):
            sent.append(time.time())
            await client.notify(page_id, "test.note", {"n": count})
            await asyncio.sleep(PAUSE)
        await tab.wait_for_function(f"samp.stamps.length >= {number}")
        stamps: list[float] = await tab.evaluate("samp.stamps")
        await tab.evaluate("samp.do('unregister')")
        await tab.close()
    return Latency([stamp - skew - begun for begun, stamp in zip(sent, stamps, strict=True)])


async def _skew(tab: Page) -> float:
    """Return by how much the clock of the page is ahead of ours, as good as the fastest answer is fast."""
    best = (1.0, 0.0)
    for _ in range(50):
        before = time.time()
        there = await tab.evaluate("(performance.timeOrigin + performance.now()) / 1000")
        after = time.time()
        best = min(best, (after - before, there - (before + after) / 2))
    return best[1]


async def measure_calls(context: BrowserContext, site: Site, lockfile: Path, number: int) -> Latency:
    """Time of a callAndWait from the page to a standard client."""
    client = Client("answers", lockfile=lockfile)

    @client.on("test.echo")
    async def echo(message: Message) -> dict[str, Any]:
        return message.params

    async with client:
        tab, _ = await open_page(context, site.url("page.html"), "page", "test.note")
        await tab.evaluate(CALLS, [client.public_id, 30])
        times = await tab.evaluate(CALLS, [client.public_id, number])
        await tab.evaluate("samp.do('unregister')")
        await tab.close()
    return Latency(times)


# ---- as a program

TIMED_CALL = """async to => {
const begun = performance.now();
await samp.do('getMetadata', to);
return (performance.now() - begun) / 1000 }"""


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def _idle(context: BrowserContext, site: Site, hub: Process) -> str:
    tab, _ = await open_page(context, site.url("page.html"), "idle", "test.note")
    requests, begun = await tab.evaluate("samp.requests"), _processor_time(hub.pid)
    await asyncio.sleep(65)
    made = await tab.evaluate("samp.requests") - requests
    spent = _processor_time(hub.pid) - begun
    await tab.evaluate("samp.do('unregister')")
    await tab.close()
    return f"{made} requests and {spent * 1000:.0f} ms of the hub's processor time in 65 s"


async def _tabs(context: BrowserContext, site: Site, lockfile: Path) -> str:
    async with Client("other", lockfile=lockfile) as client:
        tabs = [
            (await open_page(context, site.url("page.html"), f"tab {n}", "test.note"))[0] for n in range(20)
        ]
        times = []
        for _ in range(3):
            times += [await tab.evaluate(TIMED_CALL, client.public_id) for tab in tabs]
        for tab in tabs:
            await tab.close()
    return f"60 of 60 calls, median {statistics.median(times):.2f} s, slowest {max(times):.2f} s"


async def _gone(context: BrowserContext, site: Site, lockfile: Path, how: str) -> str:
    async with Client("other", lockfile=lockfile) as client:
        await client.get_clients()
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.note")
        if how == "closed":
            await tab.close()
        else:
            with contextlib.suppress(Exception):
                await tab.goto("chrome://crash")
        return f"{await until_gone(client, page_id, timeout=30):.1f} s"


async def _translator(lockfile: Path, home: Path, hub: Process) -> str:
    size = 64 * 2**20
    file = home / "big.fits"
    with file.open("wb") as out:
        out.truncate(size)
    page = RawPage(21012, "https://a.example.org")
    await page.register()
    await page.listen("image.load.fits")
    async with Client("other", lockfile=lockfile) as client:
        await client.notify(page.id, "image.load.fits", {"url": file.as_uri()})
        await page.pull()
        before, begun = _memory(hub.pid), time.time()
        answer = await page.get(file.as_uri())
        spent = time.time() - begun
    assert len(answer.body) == size
    return f"{spent:.2f} s, the hub's memory grew by {(_memory(hub.pid) - before) / 2**20:.1f} MB at most"


async def _crowd(lockfile: Path) -> str:
    pages = [RawPage(21012, f"https://www.example{n}.org") for n in range(200)]
    for page in pages:
        await page.register()
        await page.listen("test.note")
    async with Client("other", lockfile=lockfile) as client:
        pulls = [asyncio.create_task(page.pull("60")) for page in pages]
        await asyncio.sleep(1)
        begun = time.time()
        await client.notify_all("test.note", {"n": 1})
        assert [len(pulled) for pulled in await asyncio.gather(*pulls)] == [1] * 200
        spent = time.time() - begun
    for page in pages:
        await page.call("unregister")
    return f"one message to all in {spent:.2f} s"


async def main() -> None:
    """Measure all, and print it."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        async with open_site(FILES) as site, tab_context(home) as context:
            print("| figure | asyncsamp | JSAMP |\n|---|---|---|")
            async with asyncsamp_hub(home) as (lockfile, hub):
                notify = await measure_notifications(context, site, lockfile, 500)
                calls = await measure_calls(context, site, lockfile, 500)
                rest = {
                    "an idle page": await _idle(context, site, hub),
                    "20 tabs of one origin, a call from each": await _tabs(context, site, lockfile),
                    "a closed tab is gone after": await _gone(context, site, lockfile, "closed"),
                    "a crashed tab is gone after": await _gone(context, site, lockfile, "crashed"),
                    "64 MB through the translator": await _translator(lockfile, home, hub),
                    "200 web clients": await _crowd(lockfile),
                }
            async with jsamp_web_hub(home) as lockfile:
                theirs = await measure_notifications(context, site, lockfile, 500)
                their_calls = await measure_calls(context, site, lockfile, 500)
            print(f"| notify, standard client to page | {notify} | {theirs} |")
            print(f"| callAndWait, page to standard client | {calls} | {their_calls} |")
            for what, figure in rest.items():
                print(f"| {what} | {figure} | |")


if __name__ == "__main__":
    with own_network():
        asyncio.run(main())
