"""Threads for the functions that are bound to messages: in order, and no more than there must be.

astropy has a thread for each message under way, of which its hub's patience is the bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from ..limits import Limits

__all__ = ["HandlerThreads"]

log = logging.getLogger("asyncsamp.client")

_TURN = 0.25
"""Seconds after which the next message no longer waits for the functions of the one before."""

_MOST_WAITING = 100
"""Messages that may wait, beside those whose functions run, before the hub is kept waiting with the next."""

_HOLD = 10.0
"""Seconds for which the hub is kept waiting at most: behind the messages that a function holds up may stand
the response that it waits for."""

Work = Callable[[], object]


class HandlerThreads:
    """Does one piece of work after the other in a thread; the next begins beside one that takes long.

    One thread is in charge. When its work has taken longer than a turn, and some waits, another thread takes
    charge, so that a function may wait for what comes later. Threads end when there is nothing to do.

    It belongs to the event loop in which it is made.

    Args:
        most: Threads that there may be. What is urgent has one beyond.
    """

    def __init__(self, most: int = Limits().max_handlers) -> None:
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._threads = 0
        self._in_charge: threading.Thread | None = None
        self._begun = 0.0  # when the thread in charge took what it does
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()

    def put(self, work: Work, *, urgent: bool = False) -> None:
        """Have something done; what it raises is logged.

        Args:
            work: What is to be done.
            urgent: Whether other work may wait for this, so that this must not wait for a thread.

        Raises:
            RuntimeError: The system gives no thread.
        """
        with self._lock:
            if urgent and self._threads >= self._most:
                _thread(partial(_do, work))
                return
            self._waiting.append(work)
            try:
                if self._in_charge is None and self._threads < self._most:
                    self._begin()
            except RuntimeError:
                self._waiting.pop()
                raise
            if len(self._waiting) > _MOST_WAITING:
                self._room.clear()
        if self._timer is None:
            self._timer = self._loop.call_later(_TURN, self._look)

    def room(self) -> Awaitable[None] | None:
        """Return None if little waits, else what is to be awaited until it does, but not for ever."""
        return None if self._room.is_set() else self._until_there_is_room()

    async def _until_there_is_room(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLD):
                await self._room.wait()

    def _look(self) -> None:
        """Let another thread take charge if what the one in charge does takes long."""
        self._timer = None
        with self._lock:
            if not self._waiting:
                return
            if self._is_late() and self._threads < self._most:
                try:
                    self._begin()
                except RuntimeError as error:
                    log.warning("a message waits: %s", error)
            due = self._begun + _TURN - time.monotonic()
        self._timer = self._loop.call_later(due if due > 0 else _TURN, self._look)

    def _is_late(self) -> bool:
        return self._in_charge is None or time.monotonic() - self._begun >= _TURN

    def _begin(self) -> None:
        self._in_charge = _thread(self._run)  # which waits for the lock
        self._threads += 1
        self._begun = time.monotonic()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            _do(work)

    def _next(self) -> Work | None:
        """Return what the current thread is to do next, None if it is to end."""
        this = threading.current_thread()
        with self._lock:
            if self._waiting and (self._in_charge is this or self._is_late()):
                self._in_charge, self._begun = this, time.monotonic()
                if len(self._waiting) <= _MOST_WAITING:
                    self._tell_room()
                return self._waiting.popleft()
            if self._in_charge is this:
                self._in_charge = None
            self._threads -= 1
            return None

    def _tell_room(self) -> None:
        if not self._room.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._room.set)


def _thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name="asyncsamp-compat-handler", daemon=True)
    thread.start()
    return thread


def _do(work: Work) -> None:
    try:
        work()
    except Exception:
        log.exception("a function that was bound to messages failed")
