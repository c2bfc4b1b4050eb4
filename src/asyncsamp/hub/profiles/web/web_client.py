"""What the Web Profile keeps for one registered client, and how it notices that the page has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ....limits import Limits
from .callback_queue import CallbackQueue
from .urls import WebUrls

__all__ = ["Page"]


class Page:
    """One web client: a page, or a program that speaks the Web Profile.

    `vanished` is called, with the reason, when it has been silent for too long (WEB-28): a page that is
    closed says nothing. How long is too long depends on what it did last.
    """

    def __init__(
        self,
        client: str,
        key: str,
        token: str,
        urls: WebUrls,
        limits: Limits,
        vanished: Callable[[Page, str], None],
    ) -> None:
        self.client = client
        self.key = key
        self.token = token
        self.urls = urls
        self.pulls = CallbackQueue(limits)
        self.site = ""  # of the page that pulled last
        self.allows_callbacks = False
        self._limits = limits
        self._vanished = vanished
        self._requests = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._reason = ""
        # Its answer may never have reached the page: the first call has to come soon.
        self._set_timer(limits.web_silence, "it never called after it had registered")

    def request_begins(self) -> None:
        """It makes a request, so it is there."""
        self._requests += 1
        self._stop_timer()

    def request_ends(self, *, broken: bool = False) -> None:
        """A request has ended; `broken` says that its connection was closed before the answer."""
        self._requests -= 1
        if self._requests or self._closed:
            return
        limits = self._limits
        if broken:
            self._set_timer(limits.web_silence_broken, "its page was closed")
        elif self.allows_callbacks:
            self._set_timer(limits.web_silence, "it has not pulled its callbacks for too long")
        else:
            self._set_timer(limits.web_silence_sender, "it has been silent for too long")

    @property
    def present(self) -> bool:
        """Whether it waits for an answer just now."""
        return self._requests > 0

    def close(self) -> None:
        """It is no longer registered. A pull that waits is answered with what there is."""
        self._closed = True
        self.allows_callbacks = False
        self.pulls.release()
        self._stop_timer()

    def _set_timer(self, seconds: float, reason: str) -> None:
        self._stop_timer()
        self._reason = reason
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        self._vanished(self, self._reason)
