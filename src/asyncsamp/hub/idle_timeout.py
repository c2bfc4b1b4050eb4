"""Time limits for idleness: of the whole hub, and of each client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .engine import HubEngine

__all__ = ["IdleTimeout"]


class IdleTimeout:
    """One timer, set for the moment at which somebody could have been idle for too long."""

    def __init__(
        self, engine: HubEngine, timeout: float, client_timeout: float, stop: Callable[[], object]
    ) -> None:
        self._engine = engine
        self._timeout = timeout
        self._client_timeout = client_timeout
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timer = self._loop.call_at(self._since + self._first_look(), self._look)

    def close(self) -> None:
        """Stop looking."""
        self._timer.cancel()

    def _first_look(self) -> float:
        return min(limit for limit in (self._timeout, self._client_timeout) if limit > 0)

    def _look(self) -> None:
        now = self._loop.time()
        self._since = now if self._engine.somebody_waits else max(self._since, self._engine.last_operation)
        looks = []
        if self._client_timeout > 0:
            for client, since in self._engine.idle_since().items():
                if now - since >= self._client_timeout:
                    self._engine.disconnect(client, f"idle for {self._client_timeout:g} s")
                else:
                    looks.append(since + self._client_timeout)
            looks.append(now + self._client_timeout)
        if self._timeout > 0:
            if now - self._since >= self._timeout:
                self._stop()
                return
            looks.append(self._since + self._timeout)
        self._timer = self._loop.call_at(max(min(looks), now + 0.001), self._look)
