"""How many of something may happen in a short time. No I/O."""

from __future__ import annotations

__all__ = ["RateLimit"]


class RateLimit:
    """A bucket of `burst` tokens that fills by `per_second` each second. No clock of its own."""

    __slots__ = ("_burst", "_per_second", "_since", "_tokens")

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._since = 0.0

    def take(self, now: float) -> bool:
        """Return whether one more may happen at `now`, a monotonic time in seconds."""
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._per_second)
        self._since = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
