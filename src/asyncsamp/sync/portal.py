"""The event loop of all synchronous clients and hubs: one daemon thread a process, started on first use."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

__all__ = ["Portal", "portal"]

T = TypeVar("T")

_LOOK = 0.5
"""Seconds after which a thread that waits looks for Ctrl-C. Python wakes it for a signal that comes while it
waits, but not for one that comes just before that, or that the system gives to another thread."""

_EXIT_TIMEOUT = 5.0
"""Seconds that the end of the program waits for clients and hubs that nobody has closed."""


class Leaver(Protocol):
    """What is closed at the end of the program: clients first, then hubs."""

    leaves_last: bool

    async def leave(self) -> None: ...


class Portal:
    """An event loop in a daemon thread, and the way into it from every other thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._leavers: weakref.WeakSet[Leaver] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._run, name="asyncsamp-sync", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return its result, or raise what it raises.

        Ctrl-C in the thread that waits cancels the coroutine and raises KeyboardInterrupt at once.

        Raises RuntimeError in the loop's own thread, where it would wait for itself, and after the
        loop has ended with the program.
        """
        self._check(work)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return _result(future)
        except concurrent.futures.CancelledError:
            raise RuntimeError("the operation was cancelled: the program is about to end") from None
        except BaseException:
            future.cancel()  # nothing if it has ended, else it was Ctrl-C
            raise

    def call(self, function: Callable[..., T], /, *args: Any, **options: Any) -> T:
        """Call a plain function in the loop's thread and return its result. Raises as `run` does."""

        async def work() -> T:
            return function(*args, **options)

        return self.run(work())

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin a coroutine and do not wait for it; a loop that has ended drops it."""
        if os.getpid() != self.pid or self._loop.is_closed():
            work.close()
            return
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # it has ended just now
            work.close()

    def close_at_exit(self, leaver: Leaver) -> None:
        """Have `leaver` leave when the program ends, unless it is gone by then."""
        self._leavers.add(leaver)

    def close(self) -> None:
        """Let everybody leave, end the loop and its thread, within a few seconds."""
        if os.getpid() != self.pid or self._loop.is_closed():
            return
        future = asyncio.run_coroutine_threadsafe(self._leave(), self._loop)
        concurrent.futures.wait([future], timeout=_EXIT_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_EXIT_TIMEOUT)

    def _check(self, work: Coroutine[Any, Any, object]) -> None:
        reason = ""
        if threading.current_thread() is self._thread:
            reason = (
                "this is the thread of asyncsamp's own event loop, where waiting for an answer would wait "
                "for ever; call the client from a handler or another thread, or use asyncsamp.Client"
            )
        elif self._loop.is_closed():
            reason = "the event loop of asyncsamp.sync has ended with the program"
        if reason:
            work.close()
            raise RuntimeError(reason)

    async def _leave(self) -> None:
        for last in (False, True):
            leaving = (each.leave() for each in list(self._leavers) if each.leaves_last is last)
            await asyncio.gather(*leaving, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            # As asyncio.run does, so that nothing is left behind.
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


def _result(future: concurrent.futures.Future[T]) -> T:
    """Return the result of a future, or raise what it raised. Ctrl-C ends the wait soon."""
    while not future.done():
        with contextlib.suppress(TimeoutError):
            return future.result(_LOOK)
    return future.result()


_lock = threading.Lock()
_current: Portal | None = None
_of_the_parent: list[Portal] = []
"""Loops whose threads a fork has not copied: kept, since closing them would disturb the parent's."""


def portal() -> Portal:
    """Return the portal of this process; it is made when it is first asked for."""
    global _current  # noqa: PLW0603 (one a process is what it is for)
    with _lock:
        if _current is None:
            _current = Portal()
            atexit.register(_current.close)
        return _current


def _forget_parent() -> None:
    global _current, _lock  # noqa: PLW0603
    _lock = threading.Lock()  # the parent may have held it
    if _current is not None:
        _of_the_parent.append(_current)
        _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
