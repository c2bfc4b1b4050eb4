"""The rows of a FITS table, to and from the memory of numpy: whole columns, not text by text (off the loop).

astropy makes an object of Python's for each text, 2 us each way, and the other threads wait for as long.
What has other columns than plain ones (numbers, truths, ASCII texts) is left to it, and all headers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from ..optional import need
from .kinds import BLOCK

__all__ = ["append", "columns_of", "is_ascii", "layout_of"]

_ROWS = 50_000
"""Rows that are written, or read of one column, at once: 2 MB, which takes a millisecond."""

_NUMBERS = {"i2": ">i2", "i4": ">i4", "i8": ">i8", "f4": ">f4", "f8": ">f8", "u1": "u1", "b1": "u1"}
_FORMS = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_FORM = re.compile(r"([0-9]{0,6})([ABDEIJKL])")
_NOT_PLAIN = re.compile(r"(?:TSCAL|TZERO|TNULL|TDIM|THEAP|TCTYP|TRPOS|TC[A-Z]{3}|TIMESYS|MJDREF)[0-9]*")
"""Cards that change what the bytes of a column mean."""

_TRUE, _FALSE, _SPACE, _ASCII = 84, 70, 32, 128


def is_ascii(texts: Any) -> bool:
    """Whether all texts of a column, which are of one width, are ASCII."""
    numpy = need("numpy")
    values = numpy.asarray(getattr(texts, "value", texts))
    flat = values.reshape(-1)
    return all(
        int(_letters(numpy, flat[at : at + _ROWS]).max(initial=0)) < _ASCII
        for at in range(0, len(flat), _ROWS)
    )


def _letters(numpy: Any, texts: Any) -> Any:
    plain = numpy.ascontiguousarray(texts, texts.dtype.newbyteorder("="))
    return plain.view("u1" if texts.dtype.kind == "S" else "u4").reshape(len(texts), -1)


# ---- writing


def layout_of(table: Any) -> Any | None:
    """Return how a row of the table lies in a FITS file; None if it has columns that are not plain."""
    numpy = need("numpy")
    fields: list[Any] = []
    for number, name in enumerate(table.colnames):
        column = table[name]
        dtype = getattr(column, "dtype", None)
        if dtype is None or column.ndim != 1 or numpy.any(getattr(column, "mask", False)):
            return None
        if dtype.kind in "US" and dtype.itemsize:
            width = dtype.itemsize // (4 if dtype.kind == "U" else 1)
            fields.append((f"f{number}", "u1", (width,)))
        elif dtype.str[1:] in _NUMBERS:
            fields.append((f"f{number}", _NUMBERS[dtype.str[1:]]))
        else:
            return None
    return numpy.dtype(fields) if fields and len(table) else None


def append(sink: io.BytesIO, header: Any, table: Any, layout: Any, done: Callable[[int], None]) -> None:
    """Write the rows of a table behind the header of a table without rows, with which `sink` ends.

    Args:
        sink: The file so far.
        header: That header, which is changed to say how many rows there are.
        table: The table, whose columns are plain.
        layout: What `layout_of` says of it.
        done: Called with the number of rows that are written.
    """
    numpy = need("numpy")
    if int(header["NAXIS1"]) != layout.itemsize:
        raise AssertionError("the header is of another table")
    length = len(header.tostring())
    header["NAXIS2"] = len(table)
    sink.seek(-length, io.SEEK_END)
    sink.truncate()
    sink.write(header.tostring().encode("ascii"))
    columns = [numpy.asarray(getattr(table[name], "value", table[name])) for name in table.colnames]
    for begin in range(0, len(table), _ROWS):
        rows = numpy.empty(min(_ROWS, len(table) - begin), layout)
        for number, column in enumerate(columns):
            _put(numpy, rows[f"f{number}"], column[begin : begin + len(rows)])
        sink.write(rows.view("u1").data)
        done(begin + len(rows))
    sink.write(bytes(-len(table) * layout.itemsize % BLOCK))


def _put(numpy: Any, place: Any, values: Any) -> None:
    if values.dtype.kind == "U":
        place[...] = _letters(numpy, values)
    elif values.dtype.kind == "S":
        place[...] = numpy.ascontiguousarray(values).view("u1").reshape(place.shape)
    elif values.dtype.kind == "b":
        place[...] = numpy.where(values, _TRUE, _FALSE)
    else:
        place[...] = values


# ---- reading


def columns_of(data: bytes, unit: Any) -> dict[str, Any] | None:
    """Return the columns of a table HDU as arrays of their own, in the order of bytes of this machine.

    None if one of them is not plain, or the file ends too soon.

    Args:
        data: The file that the HDU stands in.
        unit: The HDU, whose data have not been read.
    """
    numpy = need("numpy")
    header, place = unit.header, unit.fileinfo()
    if place is None or int(header.get("PCOUNT", 0)) or any(_NOT_PLAIN.fullmatch(card) for card in header):
        return None
    rows, width, begin = int(header["NAXIS2"]), int(header["NAXIS1"]), int(place["datLoc"])
    if rows <= 0 or begin + rows * width > len(data) or "ASTROPY-SER" in repr(header.get("COMMENT", "")):
        return None
    columns: dict[str, Any] = {}
    at = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        form = _FORM.fullmatch(str(header.get(f"TFORM{number}", "")).strip())
        name = header.get(f"TTYPE{number}")
        if form is None or not isinstance(name, str) or name in columns:
            return None
        count = int(form[1] or 1)
        is_text = form[2] == "A"
        if count < 1 or (count > 1 and not is_text):
            return None
        kind = _FORMS.get(form[2], "u1")
        shape, strides = ((rows, count), (width, 1)) if is_text else ((rows,), (width,))
        size = count * numpy.dtype(kind).itemsize
        if at + size > width:
            return None
        values = numpy.ndarray(shape, kind, buffer=data, offset=begin + at, strides=strides)
        column = _column(numpy, values, form[2])
        if column is None:
            return None
        columns[name] = column
        at += size
    return columns if at == width else None


def _column(numpy: Any, values: Any, letter: str) -> Any | None:
    """Return one column apart from the file; None for texts that are not ASCII."""
    rows = len(values)
    if letter != "A":
        native = bool if letter == "L" else values.dtype.newbyteorder("=")
        column = numpy.empty(rows, native)
        for begin in range(0, rows, _ROWS):
            part = values[begin : begin + _ROWS]
            column[begin : begin + _ROWS] = part == _TRUE if letter == "L" else part
        return column
    count = values.shape[1]
    texts = numpy.zeros(rows, f"U{count}")
    letters = texts.view("u4").reshape(rows, count)
    for begin in range(0, rows, _ROWS):
        part = letters[begin : begin + _ROWS]
        part[...] = values[begin : begin + _ROWS]
        if int(part.max(initial=0)) >= _ASCII:
            return None
        _strip(numpy, part)
    return texts


def _strip(numpy: Any, letters: Any) -> None:
    """Take spaces away at the end of texts."""
    end = numpy.ones(len(letters), bool)
    for place in range(letters.shape[1] - 1, -1, -1):
        column = letters[:, place]
        end &= (column == _SPACE) | (column == 0)
        if not end.any():
            return
        numpy.copyto(column, 0, where=end)
