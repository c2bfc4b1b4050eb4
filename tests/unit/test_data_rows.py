"""Row numbers, positions and ids, which need no loop."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from asyncsamp.data.positions import sky_position
from asyncsamp.data.rows import MANY, many, row_list, row_number, within
from asyncsamp.data.table_registry import Item, TableRegistry
from asyncsamp.errors import DataError

# ---- rows


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 2], [0, 2]),
        ((1,), [1]),
        ([], []),
        ([-1], [4]),
        (range(2), [0, 1]),
        (slice(1, 3), [1, 2]),
        (np.array([0, 4]), [0, 4]),
        (np.array([], dtype=float), []),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([True, False, True, False, False], [0, 2]),
        ({3}, [3]),
        (iter([1, 2]), [1, 2]),
        (np.array([3], dtype=np.uint8), [3]),
    ],
)
def test_row_lists(rows: Any, expected: list[int]) -> None:
    found = row_list(rows, 5)
    assert found == expected
    assert all(type(number) is int for number in found)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([5], "row 5 is out of range: the table has 5 rows, 0 to 4"),
        ([-6], "row -6 is out of range"),
        (np.array([1.5]), "row numbers are integers, not of type float64"),
        ([1.5], "1.5 is not a row number"),
        (3, "expected several row numbers"),
        ("12", "expected several row numbers"),
        ([True], "the mask has 1 values, the table 5 rows"),
        (np.zeros(6, bool), "the mask has 6 values, the table 5 rows"),
    ],
)
def test_row_lists_that_are_wrong(rows: Any, text: str) -> None:
    with pytest.raises(DataError) as caught:
        row_list(rows, 5)
    assert text in str(caught.value)


def test_rows_of_a_table_of_unknown_length() -> None:
    assert row_list([7], None) == [7]
    assert row_list([True, False], None) == [0]
    for wrong in ([-1], slice(2)):
        with pytest.raises(DataError):
            row_list(wrong, None)


@pytest.mark.parametrize(
    ("rows", "of_table", "expected"),
    [
        (range(MANY), None, False),
        (range(MANY + 1), None, True),
        (np.ones(MANY + 1, bool), None, True),
        (slice(1), MANY, False),
        (slice(1), MANY + 1, True),
        (slice(1), None, False),
        (iter([1]), MANY + 1, False),
        (np.array(1), None, False),
    ],
)
def test_when_rows_are_many(rows: Any, of_table: int | None, expected: bool) -> None:
    assert many(rows, of_table) is expected


def test_one_row() -> None:
    assert row_number(np.int64(2), 5) == 2
    assert row_number(-1, 5) == 4
    for wrong in (True, 1.0, "1", None):
        with pytest.raises(DataError, match="is not a row number"):
            row_number(wrong, 5)


def test_rows_that_others_send() -> None:
    within([0, 4], 5)
    within([99], None)
    with pytest.raises(DataError, match="row 5 is out of range: the table has 5 rows"):
        within([0, 5], 5)
    with pytest.raises(DataError, match="row -1 is out of range"):
        within([-1], None)


# ---- positions


def test_positions() -> None:
    assert sky_position(10.5, -20) == (10.5, -20.0)
    assert sky_position(10 * u.deg, 600 * u.arcmin) == (10.0, 10.0)
    ra, dec = sky_position(SkyCoord(0 * u.deg, 90 * u.deg, frame="galactic"), None)
    assert (ra, dec) == pytest.approx((192.859, 27.128), abs=1e-3)
    assert sky_position(-10, 90) == (350.0, 90.0)
    assert sky_position(360, -90) == (360.0, -90.0)


@pytest.mark.parametrize(
    ("position", "dec", "text"),
    [
        (10.0, None, "point at a SkyCoord, or at ra and dec in degrees; got 10.0 alone"),
        (SkyCoord([1, 2], [3, 4], unit="deg"), None, "one position at a time, please"),
        (
            SkyCoord(1, 2, unit="deg", frame="altaz"),
            None,
            "in altaz cannot be turned into ICRS: give it",
        ),
        (1.0, 91.0, "dec is 91 degrees; expected -90 to 90"),
        (400, 2, "ra is 400 degrees; expected 0 to 360, or -180 to 180; ra % 360 is the same place"),
        (-180.5 * u.deg, 2, "ra is -180.5 degrees; expected"),
        (float("nan"), 1.0, "ra is nan"),
        ("10h30m", "41d", "are not numbers of degrees: point at SkyCoord('10h30m', '41d'), with unit="),
        ("x", 1.0, "'x' is not a position: point at SkyCoord.from_name('x')"),
        (1.0, "x", "dec is 'x'; expected a number of degrees"),
        (1.0 * u.m, 1.0, "expected a number of degrees"),
    ],
)
def test_positions_that_are_wrong(position: Any, dec: Any, text: str) -> None:
    with pytest.raises(DataError) as caught:
        sky_position(position, dec)
    assert text in str(caught.value)


# ---- which table is meant


@pytest.mark.parametrize(
    ("item", "item_id", "url", "meant"),
    [
        (Item("t1", "u"), "t1", None, True),
        (Item("t1", "u"), "t1", "other", True),
        (Item("t1", "u"), None, "u", True),
        (Item("t1", "u"), "", "u", True),
        (Item("t1", "u"), "t2", "u", False),
        (Item("", "u"), "t2", "u", True),
        (Item("t1", ""), None, None, False),
        (Item("t1", ""), None, "", False),
    ],
)
def test_which_table_is_meant(item: Item, item_id: str | None, url: str | None, meant: bool) -> None:
    assert item.is_meant(item_id, url) is meant


def test_tables_are_known_while_they_live() -> None:
    items = TableRegistry()
    table = Table({"a": [1]})
    with pytest.raises(DataError, match="send it with send_table"):
        items.find(table)
    assert items.id_for(table, []) != items.id_for(table, [])
    items.remember(table, Item("t1", "http://u"), 1, ["c1"])
    known = items.find(table)
    assert items.find("t1") is items.find("http://u") is known
    assert (known.latest, known.rows) == (Item("t1", "http://u"), 1)
    assert items.find("t2").latest == Item("t2", "")
    assert items.find("http://v").latest == Item("", "http://v")
    items.remember("path", Item("t3", "file:///p"))
    assert items.find("t3").latest.url == "file:///p"
    items.remember(Path("a/b.vot"), Item("t4", "http://b"))
    assert items.find(Path("a/b.vot")) is items.find("a/b.vot") is items.find("t4")
    assert items.find("path").latest.item_id == "t3"
    items.remember("path", Item("t5", "file:///p"), holders=["c1"])
    assert items.find("path").to("c1").item_id == "t5"
    with pytest.raises(DataError, match="send it with send_table"):
        items.find(Path("a/c.vot"))
    other = Table({"a": [1]})
    items.remember(other, Item("t1", "http://other"))
    del table, known
    gc.collect()
    assert len(items) == 1
    assert items.find("t1").latest.url == "http://other"
    assert items.find("http://u").latest == Item("", "http://u")
    del other
    gc.collect()
    assert len(items) == 0
    assert set(items._by_name) == {"t3", "file:///p", "path", "t4", "http://b", "a/b.vot", "t5"}


def test_an_id_is_kept_for_those_who_have_not_got_it() -> None:
    items = TableRegistry()
    table = Table({"a": [1]})
    items.remember(table, Item("t1", "u1"), 1, ["c1"])
    assert items.id_for(table, ["c2"]) == "t1"
    assert items.id_for(table, ["c1", "c2"]) != "t1"
    items.remember(table, Item("t2", "u2"), 1, ["c2"])
    known = items.find(table)
    assert known.to("c1") == Item("t1", "u1")
    assert known.to("c2") == known.to("c3") == Item("t2", "u2")
    assert known.is_meant("t1", None)
    assert known.is_meant(None, "u2")
    assert not known.is_meant("t3", None)


def test_what_numpy_where_gives_is_told_of() -> None:
    with pytest.raises(DataError, match=r"take its first item, \[0\]"):
        row_list(np.where(np.array([True, False])), 2)
