"""Tables as "fits-plus", STIL's convention: a FITS table behind a VOTable that describes it (off the loop).

The primary HDU holds the text of a VOTable without rows, as bytes, and the card VOTMETA = T in fifth place.
TOPCAT and STILTS read units, UCDs, descriptions, params and coordinate systems from it; every other reader of
FITS finds a table in the first extension. Columns go to and from memory whole, not row by row.
"""

from __future__ import annotations

import io
from typing import Any

from ...errors import DataError
from ..optional import need
from .fits_rows import is_ascii
from .kinds import BLOCK

__all__ = ["LARGE", "describe", "fits_plus", "is_lossless"]

LARGE = 20_000
"""Rows from which a table goes as FITS to who takes both: written as VOTable it takes seconds a million."""


def is_lossless(table: Any) -> bool:
    """Whether FITS keeps every value of the columns: numbers, truths and ASCII texts, none of them masked."""
    numpy = need("numpy")
    return all(_is_plain(numpy, table[name]) for name in table.colnames)


def _is_plain(numpy: Any, column: Any) -> bool:
    values = numpy.asarray(getattr(column, "value", column))
    if values.ndim != 1 or numpy.any(getattr(column, "mask", False)):
        return False
    if values.dtype.kind == "U":
        return bool(values.dtype.itemsize and values.size) and is_ascii(values)
    return values.dtype.kind in "biufS" and values.dtype.itemsize > 0


def fits_plus(unit: Any, votable: bytes, sink: io.BytesIO) -> None:
    """Write a FITS file to `sink` with a table HDU behind the VOTable that describes it."""
    fits = need("astropy.io.fits")
    numpy = need("numpy")
    fits.HDUList([fits.PrimaryHDU(numpy.frombuffer(votable, "u1")), unit]).writeto(sink)
    header = fits.Header(
        [
            ("SIMPLE", True, "standard FITS"),
            ("BITPIX", 8, "bytes of a VOTable"),
            ("NAXIS", 1),
            ("NAXIS1", len(votable)),
            ("VOTMETA", True, "a VOTable describes the table"),  # STIL wants it here
            ("EXTEND", True),
            ("NTABLE", 1),
        ]
    )
    sink.getbuffer()[:BLOCK] = header.tostring().encode("ascii")


def describe(table: Any, described: Any) -> None:
    """Give a table that was read from FITS what the VOTable says of it; texts become text, numbers native.

    Args:
        table: The table.
        described: The table that the VOTable describes, without rows.

    Raises:
        DataError: It describes another number of columns.
    """
    numpy = need("numpy")
    tables = need("astropy.table")
    if len(described.colnames) != len(table.colnames):
        raise DataError("the VOTable in the FITS file describes another table")
    for name, other in zip(table.colnames, described.colnames, strict=True):
        values = numpy.asarray(table[name])
        native = values.astype(
            "U" if values.dtype.kind == "S" else values.dtype.newbyteorder("="), copy=False
        )
        of = described[other]
        said = {"unit": of.unit, "description": of.description, "meta": dict(of.meta)}
        mask = getattr(table[name], "mask", None)  # of the integers that TNULL names
        if mask is not None and mask.any() and native.dtype.kind != "U":
            new = tables.MaskedColumn(native, name=name, mask=mask, copy=False, **said)
        else:
            new = tables.Column(native, name=name, copy=False, **said)
        table.replace_column(name, new, copy=False)
    table.meta = described.meta
