from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from asyncsamp import Client, DataError, Hub, Message
from asyncsamp.data.formats.kinds import Kind, recognise_bytes
from asyncsamp.data.formats.table_write import write_fits
from asyncsamp.data.recognising import recognise


def fits_bytes(*units: Any) -> bytes:
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(file)
    return file.getvalue()


def columns(**more: object) -> Any:
    unit = fits.BinTableHDU(Table({"a": [1, 2]}))
    unit.header.update(more)
    return unit


CASES = [
    (b"<?xml version='1.0'?>\n<VOTABLE version='1.3'>", Kind.TABLE),
    (b"<v:VOTABLE xmlns:v='x'>", Kind.TABLE),
    (b"<VOTABLE><RESOURCE utype='spec:Spectrum'>", Kind.SPECTRUM),
    (fits_bytes(columns()), Kind.TABLE),
    (fits_bytes(columns(MOCVERS="2.0")), Kind.MOC),
    (fits_bytes(columns(ORDERING="NUNIQ")), Kind.MOC),
    (fits_bytes(columns(VOCLASS="SPECTRUM 1.0")), Kind.SPECTRUM),
    (fits_bytes(fits.BinTableHDU(Table({"wavelength": [1.0], "flux": [2.0]}))), Kind.SPECTRUM),
    (fits_bytes(fits.ImageHDU(np.zeros((4, 4)))), Kind.IMAGE),
    (fits_bytes(fits.CompImageHDU(np.zeros((40, 40)))), Kind.IMAGE),
    (fits_bytes(fits.ImageHDU(np.zeros(40))), Kind.SPECTRUM),
    (fits_bytes(), Kind.IMAGE),
    (b"\xcd\xf3\x00\x01\x00\x00\xff\xff", Kind.CDF),
    (b"ra,dec\n1,2\n", None),
    (b"", None),
    (write_fits(Table({"a": [1]})), Kind.TABLE),
]

SENT_AS = {
    0: "table.load.votable",
    4: "coverage.load.moc.fits",
    6: "spectrum.load.ssa-generic",
    8: "image.load.fits",
    12: "table.load.cdf",
}
"""The mtype by which `open` sends some of the cases."""


@pytest.mark.parametrize(("data", "kind"), CASES)
def test_by_its_first_bytes(data: bytes, kind: Kind | None) -> None:
    assert recognise_bytes(data) is kind


async def test_a_file_packed_or_not(tmp_path: Path) -> None:
    path = tmp_path / "no-ending"
    path.write_bytes(gzip.compress(CASES[0][0]))
    assert await recognise(path) is Kind.TABLE
    assert await recognise(path.as_uri()) is Kind.TABLE


async def test_what_is_not_data_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "notes.vot"
    path.write_text("Dear diary")
    with pytest.raises(DataError, match=r"notes.vot is not a VOTable, FITS, CDF or MOC file, but a text;"):
        await recognise(path)
    with pytest.raises(DataError, match=r"No such file or directory$"):
        await recognise(tmp_path / "missing")
    with pytest.raises(
        DataError, match=r"No such file .*; if it is a URL, write https://www\.example\.org/x\.vot"
    ):
        await recognise("www.example.org/x.vot")


async def test_a_url_by_what_it_gives(tmp_path: Path) -> None:
    async with Hub(lockfile=tmp_path / "hub"), Client("me", lockfile=tmp_path / "hub") as client:
        url = await client.share(CASES[8][0], name="image.fits")
        assert await recognise(url) is Kind.IMAGE
        with pytest.raises(DataError, match="HTTP 404"):
            await recognise(url + "x")


async def test_open_sends_each_kind_as_its_own_message(tmp_path: Path) -> None:
    """A file goes as its own file:// URL to those who take it."""
    path = tmp_path / "x"
    lockfile = tmp_path / "hub"
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        Client("viewer", lockfile=lockfile) as viewer,
    ):
        taken: list[tuple[str, object]] = []

        @viewer.on(*SENT_AS.values())
        async def load(message: Message) -> None:
            taken.append((message.mtype, message.params["url"]))

        await viewer.settled()
        for index in SENT_AS:
            path.write_bytes(CASES[index][0])
            await client.open(path, "viewer")
        assert taken == [(mtype, path.as_uri()) for mtype in SENT_AS.values()]
