"""Tables written as VOTable or FITS (runs off the loop)."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from numbers import Number
from typing import Any

from ..._util.foreign_text import listed, quoted
from ...errors import DataError
from ..optional import need, quiet
from . import binary2, fits_rows
from .fits_plus import LARGE, fits_plus, is_lossless
from .votable_metadata import KEY, VotableMetadata, plain_params, to_votable

__all__ = ["Progress", "goes_as_fits", "merged_gaps", "write_fits", "write_votable"]

_PIECE = 4 * 1024 * 1024
"""Bytes that are written at once."""

_NO_ROWS = b"<DATA><TABLEDATA></TABLEDATA></DATA>"
"""What astropy leaves out of a table without rows, and without which TOPCAT finds no table at all."""

_WIDENED = {"f2": "f4", "i1": "i2", "u2": "i4", "u4": "i8"}
"""Numbers that not both formats have, and those that hold them all."""

_END_OF_TABLE = re.compile(rb"(?:<INFO\b[^>]*(?:/>|>[^<]*</INFO>)\s*)*</TABLE>")
"""Where DATA belongs: only INFO may come after it."""

Progress = Callable[[int, int], object]
"""Called with the rows that are done, and all rows."""


def write_votable(
    data: Any,
    *,
    name: str = "",
    progress: Progress | None = None,
    stop: threading.Event,
    columns_only: bool = False,
) -> bytes:
    """Return a table, as `as_table` gives it, as a VOTable file; every FIELD, PARAM and COOSYS is kept.

    Written as TABLEDATA, which all tools can read; a table of `LARGE` rows as BINARY2 if its columns have
    fixed widths, since that takes a fiftieth of the time. `stop`, once set, ends the work early. A table
    without rows has a DATA element without rows, unless it is one of `columns_only`.
    Raises `DataError` that names the columns a VOTable cannot hold.
    """
    votable = need("astropy.io.votable")
    rows = 0
    if not isinstance(data, votable.tree.VOTableFile):
        rows = len(data)
        if rows >= LARGE and (written := _write_binary2(data, name, progress, stop)) is not None:
            return written
        data = _to_votable(data, name)
    else:
        rows = sum(len(table.array) for table in data.iter_tables())
    sink = _Counter(rows, progress, stop)
    with quiet():
        try:
            data.to_xml(sink, tabledata_format="tabledata")
        except (TypeError, ValueError, KeyError) as error:
            raise DataError(f"the table cannot be written as VOTable: {error}") from error
    sink.done()
    written = sink.getvalue()
    return written if rows or columns_only else _END_OF_TABLE.sub(_NO_ROWS + rb"\g<0>", written)


def _write_binary2(data: Any, name: str, progress: Progress | None, stop: threading.Event) -> bytes | None:
    """Return a table as a VOTable in BINARY2; None if it has columns for which that cannot be done."""
    table = _plain_columns(data)
    _fix_texts(table)
    if any(_is_uneven(table[column]) for column in table.colnames):
        return None
    described = _to_votable(table[:0], name)
    fields = described.get_first_table().fields
    if not fields or not binary2.has_fixed_widths(fields):
        return None
    sink = io.BytesIO()
    with quiet():
        described.to_xml(sink)
    columns = [table[column] for column in table.colnames]
    done = _watch(len(table), progress, stop)
    try:
        return b"".join(binary2.pieces(sink.getvalue(), fields, columns, done))
    except DataError:
        return None


def _is_uneven(column: Any) -> bool:
    """Whether BINARY2 cannot hold a column whole: objects, texts in arrays, arrays with single gaps."""
    numpy = need("numpy")
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    if kind == "O" or (kind in "US" and column.ndim > 1):
        return True
    if kind not in "iub" or column.ndim == 1 or not numpy.any(getattr(column, "mask", False)):
        return False
    gaps = column.mask.reshape(len(column), -1)
    return bool((gaps.any(axis=1) & ~gaps.all(axis=1)).any())


def goes_as_fits(data: Any) -> bool:
    """Whether a table, as `as_table` gives it, is large and loses nothing as FITS."""
    if not hasattr(data, "colnames") or len(data) < LARGE:
        return False
    table = _plain_columns(data)
    _fix_texts(table)
    return is_lossless(table) and not any(_no_votable(table[name]) for name in table.colnames)


def write_fits(
    data: Any, *, name: str = "", progress: Progress | None = None, stop: threading.Event | None = None
) -> bytes:
    """Return a table, as `as_table` gives it, as a FITS file with one table.

    If a VOTable can say what its columns are, it stands before the table (`fits_plus`). `stop`, once set,
    ends the work early.

    Raises:
        DataError: FITS cannot hold it; the text names the columns.
    """
    fits = need("astropy.io.fits")
    votable = need("astropy.io.votable")
    if isinstance(data, votable.tree.VOTableFile):
        data = data.get_first_table().to_table(use_names_over_ids=True)
    table = _plain_columns(data)
    _fix_texts(table)
    _mark_gaps(table)
    _refuse(table, _no_fits)
    described = _description(table, name)
    table.meta = {key: value for key, value in plain_params(table.meta, ()).items() if len(key) <= 8}
    stop = stop or threading.Event()
    layout = fits_rows.layout_of(table)
    sink = io.BytesIO() if layout is not None else _PiecewiseSink(table, progress, stop)
    with quiet():
        try:
            unit = fits.table_to_hdu(table if layout is None else table[:0])
        except (TypeError, ValueError) as error:
            raise DataError(f"the table cannot be written as FITS: {error}") from error
        unit.name = name.upper() if name.isascii() else ""
        if described:
            fits_plus(unit, described, sink)
        else:
            fits.HDUList([fits.PrimaryHDU(), unit]).writeto(sink)
    if layout is not None:
        fits_rows.append(sink, unit.header, table, layout, _watch(len(table), progress, stop))
    return sink.getvalue()  # which copies nothing


def merged_gaps(data: Any) -> list[str]:
    """Return the columns where a text that is missing and an empty one arrive alike: as "" both.

    Neither format tells them apart. `data` is a table as `as_table` gives it.
    """
    return [name for name in getattr(data, "colnames", ()) if _merges_gaps(data[name])]


# ---- inside


def _merges_gaps(column: Any) -> bool:
    numpy = need("numpy")
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if kind == "O":
        items = column.tolist()
        missing = any(item is None or item is numpy.ma.masked for item in items)
        return missing and any(isinstance(item, str | bytes) and not item for item in items)
    mask = getattr(column, "mask", None)
    if kind not in ("U", "S") or mask is None or not numpy.any(mask):
        return False
    return bool(numpy.any((numpy.char.str_len(numpy.ma.getdata(column)) == 0) & ~mask))


def _watch(rows: int, progress: Progress | None, stop: threading.Event) -> Callable[[int], None]:
    """Return what is called with the rows that are done: it tells, and ends the work once `stop` is set."""

    def done(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("nobody waits for the table any more")
        if progress is not None:
            progress(count, rows)

    return done


def _description(table: Any, name: str) -> bytes:
    """Return a VOTable that describes a table with plain columns; b"" if there is none that could."""
    if any(_no_votable(table[column]) for column in table.colnames):
        return b""
    return write_votable(table[:0], name=name, stop=threading.Event(), columns_only=True)


def _to_votable(data: Any, name: str) -> Any:
    tree = need("astropy.io.votable.tree")
    table = _plain_columns(data)
    _fix_texts(table)
    _refuse(table, _no_votable)
    with quiet():
        try:
            file = tree.VOTableFile.from_table(table)
        except Exception as error:  # astropy raises what it likes
            raise DataError(f"the table cannot be written as VOTable: {error}") from error
    resource = file.resources[0]
    element = resource.tables[0]
    kept = data.meta.get(KEY)
    kept = kept if isinstance(kept, VotableMetadata) else VotableMetadata()
    to_votable(kept, file, resource, element)
    if name and not element.name:
        element.name = name
    with quiet():  # of keys that cannot be an ID
        for key, value in plain_params(data.meta, kept.params).items():
            element.params.append(_param(tree, file, key, value))
    _name_coordinates(tree, resource, element, table)
    return file


def _param(tree: Any, file: Any, name: str, value: str | float) -> Any:
    if isinstance(value, bool):
        return tree.Param(file, name=name, datatype="boolean", value=value)
    if isinstance(value, int):
        return tree.Param(file, name=name, datatype="long", value=value)
    if isinstance(value, float):
        return tree.Param(file, name=name, datatype="double", value=value)
    return tree.Param(file, name=name, datatype="unicodeChar", arraysize="*", value=value)


def _plain_columns(data: Any) -> Any:
    """Return a table whose columns are plain: positions as two columns of degrees, times as text."""
    table = need("astropy.table").Table(data, copy=False)  # where quantities are columns, too
    for name in list(table.colnames):
        kind = type(table[name]).__name__
        dtype = getattr(getattr(table[name], "dtype", None), "str", "")[1:]
        if kind == "SkyCoord":
            _spread(table, name)
        elif kind == "Time":
            times = _time_texts(table[name].isot, table[name].mask)
            _replace(table, name, times, {"xtype": "timestamp", "ucd": "time.epoch"})
        elif getattr(getattr(table[name], "dtype", None), "kind", "") == "M":
            _replace(table, name, _date_texts(table[name]), {"xtype": "timestamp"})
        elif kind == "MaskedNDArray":
            _replace(table, name, _masked(table[name]), {})
        elif dtype.startswith("S") and not fits_rows.is_ascii(table[name]):
            _replace(table, name, _decoded(table[name]), {})
        if dtype in _WIDENED:
            table[name] = table[name].astype(_WIDENED[dtype])
    return table


def _masked(column: Any) -> Any:
    return need("numpy").ma.MaskedArray(column.unmasked, mask=column.mask)


def _decoded(column: Any) -> Any:
    """Return texts for bytes beyond ASCII, which neither format has."""
    numpy = need("numpy")
    texts = numpy.char.decode(numpy.ma.getdata(column), "latin-1")
    return numpy.ma.MaskedArray(texts, mask=column.mask) if hasattr(column, "mask") else texts


def _mark_gaps(table: Any) -> None:
    """Let what is missing of integers have a value that nothing else has: FITS knows it by that (TNULL).

    Truths of which some are missing become 0 and 1, since those of FITS are true or false.
    """
    numpy = need("numpy")
    for name in table.colnames:
        kind = getattr(getattr(table[name], "dtype", None), "kind", "")
        if kind and kind in "iub" and numpy.any(getattr(table[name], "mask", False)):
            table.replace_column(name, _marked(table[name]), copy=False)


def _marked(column: Any) -> Any:
    values = need("numpy").ma.getdata(column)
    values = values.astype("u1") if values.dtype.kind == "b" else values
    values, mark = _with_mark(values, column.mask)
    said = {name: getattr(column, name) for name in ("name", "unit", "format", "description", "mask")}
    return need("astropy.table").MaskedColumn(values, fill_value=mark, meta=dict(column.meta), **said)


def _with_mark(values: Any, mask: Any) -> tuple[Any, int]:
    """Return integers, of more bytes if need be, and one that is not among those that are there."""
    numpy = need("numpy")
    used = set(numpy.unique(values[~mask])[: 1 << 16].tolist())
    info = numpy.iinfo(values.dtype)
    for mark in (info.min, info.max, *range(min(info.max, 1 << 16))):
        if mark not in used:
            return values, int(mark)
    return values.astype(f"i{2 * values.dtype.itemsize}"), -1


def _time_texts(texts: Any, missing: Any) -> Any:
    """Return times as text, and as "" where there is none: what stands beneath a mask is no time."""
    numpy = need("numpy")
    return numpy.where(missing, "", getattr(texts, "unmasked", texts))


def _date_texts(column: Any) -> Any:
    numpy = need("numpy")
    dates = numpy.asarray(column).astype("datetime64[us]")
    missing = numpy.isnat(dates) | numpy.ma.getmaskarray(column)
    return _time_texts(dates.astype(str), missing)


def _spread(table: Any, name: str) -> None:
    column = need("astropy.table").Column
    where = table.colnames.index(name)
    plain = not {"ra", "dec"} & set(table.colnames)
    for offset, (axis, values) in enumerate(_degrees(table[name].icrs).items()):
        meta = {"ucd": f"pos.eq.{axis};meta.main", _FRAME: "ICRS"}
        new = column(values, name=axis if plain else f"{name}_{axis}", unit="deg", meta=meta)
        table.add_column(new, index=where + offset)
    table.remove_column(name)


def _degrees(position: Any) -> dict[str, Any]:
    """Return ra and dec; both NaN where either is masked, since half a position is useless."""
    numpy = need("numpy")
    axes = {"ra": position.ra.deg, "dec": position.dec.deg}
    missing = numpy.logical_or(*(getattr(values, "mask", False) for values in axes.values()))
    return {
        axis: numpy.where(missing, numpy.nan, getattr(values, "unmasked", values))
        for axis, values in axes.items()
    }


_FRAME = "_asyncsamp_frame"


def _fix_texts(table: Any) -> None:
    """Give texts of any length, which are objects, the fixed width that FITS has."""
    for name in table.colnames:
        if getattr(getattr(table[name], "dtype", None), "kind", "") != "O":
            continue
        items = table[name].tolist()
        if all(item is None or isinstance(item, str | bytes) for item in items):
            texts = [item.decode("latin-1") if isinstance(item, bytes) else item or "" for item in items]
            _replace(table, name, texts, {})


def _replace(table: Any, name: str, values: Any, meta: dict[str, str]) -> None:
    tables = need("astropy.table")
    column = tables.MaskedColumn if hasattr(values, "mask") else tables.Column
    where = table.colnames.index(name)
    description = table[name].info.description
    table.remove_column(name)
    table.add_column(column(values, name=name, meta=meta, description=description), index=where)


def _name_coordinates(tree: Any, resource: Any, element: Any, table: Any) -> None:
    """Say in which system the positions are that `_spread` made."""
    spread = [field for field in element.fields if _FRAME in (table[field.name].info.meta or {})]
    if spread:
        resource.coordinate_systems.append(tree.CooSys(ID="asyncsamp_icrs", system="ICRS"))
    for column in spread:
        column.ref = "asyncsamp_icrs"


def _refuse(table: Any, cannot: Callable[[Any], str]) -> None:
    reasons = {name: why for name in table.colnames if (why := cannot(table[name]))}
    if reasons:
        what = listed(f"{quoted(name)} ({why})" for name, why in reasons.items())
        advice = "; ".join(dict.fromkeys(_ADVICE.get(why, _CONVERT) for why in reasons.values()))
        raise DataError(f"these columns cannot be sent: {what}; {advice}")


def _no_votable(column: Any) -> str:
    dtype = getattr(column, "dtype", None)
    if dtype is None or not hasattr(column, "shape"):
        return f"of type {type(column).__name__}"
    if dtype.kind == "O":
        return _no_objects(column)
    if dtype.kind in "US" and len(column.shape) > 1:
        return f"of texts in {len(column.shape)} axes"
    if dtype.kind in "mMV" or dtype.str[1:] in ("u8", "f16", "c32"):
        return f"of type {dtype}"
    return ""


_NOT_ASCII = "with text that is not ASCII"
_MIXED = "holds numbers as objects, as it does with None or text among them"
_CONVERT = "remove them, or convert them to numbers or text"
_ADVICE = {
    _NOT_ASCII: "FITS holds only ASCII: send it with format='votable', which holds all, or spell it in ASCII",
    _MIXED: "where a number is missing use a masked column, as MaskedColumn([0, 1], mask=[True, False])",
    "of type uint64": "VOTable has no integers so large: convert to int64 or float64, as in "
    "table['n'] = table['n'].astype('int64')",
}
"""What to do about a reason, where that is not `_CONVERT`."""


def _no_fits(column: Any) -> str:
    dtype = getattr(column, "dtype", None)
    if dtype is None or dtype.kind in "OmMV" or dtype.str[1:] in ("f16", "c32"):
        return f"of type {dtype if dtype is not None else type(column).__name__}"
    if dtype.kind == "U" and not fits_rows.is_ascii(column):
        return _NOT_ASCII
    return ""


def _no_objects(column: Any) -> str:
    """Say what is wrong with a column of objects: texts and arrays of numbers are well."""
    for item in column:
        if item is None or isinstance(item, str | bytes) or getattr(item, "dtype", None) is not None:
            continue
        if type(item).__name__ == "MaskedConstant":
            continue
        return _MIXED if isinstance(item, Number) else f"holds {type(item).__name__}"
    return ""


class _PiecewiseSink(io.BytesIO):
    """Takes a file in pieces, tells how many rows it has, and stops the writer when nobody wants them."""

    def __init__(self, table: Any, progress: Progress | None, stop: threading.Event) -> None:
        super().__init__()
        self._rows = len(table)
        self._width = max(1, sum(column.dtype.itemsize for column in table.columns.values()))
        self._progress = progress
        self._stop = stop
        self._come = self._told = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for at in range(0, len(view), _PIECE):
            if self._stop.is_set():
                raise InterruptedError("nobody waits for the table any more")
            self._come += super().write(view[at : at + _PIECE])
            self._tell(min(self._rows, self._come // self._width))
        return len(view)

    def _tell(self, done: int) -> None:
        if self._progress is not None and done > self._told:
            self._told = done
            self._progress(done, self._rows)


class _Counter(io.BytesIO):
    """Counts the rows that are written, and stops the writer when nobody wants them any more."""

    def __init__(self, rows: int, progress: Progress | None, stop: threading.Event) -> None:
        super().__init__()
        self._rows = rows
        self._progress = progress
        self._stop = stop
        self._done = self._told = 0

    def write(self, data: Any) -> int:
        if self._stop.is_set():
            raise InterruptedError("nobody waits for the table any more")
        if self._progress is not None:
            self._done += bytes(data).count(b"</TR>")
            if (self._done - self._told) * 100 >= self._rows and self._done > self._told:
                self._told = self._done
                self._progress(min(self._done, self._rows), self._rows)
        return super().write(data)

    def done(self) -> None:
        if self._progress is not None and self._told < self._rows:
            self._progress(self._rows, self._rows)
