"""What a file is, by its content: VOTable, FITS table or image, CDF, MOC or spectrum."""

from __future__ import annotations

import asyncio
import re
import zlib
from enum import Enum
from pathlib import Path

import aiohttp

from .._util import file_urls
from ..errors import DataError
from ..reading.files import open_first
from .sources import is_url

__all__ = ["Kind", "recognise", "recognise_bytes"]

_HEAD = 256 * 1024
"""Bytes that are looked at: the headers of some extensions, or of a VOTable with many columns."""

_TIMEOUT = 30.0
"""Seconds for the first bytes of a URL."""

_BLOCK = 2880
_CARD = 80
_CDF = (b"\xcd\xf3\x00\x01", b"\xcd\xf2\x60\x02")


class Kind(Enum):
    """What can be sent."""

    TABLE = "table"
    IMAGE = "image"
    SPECTRUM = "spectrum"
    MOC = "coverage"
    CDF = "CDF table"


async def recognise(place: str | Path) -> Kind:
    """Return what a file or URL holds, by its content. May be cancelled.

    Raises `DataError` if it cannot be read, or is none of the kinds that can be sent.
    """
    if is_url(place) and not str(place).lower().startswith("file:"):
        head = await _head_of_url(str(place))
    else:
        paths = file_urls.parse(str(place)).paths if is_url(place) else (str(place),)
        head = await asyncio.to_thread(_head_of_file, str(place), paths)
    kind = recognise_bytes(_unpacked(head))
    if kind is None:
        raise DataError(
            f"{place} is not a VOTable, FITS, CDF or MOC file; "
            "convert it first, for instance with astropy: Table.read(...).write('table.vot')"
        )
    return kind


def recognise_bytes(head: bytes) -> Kind | None:
    """Return what data that begin with `head` are, or None."""
    if head.startswith(b"SIMPLE  ="):
        return _fits_kind(head)
    if head[:4] in _CDF:
        return Kind.CDF
    if b"<VOTABLE" in head or re.search(rb"<\w+:VOTABLE", head):
        spectral = re.search(rb"""utype=["'](spec|ssa|sdm):""", head, re.IGNORECASE)
        return Kind.SPECTRUM if spectral and b"spec:Spectrum" in head else Kind.TABLE
    return None


def _fits_kind(head: bytes) -> Kind:
    """Return what the first unit with data is; a primary header alone is taken for an image."""
    offset = 0
    while offset < len(head):
        cards, start = _cards(head, offset)
        axes = [int(cards.get(f"NAXIS{n}", "0") or 0) for n in range(1, int(cards.get("NAXIS", "0")) + 1)]
        extension = cards.get("XTENSION", "")
        if extension in ("BINTABLE", "TABLE") and cards.get("ZIMAGE") != "T":
            return _columns_kind(cards)
        if extension == "BINTABLE" or (axes and all(axes)):
            return Kind.SPECTRUM if len([axis for axis in axes if axis > 1]) == 1 else Kind.IMAGE
        offset = start + _padded(_size(cards, axes))
        if not cards:
            break
    return Kind.IMAGE


def _columns_kind(cards: dict[str, str]) -> Kind:
    if "MOCVERS" in cards or cards.get("ORDERING") in ("NUNIQ", "RANGE", "RANGE29"):
        return Kind.MOC
    columns = {value.casefold() for key, value in cards.items() if key.startswith("TTYPE")}
    spectral = bool(columns & {"wave", "wavelength", "lambda", "loglam", "freq", "frequency", "energy"})
    if cards.get("VOCLASS", "").casefold().startswith("spectrum") or (spectral and "flux" in columns):
        return Kind.SPECTRUM
    return Kind.TABLE


def _cards(head: bytes, offset: int) -> tuple[dict[str, str], int]:
    """Return the cards of the header at `offset`, and where its data begin."""
    cards: dict[str, str] = {}
    while offset < len(head):
        block = head[offset : offset + _BLOCK]
        offset += _BLOCK
        for start in range(0, len(block), _CARD):
            card = block[start : start + _CARD].decode("latin-1")
            if card.startswith("END "):
                return cards, offset
            if card[8:10] == "= ":
                quoted = re.match(r"\s*'(.*?)'", card[10:])
                value = quoted[1] if quoted else card[10:].partition("/")[0]
                cards[card[:8].strip()] = value.strip()
    return cards, offset


def _size(cards: dict[str, str], axes: list[int]) -> int:
    size = abs(int(cards.get("BITPIX", "0"))) // 8 if axes else 0
    for axis in axes:
        size *= axis
    return size + int(cards.get("PCOUNT", "0") or 0)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _head_of_file(place: str, paths: tuple[str, ...]) -> bytes:
    try:
        file = open_first(paths)
        try:
            return file.read_at(0, min(file.size, _HEAD))
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


def _unpacked(head: bytes) -> bytes:
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b""
