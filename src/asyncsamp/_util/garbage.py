"""Python's garbage collector, which makes many lists that are made at once take ten times as long."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]

_ONE = threading.Lock()
"""Without it the first of two could end in between, and the second leave the collector off for good."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage within the block, which holds the GIL anyway and is short.

    One thread at a time: the others wait for it.
    """
    with _ONE:
        wanted = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if wanted:
                gc.enable()
