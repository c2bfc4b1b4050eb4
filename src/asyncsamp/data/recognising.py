"""What a file is, by its content: VOTable, FITS table or image, CDF, MOC or spectrum."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from .._util import file_urls
from ..errors import DataError
from ..reading.files import open_first
from .formats.kinds import Kind, not_an_image, recognise_bytes, unpacked
from .sources import is_url, path_of

__all__ = ["recognise", "refuse_no_image"]

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
    if is_url(place) and not file_urls.is_file_url(str(place)):
        head = await _head_of_url(str(place))
    else:
        paths = file_urls.parse(str(place)).paths if is_url(place) else (str(place),)
        head = await asyncio.to_thread(_head_of_file, str(place), paths)
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
    if is_url(place) and not file_urls.is_file_url(str(place)):
        return
    paths = file_urls.parse(str(place)).paths if is_url(place) else (str(path_of(place)),)
    try:
        head = await asyncio.to_thread(_head_of_file, str(place), paths, _FIRST)
    except DataError:
        return
    if not head:
        raise DataError(f"{place} is empty, so it is not an image")
    found = not_an_image(unpacked(head, _FIRST))
    if found is not None:
        what, advice = found
        raise DataError(f"{place} is {what}, not an image in FITS: {advice}")


def _head_of_file(place: str, paths: tuple[str, ...], most: int = _HEAD) -> bytes:
    try:
        file = open_first(paths)
        try:
            return file.read_at(0, min(file.size, most))
        finally:
            file.close_now()
    except OSError as error:
        raise DataError(f"cannot read {error.filename or place}: {error.strerror or error}") from None


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
                raise DataError(f"{url} answered HTTP {response.status} {response.reason}")
            async for chunk in response.content.iter_any():
                head += chunk
                if len(head) >= _HEAD:
                    break
    except TimeoutError:
        raise DataError(f"{url} gave no answer within {_TIMEOUT:g} s") from None
    except aiohttp.ClientError as error:
        raise DataError(f"cannot read {url}: {error or type(error).__name__}") from None
    return bytes(head)
