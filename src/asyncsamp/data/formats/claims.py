"""What a small file may not claim: a size far beyond its own, or data that are somewhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import Any
from xml.parsers import expat

from ...errors import DataError

__all__ = ["MAX_SIZE", "check_fits_claims", "check_votable_claims"]

MAX_SIZE = 1024 * 1024 * 1024
"""Bytes that the data of one file may have in memory: a wrong one must not eat the machine."""

_ROWS = re.compile(rb"""nrows(?<!\wnrows)\s*=\s*["']\s*(\d{1,18})""")


_FIELD = re.compile(rb"""<(?:[^\s<>:"'/]+:)?FIELD\b((?:[^<>"']|"[^<"]*"|'[^<']*')*)>""")
_ATTRIBUTE = re.compile(rb"""\b(arraysize|datatype)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ROW = re.compile(rb"<(?:[\w.-]+:)?TR\b")

_SIZES = {b"double": 8, b"long": 8, b"floatComplex": 8, b"doubleComplex": 16, b"short": 2, b"char": 1}
_SIZES |= {b"boolean": 1, b"bit": 1, b"unsignedByte": 1}
_SIZE = 4
"""Bytes in memory of one value of any other type."""


def check_votable_claims(data: bytes, max_size: int = MAX_SIZE, beside: int = 0) -> None:
    """Check a VOTable before it is parsed.

    Args:
        data: The document that will be parsed.
        max_size: How many bytes its data may have in memory.
        beside: How many bytes of rows it has beside the document.

    Raises:
        DataError: It has a STREAM whose data are elsewhere, which the parser would read from any file or
            URL; it declares XML entities; it claims more rows than it has bytes, or more bytes than
            `max_size`.
    """
    plain = data.replace(b"\0", b"")  # UTF-16
    claimed = [int(found) for found in _ROWS.findall(plain)]
    if any(rows > len(data) + beside for rows in claimed):
        raise DataError("the VOTable claims more rows than it has bytes")
    width = sum(map(_field_size, _fields(plain)))
    if width:
        rows = max(1, *claimed, sum(1 for _ in _ROW.finditer(plain)))
        if width * rows > max_size:
            raise DataError(
                f"the VOTable claims arrays of {width * rows} bytes; no more than {max_size} are read"
            )
    if b"href" not in plain and b"<!ENTITY" not in plain:
        return
    parser = expat.ParserCreate()
    parser.StartElementHandler = _refuse_reference
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataError(f"this is not a VOTable: {error}") from None


def check_fits_claims(units: Any, length: int, max_size: int) -> None:
    """Check the headers of a FITS file before its data are read.

    Args:
        units: The HDUList.
        length: How many bytes the file has.
        max_size: How many bytes its data may have in memory.

    Raises:
        DataError: It claims more rows than it has bytes, or more bytes than `max_size`.
    """
    total = 0
    for unit in units:
        header = unit.header
        axes = [int(header.get(f"NAXIS{axis}", 0)) for axis in range(1, int(header.get("NAXIS", 0)) + 1)]
        if "TFIELDS" in header and len(axes) == 2 and axes[1] > length:
            raise DataError(f"the FITS table claims {axes[1]} rows, and the file has {length} bytes")
        total += abs(int(header.get("BITPIX", 8))) // 8 * prod(axes) if axes else 0
        if total > max_size:
            raise DataError(f"the FITS file claims {total} bytes of data; no more than {max_size} are read")


def _fields(document: bytes) -> Iterator[bytes]:
    """Yield what stands in the tags of the fields.

    The name is looked for first, which takes a fiftieth of the time of looking at each tag. No other thread
    goes on meanwhile.
    """
    seen = 0
    while (named := document.find(b"FIELD", seen)) >= 0:
        tag = document.rfind(b"<", seen, named)
        found = _FIELD.match(document, tag) if tag >= 0 else None
        if found is not None:
            yield found[1]
        seen = named + 1


def _field_size(attributes: bytes) -> int:
    """Return the bytes of one cell of a FIELD that holds arrays of one size, else 0."""
    found = {key: double or single for key, double, single in _ATTRIBUTE.findall(attributes)}
    shape = found.get(b"arraysize", b"").strip()
    if b"&" in shape:
        raise DataError("the VOTable has an arraysize that is not plain text, which is not read")
    if not shape or b"*" in shape:
        return 0
    lengths = [int(length) for length in re.findall(rb"\d{1,18}", shape)]
    return prod(lengths) * _SIZES.get(found.get(b"datatype", b""), _SIZE)


def _refuse_reference(name: str, attributes: dict[str, str]) -> None:
    if name.rpartition(":")[2] == "STREAM" and any(key.rpartition(":")[2] == "href" for key in attributes):
        raise DataError("the data of the VOTable are in another file (STREAM with href), which is not read")


def _refuse_entity(*declaration: object) -> None:
    raise DataError("the VOTable declares XML entities, which are not read")
