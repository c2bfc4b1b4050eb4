"""Who was sent what, and what has come: losses, doubles, swaps, and how long each took."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Ledger", "percentile"]


@dataclass(slots=True)
class _Pair:
    """One sender to one recipient: numbers must come 0, 1, 2, ... each once."""

    sent: int = 0
    next: int = 0
    missing: set[int] = field(default_factory=set)
    times: array[float] = field(default_factory=lambda: array("d"))


class Ledger:
    """Counts every message by sender, recipient and number; keeps the latencies in seconds."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self.sent = 0
        self.received = 0
        self.doubled = 0
        self.swapped = 0
        self.strange = 0
        self.latencies = array("d")
        self.progress = asyncio.Event()
        self._clock = perf_counter  # uvloop's own clock stands still within a turn

    def send(self, sender: int, recipient: int, when: float = 0.0) -> int:
        """Note that a message is sent (at `when`, or now); return its number."""
        pair = self._pairs.get((sender, recipient))
        if pair is None:
            pair = self._pairs[sender, recipient] = _Pair()
        number = pair.sent
        pair.sent += 1
        pair.times.append(when or self._clock())
        self.sent += 1
        return number

    def receive(self, sender: int, recipient: int, number: int) -> None:
        """Note that a message has come."""
        pair = self._pairs.get((sender, recipient))
        if pair is None or number >= pair.sent:
            self.strange += 1
            return
        if number == pair.next:
            pair.next += 1
        elif number > pair.next:
            pair.missing.update(range(pair.next, number))
            pair.next = number + 1
        elif number in pair.missing:
            pair.missing.remove(number)
            self.swapped += 1
        else:
            self.doubled += 1
            return
        self.received += 1
        self.latencies.append(self._clock() - pair.times[number])
        self.progress.set()

    @property
    def lost(self) -> int:
        """How many have not come (yet)."""
        return sum(len(pair.missing) + pair.sent - pair.next for pair in self._pairs.values())

    async def all_received(self, patience: float) -> None:
        """Return when all have come, or nothing has come for `patience` seconds."""
        while self.received < self.sent:
            self.progress.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.progress.wait()
            except TimeoutError:
                return


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which `part` (0 to 1) of `values` lie; NaN if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
