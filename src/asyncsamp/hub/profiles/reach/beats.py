"""When a hub tells the others of its room that it is there: at the same moment as they."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Beats"]

_MOST_TOGETHER = 20
"""In a larger room the beats stay apart: that of all others at once would hold up messages for some ms."""


class Beats:
    """Calls a function in a steady beat, and brings that together with the beats of the other hubs.

    Waking up costs an idle hub more than what it then does. So a hub beats as soon as it hears another one do
    so, if half of its own pause is over: within two beats all hubs of a room beat together, and each wakes
    for all of them once. Nobody beats more than twice as often for it.

    Args:
        beat: Called each time.
        pause: Returns the seconds until the next time.
        others: Returns how many other hubs there are.
    """

    def __init__(
        self, beat: Callable[[], None], *, pause: Callable[[], float], others: Callable[[], int]
    ) -> None:
        self._beat = beat
        self._pause = pause
        self._others = others
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._last = self._loop.time()
        self._early = False  # the end of this turn of the loop is waited for, and not that of the pause

    def start(self) -> None:
        """Begin, or begin anew, with a pause."""
        self.stop()
        self._early = False
        self._last = self._loop.time()
        self._timer = self._loop.call_later(self._pause(), self._now)

    def stop(self) -> None:
        """End. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def heard(self) -> None:
        """Another hub has said that it is there."""
        if self._early or self._timer is None or self._others() > _MOST_TOGETHER:
            return
        if self._loop.time() - self._last >= self._pause() / 2:
            self._early = True
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._now)  # once all that came together has been read

    def _now(self) -> None:
        self.start()
        self._beat()
