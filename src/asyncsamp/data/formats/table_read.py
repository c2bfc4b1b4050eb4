"""Tables as they come: what users have, and what a VOTable or FITS file holds (runs off the loop)."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..._util.foreign_text import listed, quoted
from ..._util.likeness import did_you_mean
from ...errors import DataError, SampError
from ...reading.files import unreadable
from ..optional import need, quiet
from . import binary2, tabledata
from .claims import MAX_SIZE, check_votable_claims
from .fits_plus import describe
from .fits_rows import columns_of
from .fits_units import open_units
from .images import read_image
from .votable_metadata import KEY, from_votable, to_votable

__all__ = ["as_table", "is_table", "read_spectrum", "read_table", "table_hdu"]

_LISTS_OF_TEXTS = re.compile(
    rb'<PARAM\b(?=[^>]*\bdatatype="(?:unicodeC|c)har")(?=[^>]*\barraysize="\d+x[^"]+")[^>]*?(?:/>|>.*?</PARAM>)',
    re.DOTALL,
)
"""Parameters of a VOTable that are lists of texts."""


def is_table(data: object) -> bool:
    """Whether it is something that `as_table` takes."""
    return _module(data) in ("astropy", "pandas", "pyvo") or hasattr(data, "to_table")


def as_table(data: Any) -> Any:
    """Return `data` as an astropy Table, or as the VOTableFile that it is (or belongs to).

    The index of a DataFrame becomes columns, unless it only counts the rows. Raises `DataError`
    that says what is taken, or why it is not a table.
    """
    try:
        table = _as_table(data)
        if not getattr(table, "colnames", True):
            raise DataError("the table has no columns, so there is nothing to send")
        return table
    except SampError:
        raise
    except Exception as error:  # what astropy, pandas and pyvo raise for odd data
        raise DataError(f"this {type(data).__name__} is not a table: {_first_line(error)}") from error


def _as_table(data: Any) -> Any:
    votable = need("astropy.io.votable")
    table = need("astropy.table")
    if isinstance(data, table.Table | votable.tree.VOTableFile):
        return data
    if isinstance(data, table.Row):
        return data.table[data.index : data.index + 1]
    if isinstance(data, votable.tree.TableElement):
        return _file_of(data)
    fits = need("astropy.io.fits")
    if isinstance(data, dict):
        _check_columns(data)
        return table.Table(data)
    if isinstance(data, fits.HDUList):
        data = next((unit for unit in data if isinstance(unit, fits.BinTableHDU | fits.TableHDU)), None)
        if data is None:
            raise DataError("the HDUList holds no table; send_image sends its images")
    if isinstance(data, fits.BinTableHDU | fits.TableHDU):
        with quiet():
            return table.Table.read(data)
    if _module(data) == "pandas" and hasattr(data, "columns"):
        return table.Table.from_pandas(_with_index(data))
    if isinstance(getattr(data, "votable", None), votable.tree.VOTableFile):
        return data.votable  # pyvo's results
    if hasattr(data, "to_table"):
        return data.to_table()
    made = hasattr(data, "__array__") or isinstance(data, list | tuple)
    raise DataError(
        f"cannot send {type(data).__name__} as a table: expected an astropy Table or VOTable, "
        "a pyvo result, a pandas DataFrame, a table HDU or HDUList, a dict of columns, a path or a URL"
        + ("; give its columns names, as in send_table({'a': a, 'b': b})" if made else "")
    )


def _check_columns(data: dict[Any, Any]) -> None:
    """Raise `DataError` unless a dict is one of columns of the same length."""
    if not data:
        raise DataError("the dict has no columns, so there is nothing to send")
    for name, column in data.items():
        if not hasattr(column, "__len__") or isinstance(column, str | bytes | dict):
            raise DataError(
                f"the column {quoted(str(name))} is of type {type(column).__name__}: each column of a table "
                "is a list or an array, also one with a single row, as in {'a': [1]}"
            )
    rows = {str(name): len(column) for name, column in data.items()}
    if len(set(rows.values())) > 1:
        lengths = listed(f"{quoted(name)} has {count}" for name, count in rows.items())
        raise DataError(f"the columns of a table have as many rows each, but {lengths}")


def read_table(data: bytes, max_size: int = MAX_SIZE) -> Any:
    """Return the first table of a VOTable or FITS file as an astropy Table.

    Args:
        data: The file, unpacked.
        max_size: How many bytes the data may have in memory.

    Raises:
        DataError: It is not such a file, or claims what `claims` does not let it.
    """
    if not data[:1].strip() and not data.strip():  # which copies a file that ends in space
        raise DataError("the file is empty")
    if data.startswith(b"SIMPLE  ="):
        return _read_fits(data, max_size)
    return _read_votable(data, max_size)


def table_hdu(data: Any, which: int | str) -> Any:
    """Return one table of a FITS file: the HDU of an HDUList, or the table that a path holds there.

    Args:
        data: What `fits.open` gives, or a path.
        which: The number of the HDU from 0, or its name.

    Raises:
        DataError: There is no such HDU, it is not a table, or `data` has no HDUs.
    """
    fits = need("astropy.io.fits")
    if isinstance(data, fits.HDUList):
        return _table_in(data, which)
    if not isinstance(data, str | os.PathLike):
        raise DataError(f"hdu= chooses from a FITS file or an HDUList, not from {type(data).__name__}")
    try:
        path = Path(data).expanduser()
        with quiet(), fits.open(path, memmap=False) as units:
            return need("astropy.table").Table.read(_table_in(units, which))
    except OSError as error:
        raise unreadable(str(data), error) from None


def _table_in(units: Any, which: int | str) -> Any:
    fits = need("astropy.io.fits")
    try:
        unit = units[which]
    except (KeyError, IndexError):
        names = listed(
            f"{number}: {unit.name or unit.__class__.__name__}" for number, unit in enumerate(units)
        )
        meant = did_you_mean(which, [unit.name for unit in units]) if isinstance(which, str) else ""
        raise DataError(f"there is no HDU {which!r}; there are {names}{meant}") from None
    if not isinstance(unit, fits.BinTableHDU | fits.TableHDU):
        raise DataError(f"the HDU {which!r} is not a table but a {type(unit).__name__}")
    return unit


def read_spectrum(data: bytes, max_size: int = MAX_SIZE) -> Any:
    """Return a spectrum: a table where it has columns, an HDUList where a FITS file has pixels only.

    Args:
        data: The file, unpacked: VOTable or FITS.
        max_size: How many bytes the data may have in memory.

    Raises:
        DataError: It is neither, or claims what `claims` does not let it.
    """
    if data.startswith(b"SIMPLE  =") and not _has_columns(data, max_size):
        return read_image(data, max_size)
    return read_table(data, max_size)


# ---- reading


def _has_columns(data: bytes, max_size: int) -> bool:
    fits = need("astropy.io.fits")
    try:
        with quiet(), open_units(data, max_size) as units:
            return any(isinstance(unit, fits.BinTableHDU | fits.TableHDU) for unit in units)
    except DataError:
        raise
    except Exception as error:  # astropy raises what it likes
        raise DataError(f"this is not a FITS file: {_first_line(error)}") from error


def _with_index(frame: Any) -> Any:
    """Return a DataFrame with its index as columns, and all names as texts."""
    counts = type(frame.index).__name__ == "RangeIndex" and frame.index.name is None
    frame = frame.copy(deep=False) if counts else frame.reset_index()
    names = [_column_name(name) for name in frame]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the DataFrame has more than one column named {listed(map(quoted, twice))}")
    frame.columns = names
    return frame


def _column_name(name: Any) -> str:
    parts = name if isinstance(name, tuple) else (name,)  # one for each level
    return "_".join(text for text in map(str, parts) if text)


def _read_votable(data: bytes, max_size: int, beside: int = 0) -> Any:
    """Return the first table; `beside` is the size of what holds its rows, if they are not in `data`."""
    for rows_as in (binary2, tabledata):
        if (cut := rows_as.cut_out(data)) is None:
            continue
        described, rows = cut
        check_votable_claims(described, max_size, beside=len(rows))
        table = _read_columns(rows_as.filled, described, rows, max_size)
        if table is not None:
            return table
        beside = 0  # what is read now is the whole
        break
    check_votable_claims(data, max_size, beside=beside)
    return _parse_votable(data)[0]


def _read_columns(
    filled: Callable[[Any, Any, memoryview, int], Any], described: bytes, rows: memoryview, max_size: int
) -> Any | None:
    """Return the table of a VOTable whose rows stand apart; None if they are to be read row by row."""
    empty, element = _parse_votable(described)
    try:
        return filled(element.fields, empty, rows, max_size)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"this is not a VOTable: {_first_line(error)}") from error


def _parse_votable(data: bytes) -> tuple[Any, Any]:
    """Return the first table of a VOTable, and the element that it stands in."""
    votable = need("astropy.io.votable")
    with quiet():
        try:
            file = _document(votable, data)
            resource, element = next(_tables_in(file.resources))
        except StopIteration:
            raise DataError("the VOTable holds no table") from None
        except Exception as error:  # the parser raises what it likes
            raise DataError(f"this is not a VOTable: {_first_line(error)}") from error
        table = element.to_table(use_names_over_ids=True)
    kept = from_votable(file, resource, element, table.colnames)
    for name, value in kept.params.items():
        table.meta.setdefault(name, _plain(value))
    table.meta[KEY] = kept
    return table, element


def _document(votable: Any, data: bytes) -> Any:
    """Parse a VOTable, if need be without parameters that are lists of texts, which astropy cannot read.

    TOPCAT writes the COMMENT cards of a FITS file so, and astropy writes such cards into many a table.
    """
    try:
        return votable.parse(io.BytesIO(data), verify="ignore")
    except votable.exceptions.E01:
        rest = _LISTS_OF_TEXTS.sub(b"", data)
        if rest == data:
            raise
        return votable.parse(io.BytesIO(rest), verify="ignore")


def _tables_in(resources: Any) -> Any:
    for resource in resources:
        for table in resource.tables:
            yield resource, table
        yield from _tables_in(resource.resources)


def _read_fits(data: bytes, max_size: int) -> Any:
    fits = need("astropy.io.fits")
    table = need("astropy.table")
    try:
        with quiet(), open_units(data, max_size) as units:
            unit = next((unit for unit in units if isinstance(unit, fits.BinTableHDU | fits.TableHDU)), None)
            if unit is None:
                raise DataError("the FITS file holds no table")
            columns = columns_of(data, unit)
            if units[0].header.get("VOTMETA") is not True:
                read = None if columns is None else _undescribed(unit.header, columns)
                return table.Table.read(unit) if read is None else read
            text = units[0].data.tobytes()
            if columns is not None:
                read = table.Table(columns, copy=False)
            else:
                read = table.Table.read(unit, mask_invalid=False)  # empty texts stay texts, NaN stays NaN
        describe(read, _read_votable(text, max_size, beside=len(data)))
        return read
    except DataError:
        raise
    except Exception as error:  # so does this one
        raise DataError(f"this is not a FITS table: {_first_line(error)}") from error


def _undescribed(header: Any, columns: dict[str, Any]) -> Any | None:
    """Return the table that astropy would make of a FITS table with these columns; None if only it can.

    As there, NaN is masked.
    """
    fits = need("astropy.io.fits")
    numpy = need("numpy")
    table = need("astropy.table")
    described = header.copy()
    described["NAXIS2"] = 0
    alone = (fits.PrimaryHDU().header.tostring() + described.tostring()).encode("ascii")
    with fits.open(io.BytesIO(alone), memmap=False) as units:
        empty = table.Table.read(units[1])
    made = []
    for like, values in zip(empty.columns.values(), columns.values(), strict=True):
        if type(like) is not table.Column or like.dtype.kind != values.dtype.kind:
            return None
        said = {"name": like.name, "unit": like.unit, "description": like.description, "format": like.format}
        said["meta"] = dict(like.meta)
        if values.dtype.kind == "U" and (values == "").any():
            return None  # masked, or not, as the version of astropy has it
        mask = numpy.isnan(values) if values.dtype.kind == "f" else False
        if numpy.any(mask):
            made.append(table.MaskedColumn(values, mask=mask, fill_value=numpy.nan, copy=False, **said))
        else:
            made.append(table.Column(values, copy=False, **said))
    return table.Table(made, meta=empty.meta, copy=False)


def _file_of(element: Any) -> Any:
    """Return the file that a TABLE stands in, if it is alone there; else a file of its own."""
    tree = need("astropy.io.votable.tree")
    parent = getattr(element, "_votable", None)
    if isinstance(parent, tree.VOTableFile) and [element] == list(parent.iter_tables()):
        return parent
    file = tree.VOTableFile()
    resource = tree.Resource()
    if isinstance(parent, tree.VOTableFile):
        around = next((item for item, table in _tables_in(parent.resources) if table is element), resource)
        to_votable(from_votable(parent, around, tree.TableElement(file), ()), file, resource, element)
    resource.tables.append(element)
    file.resources.append(resource)
    return file


def _module(data: object) -> str:
    return type(data).__module__.partition(".")[0]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:200]
