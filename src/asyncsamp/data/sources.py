"""What is to be sent, made into URLs: written off the loop, shared, each format once."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import re
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from .._util import file_urls
from .._util.likeness import did_you_mean
from ..errors import DataError, LocalProtocolError
from ..reading.files import open_first, unreadable
from .context import TABLE_MTYPES, DataContext
from .formats.images import write_image, write_moc, write_spectrum
from .formats.kinds import container, foreign_file, is_text, unpacked
from .formats.table_read import as_table, read_table
from .formats.table_write import goes_as_fits, merged_gaps, write_fits, write_votable
from .optional import need
from .progress import ProgressWanted, reporting
from .share.content import BytesContent, FileContent

__all__ = [
    "TableSource",
    "check_scheme",
    "file_source",
    "is_place",
    "local_source",
    "share_bytes",
    "table_mtypes",
]

log = logging.getLogger("asyncsamp.client")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_USUAL_SCHEMES = ("http", "https", "ftp", "file")
_SCHEMES = (*_USUAL_SCHEMES, "ftps", "sftp", "tftp")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_HEAD = 2048
_FITS_URL = re.compile(r"\.(?:fits?|fts)(?:\.gz)?$", re.IGNORECASE)
FITS = "table.load.fits"
_WRITTEN = ("votable", "fits")
_FORMATS = ("auto", *_WRITTEN, "cdf", "parquet", "pds4", "stil")


def is_place(data: object) -> bool:
    """Whether it is a path or a URL."""
    return isinstance(data, str | os.PathLike)


def is_url(data: object) -> bool:
    """Whether it is a URL, and not a path."""
    return isinstance(data, str) and _URL.match(data) is not None


def check_scheme(place: object) -> None:
    """Raise `DataError` for a URL whose scheme looks like a usual one, but is misspelt."""
    if not is_url(place):
        return
    scheme = str(place).partition(":")[0].lower()
    meant = "" if scheme in _SCHEMES else did_you_mean(scheme, _USUAL_SCHEMES)
    if meant:
        raise DataError(f"{place} cannot be read: no program knows URLs that begin with {scheme!r}{meant}")


def path_of(place: str | os.PathLike[str]) -> Path:
    """Return the path that a user wrote; "~" is the home folder."""
    return Path(place).expanduser()


def file_name(name: str, ending: str) -> str:
    """Return a name for the end of a URL, which tools may show."""
    return (_UNSAFE.sub("-", name).strip("-.") or "data") + ending


class TableSource:
    """A table to send, in whichever format each recipient takes; `urls` has those that are made, by mtype."""

    def __init__(
        self, context: DataContext, data: Any, name: str, *, local: bool, progress: ProgressWanted
    ) -> None:
        self._context = context
        self._data = data
        self._name = name
        self._local = local
        self._progress = progress
        self.rows: int | None = None
        self.urls: dict[str, str] = {}

    async def url(self, mtype: str) -> str:
        """Return the URL of the table as `mtype` wants it."""
        if mtype not in self.urls:
            self.urls[mtype] = await self._make(mtype)
        return self.urls[mtype]

    async def _make(self, mtype: str) -> str:
        if is_url(self._data):
            return str(self._data)
        if is_place(self._data):
            path = path_of(self._data)
            as_it_is = mtype not in TABLE_MTYPES
            if as_it_is or await asyncio.to_thread(_format_of, [str(path)]) == mtype:
                return await share_file(self._context, path, local=self._local)
            self._data = await asyncio.to_thread(_read_path, path)
        table = await asyncio.to_thread(as_table, self._data)
        if not self.urls:
            await self._warn_of_gaps(table)
        self.rows = len(table) if hasattr(table, "colnames") else len(table.get_first_table().array)
        stop = threading.Event()
        report = reporting(self._progress, self._name or "table")
        write = write_fits if mtype == FITS else write_votable
        work = asyncio.to_thread(write, table, name=self._name, progress=report, stop=stop)
        try:
            data = await work
        finally:
            stop.set()
        ending = ".fits" if mtype == FITS else ".vot"
        return await share_bytes(
            self._context, data, file_name(self._name or "table", ending), local=self._local
        )

    async def _warn_of_gaps(self, table: Any) -> None:
        merged = await asyncio.to_thread(merged_gaps, table)
        if merged:
            columns = ", ".join(map(repr, merged))
            log.warning("missing texts of the table arrive as empty ones, of which it has too: %s", columns)


async def table_mtypes(data: object, wanted: str = "auto") -> tuple[str, ...]:
    """Return the mtypes as which a table can be sent, the preferred first.

    A URL goes as it is, so its format decides: by content for a file of this machine, else by its name. A
    path goes as it is where its format is taken, and is converted where it is not.

    Args:
        data: What the user gave.
        wanted: The format to use, "auto" for any.

    Raises:
        LocalProtocolError: `wanted` is not a format, or `data` cannot be written so.
    """
    if wanted not in _FORMATS:
        raise LocalProtocolError(_not_a_format(data, wanted))
    if wanted != "auto":
        if wanted not in _WRITTEN and not is_place(data):
            raise LocalProtocolError(f"a {wanted} table is sent as it is: give a path or a URL of one")
        return (f"table.load.{wanted}",)
    if is_place(data) and not is_url(data):
        # As it is for who takes that; converted for others.
        own = await asyncio.to_thread(_format_of, [str(path_of(str(data)))])
        return (own, *(mtype for mtype in TABLE_MTYPES if mtype != own)) if own else TABLE_MTYPES
    if not is_url(data):
        return TABLE_MTYPES[::-1] if await asyncio.to_thread(_is_large, data) else TABLE_MTYPES
    url = str(data)
    if file_urls.is_file_url(url):
        found = await asyncio.to_thread(_format_of, file_urls.parse(url).paths, url)
    else:
        found = FITS if _FITS_URL.search(url.partition("#")[0].partition("?")[0]) else ""
    return (found,) if found else TABLE_MTYPES


def _not_a_format(data: object, wanted: str) -> str:
    text = (
        f"format={wanted!r} is not known: expected one of {', '.join(_FORMATS)}, in which tools take a table"
    )
    if is_place(data) and not is_url(data):
        return f"{text}; to read a file in that format: {_read_first(data, wanted)}"
    return text + did_you_mean(str(wanted), _FORMATS)


def _read_first(path: object, format: str) -> str:
    return f"send_table(Table.read({str(path)!r}, format={format!r})), with astropy's Table"


def _is_large(data: Any) -> bool:
    """Whether FITS is the better way: FITS is written from memory as it is, VOTable row by row.

    Raises `DataError` if it is not a table.
    """
    table = as_table(data)
    try:
        return goes_as_fits(table)
    except DataError:
        return False  # which whoever writes it tells the user


async def file_source(
    context: DataContext, data: Any, name: str, kind: str, *, local: bool, wcs: Any = None
) -> str:
    """Return the URL of what is not a table: a URL as it is, a file shared, anything else written as FITS."""
    if is_url(data):
        return str(data)
    if is_place(data):
        return await share_file(context, path_of(data), local=local)
    write = {"coverage": write_moc, "spectrum": write_spectrum}.get(kind, partial(write_image, wcs=wcs))
    written = await asyncio.to_thread(write, data)
    return await share_bytes(context, written, file_name(name or kind, ".fits"), local=local)


async def local_source(context: DataContext, data: Any, name: str, kind: str) -> str:
    """Return the URL of what is not a table for a program that reads no http: a file:// one, without blanks.

    A URL stays as it is. Where nothing is local to that program, it is the URL that `file_source` gives.
    """
    if is_place(data) and not is_url(data) and context.carrier is None:
        path = path_of(data)
        written = await asyncio.to_thread(path.read_bytes)
        return await share_bytes(context, written, file_name(path.stem, path.suffix), local=True)
    return await file_source(context, data, name, kind, local=True)


async def share_bytes(context: DataContext, data: bytes, name: str, *, local: bool) -> str:
    """Share `data` under `name`."""
    if context.carrier is not None:
        return await context.carrier.share(BytesContent(data), name)
    if local:
        return await context.files.put(data, name)
    return await context.shares.share(BytesContent(data), name=name, content_type=None, lifetime=None)


async def share_file(context: DataContext, path: Path, *, local: bool) -> str:
    """Share a file. Raises `DataError` if there is none."""
    content = FileContent(path)
    await content.check()
    name = file_name(path.stem, path.suffix)
    if context.carrier is not None:
        return await context.carrier.share(content, name)
    if local:
        return content.url()
    return await context.shares.share(content, name=name, content_type=None, lifetime=None)


def _format_of(paths: Iterable[str], shown: str = "") -> str:
    """Return the mtype of a file's format by its first bytes, "" if it is not known.

    Args:
        paths: Where the file may be; the first that is there counts.
        shown: What an error calls it if there is no path.

    Raises:
        DataError: It cannot be read.
    """
    try:
        file = open_first(paths)
        try:
            head = file.read_at(0, min(file.size, _HEAD))
        finally:
            file.close_now()
    except OSError as error:
        raise unreadable(shown, error) from None
    found = container(unpacked(head, _HEAD))
    return f"table.load.{found}" if found else ""


def _read_path(path: Path) -> Any:
    """Read a table of any format that astropy knows."""
    if _format_of([str(path)]) in TABLE_MTYPES:
        data = path.read_bytes()
        return read_table(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)
    table = need("astropy.table")
    try:
        return table.Table.read(path)
    except Exception as error:  # astropy's readers raise what they like
        raise DataError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = unpacked(file.read(_HEAD), _HEAD)
    if what := foreign_file(head):
        return f"{path} is {what}, not a table"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    why = "" if "could not be identified" in lines[0] else f": {lines[0][:200]}"
    text = f"{path} is not a table that astropy can read by itself{why}"
    return f"{text}; name its format: {_read_first(path, 'ascii.basic')}" if is_text(head) else text
