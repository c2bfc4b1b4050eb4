"""asyncsamp.data.formats.fits_rows: the same file, and the same table, as astropy's own way gives."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import numpy
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from asyncsamp.data.formats import fits_rows
from asyncsamp.data.formats.table_read import read_table
from asyncsamp.data.formats.table_write import write_fits

ROWS = 120_001
"""More than two pieces."""


def columns(rows: int) -> dict[str, Any]:
    number = numpy.arange(rows)
    return {
        "short": (number % 1000).astype("i2"),
        "int": number.astype("i4"),
        "long": number * 2**33,
        "big": (number * 2**33).astype(">i8"),
        "byte": (number % 200).astype("u1"),
        "float": numpy.where(number % 7, number / 3, numpy.nan).astype("f4"),
        "double": number / 7,
        "good": number % 3 == 0,
        "text": numpy.char.add("s", number.astype("U6")),
        "bytes": number.astype("S7"),
    }


@pytest.fixture
def by_astropy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that does what it is given by astropy alone."""

    def run(work: Any, *arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(fits_rows, "layout_of", lambda table: None)
            patch.setattr("asyncsamp.data.formats.table_read.columns_of", lambda data, unit: None)
            return work(*arguments)

    return run


@pytest.mark.parametrize("rows", [1, ROWS])
def test_the_file_is_that_of_astropy_byte_for_byte(by_astropy: Any, rows: int) -> None:
    table = Table(columns(rows))
    written = write_fits(table)
    assert written == by_astropy(write_fits, table)
    assert len(written) % 2880 == 0


def test_what_comes_is_what_astropy_reads(by_astropy: Any) -> None:
    data = write_fits(Table(columns(ROWS)))
    read, wanted = read_table(data), by_astropy(read_table, data)
    assert read.colnames == wanted.colnames
    for name in read.colnames:
        assert read[name].dtype == wanted[name].dtype
        assert read[name].dtype.isnative
        numpy.testing.assert_array_equal(read[name], wanted[name])
        assert not numpy.shares_memory(numpy.asarray(read[name]), numpy.frombuffer(data, "u1"))


@pytest.mark.parametrize("text", ["seven", ""])
def test_a_file_that_nothing_describes_is_read_as_astropy_does(by_astropy: Any, text: str) -> None:
    table = Table(columns(500), meta={"OBJECT": "M31"})
    table["double"].unit = "deg"
    table["text"][7] = text
    written = io.BytesIO()
    table.write(written, format="fits")
    data = written.getvalue()
    read, wanted = read_table(data), by_astropy(read_table, data)
    assert read.meta == wanted.meta
    assert read.colnames == wanted.colnames
    for name in read.colnames:
        ours, theirs = read[name], wanted[name]
        assert (type(ours), ours.unit) == (type(theirs), theirs.unit)
        assert ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
        assert (ours.description, ours.format, ours.meta) == (theirs.description, theirs.format, theirs.meta)
        numpy.testing.assert_array_equal(numpy.ma.getmaskarray(ours), numpy.ma.getmaskarray(theirs))
        numpy.testing.assert_array_equal(numpy.ma.filled(ours, ours[0]), numpy.ma.filled(theirs, theirs[0]))


def hdu(data: bytes) -> Any:
    return fits.open(io.BytesIO(data), memmap=False)[1]


def test_spaces_at_the_end_of_texts_are_no_part_of_them() -> None:
    texts = numpy.array([b"a b ", b"    ", b" a", b"", b"abcd", b"a \0b"])
    data = write_fits(Table({"text": texts, "n": numpy.arange(6)}))
    read = fits_rows.columns_of(data, hdu(data))
    assert read is not None
    assert read["text"].tolist() == ["a b", "", " a", "", "abcd", "a \0b"]


@pytest.mark.parametrize(
    "change",
    [
        {"n": numpy.arange(3, dtype="u4")},  # TZERO
        {"n": numpy.zeros((3, 2))},
        {"n": numpy.zeros(3, "c8")},
        {"n": MaskedColumn([1, 2, 3], mask=[True, False, False])},
        {"n": numpy.array([b"caf\xe9", b"", b""])},
    ],
)
def test_what_is_not_plain_is_left_to_astropy(change: dict[str, Any]) -> None:
    table = Table({"x": numpy.arange(3.0), **change})
    written = io.BytesIO()
    table.write(written, format="fits")
    data = written.getvalue()
    assert fits_rows.columns_of(data, hdu(data)) is None


def test_a_file_that_is_cut_off_is_left_to_astropy() -> None:
    data = write_fits(Table(columns(5000)))
    unit = hdu(data)
    assert fits_rows.columns_of(data, unit) is not None
    assert fits_rows.columns_of(data[:-50_000], unit) is None


def test_ascii_is_told_from_other_text() -> None:
    texts = numpy.array(["a"] * ROWS)
    assert fits_rows.is_ascii(texts)
    texts[-1] = "\xe9"
    assert not fits_rows.is_ascii(texts)
    assert fits_rows.is_ascii(numpy.array([["a", "b"], ["c", ""]]).astype(">U1"))
    assert fits_rows.is_ascii(numpy.array([], "U3"))


def test_writing_ends_early_when_nobody_waits() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        write_fits(Table(columns(ROWS)), stop=stop)


def test_other_threads_go_on_while_a_table_is_read_and_written() -> None:
    """Nothing holds the interpreter for long: no text is an object of Python's."""
    table = Table(columns(ROWS))
    calls = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        read_table(write_fits(table))
    finally:
        sys.setprofile(None)
    assert calls < ROWS
