"""How the servers of the benchmarks are started: on which loop, and how they say that they are ready."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["run", "say_ready"]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loops, None where it is not installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(serve: Coroutine[Any, Any, None], *, uvloop: bool) -> None:
    """Serve until it ends, or the process is killed; on uvloop if so wanted and it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory() if uvloop else None) as runner:
        runner.run(serve)


async def say_ready(port: int) -> None:
    """Print the URL of a server that is up, and let it serve until the process is killed."""
    print(f"ready at http://127.0.0.1:{port}/", flush=True)
    await asyncio.Event().wait()
