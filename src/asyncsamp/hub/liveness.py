"""Watch over the clients that owe an answer: one that died is noticed, so nobody waits for it (HUB-60)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..limits import Limits

__all__ = ["LivenessMonitor"]

log = logging.getLogger("asyncsamp.hub")

STANDSTILL = 1.0
"""Seconds by which the watch may be late before it is said that the loop stood still."""


class LivenessMonitor:
    """One task, only while somebody owes an answer; an idle hub does nothing.

    A delivery tells at once that its recipient is gone; a recipient that dies *after* it
    took a call tells nobody. So whoever owes an answer is looked at every
    `Limits.vigil_interval`, and removed after as many refusals as a delivery is allowed.
    """

    def __init__(
        self,
        limits: Limits,
        owing: Callable[[], list[str]],
        is_alive: Callable[[str], Awaitable[bool]],
        remove: Callable[[str, str], None],
    ) -> None:
        self._limits = limits
        self._owing = owing
        self._is_alive = is_alive
        self._remove = remove
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self) -> None:
        """Watch, if it is not being done already; nothing after `close`."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="asyncsamp-liveness")

    def close(self) -> list[asyncio.Task[None]]:
        """End the watch for good and return the task that now ends."""
        self._closed = True
        task, self._task = self._task, None
        if task is None:
            return []
        task.cancel()
        return [task]

    async def check_all(self, clients: list[str]) -> None:
        """Look at `clients` once, and remove those who are gone."""
        await asyncio.gather(*(self._check(client) for client in clients))

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while True:
                due = clock() + self._limits.vigil_interval
                await asyncio.sleep(self._limits.vigil_interval)
                _say_if_late(clock() - due)
                owing = self._owing()
                if not owing:
                    return
                await self.check_all(owing)
        finally:
            self._task = None

    async def _check(self, client: str) -> None:
        for attempt in range(self._limits.refused_connections):
            if attempt:
                await asyncio.sleep(self._limits.refused_pause)
            try:
                if await self._is_alive(client):
                    return
            except Exception:
                log.exception("cannot tell whether client %s is there", client)
                return
        self._remove(client, "nobody listens any more where it should")


def _say_if_late(seconds: float) -> None:
    """The watch runs when a handler blocks the hub's own loop, since the call is not answered then.

    A process that was stopped, or a machine that slept, looks the same from here.
    """
    if seconds > STANDSTILL:
        log.warning(
            "the event loop that the hub runs in stood still for %.1f s: this machine slept or was busy, or "
            "something blocked the loop, which keeps all clients waiting (use asyncio.to_thread)",
            seconds,
        )
