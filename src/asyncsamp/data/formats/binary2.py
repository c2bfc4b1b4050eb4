"""VOTables in BINARY2, to and from the memory of numpy: whole columns, not row by row (off the loop).

A row of BINARY2 has a bit for each field that says whether it is null, and then the fields in big-endian
bytes. Where every field has a fixed width, that is an array of structures. What is not so, or says more of
its nulls, is left to astropy, which knows all of it and takes twenty times as long.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import DataError
from ..optional import need

__all__ = ["TABLE", "column_like", "cut_out", "filled", "has_fixed_widths", "pieces"]

_NUMBERS = {
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
    "floatComplex": ">c8",
    "doubleComplex": ">c16",
}

_ROWS = 49_152
"""Rows of one piece; three of its bytes make four of base64, so a number that three divides."""

_END = b"</TABLE>"
_BEFORE = b'<DATA><BINARY2><STREAM encoding="base64">'
_BEHIND = b"</STREAM></BINARY2></DATA>"

_BEGIN_OF_ROWS = re.compile(rb"<BINARY2>\s*<STREAM\s+encoding\s*=\s*[\"']base64[\"']\s*>")
_END_OF_ROWS = re.compile(rb"</STREAM>\s*</BINARY2>")
TABLE = re.compile(rb"<(?:\w+:)?TABLE\b")
"""The beginning of a table."""

_SPACE = b" \t\r\n"
_SIZES = re.compile(r"[1-9][0-9]{0,6}(x[1-9][0-9]{0,6})*")

_MANY = 20_000
"""Bytes of base64 from which on it is worth the trouble."""

_PIECE = 4 * 1024 * 1024
"""Bytes of base64 that are decoded at once: no other thread goes on meanwhile."""


# ---- writing


def has_fixed_widths(fields: Any) -> bool:
    """Whether each field has one width in all rows. Truths become `boolean`: bits are read in two ways."""
    for field in fields:
        if field.datatype == "bit" and not field.arraysize:
            field.datatype = "boolean"
    return all(_kind(field) is not None for field in fields)


def pieces(described: bytes, fields: Any, columns: list[Any], done: Callable[[int], None]) -> Iterator[bytes]:
    """Yield a VOTable in pieces.

    Args:
        described: The document without rows.
        fields: Its fields, of fixed widths.
        columns: Their columns, all as long.
        done: Called with the number of rows that are yielded.

    Raises:
        DataError: A text has characters that take more room than one.
    """
    numpy = need("numpy")
    head, found, tail = described.rpartition(_END)
    if not found:
        raise DataError("the description of the table has no end")
    yield head + _BEFORE
    rows = len(columns[0])
    layout = _layout(numpy, fields)
    for begin in range(0, rows, _ROWS):
        end = min(begin + _ROWS, rows)
        block = numpy.zeros(end - begin, layout)
        for number, column in enumerate(columns):
            part = column[begin:end]
            _put(numpy, block, number, part)
        yield binascii.b2a_base64(block.view("u1").data, newline=False)
        done(end)
    yield _BEHIND + found + tail


def _put(numpy: Any, block: Any, number: int, column: Any) -> None:
    """Fill one field of a block of rows, and its bit of the nulls."""
    place = block[f"f{number}"]
    values = numpy.asarray(getattr(column, "value", column))
    mask = numpy.ma.getmaskarray(getattr(column, "data", column)) if hasattr(column, "mask") else None
    if mask is not None and values.dtype.kind in "US":
        values = numpy.where(mask, values.dtype.type(), values)  # a text that is not there is empty
    elif mask is not None and values.dtype.kind in "fc":
        values = numpy.where(mask, numpy.nan, values)  # the bit of the nulls is of a whole cell only
    if place.dtype.kind == "S" and values.dtype.kind == "b":
        place[...] = numpy.where(values, b"T", b"F")
    elif place.dtype.str[1:] == "u2" and values.dtype.kind == "U":
        letters = _letters(numpy, values)
        if letters.size and letters.max() > 0xFFFF:
            raise DataError("a text has characters that a VOTable of this kind cannot hold")
        place[..., : letters.shape[-1]] = letters
    else:
        place[...] = values
    if mask is not None and mask.any():
        nulls = mask.reshape(len(block), -1).all(axis=1)
        block["nulls"][:, number // 8] |= numpy.where(nulls, 0x80 >> number % 8, 0).astype("u1")


def _letters(numpy: Any, texts: Any) -> Any:
    plain = numpy.ascontiguousarray(texts, texts.dtype.newbyteorder("="))
    return plain.view("u4").reshape(*texts.shape, -1)


# ---- reading


def _decoded_texts(numpy: Any, texts: Any) -> Any | None:
    """Return texts for bytes; None as `_column`. `char` is ASCII, but STIL writes UTF-8, others Latin-1."""
    letters = texts.view("u1")
    if letters.size and _goes_on_behind_nul(letters.reshape(len(texts), -1)):
        return None
    if not letters.size or letters.max() < 0x80:
        return texts.astype("U")
    try:
        return numpy.char.decode(texts, "utf-8")
    except UnicodeDecodeError:
        return numpy.char.decode(texts, "latin-1")


def _goes_on_behind_nul(letters: Any) -> bool:
    """Whether a text has more behind its first NUL, where astropy lets it end."""
    return bool(((letters[:, :-1] == 0) & (letters[:, 1:] != 0)).any())


def cut_out(data: bytes) -> tuple[bytes, memoryview] | None:
    """Return a VOTable without its rows, and these as base64; None if it has no large BINARY2, or more."""
    begin = _BEGIN_OF_ROWS.search(data)
    if begin is None:
        return None
    # Not by one expression: find() looks for a single byte twenty times as fast.
    end = _END_OF_ROWS.match(data, max(data.find(b"<", begin.end()), 0))
    if end is None or end.start() - begin.end() < _MANY:
        return None
    if data.find(b">", begin.end(), end.start()) >= 0:  # it may be the end of a comment
        return None
    described = data[: begin.start()] + b"<TABLEDATA></TABLEDATA>" + data[end.end() :]
    if len(TABLE.findall(described)) != 1:
        return None
    return described, memoryview(data)[begin.end() : end.start()]


def filled(fields: Any, empty: Any, base64: memoryview, max_size: int) -> Any | None:
    """Return a table like `empty`, the same without rows, with the rows in `base64`.

    None if it has to be read row by row.

    Raises:
        DataError: The rows are damaged, or take more than `max_size` bytes.
    """
    numpy = need("numpy")
    if not fields or any(_kind(field) is None or field.values.null is not None for field in fields):
        return None
    if len(base64) * 3 // 4 > max_size:
        raise DataError(
            f"the VOTable has rows of {len(base64) * 3 // 4} bytes; no more than {max_size} are read"
        )
    try:
        rows = _decoded(base64)
    except binascii.Error as error:
        raise DataError(f"the rows of the VOTable are not base64: {error}") from None
    layout = _layout(numpy, fields)
    if len(rows) % layout.itemsize:
        raise DataError("the rows of the VOTable are cut off")
    block = numpy.frombuffer(rows, layout)
    columns = []
    for number, (field, name) in enumerate(zip(fields, empty.colnames, strict=True)):
        column = _column(numpy, block, number, field, empty[name])
        if column is None:
            return None
        columns.append(column)
    table = need("astropy.table")
    return table.Table(columns, names=empty.colnames, meta=empty.meta, copy=False)


def _decoded(base64: memoryview) -> bytearray:
    """Return what base64 holds. Raises `binascii.Error`."""
    decoded = bytearray()
    rest = b""
    for begin in range(0, len(base64), _PIECE):
        text = rest + bytes(base64[begin : begin + _PIECE]).translate(None, _SPACE)
        if text and len(decoded) % 3:
            raise binascii.Error("there is more behind its end")
        whole = len(text) // 4 * 4
        decoded += binascii.a2b_base64(text[:whole], strict_mode=True)
        rest = text[whole:]
    decoded += binascii.a2b_base64(rest, strict_mode=True)
    return decoded


def _column(numpy: Any, block: Any, number: int, field: Any, like: Any) -> Any | None:
    """Return a column with what is in one field, and what is said of it; None for text that is not plain."""
    place = block[f"f{number}"]
    mask = (block["nulls"][:, number // 8] & (0x80 >> number % 8)) != 0
    if field.datatype == "boolean":
        values = (place == b"T") | (place == b"t") | (place == b"1")
        mask = mask | (place == b"?") | (place == b" ") | (place == b"")
    elif field.datatype == "char":
        values = _decoded_texts(numpy, numpy.ascontiguousarray(place))
        if values is None:
            return None
    elif field.datatype == "unicodeChar":
        values = _texts(numpy, place)
        if values is None:
            return None
    else:
        values = place.astype(place.dtype.newbyteorder("="))
        mask = mask.reshape(-1, *(1,) * (values.ndim - 1))
        mask = mask | numpy.isnan(values) if values.dtype.kind in "fc" else mask
    if values.dtype.kind == "U" and mask.any():  # as in TABLEDATA, where it is empty
        values, mask = numpy.where(mask, "", values), numpy.zeros(len(block), bool)
    return column_like(like, values, numpy.broadcast_to(mask, values.shape))


def column_like(like: Any, values: Any, mask: Any) -> Any:
    """Return a column of values, some of which are missing, of which the same is said as of `like`."""
    said = {
        "unit": like.unit,
        "description": like.description,
        "format": like.format,
        "meta": dict(like.meta),
    }
    return need("astropy.table").MaskedColumn(values, name=like.name, mask=mask, copy=False, **said)


def _texts(numpy: Any, place: Any) -> Any | None:
    """Return texts of 16-bit letters; None if there are pairs of them that mean one."""
    if ((place >= 0xD800) & (place < 0xE000)).any():
        return None
    wide = numpy.ascontiguousarray(place.astype("u4"))
    return wide.view(f"U{place.shape[-1]}").reshape(place.shape[:-1])


# ---- the layout of a row


def _kind(field: Any) -> tuple[str, tuple[int, ...]] | None:
    """Return the type and the shape of a field in a row; None if its width is not the same in all."""
    size = field.arraysize or ""
    if size and not _SIZES.fullmatch(size):
        return None
    shape = tuple(int(axis) for axis in reversed(size.split("x"))) if size else ()
    if field.datatype in _NUMBERS:
        return _NUMBERS[field.datatype], shape
    if field.datatype == "boolean" and not shape:
        return "S1", ()
    if field.datatype == "char" and len(shape) <= 1:
        return f"S{shape[0] if shape else 1}", ()
    if field.datatype == "unicodeChar" and len(shape) <= 1:
        return ">u2", shape or (1,)
    return None


def _layout(numpy: Any, fields: Any) -> Any:
    kinds: list[Any] = [("nulls", "u1", ((len(fields) + 7) // 8,))]
    for number, field in enumerate(fields):
        kind = _kind(field)
        assert kind is not None
        kinds.append((f"f{number}", *kind))
    return numpy.dtype(kinds)
