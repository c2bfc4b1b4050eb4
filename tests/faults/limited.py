"""A hub in a process that may have only so much of something."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from ..interop.peers import Process, process

__all__ = ["calm", "cpu_seconds", "limited_hub", "memory", "told"]

_LIMITED = """
import resource, runpy, sys
which, amount, loop = sys.argv[1:4]
resource.setrlimit(getattr(resource, which), (int(amount),) * 2)
if loop == "asyncio":
    sys.modules["uvloop"] = None
sys.argv = ["asyncsamp.hub", *sys.argv[4:]]
runpy.run_module("asyncsamp.hub", run_name="__main__")
"""


@contextlib.asynccontextmanager
async def limited_hub(
    home: Path, which: str, amount: int, *, loop: str = "as installed"
) -> AsyncIterator[Process]:
    """Run a hub that may have `amount` of a resource, on the event loop of "asyncio" or what is installed."""
    arguments = [which, str(amount), loop, "--no-web-profile", "--lockfile", str(home / "hub.samp")]
    async with process([sys.executable, "-c", _LIMITED, *arguments], name="hub", home=home) as hub:
        yield hub


def cpu_seconds(process: Process) -> float:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def calm(process: Process, seconds: float) -> None:
    """Return once a process has hardly computed for so long; what is under way comes to its end first."""
    async with asyncio.timeout(20 * seconds):
        while True:
            begun = cpu_seconds(process)
            await asyncio.sleep(seconds)  # not for something to happen, but to see that nothing does
            if cpu_seconds(process) - begun < 0.2 * seconds:
                return


def told(hub: Process) -> list[str]:
    """Return what a hub has said on stderr, but that it stood still, as it does on a busy machine."""
    return [line for line in hub.stderr.lines if "stood still" not in line]


def memory(pid: int | str) -> int:
    """Return the resident memory of a process, in MB; "self" is this one."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024
