"""FITS files opened unit by unit: each header is looked at before astropy acts on what it says."""

from __future__ import annotations

import io
import re
from typing import Any

from ...errors import DataError
from ..optional import need
from .claims import MAX_SIZE, check_fits_claims
from .kinds import BLOCK, CARD, MOST_COUNTED

__all__ = ["open_units"]

_COUNT = re.compile(rb"\s*(?:HIERARCH\s+)?(Z?NAXIS|TFIELDS)\s*=\s*[+-]?\s*(\d+)", re.IGNORECASE)
"""A card by which astropy counts, in any spelling that it takes."""


def open_units(data: bytes, max_size: int = MAX_SIZE) -> Any:
    """Return a FITS file as an HDUList, with all headers read and no data.

    Args:
        data: The file.
        max_size: How many bytes its data may have in memory.

    Raises:
        DataError: It claims what no FITS file has, more rows than its bytes, or more bytes than `max_size`.
        Exception: What astropy raises if it is not FITS.
    """
    first = data[: _check_counts(data, 0)]
    with _opened(first) as alone:
        _check_next(data, alone, 0)  # astropy looks at the second one as soon as it opens the first
    units = _opened(data)
    number = 0
    while True:
        _check_next(data, units, number)
        number += 1
        try:
            units[number]
        except IndexError:
            break
    check_fits_claims(units, len(data), max_size)
    return units


def _opened(data: bytes) -> Any:
    return need("astropy.io.fits").open(io.BytesIO(data), memmap=False, lazy_load_hdus=True)


def _check_next(data: bytes, units: Any, number: int) -> None:
    """Check the header behind unit `number`. Raises `DataError`."""
    place = units[number].fileinfo()
    if place["datSpan"] < 0:  # astropy would read the same header again, for ever
        raise DataError(f"the FITS file claims {place['datSpan']} bytes of data in its HDU {number}")
    _check_counts(data, place["datLoc"] + place["datSpan"])


def _check_counts(data: bytes, offset: int) -> int:
    """Return where the header at `offset` ends.

    Raises `DataError` if it has a count that astropy would take long to count to.

    The cards are looked at as they stand, each of several with one name: astropy has two parsers, and
    they do not take the same one.
    """
    for start in range(offset, len(data), CARD):
        card = data[start : start + CARD]
        if card.rstrip() == b"END":
            return start // BLOCK * BLOCK + BLOCK
        found = _COUNT.match(card)
        if found is not None and (count := int(found[2])) > MOST_COUNTED:
            key = found[1].decode("ascii").upper()
            raise DataError(f"the FITS file claims {key} = {count}; FITS allows {MOST_COUNTED} at most")
    return len(data)
