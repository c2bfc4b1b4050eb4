"""How much a transport asks the system for at once.

asyncio asks for 256 KiB, whatever comes. glibc takes memory of more than 128 KiB from the system and gives it
back at once, page by page: a read of some hundred bytes takes 14 us by this, and 2 us if it asks for less.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

__all__ = ["read_little"]

_READ_SIZE: Final = 64 * 1024


def read_little(transport: asyncio.BaseTransport) -> None:
    """Have `transport` ask for 64 KiB at once; nothing where it is not asyncio's own for a selector."""
    if getattr(transport, "max_size", 0) > _READ_SIZE:
        cast("Any", transport).max_size = _READ_SIZE
