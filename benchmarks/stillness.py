"""How still the machine is: what takes a core away from a program that does nothing but look at the clock.

`python -m benchmarks.stillness SECONDS` prints each time of more than 0.3 ms that was taken from it. No
p99 of a hub can be lower than what these do to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from time import perf_counter

__all__ = ["describe_stillness"]

_SECONDS = 3.0
_STALL = 0.0003


def describe_stillness() -> str:
    """Return what a loop on every core at once sees, for people."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    command = [sys.executable, "-m", "benchmarks.stillness", str(_SECONDS)]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cores)]
    stalls = [float(text) for loop in loops for text in loop.communicate()[0].split()]
    if not stalls:
        return f"nothing took a core away for {1000 * _STALL:g} ms, in {_SECONDS:g} s"
    longest = f"{1000 * max(stalls):.1f} ms at most"
    return f"others took a core away {len(stalls)} times in {_SECONDS:g} s, for {longest}"


def main() -> None:
    """Look at the clock, again and again."""
    last = perf_counter()
    end = last + float(sys.argv[1])
    while last < end:
        now = perf_counter()
        if now - last > _STALL:
            print(f"{now - last:.6f}")
        last = now


if __name__ == "__main__":
    main()
