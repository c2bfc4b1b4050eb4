"""What is missing in a table stays missing, in both formats, in small tables and in large ones."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from asyncsamp.data.formats import binary2, table_write
from asyncsamp.data.formats.table_read import as_table, read_table, table_hdu
from asyncsamp.data.formats.table_write import write_fits, write_votable
from asyncsamp.errors import DataError

from ...installed import require_program

ROWS = 300
SECOND = np.arange(ROWS) == 1
ONE_OF_TWO = np.stack([SECOND, np.zeros(ROWS, bool)], axis=1)
PAIRS = np.arange(2 * ROWS).reshape(ROWS, 2)

WRITERS = ["votable", "large votable", "fits"]


def there_and_back(data: Table, how: str, monkeypatch: pytest.MonkeyPatch) -> Table:
    table = as_table(data)
    if how == "fits":
        return read_table(write_fits(table))
    monkeypatch.setattr(table_write, "LARGE", 1 if how == "large votable" else 1 << 30)
    monkeypatch.setattr(binary2, "_MANY", 0)
    return read_table(write_votable(table, stop=threading.Event()))


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize(
    ("column", "mask"),
    [
        (MaskedColumn(np.arange(ROWS) % 2 == 0, mask=SECOND), SECOND),
        (MaskedColumn((np.arange(ROWS) % 250).astype("u1"), mask=SECOND), SECOND),
        (MaskedColumn((np.arange(ROWS) % 256).astype("u1"), mask=SECOND), SECOND),
        (MaskedColumn(np.arange(ROWS) + 999_900, mask=SECOND), SECOND),
        (MaskedColumn(np.arange(ROWS) * 1.5, mask=SECOND), SECOND),
        (MaskedColumn(PAIRS * 1.5, mask=ONE_OF_TWO), ONE_OF_TWO),
        (MaskedColumn(PAIRS, mask=ONE_OF_TWO), ONE_OF_TWO),
        (Masked(np.arange(ROWS) * 1.5, mask=SECOND), SECOND),
        (Masked(np.arange(ROWS), mask=SECOND), SECOND),
        (Masked(np.arange(ROWS) * 1.5, mask=SECOND) * u.m, SECOND),
    ],
    ids=["truths", "bytes", "all bytes", "integers", "floats", "pairs of floats", "pairs", "masked floats",
         "masked integers", "masked quantity"],
)  # fmt: skip
def test_what_is_missing_stays_missing(
    column: Any, mask: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = there_and_back(QTable({"a": column}), how, monkeypatch)["a"]
    missing = np.ma.getmaskarray(got)
    if got.dtype.kind == "f":
        missing = missing | np.isnan(np.ma.getdata(got))
    np.testing.assert_array_equal(missing, mask)
    values = np.asarray(getattr(column, "unmasked", np.ma.getdata(column)))
    np.testing.assert_array_equal(np.ma.getdata(got)[~mask], values[~mask])


def test_the_table_that_is_sent_is_not_touched() -> None:
    data = Table({"a": MaskedColumn(np.arange(ROWS), mask=SECOND, fill_value=7)})
    write_fits(as_table(data))
    assert data["a"].fill_value == 7
    assert data["a"].mask.tolist() == SECOND.tolist()


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("kind", ["i1", "u2", "u4", "f2"])
def test_numbers_that_a_format_does_not_have_are_widened(
    kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = np.array([0, 1, np.finfo(kind).max if kind == "f2" else np.iinfo(kind).max] * 2, kind)
    got = there_and_back(Table({"a": most}), how, monkeypatch)["a"]
    assert got.tolist() == most.tolist()


@pytest.mark.parametrize("rows", [3, 20_001])
def test_texts_in_two_axes_are_named(rows: int) -> None:
    table = as_table(Table({"n": np.arange(rows), "pair": [["a", "bb"]] * rows}))
    with pytest.raises(DataError, match=r"these columns cannot be sent: 'pair' \(of texts in 2 axes\)"):
        write_votable(table, stop=threading.Event())
    assert read_table(write_fits(table))["pair"].tolist() == [["a", "bb"]] * rows


@pytest.mark.parametrize("how", WRITERS[:2])
def test_bytes_beyond_ascii_become_text(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({"a": np.array([b"ab\xe9", b"x"])})
    assert there_and_back(table, how, monkeypatch)["a"].tolist() == ["ab\u00e9", "x"]
    with pytest.raises(DataError, match=r"'a' \(with text that is not ASCII\)"):
        write_fits(as_table(table))


def test_a_file_of_stilts_with_many_rows_and_gaps(tmp_path: Path) -> None:
    program = require_program("stilts", "stilts")
    rows = "\n".join(f"{n},{'' if n == 1 else n * 2}" for n in range(3_000))
    (tmp_path / "in.csv").write_text(f"n,i\n{rows}\n")
    arguments = ["tpipe", "in=in.csv", "ifmt=csv", "out=out.fits", "ofmt=fits-plus"]
    subprocess.run([program, *arguments], cwd=tmp_path, check=True, timeout=60)
    table = read_table((tmp_path / "out.fits").read_bytes())
    assert len(table) == 3_000
    assert table["i"][:3].tolist() == [0, None, 4]


def test_a_compressed_file_whose_table_is_larger(tmp_path: Path) -> None:
    path = tmp_path / "zeros.fits.gz"
    Table({"n": np.zeros(100_000, "i2")}).write(path)
    assert path.stat().st_size < 100_000
    assert len(table_hdu(path, 1)) == 100_000


def test_texts_of_stilts_beyond_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = require_program("stilts", "stilts")
    (tmp_path / "in.csv").write_text("n,t\n1,caf\u00e9\n2,x\n", encoding="utf-8")
    arguments = ["tpipe", "in=in.csv", "ifmt=csv", "out=out.vot", "ofmt=votable(format=BINARY2,inline=true)"]
    subprocess.run([program, "-Dfile.encoding=UTF-8", *arguments], cwd=tmp_path, check=True, timeout=60)
    monkeypatch.setattr(binary2, "_MANY", 0)
    assert read_table((tmp_path / "out.vot").read_bytes())["t"].tolist() == ["caf\u00e9", "x"]
