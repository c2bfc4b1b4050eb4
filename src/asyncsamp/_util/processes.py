"""Whether another process runs still."""

from __future__ import annotations

import os

__all__ = ["lives"]


def lives(pid: int) -> bool:
    """Return whether a process of that number runs, whoever's it is.

    True also on Windows, where it cannot be asked without a signal.

    Args:
        pid: The number, which may come from a name that somebody else has chosen.
    """
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return True
