"""What a sender may ask for: the format of a table, the HDU of a file, the frame of DS9."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from asyncsamp import DataError, LocalProtocolError, NotSubscribedError
from asyncsamp.mtypes import Ds9Set

from ..desktops import pair

TABLE = Table({"a": [1, 2, 3]}, meta={"name": "numbers"})


def two_tables() -> fits.HDUList:
    first, second = (fits.BinTableHDU(Table({"n": [n]}), name=f"T{n}") for n in (1, 2))
    return fits.HDUList([fits.PrimaryHDU(), first, second])


@pytest.mark.parametrize("kind", ["votable", "fits"])
async def test_a_table_goes_in_the_format_that_is_wanted(tmp_path: Path, kind: str) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(TABLE, "receiver", format=kind, timeout=10)
        assert sent[receiver.public_id].mtype == f"table.load.{kind}"
        assert list((await asyncio.wait_for(anext(tables), 30))["a"]) == [1, 2, 3]


async def test_a_file_goes_as_it_is_in_a_format_that_is_not_written_here(tmp_path: Path) -> None:
    (tmp_path / "x.cdf").write_bytes(b"\xcd\xf3\x00\x01")
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("table.load.cdf")(_ok)
        await receiver.settled()
        sent = await sender.send_table(tmp_path / "x.cdf", format="cdf", local=True, timeout=10)
        assert sent[receiver.public_id].mtype == "table.load.cdf"
        assert sent.url == f"file://{tmp_path}/x.cdf"
        with pytest.raises(LocalProtocolError, match="a cdf table is sent as it is: give a path or a URL"):
            await sender.send_table(TABLE, format="cdf")
        with pytest.raises(LocalProtocolError, match="is not known: expected one of auto, votable"):
            await sender.send_table(TABLE, format="csv")
        with pytest.raises(LocalProtocolError, match="format=None is not known"):
            await sender.send_table(TABLE, format=None)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match=r"; did you mean 'votable'\?$"):
            await sender.send_table(TABLE, format="vottable")
        with pytest.raises(NotSubscribedError, match=r"does not take table\.load\.fits"):
            await sender.send_table(TABLE, "receiver", format="fits")


@pytest.mark.parametrize("ending", ["fits", "vot", "parquet"])
async def test_a_path_goes_as_it_is_to_who_takes_that(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    if ending == "parquet":
        path.write_bytes(b"PAR1")
    else:
        TABLE.write(path, format={"vot": "votable"}.get(ending))
    kind = {"vot": "votable"}.get(ending, ending)
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("table.load.votable", "table.load.fits", "table.load.parquet")(_ok)
        await receiver.settled()
        for data in (path, str(path)):
            sent = await sender.send_table(data, "receiver", local=True, timeout=10)
            assert sent[receiver.public_id].mtype == f"table.load.{kind}"
            assert sent.url == f"file://{path}"


async def test_a_path_is_converted_for_who_does_not_take_it_as_it_is(tmp_path: Path) -> None:
    TABLE.write(tmp_path / "x.fits")
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("table.load.votable")(_ok)
        await receiver.settled()
        sent = await sender.send_table(tmp_path / "x.fits", "receiver", timeout=10)
        assert sent[receiver.public_id].mtype == "table.load.votable"


async def test_progress_is_told_of_fits_too(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rows = 1_000_000
    table = Table({"a": np.arange(rows), "b": np.arange(rows)})
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sending = sender.send_table(table, "receiver", progress=lambda done, all: told.append((done, all)))
        _, got = await asyncio.wait_for(asyncio.gather(sending, anext(tables)), 10)
    assert len(got) == rows
    assert len(told) >= 3
    assert told == sorted(set(told))
    assert told[-1] == (rows, rows)


async def test_the_url_of_a_file_may_have_a_percent_sign_that_was_not_encoded(tmp_path: Path) -> None:
    TABLE.write(tmp_path / "50%20.fits")
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(f"file://{tmp_path}/50%20.fits", "receiver", timeout=10)
        assert sent[receiver.public_id].mtype == "table.load.fits"
        assert list((await asyncio.wait_for(anext(tables), 30))["a"]) == [1, 2, 3]


@pytest.mark.parametrize("which", [2, "T2"])
async def test_the_hdu_that_is_wanted(tmp_path: Path, which: int | str) -> None:
    two_tables().writeto(tmp_path / "two.fits")
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for data in (two_tables(), tmp_path / "two.fits", str(tmp_path / "two.fits")):
            await sender.send_table(data, "receiver", hdu=which, timeout=10)
            assert list((await asyncio.wait_for(anext(tables), 30))["n"]) == [2]


@pytest.mark.parametrize(
    ("data", "which", "says"),
    [
        (two_tables(), 7, "there is no HDU 7; there are 0: PRIMARY, 1: T1, 2: T2"),
        (two_tables(), "T3x", r"there is no HDU 'T3x'; there are .*2: T2"),
        (two_tables(), "primry", r"there are .*; did you mean 'PRIMARY'\?$"),
        (two_tables(), 0, "the HDU 0 is not a table but a PrimaryHDU"),
        (TABLE, 1, "hdu= chooses from a FITS file or an HDUList, not from Table"),
        ("nowhere.fits", 1, "cannot read nowhere.fits: No such file"),
        ("a.org/x.fits", 1, r"No such file .*; if it is a URL, write https://a\.org/x\.fits$"),
        ("http://127.0.0.1:9/t.fits", 1, "not from a URL: fetch 'http://127.0.0.1:9/t.fits' first, or send"),
    ],
)
async def test_an_hdu_that_is_not_there(tmp_path: Path, data: Any, which: int, says: str) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(DataError, match=says):
            await sender.send_table(data, "receiver", hdu=which)


async def test_a_number_is_not_a_recipient(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, _):
        to: Any = 1
        with pytest.raises(LocalProtocolError, match="1 is not a recipient: expected a name such as"):
            await sender.send_table(TABLE, to)


async def test_several_words_and_several_files_are_not_one(tmp_path: Path) -> None:
    command: Any = ["zoom", "to", "fit"]
    async with pair(tmp_path) as (sender, _):
        with pytest.raises(LocalProtocolError, match="is not a command of DS9: expected one text"):
            await sender.ds9(command)
        with pytest.raises(DataError, match="open takes one file or URL at a time, not 2: call it for each"):
            await sender.open(["a.vot", Path("b.vot")])


async def test_an_image_goes_to_the_frame_that_is_wanted(tmp_path: Path) -> None:
    said: list[str] = []
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on(Ds9Set)
        async def run(message: Ds9Set) -> None:
            said.append(message.cmd if message.url is None else f"{message.cmd} with data")

        await receiver.settled()
        for frame in ("current", "new", 3):
            await sender.send_image(np.zeros((2, 2)), "receiver", frame=frame, timeout=10)
        wrong: Any
        for wrong in ("old", 0, True):
            with pytest.raises(
                LocalProtocolError,
                match="is not a frame of DS9: expected 'new', 'current' or a number from 1 on",
            ):
                await sender.send_image(np.zeros((2, 2)), "receiver", frame=wrong)
    assert said == ["fits with data", "frame new", "fits with data", "frame 3", "fits with data"]


async def _ok(message: Any) -> None:
    pass
