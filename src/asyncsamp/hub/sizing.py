"""About how much memory a value takes, without looking at all of it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ..values import RawMap, Value

__all__ = ["estimate_size"]

_OBJECT = 60
"""Bytes that Python needs for a string, a list or an entry of a map beside its contents."""

_SAMPLE = 100
"""Items of one list or map that are looked at; the others are taken to be alike."""

_LOOKS = 20_000
"""Values looked at in all: some milliseconds."""


def estimate_size(value: Value | RawMap) -> int:
    """Return about how many bytes `value` takes."""
    if isinstance(value, RawMap):
        return _OBJECT + len(value.xml)
    total, looks = 0, _LOOKS
    waiting: list[tuple[Value, int]] = [(value, 1)]
    while waiting:
        looks -= 1
        item, times = waiting.pop()
        if isinstance(item, str) or looks < 0:
            total += times * (_OBJECT + len(item))
            continue
        total += times * _OBJECT
        step = 1 + len(item) // _SAMPLE
        inside: Iterable[Value] = item
        if isinstance(item, dict):
            inside = item.values()
            total += times * step * sum(_OBJECT + len(key) for key in islice(item, 0, None, step))
        waiting += [(each, times * step) for each in islice(inside, 0, None, step)]
    return total
