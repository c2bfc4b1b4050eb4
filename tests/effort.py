"""How many examples hypothesis tries: a tenth where only a look is wanted, as in `scripts/check`."""

from __future__ import annotations

import os

__all__ = ["examples"]

_BRIEFLY = os.environ.get("ASYNCSAMP_TEST_BRIEFLY", "") not in ("", "0")


def examples(number: int = 100) -> int:
    """Return how many examples are tried where the suite tries `number`."""
    return max(10, number // 10) if _BRIEFLY else number
