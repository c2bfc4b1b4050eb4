"""A client that is registered in one event loop can wait in that one only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["CheckLoop", "any_loop", "running_in"]

CheckLoop: TypeAlias = Callable[[str], None]
"""Raises `WrongLoopError` outside of the client's own event loop; it is told what is to be done."""


def any_loop(operation: str) -> None:
    """Allow everything everywhere."""


def running_in(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the caller runs in `loop`."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # in a thread without one
        return False
