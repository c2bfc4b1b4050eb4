"""A place of the sky, from what users have. No I/O."""

from __future__ import annotations

import math
import re
from typing import Any

from ..errors import DataError

__all__ = ["sky_position"]

_ANGLE = re.compile(r"\s*[+-]?\d")


def sky_position(position: Any, dec: Any) -> tuple[float, float]:
    """Return right ascension and declination, ICRS in degrees.

    Of a SkyCoord, or of two numbers (degrees), Quantities or Angles. A right ascension from -180 on is
    understood, as maps with 0 in the middle have it, and returned from 0 to 360. Raises `DataError`.
    """
    if _is_angle(position) and _is_angle(dec):
        raise DataError(
            f"{position!r} and {dec!r} are not numbers of degrees: point at SkyCoord({position!r}, {dec!r}), "
            "with unit=('hourangle', 'deg') if they do not name theirs"
        )
    if isinstance(position, str) and not _is_number(position):
        raise DataError(
            f"{position!r} is not a position: point at SkyCoord.from_name({position!r}), which asks a name "
            "server, or at ra and dec in degrees"
        )
    if dec is None:
        if not hasattr(position, "icrs") and hasattr(position, "frame"):
            raise DataError(
                f"this SkyCoord in {position.frame.name} cannot be turned into ICRS: give it what its frame "
                "needs, such as obstime and location"
            )
        if not hasattr(position, "icrs"):
            raise DataError(f"point at a SkyCoord, or at ra and dec in degrees; got {position!r} alone")
        if getattr(position, "shape", ()) != ():
            raise DataError(f"one position at a time, please: this SkyCoord holds {position.size}")
        position, dec = position.icrs.ra, position.icrs.dec
    ra, dec = _degrees(position, "ra"), _degrees(dec, "dec")
    if not -180 <= ra <= 360:
        raise DataError(
            f"ra is {ra:g} degrees; expected 0 to 360, or -180 to 180; ra % 360 is the same place, if it has "
            "gone round"
        )
    if not -90 <= dec <= 90:
        raise DataError(f"dec is {dec:g} degrees; expected -90 to 90")
    return ra + 360 if ra < 0 else ra, dec


def _is_angle(value: Any) -> bool:
    """Whether it is a text that may be an angle, such as 10h30m, and not a number."""
    return isinstance(value, str) and _ANGLE.match(value) is not None and not _is_number(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _degrees(value: Any, which: str) -> float:
    try:
        number = float(value.to_value("deg") if hasattr(value, "to_value") else value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{which} is {value!r}; expected a number of degrees ({error})") from None
    if not math.isfinite(number):
        raise DataError(f"{which} is {number!r}; expected a number of degrees")
    return number
