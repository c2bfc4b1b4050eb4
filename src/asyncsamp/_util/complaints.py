"""Warnings that a peer may cause: the first ones are logged as such, then one now and then."""

from __future__ import annotations

import logging
import time

__all__ = ["Complaints"]

_AT_ONCE = 20
_PAUSE = 10.0
"""So many warnings at once, and then one in so many seconds: a peer must not fill the disk with them."""


class Complaints:
    """Logs with `logger`; what is too much is logged at level DEBUG, and counted."""

    def __init__(self, logger: logging.Logger) -> None:
        self._log = logger
        self._left = float(_AT_ONCE)
        self._since = time.monotonic()
        self._unsaid = 0

    def warning(self, text: str, *values: object) -> None:
        """Log a warning."""
        self._say(logging.WARNING, text, values, traceback=False)

    def exception(self, text: str, *values: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self._say(logging.ERROR, text, values, traceback=True)

    def _say(self, level: int, text: str, values: tuple[object, ...], *, traceback: bool) -> None:
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._since) / _PAUSE)
        self._since = now
        if self._left < 1.0:
            self._unsaid += 1
            self._log.debug(text, *values, exc_info=traceback)
            return
        self._left -= 1.0
        if self._unsaid:
            text, values = f"{text} (%d others were not logged before it)", (*values, self._unsaid)
            self._unsaid = 0
        self._log.log(level, text, *values, exc_info=traceback)
