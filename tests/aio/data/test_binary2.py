"""Large VOTables are written and read whole columns at a time; astropy and STILTS read the same."""

from __future__ import annotations

import binascii
import io
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import votable
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asyncsamp.data.formats import binary2, table_write
from asyncsamp.data.formats.table_read import read_table
from asyncsamp.data.formats.table_write import write_votable
from asyncsamp.errors import DataError

from ...installed import require_program
from .same_tables import same

KINDS = st.sampled_from(["f8", "f4", "i8", "i4", "i2", "u1", "bool", "U7", "S5", "c8"])
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5)


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_write, "LARGE", 1)
    monkeypatch.setattr(binary2, "_MANY", 0)


def write(table: Table, **options: Any) -> bytes:
    data = write_votable(table, stop=threading.Event(), **options)
    assert b"<BINARY2>" in data
    return data


def by_astropy(data: bytes) -> Table:
    return votable.parse(io.BytesIO(data)).get_first_table().to_table(use_names_over_ids=True)


@settings(deadline=None, max_examples=40)
@given(st.data(), st.lists(KINDS, min_size=1, max_size=10), st.integers(1, 6))
def test_what_is_written_is_read_and_astropy_reads_the_same(
    data: st.DataObject, kinds: list[str], rows: int
) -> None:
    table = Table()
    for number, kind in enumerate(kinds):
        elements: Any = TEXT if kind[0] == "U" else TEXT.map(str.encode) if kind[0] == "S" else None
        shape = (rows, 3) if kind in ("f4", "i2") else (rows,)
        values = data.draw(arrays.arrays(np.dtype(kind), shape, elements=elements))
        if data.draw(st.booleans()):
            mask = data.draw(arrays.arrays(np.dtype(bool), rows))
            values = MaskedColumn(
                values, mask=np.broadcast_to(mask.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
            )
        table[f"c{number}"] = values
        table[f"c{number}"].unit = data.draw(st.sampled_from([None, "deg", "km / s"]))
        table[f"c{number}"].meta["ucd"] = data.draw(st.sampled_from(["phot.mag", "pos.eq.ra;meta.main"]))
    written = write(table)
    back = read_table(written)
    same(back, by_astropy(written))
    for name in table.colnames:
        sent, got = np.ma.asarray(table[name]), np.ma.asarray(back[name])
        text = np.char.decode(sent.data) if sent.dtype.kind == "S" else sent.data
        if text.dtype.kind == "U":
            text = np.where(np.ma.getmaskarray(sent), "", text)
        there = ~np.ma.getmaskarray(got)
        np.testing.assert_array_equal(got.data[there], text[there])
        if sent.dtype.kind not in "fcUS":
            np.testing.assert_array_equal(~there, np.ma.getmaskarray(sent))


def test_what_has_no_fixed_width_is_written_row_by_row() -> None:
    rows = np.empty(2, object)
    rows[:] = [np.arange(2), np.arange(3)]
    for table in (Table({"a": rows}), Table({"a": ["x", "\U0001f600"]})):
        data = write_votable(table, stop=threading.Event())
        assert b"<TABLEDATA>" in data
        assert len(read_table(data)) == 2


def test_letters_beyond_ascii_pass() -> None:
    table = Table({"a": ["\u00e9\u4e2d", ""]})
    assert read_table(write(table))["a"].tolist() == ["\u00e9\u4e2d", ""]


def test_progress_is_told_and_stop_ends_it() -> None:
    table = Table({"a": np.arange(100_000)})
    told: list[tuple[int, int]] = []
    write(table, progress=lambda done, rows: told.append((done, rows)))
    assert told == [(49_152, 100_000), (98_304, 100_000), (100_000, 100_000)]
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        write_votable(table, stop=stop)


@pytest.mark.parametrize("variable", ["char", "double"])
def test_what_others_write_with_changing_widths_is_left_to_astropy(variable: str) -> None:
    table = Table({"a": np.arange(3.0), "b": ["x", "yz", ""]})
    file = votable.from_table(table)
    file.get_first_table().fields[1].arraysize = "*"
    sink = io.BytesIO()
    file.to_xml(sink, tabledata_format="binary2")
    same(read_table(sink.getvalue()), by_astropy(sink.getvalue()))


def test_damaged_rows_are_refused() -> None:
    data = write(Table({"a": np.arange(3)}))
    begin, end = data.index(b'base64">') + 8, data.index(b"</STREAM>")
    rows = binascii.a2b_base64(data[begin:end])
    for wrong in (binascii.b2a_base64(rows[:-1]), b"A", b"\xff" + data[begin:end][:-1]):
        with pytest.raises(DataError):
            read_table(data[:begin] + wrong + data[end:])
    with pytest.raises(DataError, match="no more than 10"):
        read_table(data, max_size=10)


@pytest.mark.parametrize("piece", [4, 7, 64, 1 << 20])
def test_lines_and_spaces_among_the_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(binary2, "_PIECE", piece)
    table = Table({"a": np.arange(100.0), "b": np.arange(100) % 7 == 0})
    data = write(table)
    begin, end = data.index(b'base64">') + 8, data.index(b"</STREAM>")
    lines = b"\r\n  ".join(data[at : min(at + 61, end)] for at in range(begin, end, 61))
    same(read_table(data[:begin] + b"\n" + lines + b"\n" + data[end:]), read_table(data))


def test_stilts_reads_it(tmp_path: Path) -> None:
    program = require_program("stilts", "stilts")
    table = Table(
        {
            "truth": [True, False, True],
            "n": MaskedColumn([1, 2, 3], mask=[False, True, False]),
            "x": [1.5, np.nan, -2.0],
            "text": ["a", "bcd", ""],
            "v": np.arange(6.0).reshape(3, 2),
        }
    )
    (tmp_path / "t.vot").write_bytes(write(table))
    done = subprocess.run(
        [program, "tpipe", "ifmt=votable", f"in={tmp_path / 't.vot'}", "omode=out", "ofmt=csv"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "truth,n,x,text,v"
    assert lines[1:] == ['true,1,1.5,a,"(0.0, 1.0)"', 'false,,,bcd,"(2.0, 3.0)"', 'true,3,-2.0,,"(4.0, 5.0)"']
