"""The signals that stop a program."""

from __future__ import annotations

import asyncio
import signal

__all__ = ["stop_on_signals"]


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> list[int]:
    """Let SIGINT, SIGTERM and SIGHUP, which comes when the terminal is closed, set `stop`.

    SIGHUP stays ignored where it is, as under nohup. Where the loop takes no signals (Windows), the standard
    way has to do.

    Returns:
        The signals that the loop handles now.
    """
    handled: list[int] = []
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
            continue
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        else:
            handled.append(number)
    return handled
