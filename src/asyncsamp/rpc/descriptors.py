"""The file descriptors of this process: how many it may have, and who closes what is idle when they run out.

Nothing is counted. The system gives out the lowest number that is free, so the number of a new connection
says how many are in use at least: all below it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from enum import IntEnum
from typing import Protocol
from weakref import WeakKeyDictionary, WeakSet

__all__ = ["Holder", "Supply", "allowed", "free_one", "hold", "raise_allowed", "share", "supply"]

_WANTED = 8192
"""What a hub asks for: enough for `Limits.max_clients`, each with two connections."""

_MOST = 8192
"""Connections of one server or one client, whatever the process may have."""

_FEWEST = 16

_LEAST_RESERVE, _LARGEST_RESERVE = 8, 64


class Supply(IntEnum):
    """What may be done with a connection, by how many descriptors are left."""

    PLENTY = 0
    """It may stay open."""
    SCARCE = 1
    """It is of the reserve: it is used, and closed after that."""
    SPENT = 2
    """Half of the reserve is in use: something else has to be closed for it, or it has to wait."""


class Holder(Protocol):
    """Who has connections that may be closed when they are idle."""

    def close_one(self) -> bool:
        """Close the connection that can be spared most easily; return whether there is one."""
        ...


def allowed() -> int | None:
    """Return how many descriptors this process may have; None where there is no bound."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_allowed() -> None:
    """Let this process have more descriptors than most shells give it (macOS: 256), where that is allowed."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS may refuse what the hard limit seems to allow.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share() -> int:
    """Return how many connections one server, or one client, may have open, within bounds.

    It is half of what is not in reserve: a hub has one connection from each of its clients, and one to it.
    """
    most = allowed()
    return _MOST if most is None else max(_FEWEST, min((most - _reserve(most)) // 2, _MOST))


def supply(number: int) -> Supply:
    """Return what may be done with a connection that was given descriptor `number` just now."""
    most = allowed()
    if most is None or number < most - _reserve(most):
        return Supply.PLENTY
    return Supply.SCARCE if number < most - _reserve(most) // 2 else Supply.SPENT


def hold(holder: Holder) -> None:
    """Let `holder` be asked when descriptors run out in the running loop, as long as it lives."""
    _holders.setdefault(asyncio.get_running_loop(), WeakSet()).add(holder)


def free_one() -> bool:
    """Close one idle connection of the running loop; return whether there was one."""
    return any(holder.close_one() for holder in list(_holders.get(asyncio.get_running_loop(), ())))


_holders: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[Holder]] = WeakKeyDictionary()
# A loop's connections may be touched by its own thread only.


def _reserve(most: int) -> int:
    """Return how many descriptors are for files and short requests, not for connections that stay."""
    return max(_LEAST_RESERVE, min(most // 8, _LARGEST_RESERVE))
