"""Row numbers: what users have, as SAMP wants it (MTYPE-53, MTYPE-54: counted from zero). No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

from ..errors import DataError

__all__ = ["MANY", "coded", "many", "row_list", "row_number", "within"]

MANY = 10_000
"""Rows from which on coding holds up the loop, for about 10 ms; the way through a thread costs 0.1 ms."""


def row_number(row: Any, rows: int | None) -> int:
    """Return `row` as a number from 0. Negative ones count from the end. Raises `DataError`."""
    if isinstance(row, bool) or not isinstance(row, Integral):
        raise DataError(f"{row!r} is not a row number")
    number = int(row)
    if rows is None:
        if number < 0:
            raise DataError(f"row {number} counts from the end of a table whose length is not known here")
        return number
    if not -rows <= number < rows:
        raise DataError(f"row {number} is out of range: the table has {rows} rows, 0 to {rows - 1}")
    return number % rows


def row_list(rows_wanted: Any, rows: int | None) -> list[int]:
    """Return row numbers from a sequence or array of them, a slice, or a mask of booleans.

    Raises `DataError`.
    """
    if isinstance(rows_wanted, slice):
        if rows is None:
            raise DataError("a slice needs a table whose length is known here")
        return list(range(*rows_wanted.indices(rows)))
    if isinstance(rows_wanted, tuple) and len(rows_wanted) == 1 and hasattr(rows_wanted[0], "dtype"):
        raise DataError("this is a tuple with one array, as numpy.where gives: take its first item, [0]")
    kind = getattr(getattr(rows_wanted, "dtype", None), "kind", "")
    given = rows_wanted.tolist() if hasattr(rows_wanted, "tolist") else rows_wanted
    if isinstance(given, Integral) or not isinstance(given, Iterable) or isinstance(given, str):
        raise DataError(f"expected several row numbers, or a mask, not {rows_wanted!r}")
    items = list(given)
    if kind == "b" or (items and all(isinstance(item, bool) for item in items)):
        return _masked(items, rows)
    if kind not in ("", "i", "u", "O") and items:
        raise DataError(f"row numbers are integers, not of type {rows_wanted.dtype}")
    if items and set(map(type, items)) == {int} and min(items) >= 0 and (rows is None or max(items) < rows):
        return items  # as nearly always: looked at in no time
    return [row_number(item, rows) for item in items]


def coded(numbers: Iterable[int]) -> list[str]:
    """Return row numbers as they go over the wire (DATA-8).

    In a thread it lets the others have their turns, as one call of C for all of them would not.
    """
    return [str(number) for number in numbers]


def many(rows_wanted: Any, rows: int | None) -> bool:
    """Return whether `row_list` and `coded` are better done in a thread."""
    if isinstance(rows_wanted, slice):
        return rows is not None and rows > MANY
    try:
        return len(rows_wanted) > MANY
    except TypeError:  # an iterator, or nothing that is right
        return False


def within(numbers: Sequence[int], rows: int | None) -> None:
    """Raise `DataError` if one of `numbers`, that another client sent, is not of the table."""
    if not numbers or (min(numbers) >= 0 and (rows is None or max(numbers) < rows)):
        return
    for number in numbers:
        if number < 0 or (rows is not None and number >= rows):
            known = "" if rows is None else f": the table has {rows} rows"
            raise DataError(f"row {number} is out of range{known}")


def _masked(items: list[bool], rows: int | None) -> list[int]:
    if rows is not None and len(items) != rows:
        raise DataError(f"the mask has {len(items)} values, the table {rows} rows")
    return [number for number, item in enumerate(items) if item]
