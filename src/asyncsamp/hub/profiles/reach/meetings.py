"""How fast other hubs are met: each one is told at once of all that is here. No I/O."""

from __future__ import annotations

from ...rate_limit import RateLimit

__all__ = ["Meetings"]

_SPARE = 100
"""So many more than there may be hubs are met at once: after an outage all are met anew, some twice."""

_PER_SECOND = 2.0

_MEMBERS = 1_000
"""Members of whom is known how many hubs of theirs were met. A server with more is not one of ours."""


class Meetings:
    """Bounds how many hubs are met in a short time: who invents them gets little for each word.

    Args:
        hubs: How many hubs there may be.
        named: Whether the server proves the names of members, so that each of them has a bound of its own.
    """

    def __init__(self, hubs: int, *, named: bool) -> None:
        self._at_once = hubs + _SPARE
        self._named = named
        self._rates: dict[str, RateLimit] = {}

    def may_meet(self, member: str, now: float) -> bool:
        """Return whether one more hub of `member` may be met at `now`, a monotonic time in seconds."""
        who = member if self._named else ""
        rate = self._rates.pop(who, None) or RateLimit(_PER_SECOND, self._at_once)
        self._rates[who] = rate  # the last one
        while len(self._rates) > _MEMBERS:
            del self._rates[next(iter(self._rates))]
        return rate.take(now)
