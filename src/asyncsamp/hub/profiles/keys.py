"""Private keys of both profiles: made, and found at the beginning of a request that is not read yet."""

from __future__ import annotations

import re
import secrets
from typing import Final

__all__ = ["STANDARD", "WEB", "new_key", "shown_keys"]

STANDARD: Final = "k-"
WEB: Final = "wk-"
"""What a key begins with: a key of one profile is told from one of the other."""

_BYTES = 24

_KEY = re.compile(rb"w?k-[A-Za-z0-9_-]{32}")


def new_key(profile: str) -> str:
    """Return a key that cannot be guessed (192 bits); `profile` is `STANDARD` or `WEB`."""
    return profile + secrets.token_urlsafe(_BYTES)


def shown_keys(begun: bytes) -> list[str]:
    """Return what looks like a key in the beginning of a request, in any encoding that XML may have."""
    return [key.decode("ascii") for key in _KEY.findall(begun.replace(b"\0", b""))]  # UTF-16 is XML too
