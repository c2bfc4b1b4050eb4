"""A thread that looks at intervals whether a client must come back to another hub."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

from .errors import SAMPHubError, SAMPProxyError

__all__ = ["Watcher"]

log = logging.getLogger("asyncsamp.client")


class Watcher:
    """Calls a method of an object every `interval` seconds, until it is stopped or the object is gone."""

    def __init__(self, look: Callable[[], object], interval: float) -> None:
        self._look: weakref.WeakMethod[Any] = weakref.WeakMethod(look)
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asyncsamp-compat-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; return when it has ended, or after a few seconds if it waits for a hub."""
        self._end.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            look = self._look()
            if look is None:
                return
            try:
                look()
            except RuntimeError:
                return  # the program is about to end
            except (OSError, SAMPHubError, SAMPProxyError) as error:
                log.info("a client cannot come back yet: %s", error)
            except Exception as error:  # at the next look it may be better
                log.warning("a client cannot come back yet: %s: %s", type(error).__name__, error)
            del look  # or the object would live while this waits
