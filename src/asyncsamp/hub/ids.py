"""The ids that a hub gives out."""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Iterator

__all__ = ["ClientIds", "msg_ids"]


class ClientIds:
    """Public ids `c1`, `c2`, ..., never used again; those of clients that come back are given first."""

    def __init__(self) -> None:
        self.last = 0
        self._coming_back: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._coming_back:
            return self._coming_back.popleft()
        self.last += 1
        return f"c{self.last}"

    def next_is(self, client: str) -> None:
        """Let the next id be `client`, which was given before the hub was restarted."""
        self._coming_back.append(client)


def msg_ids() -> Iterator[str]:
    """Yield ids that nobody can guess, of characters that every client can bear (TOL-22)."""
    for number in itertools.count(1):
        yield f"m{number}-{secrets.token_hex(4)}"
