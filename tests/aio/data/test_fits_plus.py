"""Large tables go as FITS with the VOTable that describes them: nothing is lost, and it is fast."""

from __future__ import annotations

import asyncio
import io
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asyncsamp.data.formats.fits_plus import LARGE
from asyncsamp.data.formats.table_read import as_table, read_table
from asyncsamp.data.formats.table_write import goes_as_fits, write_fits, write_votable

from ...installed import require_program
from ..desktops import pair

KINDS = st.sampled_from(["f8", "f4", "i8", "i4", "i2", "u1", "bool", "U7", "S5"])
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5)


def stars(rows: int) -> Table:
    table = Table({"ra": np.linspace(0, 360, rows), "n": np.arange(rows), "name": np.full(rows, "abc")})
    table.meta |= {"name": "stars", "observer": "Leavitt", "a long keyword": 2.5}
    table["ra"].unit = "deg"
    table["ra"].description = "right ascension"
    table["ra"].meta["ucd"] = "pos.eq.ra;meta.main"
    return table


async def test_a_large_table_goes_as_fits_and_keeps_what_is_said_of_it(tmp_path: Path) -> None:
    data = stars(LARGE)
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(data)
        assert [answer.mtype for answer in sent.values()] == ["table.load.fits"]
        table = await asyncio.wait_for(anext(tables), 10)
        sent = await sender.send_table(stars(LARGE - 1))
        assert [answer.mtype for answer in sent.values()] == ["table.load.votable"]
    assert (table["ra"] == data["ra"]).all()
    assert table["name"].tolist() == data["name"].tolist()
    assert (table["ra"].unit, table["ra"].description) == ("deg", "right ascension")
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert [table.meta[key] for key in ("name", "observer", "a long keyword")] == ["stars", "Leavitt", 2.5]
    assert table["n"].dtype == np.dtype("i8")


def test_what_fits_would_lose_goes_as_votable() -> None:
    rows = LARGE
    assert goes_as_fits(Table({"a": np.arange(rows), "b": np.full(rows, "x")}))
    for column in (
        MaskedColumn(np.arange(rows), mask=np.arange(rows) == 3),
        np.full(rows, "\u00e9"),
        np.arange(rows).astype("u8"),
        np.zeros((rows, 2)),
    ):
        assert not goes_as_fits(Table({"a": column}))


def test_a_votable_of_a_user_and_positions_are_described() -> None:
    data = Table({"position": SkyCoord([1.0, 2.0], [3.0, 4.0], unit="deg")})
    file = votable.parse(io.BytesIO(read_primary(write_fits(data))))
    assert [system.system for system in file.resources[0].coordinate_systems] == ["ICRS"]
    assert [field.ucd for field in file.get_first_table().fields] == [
        "pos.eq.ra;meta.main",
        "pos.eq.dec;meta.main",
    ]


def read_primary(data: bytes) -> bytes:
    with fits.open(io.BytesIO(data)) as units:
        assert list(units[0].header)[4] == "VOTMETA"
        text: bytes = units[0].data.tobytes()
        return text


@settings(deadline=None, max_examples=40)
@given(st.data(), st.lists(KINDS, min_size=1, max_size=4), st.integers(1, 6))
def test_values_units_and_ucds_survive(data: st.DataObject, kinds: list[str], rows: int) -> None:
    table = Table()
    for number, kind in enumerate(kinds):
        elements: Any = TEXT if kind[0] == "U" else TEXT.map(str.encode) if kind[0] == "S" else None
        values = data.draw(arrays.arrays(np.dtype(kind), rows, elements=elements))
        table[f"c{number}"] = values
        table[f"c{number}"].unit = data.draw(st.sampled_from([None, "deg", "mag", "km / s"]))
        table[f"c{number}"].description = data.draw(st.sampled_from([None, "what it is"]))
        table[f"c{number}"].meta["ucd"] = data.draw(st.sampled_from(["phot.mag", "pos.eq.ra;meta.main"]))
    back = read_table(write_fits(table))
    assert back.colnames == table.colnames
    for name in table.colnames:
        sent, got = table[name], back[name]
        values = np.char.decode(sent) if sent.dtype.kind == "S" else np.asarray(sent)
        np.testing.assert_array_equal(np.asarray(got), values)
        assert (got.unit, got.description) == (sent.unit, sent.description)
        assert got.meta["ucd"] == sent.meta["ucd"]


def test_astropy_reads_it_as_any_fits_table() -> None:
    with fits.open(io.BytesIO(write_fits(stars(5)))) as units:
        units.verify("exception")
        assert list(units[1].data["n"]) == [0, 1, 2, 3, 4]
        assert units[1].columns["ra"].unit == "deg"


def test_stilts_reads_what_the_votable_says(tmp_path: Path) -> None:
    program = require_program("stilts", "stilts")
    data = stars(5)
    file = votable.from_table(data)
    file.resources[0].coordinate_systems.append(votable.tree.CooSys(ID="sys", system="ICRS"))
    file.get_first_table().fields[0].ref = "sys"
    kept = read_table(write_votable(as_table(file), stop=threading.Event()))
    kept.meta["observer"] = "Leavitt"
    kept["name"] = kept["name"].astype("U3")
    (tmp_path / "t.fits").write_bytes(write_fits(kept))
    done = subprocess.run(
        [program, "tpipe", "ifmt=fits-plus", f"in={tmp_path / 't.fits'}", "omode=out", "ofmt=votable"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    text = done.stdout.decode()
    for words in ('unit="deg"', 'ucd="pos.eq.ra;meta.main"', "right ascension", "Leavitt", 'system="ICRS"'):
        assert words in text
