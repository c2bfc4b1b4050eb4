"""VOTables whose rows are text, read in whole columns, not cell by cell (off the loop).

TOPCAT sends such ones. What is not plain (attributes of rows and cells, references, letters beyond ASCII,
arrays, numbers in other spellings) is left to astropy, which knows all of it and takes several times as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from ..optional import need
from .binary2 import TABLE, column_like

__all__ = ["cut_out", "filled"]

_INTEGERS = {"unsignedByte": "u1", "short": "i2", "int": "i4", "long": "i8"}
_FLOATS = {"float": "f4", "double": "f8"}
_TEXTS = ("char", "unicodeChar")
_SIZES = re.compile(r"\*|[1-9][0-9]{0,6}\*?")
"""Of texts; astropy gives one to those without."""

_TRUTHS = {b"TRUE": True, b"1": True, b"T": True, b"FALSE": False, b"0": False, b"F": False}
_NO_TRUTHS = (b"", b"?")

_VERSION = re.compile(rb"<VOTABLE\b[^>]*?\sversion\s*=\s*[\"'](?:1\.[3-9]|1\.\d\d)")
"""From 1.3 on an empty cell is a missing integer; before, it is not valid."""

_BEGIN_OF_ROWS = re.compile(rb"<DATA>\s*<TABLEDATA>")
_END_OF_ROWS, _END_OF_ROW = b"</TABLEDATA>", b"</TR>"
_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\r\n"

_MANY = 20_000
"""Bytes of rows from which on it is worth the trouble."""

_PIECE = 1024 * 1024
"""Bytes that are taken apart at once: no other thread goes on meanwhile."""


def cut_out(data: bytes) -> tuple[bytes, memoryview] | None:
    """Return a VOTable without its rows, and these; None if they are few, or not plain, or there are more."""
    begin = _BEGIN_OF_ROWS.search(data)
    end = -1 if begin is None else data.find(_END_OF_ROWS, begin.end())
    if begin is None or end - begin.end() < _MANY:
        return None
    described = data[: begin.end()] + data[end:]
    if not _VERSION.search(described) or not _is_markup(described, begin.end()):
        return None
    rows = memoryview(data)[begin.end() : end]
    return (described, rows) if _is_plain(data, begin.end(), end) else None


def _is_markup(described: bytes, end: int) -> bool:
    """Whether the one TABLEDATA, which ends at `end`, is an element: not in a comment, or in other text."""
    head = described[:end]
    return (
        described.count(b"<TABLEDATA") == len(TABLE.findall(described)) == 1
        and described.count(b"<!") == described.count(b"<!--")
        and described.count(b"<?") <= 1
        and head.rfind(b"<!--") <= head.rfind(b"-->")
    )


def _is_plain(data: bytes, begin: int, end: int) -> bool:
    """Whether rows have no letter beyond ASCII, no reference, and nothing else that stands for other text."""
    if any(data.find(mark, begin, end) >= 0 for mark in (b"&", b"<!", b"<?", b"]]>")):
        return False
    pieces = (data[at : min(at + _PIECE, end)] for at in range(begin, end, _PIECE))
    return not any(piece.translate(None, _PLAIN) for piece in pieces)


def filled(fields: Any, empty: Any, rows: memoryview, max_size: int) -> Any | None:
    """Return a table like `empty`, the same without rows, with the rows in `rows`.

    None if it has to be read row by row.
    """
    numpy = need("numpy")
    kinds = [kind for field in fields if (kind := _kind(field)) is not None]
    if not kinds or len(kinds) < len(fields):
        return None
    size = sum(empty[name].dtype.itemsize for name in empty.colnames)
    parts: list[list[tuple[Any, Any]]] = [[] for _ in kinds]
    try:
        for cells in _in_pieces(rows, len(kinds), max_size // size):
            for kind, part, texts in zip(kinds, parts, zip(*cells, strict=True), strict=True):
                part.append(kind(texts))
    except (ValueError, OverflowError):
        return None
    if not parts[0]:
        return None
    columns = [
        column_like(empty[name], *map(numpy.concatenate, zip(*part, strict=True)))
        for name, part in zip(empty.colnames, parts, strict=True)
    ]
    return need("astropy.table").Table(columns, names=empty.colnames, meta=empty.meta, copy=False)


def _in_pieces(rows: memoryview, width: int, at_most: int) -> Iterator[list[tuple[bytes, ...]]]:
    """Yield lists of rows, each a tuple of cells.

    Raises ValueError if there are more than `at_most`, or one is not of `width` plain cells.
    """
    row = re.compile(rb"<TR>\s*" + rb"\s*".join([rb"<TD>([^<]*)</TD>"] * width) + rb"\s*</TR>")
    begin = 0
    while begin < len(rows):
        piece = bytes(rows[begin : begin + _PIECE])
        if begin + len(piece) < len(rows):  # rows are not cut
            piece = piece[: piece.rfind(_END_OF_ROW) + len(_END_OF_ROW)]
        begin += len(piece)
        cells = row.findall(piece.replace(b"<TD/>", b"<TD></TD>"))
        at_most -= len(cells)
        if at_most < 0 or piece.count(b"<") + piece.count(b"<TD/>") != len(cells) * 2 * (width + 1):
            raise ValueError("more than is allowed, or something else than plain rows")
        if cells:
            yield cells if width > 1 else [(cell,) for cell in cells]


# ---- columns


def _kind(field: Any) -> Callable[[tuple[bytes, ...]], tuple[Any, Any]] | None:
    """Return what makes values and a mask of the cells of a field; None if astropy has to.

    It raises ValueError or OverflowError for what is not in the plain spelling.
    """
    numpy = need("numpy")
    null = field.values.null
    if null is not None and null != null:
        return None  # a NaN is equal to none
    if field.datatype in _TEXTS and _SIZES.fullmatch(field.arraysize or ""):
        size = field.arraysize.rstrip("*")
        return lambda texts: _texts(numpy, texts, f"U{size}" if size else "O")
    if field.arraysize:
        return None
    if field.datatype in _FLOATS:
        return lambda texts: _floats(numpy, texts, _FLOATS[field.datatype], null)
    if field.datatype in _INTEGERS:
        return lambda texts: _integers(numpy, texts, _INTEGERS[field.datatype], null)
    if field.datatype == "boolean" and null is None:
        return lambda texts: _truths(numpy, texts)
    return None


def _floats(numpy: Any, texts: tuple[bytes, ...], kind: str, null: Any) -> tuple[Any, Any]:
    try:
        values = numpy.fromiter(map(float, texts), "f8", len(texts))
    except ValueError:
        missing = numpy.nan if null is None else null
        values = numpy.fromiter((float(text.strip() or missing) for text in texts), "f8", len(texts))
    mask = numpy.isnan(values) if null is None else values == null
    with numpy.errstate(over="ignore"):
        return values.astype(kind), mask


def _integers(numpy: Any, texts: tuple[bytes, ...], kind: str, null: Any) -> tuple[Any, Any]:
    missing = 0 if null is None else null
    mask = numpy.zeros(len(texts), bool)
    try:
        values = numpy.fromiter(map(int, texts), "i8", len(texts))
    except ValueError:
        texts = tuple(map(bytes.strip, texts))
        mask = numpy.fromiter((not text for text in texts), bool, len(texts))
        values = numpy.fromiter((int(text or missing) for text in texts), "i8", len(texts))
    bounds = numpy.iinfo(kind)
    if values.min() < bounds.min or values.max() > bounds.max:
        raise OverflowError("astropy takes the nearest that there is")
    return values.astype(kind), mask if null is None else mask | (values == null)


def _truths(numpy: Any, texts: tuple[bytes, ...]) -> tuple[Any, Any]:
    known = [text.strip().upper() for text in texts]
    if not {*known} <= {*_TRUTHS, *_NO_TRUTHS}:
        raise ValueError("not a truth")
    values = numpy.fromiter((_TRUTHS.get(text, False) for text in known), bool, len(texts))
    return values, numpy.fromiter((text in _NO_TRUTHS for text in known), bool, len(texts))


def _texts(numpy: Any, texts: tuple[bytes, ...], kind: str) -> tuple[Any, Any]:
    """Astropy strips texts, and takes no text for missing."""
    if any(b"\r" in text for text in texts):
        raise ValueError("XML has other ends of lines")
    values = numpy.empty(len(texts), kind)
    values[:] = list(map(str, map(bytes.strip, texts), repeat("ascii")))
    return values, numpy.zeros(len(texts), bool)
