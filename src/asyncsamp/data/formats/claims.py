"""What a small file may not claim: a size far beyond its own, or data that are somewhere else."""

from __future__ import annotations

import re
from math import prod
from typing import Any
from xml.parsers import expat

from ...errors import DataError

__all__ = ["MAX_SIZE", "check_fits_claims", "check_votable_claims"]

MAX_SIZE = 1024 * 1024 * 1024
"""Bytes that the data of one file may have in memory: a wrong one must not eat the machine."""

_ROWS = re.compile(rb"""\bnrows\s*=\s*["']\s*(\d{1,18})""")


def check_votable_claims(data: bytes) -> None:
    """Check a VOTable before it is parsed.

    Raises:
        DataError: It has a STREAM whose data are elsewhere, which the parser would read from any file or
            URL; it declares XML entities; or it claims more rows than it has bytes.
    """
    plain = data.replace(b"\0", b"")  # UTF-16
    if any(int(found) > len(data) for found in _ROWS.findall(plain)):
        raise DataError("the VOTable claims more rows than it has bytes")
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


def _refuse_reference(name: str, attributes: dict[str, str]) -> None:
    if name.rpartition(":")[2] == "STREAM" and any(key.rpartition(":")[2] == "href" for key in attributes):
        raise DataError("the data of the VOTable are in another file (STREAM with href), which is not read")


def _refuse_entity(*declaration: object) -> None:
    raise DataError("the VOTable declares XML entities, which are not read")
