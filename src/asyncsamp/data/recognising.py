"""What a file is, by its content: VOTable, FITS table or image, CDF, MOC or spectrum."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from .._util import file_urls
from ..errors import DataError
from ..reading.files import open_first, unreadable
from .fetching import answered_error
from .formats.kinds import (
    FitsContent,
    Kind,
    container,
    fits_content,
    foreign_file,
    is_text,
    not_an_image,
    recognise_bytes,
    unpacked,
)
from .sources import check_scheme, is_url, path_of

__all__ = ["recognise", "refuse_no_image", "refuse_no_moc", "refuse_no_spectrum", "refuse_no_table"]

_HEAD = 256 * 1024
"""Bytes that are looked at: the headers of some extensions, or of a VOTable with many columns."""

_FIRST = 2048
"""Bytes by which files that are not FITS are told."""

_TIMEOUT = 30.0
"""Seconds for the first bytes of a URL."""


async def recognise(place: str | Path) -> Kind:
    """Return what a file or URL holds, by its content. May be cancelled.

    Raises `DataError` if it cannot be read, or is of another kind than can be sent.
    """
    check_scheme(place)
    if is_url(place) and not file_urls.is_file_url(str(place)):
        head = await _head_of_url(str(place))
    else:
        paths = file_urls.parse(str(place)).paths if is_url(place) else (str(place),)
        head = await asyncio.to_thread(_head_of_file, str(place), paths)
    if not head:
        raise DataError(f"{place} is empty, so there is nothing to show")
    plain = unpacked(head, _HEAD)
    kind = recognise_bytes(plain)
    if kind is None:
        found = not_an_image(plain)
        raise DataError(
            f"{place} is not a VOTable, FITS, CDF or MOC file{f', but {found[0]}' if found else ''}; "
            "convert it first, for instance with astropy: Table.read(...).write('table.vot')"
        )
    return kind


async def refuse_no_image(place: str | Path) -> None:
    """Raise `DataError`, which says what to use, if a file is clearly not an image that tools take.

    What is elsewhere, or cannot be read here, is not judged: others may know more. May be cancelled.
    """
    seen = await _look(place, "an image")
    if seen is None:
        return
    found = not_an_image(seen.head)
    if found is not None:
        what, advice = found
        raise DataError(f"{place} is {what}, not an image in FITS: {advice}")
    units = seen.units
    if units.whole and units.columns and not units.pixels and not units.drawn:
        what, advice = ("a coverage map", "send_moc") if units.moc else ("a table", "send_table")
        raise DataError(f"{place} is {what} in FITS, not an image: use {advice}")


async def refuse_no_table(place: str | Path) -> None:
    """Raise `DataError` if a file is empty, or FITS that holds images only; as `refuse_no_image`."""
    seen = await _look(place, "a table")
    if seen is not None and seen.units.is_image:
        raise DataError(f"{place} is an image in FITS, not a table: use send_image")


async def refuse_no_spectrum(place: str | Path) -> None:
    """Raise `DataError` if a file is clearly not a spectrum; as `refuse_no_image`."""
    seen = await _look(place, "a spectrum")
    what = "" if seen is None else foreign_file(seen.head)
    if what:
        raise DataError(
            f"{place} is {what}, not a spectrum: send_spectrum takes a VOTable or FITS file, or a table"
        )


async def refuse_no_moc(place: str | Path) -> None:
    """Raise `DataError` if a file is clearly not a MOC; as `refuse_no_image`."""
    seen = await _look(place, "a coverage map")
    if seen is None:
        return
    if seen.units.is_image:
        raise DataError(f"{place} is an image in FITS, not a coverage map: use send_image")
    found = not_an_image(seen.head)
    if found is not None:
        table = container(seen.head)
        advice = "use send_table" if table else "send_moc takes a MOC in FITS, or a MOC of mocpy"
        if not table and is_text(seen.head):
            advice = "read it first, as in send_moc(mocpy.MOC.load(FILE, 'ascii')), or 'json'"
        raise DataError(f"{place} is {found[0]}, not a coverage map in FITS: {advice}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """The size of a file, its first bytes, unpacked, and the units that it has if it is FITS."""

    size: int
    head: bytes
    units: FitsContent


async def _look(place: str | Path, wanted: str) -> _Seen | None:
    """Return what a file of this machine holds; None for what is elsewhere, or cannot be read.

    Raises `DataError` if it is empty, or a URL that is misspelt.
    """
    check_scheme(place)
    if is_url(place) and not file_urls.is_file_url(str(place)):
        return None
    paths = file_urls.parse(str(place)).paths if is_url(place) else (str(path_of(place)),)
    try:
        seen = await asyncio.to_thread(_look_into, paths)
    except OSError:
        return None
    if seen.size == 0:
        raise DataError(f"{place} is empty, so it is not {wanted}")
    return seen


def _look_into(paths: tuple[str, ...]) -> _Seen:
    file = open_first(paths)
    try:
        head = file.read_at(0, min(file.size, _FIRST))
        read, size, whole = file.read_at, file.size, True
        plain = unpacked(head, _FIRST)
        if plain is not head:
            data = unpacked(file.read_at(0, min(file.size, _HEAD)), _HEAD)
            whole = file.size <= _HEAD and len(data) < _HEAD
            read, size = lambda start, length: data[start : start + length], len(data)
        units = fits_content(read, size) if container(plain) == "fits" else FitsContent()
        units.whole &= whole
        return _Seen(file.size, plain, units)
    finally:
        file.close_now()


def _head_of_file(place: str, paths: tuple[str, ...]) -> bytes:
    try:
        file = open_first(paths)
        try:
            return file.read_at(0, min(file.size, _HEAD))
        finally:
            file.close_now()
    except OSError as error:
        raise unreadable(place, error) from None


async def _head_of_url(url: str) -> bytes:
    head = bytearray()
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), auto_decompress=False
            ) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                raise await answered_error(response, url)
            async for chunk in response.content.iter_any():
                head += chunk
                if len(head) >= _HEAD:
                    break
    except TimeoutError:
        raise DataError(f"cannot read {url}: it gave no answer within {_TIMEOUT:g} s") from None
    except aiohttp.ClientError as error:
        raise DataError(f"cannot read {url}: {error or type(error).__name__}") from None
    return bytes(head)
