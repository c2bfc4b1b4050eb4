"""What data are, by their first bytes. No I/O."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "BLOCK",
    "CARD",
    "MOST_COUNTED",
    "FitsContent",
    "Kind",
    "container",
    "fits_content",
    "foreign_file",
    "is_text",
    "not_an_image",
    "recognise_bytes",
    "unpacked",
]

BLOCK, CARD = 2880, 80
"""Bytes of a block of FITS, and of a card of its headers."""

_MOST_HEADER = 64 * BLOCK
"""Bytes of the header of one unit that are read: of a table with hundreds of columns."""
_MOST_UNITS = 100
_EVENTS = ("EVENTS", "STDEVT", "RAYEVENT")
"""Tables of these names are lists of events, of which tools make an image."""
MOST_COUNTED = 999
"""Axes and columns that a unit may have, by the FITS standard."""

_CDF = (b"\xcd\xf3\x00\x01", b"\xcd\xf2\x60\x02")

_SEND_TABLE = "use send_table"
_SEND_PIXELS = (
    "tools take images as FITS: send its pixels as an array, as in "
    "send_image(numpy.asarray(PIL.Image.open(FILE).convert('L'))[::-1])"
)
_CONVERT = "tools take images as FITS: convert it first, or send its pixels as an array"
_TABLES = {"votable": "a VOTable", "cdf": "a CDF table", "parquet": "a Parquet table"}
_OTHERS = (
    (b"\x89PNG\r\n", "a PNG picture", _SEND_PIXELS),
    (b"\xff\xd8\xff", "a JPEG picture", _SEND_PIXELS),
    (b"GIF8", "a GIF picture", _SEND_PIXELS),
    (b"II*\0", "a TIFF picture", _SEND_PIXELS),
    (b"MM\0*", "a TIFF picture", _SEND_PIXELS),
    (b"\x93NUMPY", "an array of numpy", "use send_image(numpy.load(FILE))"),
    (b"\x89HDF\r\n", "an HDF5 file", _CONVERT),
    (b"%PDF-", "a PDF", _CONVERT),
    (b"PK\x03\x04", "a ZIP archive", "unpack it first"),
)
"""First bytes of what is often taken for an image, what it is, and what to do with it."""


class Kind(Enum):
    """What can be sent."""

    TABLE = "table"
    IMAGE = "image"
    SPECTRUM = "spectrum"
    MOC = "coverage"
    CDF = "CDF table"


@dataclass(slots=True)
class FitsContent:
    """What the units of a FITS file hold.

    Attributes:
        pixels: Whether there is an image.
        columns: Whether there is a table of any kind.
        drawn: Whether one of the tables is shown as an image: a map in HEALPix, or a list of events.
        moc: Whether one of the tables is a coverage map.
        whole: Whether all units could be read.
    """

    pixels: bool = False
    columns: bool = False
    drawn: bool = False
    moc: bool = False
    whole: bool = False

    @property
    def is_image(self) -> bool:
        """Whether it has images, and certainly nothing else."""
        return self.whole and self.pixels and not self.columns


def container(head: bytes) -> str:
    """Return "votable", "fits", "cdf" or "parquet", whatever is in it; "" for anything else."""
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    if head[:4] in _CDF:
        return "cdf"
    if head.startswith(b"PAR1"):
        return "parquet"
    return "votable" if re.search(rb"<(\w+:)?VOTABLE", head) else ""


def recognise_bytes(head: bytes) -> Kind | None:
    """Return what data that begin with `head` are, or None."""
    found = container(head)
    if found == "fits":
        return _fits_kind(head)
    if found == "cdf":
        return Kind.CDF
    if found == "parquet":
        return Kind.TABLE
    if found == "votable":
        spectral = re.search(rb"""utype=["'](spec|ssa|sdm):""", head, re.IGNORECASE)
        return Kind.SPECTRUM if spectral and b"spec:Spectrum" in head else Kind.TABLE
    return None


def fits_content(read: Callable[[int, int], bytes], size: int) -> FitsContent:
    """Return what a FITS file holds, of which only the headers are read.

    Args:
        read: Returns bytes of it, from an offset on, at most so many.
        size: How many bytes it has.
    """
    found, offset = FitsContent(), 0
    for _ in range(_MOST_UNITS):
        if offset >= size:
            found.whole = True
            break
        cards, start = _cards(read(offset, min(_MOST_HEADER, size - offset)), 0)
        try:
            axes = _axes(cards)
            length = start + _padded(_size(cards, axes))
        except ValueError:
            break
        if "END" not in cards or length <= 0:
            break
        _note_unit(found, cards, axes)
        offset += length
    return found


def _note_unit(found: FitsContent, cards: dict[str, str], axes: list[int]) -> None:
    if cards.get("XTENSION", "") in ("BINTABLE", "TABLE") and cards.get("ZIMAGE") != "T":
        found.columns = True
        found.moc |= _columns_kind(cards) is Kind.MOC
        found.drawn |= cards.get("PIXTYPE") == "HEALPIX" or cards.get("EXTNAME", "").upper() in _EVENTS
    elif axes and all(axes) and cards.get("VOTMETA") != "T":
        found.pixels = True


def _axes(cards: dict[str, str]) -> list[int]:
    count = min(int(cards.get("NAXIS", "0")), MOST_COUNTED)
    return [int(cards.get(f"NAXIS{n}", "0") or 0) for n in range(1, count + 1)]


def _fits_kind(head: bytes) -> Kind:
    """Return what the first unit with data is; a primary header alone is taken for an image."""
    offset = 0
    while offset < len(head):
        cards, start = _cards(head, offset)
        try:
            axes = _axes(cards)
            size = _size(cards, axes)
        except ValueError:
            break
        extension = cards.get("XTENSION", "")
        if extension in ("BINTABLE", "TABLE") and cards.get("ZIMAGE") != "T":
            return _columns_kind(cards)
        describes_table = cards.get("VOTMETA") == "T"  # the primary HDU is a text, in "fits-plus"
        if extension == "BINTABLE" or (axes and all(axes) and not describes_table):
            return Kind.SPECTRUM if len([axis for axis in axes if axis > 1]) == 1 else Kind.IMAGE
        offset = start + _padded(size)
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
    """Return the cards of the header at `offset`, with "END" if it is whole, and where its data begin."""
    cards: dict[str, str] = {}
    while offset < len(head):
        block = head[offset : offset + BLOCK]
        offset += BLOCK
        for start in range(0, len(block), CARD):
            card = block[start : start + CARD].decode("latin-1")
            if card.startswith("END "):
                cards["END"] = ""
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
    return max(0, size + int(cards.get("PCOUNT", "0") or 0))  # never back to a header that was read


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def unpacked(head: bytes, size: int) -> bytes:
    """Return up to `size` bytes of what `head` begins, if it is packed by gzip; else `head`."""
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, size)
    except zlib.error:
        return b""


def not_an_image(head: bytes) -> tuple[str, str] | None:
    """Return what data that begin with `head` are, and what to use for them, if they are clearly no FITS.

    None for FITS, whatever is in it, and for all that a tool may know better than we.
    """
    if head.startswith(b"SIMPLE"):
        return None
    table = _TABLES.get(container(head))
    if table is not None:
        return table, _SEND_TABLE
    if (other := _other(head)) is not None:
        return other
    return ("a text", f"if it is a table, {_SEND_TABLE}; {_CONVERT}") if is_text(head) else None


def foreign_file(head: bytes) -> str:
    """Return what data that begin with `head` are, if no tool takes them as any kind of data; else ""."""
    other = _other(head)
    return "" if other is None else other[0]


def _other(head: bytes) -> tuple[str, str] | None:
    return next(((what, advice) for first, what, advice in _OTHERS if head.startswith(first)), None)


def is_text(head: bytes) -> bool:
    """Whether all of it is text; `head` may end within a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return text.strip() != "" and all(char.isprintable() or char in "\t\n\r\f" for char in text)
