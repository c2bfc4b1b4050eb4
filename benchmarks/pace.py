"""Even pace: the timers of event loops count milliseconds, and would let a crowd send in bursts."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import heapq
import os
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

__all__ = ["metronome"]

_MONOTONIC, _ABSOLUTE = 1, 1  # the clock of perf_counter; linux/time.h

_Beat = tuple[float, int, asyncio.Future[None]]


@contextlib.contextmanager
def metronome() -> Iterator[Callable[[float], asyncio.Future[None]]]:
    """Give a function whose futures are done at a time of `perf_counter`, as exactly as the kernel can.

    It is a file descriptor that can be read then, on Linux; elsewhere a timer of the loop.
    """
    loop = asyncio.get_running_loop()
    if sys.platform != "linux":
        yield lambda due: _by_the_loop(loop, due)
        return
    timer = _KernelTimer()
    waiting: list[_Beat] = []

    def ring() -> None:
        timer.read()
        while waiting and waiting[0][0] <= perf_counter():
            _finish(heapq.heappop(waiting)[2])
        if waiting:
            timer.set(waiting[0][0])

    def at(due: float) -> asyncio.Future[None]:
        future = loop.create_future()
        heapq.heappush(waiting, (due, id(future), future))
        if waiting[0][2] is future:
            timer.set(due)
        return future

    loop.add_reader(timer.descriptor, ring)
    try:
        yield at
    finally:
        loop.remove_reader(timer.descriptor)
        os.close(timer.descriptor)


def _by_the_loop(loop: asyncio.AbstractEventLoop, due: float) -> asyncio.Future[None]:
    future = loop.create_future()
    loop.call_later(due - perf_counter(), _finish, future)
    return future


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class _KernelTimer:
    """A timerfd, which Python has from 3.13 on."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = self._libc.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, due: float) -> None:
        seconds = int(due)
        setting = _Setting(_Time(0, 0), _Time(seconds, int((due - seconds) * 1e9)))
        self._libc.timerfd_settime(self.descriptor, _ABSOLUTE, ctypes.byref(setting), None)

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 8)
