"""Whose transfer may begin: so many of each who asks, and so many of all."""

from __future__ import annotations

import asyncio
from collections import Counter

__all__ = ["Turn", "Turns"]


class Turn:
    """A place that somebody has, or waits for.

    Attributes:
        who: Whose it is.
        begun: Done once he has it.
    """

    def __init__(self, who: str, begun: asyncio.Future[None]) -> None:
        self.who = who
        self.begun = begun


class Turns:
    """Gives places, and lets those wait for whom there is none; nothing is kept of who has none.

    Args:
        each: Places of one who asks.
        each_waits: How many of his may wait.
        every: Places of all.
        all_wait: How many of all may wait.
    """

    def __init__(self, *, each: int, each_waits: int, every: int, all_wait: int) -> None:
        self._each = each
        self._each_waits = each_waits
        self._every = every
        self._all_wait = all_wait
        self._having: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._queue: dict[Turn, None] = {}

    def take(self, who: str) -> Turn | None:
        """Return a turn, which must be given back; None if too many wait already."""
        turn = Turn(who, asyncio.get_running_loop().create_future())
        if self._has_place(who):
            self._begin(turn)
            return turn
        if self._waiting[who] >= self._each_waits or len(self._queue) >= self._all_wait:
            return None
        self._queue[turn] = None
        self._waiting[who] += 1
        return turn

    def give_back(self, turn: Turn) -> None:
        """End a turn, whether it has begun or not; once."""
        if turn in self._queue:
            self._leave_queue(turn)
            return
        self._having[turn.who] -= 1
        self._having += Counter()  # without those who have none
        for next_one in self._queue:
            if self._has_place(next_one.who):
                self._leave_queue(next_one)
                self._begin(next_one)
                return

    def __len__(self) -> int:
        """How many there are of whom something is kept."""
        return len(self._having.keys() | self._waiting.keys())

    def _has_place(self, who: str) -> bool:
        return self._having[who] < self._each and self._having.total() < self._every

    def _begin(self, turn: Turn) -> None:
        self._having[turn.who] += 1
        turn.begun.set_result(None)

    def _leave_queue(self, turn: Turn) -> None:
        del self._queue[turn]
        self._waiting[turn.who] -= 1
        self._waiting += Counter()
