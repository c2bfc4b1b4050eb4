"""Large VOTables whose rows are text are read in whole columns; what comes out is what astropy reads."""

from __future__ import annotations

import io
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import votable
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsamp.data.formats import tabledata
from asyncsamp.data.formats.table_read import read_table
from asyncsamp.errors import DataError

from ...installed import require_program
from . import same_tables

FIELDS = {
    "double": 'datatype="double"',
    "float": 'datatype="float"',
    "long": 'datatype="long"',
    "int": 'datatype="int"',
    "short": 'datatype="short"',
    "byte": 'datatype="unsignedByte"',
    "truth": 'datatype="boolean"',
    "text": 'datatype="char" arraysize="*"',
    "three": 'datatype="char" arraysize="3"',
    "most": 'datatype="unicodeChar" arraysize="4*"',
    "letter": 'datatype="char"',
}
NUMBERS = ["0", "-1", "7", " 12 ", "99", "255", "", " "]
CELLS = {
    "double": ["1.5", "-1e300", "NaN", "Infinity", "-Inf", "1_0", "3.14159265358979", "", "  ", "99"],
    "float": ["1.1", "1e39", "NaN", "+Inf", "", "99"],
    "long": [*NUMBERS, "9223372036854775807", "-9223372036854775808"],
    "int": [*NUMBERS, "2147483647", "+5"],
    "short": NUMBERS,
    "byte": ["0", "255", "99", ""],
    "truth": ["T", "f", "true", "False", "1", "0", "?", "", " t "],
    "text": ["", "x", "  two words ", "a > b", "line\nend", "]"],
    "three": ["", "abc", "abcdef", " a "],
    "most": ["", "abcd", "abcdefg"],
    "letter": ["", "x", "xyz"],
}
ODD = {
    "double": ["null", "1.0d3"],
    "long": ["99999999999999999999", "0x1F", "nan"],
    "short": ["40000"],
    "byte": ["-1"],
    "text": ["a&amp;b", "\u00e9", "<![CDATA[x]]>", "<!-- x -->", "a\rb"],
}


def document(kinds: list[str], rows: list[list[str]], *, null: str = "", between: str = "\n") -> bytes:
    values = f'<VALUES null="{null}"/>' if null else ""
    fields = "".join(
        f'<FIELD name="c{number}" {FIELDS[kind]} unit="deg" ucd="meta.main">'
        f"{values if kind in ('double', 'long', 'int', 'short', 'byte') else ''}"
        "<DESCRIPTION>what it is</DESCRIPTION></FIELD>"
        for number, kind in enumerate(kinds)
    )
    body = between.join(
        f"<TR>{between}{between.join(f'<TD>{cell}</TD>' if cell else '<TD/>' for cell in row)}</TR>"
        for row in rows
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!-- Written by hand -->\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        f'<TABLE name="t" nrows="{len(rows)}">{fields}<DATA>\n<TABLEDATA>{body}</TABLEDATA></DATA></TABLE>'
        "</RESOURCE></VOTABLE>"
    ).encode()


def by_astropy(data: bytes) -> Table:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        parsed = votable.parse(io.BytesIO(data), verify="ignore")
        return parsed.get_first_table().to_table(use_names_over_ids=True)


def same(one: Table, other: Table) -> None:
    """Fail unless they are the same, and of the same types."""
    assert (one.colnames, len(one)) == (other.colnames, len(other))
    assert [one[name].dtype for name in one.colnames] == [other[name].dtype for name in other.colnames]
    same_tables.same(one, other)


def agrees_with_astropy(written: bytes) -> None:
    """Fail unless it is read as astropy reads it, or refused as astropy does."""
    try:
        expected = by_astropy(written)
    except Exception:
        with pytest.raises(DataError):
            read_table(written)
    else:
        same(read_table(written), expected)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Take each table for large, and its rows in small pieces; say of each whether it was read in columns."""
    done: list[bool] = []
    inner = tabledata.filled

    def filled(*arguments: Any) -> Any:
        table = inner(*arguments)
        done.append(table is not None)
        return table

    monkeypatch.setattr(tabledata, "filled", filled)
    monkeypatch.setattr(tabledata, "_MANY", 0)
    monkeypatch.setattr(tabledata, "_PIECE", 3000)
    return done


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only notes
@given(st.data(), st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=6), st.integers(1, 60))
def test_plain_rows_are_what_astropy_reads(
    quick: list[bool], data: st.DataObject, kinds: list[str], count: int
) -> None:
    rows = [[data.draw(st.sampled_from(CELLS[kind])) for kind in kinds] for _ in range(count)]
    null = data.draw(st.sampled_from(["", "99", "0"]))
    written = document(kinds, rows, null=null, between=data.draw(st.sampled_from(["\n", "", "\r\n  "])))
    same(read_table(written), by_astropy(written))
    assert quick[-1]


@settings(deadline=None)
@given(st.data(), st.lists(st.sampled_from(list(ODD)), min_size=1, max_size=3))
def test_odd_cells_are_left_to_astropy(data: st.DataObject, kinds: list[str]) -> None:
    rows = [[data.draw(st.sampled_from(CELLS[kind] + ODD[kind])) for kind in kinds] for _ in range(10)]
    agrees_with_astropy(document(kinds, rows))


ROWS = [["1.5", "x"], ["2.5", "y"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<TR>", '<TR ID="r">'),
        ("<TD>1.5", '<TD encoding="">1.5'),
        ("<TD>x</TD>", "<TD>x</TD><!-- <TD>z</TD> -->"),
        ("<TD>x</TD>", "<TD><![CDATA[z]]></TD>"),
        ("<TD>x</TD>", "<TD>&#120;</TD>"),
        ('version="1.4"', 'version="1.1"'),
        ("</TABLE>", "</TABLE><TABLE><FIELD name='z' datatype='int'/></TABLE>"),
        ("<DATA>", "<!-- <DATA><TABLEDATA></TABLEDATA></DATA> --><DATA>"),
    ],
)
def test_what_is_not_plain_is_left_to_astropy(old: str, new: str, quick: list[bool]) -> None:
    written = document(["double", "text"], ROWS).replace(old.encode(), new.encode(), 1)
    same(read_table(written), by_astropy(written))
    assert True not in quick


def test_rows_in_a_comment_are_none(quick: list[bool]) -> None:
    written = document(["double", "text"], ROWS)
    hidden = written.replace(b"<DATA>", b"<!-- <DATA>").replace(b"</DATA>", b"</DATA> -->")
    assert len(read_table(hidden)) == len(by_astropy(hidden)) == 0
    assert quick == []


@pytest.mark.parametrize(
    "row", ["<TR><TD>1</TD></TR>", "<TR><TD>1</TD><TD>x</TD><TD>2</TD></TR>", "<TD>1</TD>"]
)
def test_a_row_that_is_not_one(row: str, quick: list[bool]) -> None:
    written = document(["double", "text"], ROWS).replace(b"</TABLEDATA>", row.encode() + b"</TABLEDATA>")
    agrees_with_astropy(written)
    assert quick == [False]


def test_more_than_is_allowed_is_refused() -> None:
    written = document(["three"] * 4, [["abc"] * 4] * 500)
    wide = written.replace(b'arraysize="3"', b'arraysize="900000"')
    with pytest.raises(DataError):
        read_table(wide, max_size=1_000_000)


def test_stilts_writes_such_tables(quick: list[bool], tmp_path: Path) -> None:
    stilts = require_program("stilts", "stilts")
    source = tmp_path / "t.csv"
    source.write_text(
        "a,b,c,d\n" + "".join(f"{n},{n / 7},{'x' * (n % 5)},{n % 2 == 0}\n" for n in range(300))
    )
    command = [stilts, "tpipe", f"in={source}", "ifmt=csv", "ofmt=votable-tabledata"]
    written = subprocess.run(command, capture_output=True, check=True).stdout
    table = read_table(written)
    same(table, by_astropy(written))
    assert (len(table), quick) == (300, [True])


@pytest.mark.alone
def test_it_takes_less_than_half_the_time(quick: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabledata, "_PIECE", 1024 * 1024)
    values = np.random.default_rng(1).random((10_000, 10))
    written = document(["double"] * 10, [list(map(repr, row)) for row in values.tolist()])

    def seconds(read: Any) -> float:
        begun = time.process_time()
        read(written)
        return time.process_time() - begun

    ours = min(seconds(read_table) for _ in range(3))
    theirs = min(seconds(by_astropy) for _ in range(3))
    print(f"{ours:.3f} s, by astropy {theirs:.3f} s")
    assert ours < theirs / 2
    assert quick == [True] * 3
