"""About how much memory a value takes, without looking at all of it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ..values import RawMap, Value

__all__ = ["estimate_size", "measure_size"]

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
        total += times * _OBJECT
        if isinstance(item, str) or looks < 0:
            total += times * len(item)
            continue
        step = 1 + len(item) // _SAMPLE
        inside: Iterable[Value] = item
        texts = 0
        if isinstance(item, dict):
            inside = item.values()
            for key in islice(item, 0, None, step):
                texts += _OBJECT + len(key)
        for each in islice(inside, 0, None, step):
            if isinstance(each, str):  # at once, since most values are
                looks -= 1
                texts += _OBJECT + len(each)
            else:
                waiting.append((each, times * step))
        total += times * step * texts
    return total


def measure_size(value: Value, most: int) -> int:
    """Return about how many bytes `value` takes, of which nothing is left out.

    What takes more than `most` is not looked at to its end: the result is then above `most`, and no more.
    """
    total = 0
    waiting: list[Value] = [value]
    while waiting and total <= most:
        item = waiting.pop()
        total += _OBJECT
        if isinstance(item, str):
            total += len(item)
        elif total + _OBJECT * len(item) > most:
            return most + 1
        elif isinstance(item, dict):
            total += sum(_OBJECT + len(key) for key in item)
            waiting += item.values()
        else:
            waiting += item
    return total
