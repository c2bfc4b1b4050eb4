"""The Range header of HTTP (RFC 9110, section 14). No I/O."""

from __future__ import annotations

import re

__all__ = ["RangeNotSatisfiableError", "byte_range"]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiableError(Exception):
    """The range that is asked for begins beyond the end: HTTP 416."""


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return what a Range header asks for.

    Args:
        header: The header's value; "" if there is none.
        size: How many bytes there are.

    Returns:
        Where to begin and how many bytes to send. None for the whole: no range is asked for, or several,
        or one that is not valid.

    Raises:
        RangeNotSatisfiableError: The range begins beyond the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        raise RangeNotSatisfiableError
    return start, end - start
