"""Our hub for the benchmarks: `python -m benchmarks.our_hub LOCKFILE [uvloop] [beat] [page]`, until killed.

It differs from `python -m asyncsamp.hub` in two points. The bound on registrations in a short time is
lifted, since how fast clients can come and go is one of the workloads; and any web page may register,
for the client that comes by the Web Profile. With `beat` it prints each stall of its loop of more than
two milliseconds. With `page` it serves its page, and prints a link to it at each SIGUSR1.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from time import perf_counter

from asyncsamp import Hub, Limits
from asyncsamp.hub.page import HubPage
from asyncsamp.hub.profiles.web import WebProfile, allow_all

from .running import run

_BEAT = 0.001
_STALL = 0.002


async def _serve(lockfile: str, *, beat: bool, page: bool) -> None:
    web = WebProfile(consent=allow_all, port=0, mtypes=None)
    limits = Limits(registration_burst=1_000_000_000)
    async with contextlib.AsyncExitStack() as stack:
        hub = await stack.enter_async_context(Hub(lockfile=lockfile, profiles=[web], limits=limits))
        if page:
            await _serve_page(hub, stack)
        print(f"web {web.port}", flush=True)
        if beat:
            await _watch()
        await hub.serve_forever()


async def _serve_page(hub: Hub, stack: contextlib.AsyncExitStack) -> None:
    page = await stack.enter_async_context(HubPage(hub))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(f"page {page.new_link()}", flush=True))


async def _watch() -> None:
    while True:
        before = perf_counter()
        await asyncio.sleep(_BEAT)
        late = perf_counter() - before - _BEAT
        if late > _STALL:
            print(f"stall {late:.6f}", flush=True)


def main() -> None:
    """Serve until killed."""
    lockfile, options = sys.argv[1], sys.argv[2:]
    run(_serve(lockfile, beat="beat" in options, page="page" in options), uvloop="uvloop" in options)


if __name__ == "__main__":
    main()
