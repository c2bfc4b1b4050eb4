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

    A page that is closed says nothing (WEB-28). That it has gone is told by its silence, and how long is
    too long depends on what it did last. A pull that broke off counts until the next pull begins, whatever
    else ends meanwhile: a tab is closed with calls of its own under way, which may end in order. One that
    is closed between two pulls breaks none off; a page of ours says so (`leaves`).

    Args:
        client: Its public id.
        key: Its private key.
        token: The last part of its URL translator.
        urls: What it may read.
        limits: How long it may be silent, and how much is kept for it.
        vanished: Called with the page and the reason when it has been silent for too long.
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
        self._pulling = 0
        self._pull_broke = False
        self._left = False  # it has said so, and not begun to pull since
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._reason = ""
        # Its answer may never have reached the page: the first call has to come soon.
        self._set_timer(limits.web_silence, "it never called after it had registered")

    @property
    def closed(self) -> bool:
        """Whether it is no longer registered."""
        return self._closed

    def request_begins(self, *, pull: bool = False) -> None:
        """Note that it makes a request, a pull or another one: it is there."""
        self._requests += 1
        if pull:
            self._pulling += 1
            self._pull_broke = self._left = False
        self._stop_timer()

    def request_ends(self, *, pull: bool = False, broken: bool = False) -> None:
        """Note that a request has ended.

        Args:
            pull: Whether it was a pull, as said when it began.
            broken: Whether its connection was closed before the answer had been written.
        """
        self._requests -= 1
        if pull:
            self._pulling -= 1
            self._pull_broke = (broken or self._left) and not self._pulling
        if self._closed:
            return
        limits = self._limits
        if self._pull_broke and self.allows_callbacks and (pull or not self._requests):
            self._set_timer(limits.web_silence_broken, "its page was closed")
        elif self._requests:
            return
        elif broken:
            self._set_timer(limits.web_silence_broken, "its page was closed")
        elif self.allows_callbacks:
            self._set_timer(limits.web_silence, "it has not pulled its callbacks for too long")
        else:
            self._set_timer(limits.web_silence_sender, "it has been silent for too long")

    def leaves(self) -> None:
        """Note that a page of its closes, or is loaded again: as if its pull had broken off.

        Also one that is under way, though it may seem to be answered in order before the system tells that
        nobody is there any more.
        """
        self._left = True
        self._pull_broke = not self._pulling

    def close(self) -> None:
        """Note that it is no longer registered. A pull that waits is answered with what there is."""
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
