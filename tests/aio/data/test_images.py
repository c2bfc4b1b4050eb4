"""Images, spectra, coverages, positions and commands, from client to client."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.nddata import CCDData, NDData, NDDataRef
from astropy.table import Table
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from astropy.wcs.wcsapi import HighLevelWCSWrapper

from asyncsamp import Client, DataError, Message, ReplyError, Response
from asyncsamp.data.fetching import fetch
from asyncsamp.mtypes import (
    CoordPointAtSky,
    Ds9Get,
    Ds9Set,
    ScriptAladinSend,
    SpectrumLoadSsaGeneric,
)

from ..desktops import pair

PIXELS = np.arange(12.0).reshape(3, 4)


def wcs() -> WCS:
    made = WCS(naxis=2)
    made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    made.wcs.crval = [10.0, 20.0]
    made.wcs.cdelt = [-0.1, 0.1]
    return made


async def sent_and_received(tmp_path: Path, data: Any, **options: Any) -> fits.HDUList:
    async with pair(tmp_path) as (sender, receiver), receiver.images() as images:
        await sender.send_image(data, "receiver", timeout=10, **options)
        return await asyncio.wait_for(anext(images), 30)


@pytest.mark.parametrize(
    "data",
    [
        PIXELS,
        PIXELS.tolist(),
        fits.PrimaryHDU(PIXELS),
        fits.ImageHDU(PIXELS),
        fits.CompImageHDU(PIXELS.astype("i4")),
        fits.HDUList([fits.PrimaryHDU(PIXELS)]),
        NDData(PIXELS, unit="adu"),
        CCDData(PIXELS, unit="adu"),
        PIXELS * u.adu,
        PIXELS.astype("f2"),
        PIXELS.astype(">i2"),
        PIXELS.astype("u4"),
    ],
    ids=lambda data: type(data).__name__,
)
async def test_every_kind_of_image(tmp_path: Path, data: Any) -> None:
    units = await sent_and_received(tmp_path, data)
    assert np.array_equal(units[0].data, PIXELS)


async def test_masks_are_shown_as_pixels(tmp_path: Path) -> None:
    units = await sent_and_received(tmp_path, PIXELS > 5)
    assert units[0].data.tolist() == (PIXELS > 5).astype(int).tolist()


@pytest.mark.parametrize(
    "data",
    [
        np.ma.masked_array(PIXELS, PIXELS > 5),
        np.ma.masked_array(PIXELS.astype("i4"), PIXELS > 5),
        np.ma.masked_array(PIXELS.astype("f4"), PIXELS > 5),
        Masked(PIXELS * u.adu, mask=PIXELS > 5),
        NDData(PIXELS, mask=PIXELS > 5),
        NDData(np.ma.masked_array(PIXELS, PIXELS > 8), mask=PIXELS > 5),
        NDData(np.ma.masked_array(PIXELS, PIXELS > 5)),
    ],
    ids=lambda data: type(data).__name__,
)
async def test_nobody_sees_what_is_beneath_a_mask(tmp_path: Path, data: Any) -> None:
    units = await sent_and_received(tmp_path, data)
    expected = np.where(PIXELS > 5, np.nan, PIXELS)
    assert np.array_equal(units[0].data, expected, equal_nan=True)


async def test_metadata_that_fits_cannot_hold_is_left_out(tmp_path: Path) -> None:
    meta = {"OBSERVER": "Jos\u00e9", "seeing": float("nan"), 1: 2, "a longer name": 3, "OBJECT": "M31"}
    units = await sent_and_received(tmp_path, NDData(PIXELS, meta=meta))
    header = units[0].header
    assert header["OBJECT"] == "M31"
    assert not {"OBSERVER", "SEEING", "1"} & set(header)


async def test_a_part_of_an_image(tmp_path: Path) -> None:
    part = NDDataRef(PIXELS, wcs=wcs())[1:3, 1:3]
    units = await sent_and_received(tmp_path, part, wcs=wcs()[1:3, 1:3])
    assert units[0].shape == (2, 2)
    assert WCS(units[0].header).wcs.crpix.tolist() == [-1.0, -1.0]
    async with pair(tmp_path) as (sender, receiver), receiver.images():
        with pytest.raises(DataError, match="SlicedLowLevelWCS, cannot be written as FITS: give one as wcs="):
            await sender.send_image(part)
        with pytest.raises(DataError, match=r"wcs= is a Header; expected a WCS, as WCS\(header\)"):
            await sender.send_image(PIXELS, wcs=wcs().to_header())
        whole = HighLevelWCSWrapper(wcs())
        assert (await sender.send_image(PIXELS, wcs=whole, timeout=10)).names == ["Receiver"]


async def test_an_array_with_a_wcs(tmp_path: Path) -> None:
    units = await sent_and_received(tmp_path, PIXELS, wcs=wcs(), name="field")
    assert WCS(units[0].header).wcs.crval.tolist() == [10.0, 20.0]
    units = await sent_and_received(tmp_path, NDData(PIXELS, wcs=wcs(), meta={"OBJECT": "M31", "x": []}))
    assert WCS(units[0].header).wcs.crval.tolist() == [10.0, 20.0]
    assert units[0].header["OBJECT"] == "M31"


@pytest.mark.parametrize("local", [False, True])
async def test_files_and_urls(tmp_path: Path, local: bool) -> None:
    path = tmp_path / "i.fits"
    await asyncio.to_thread(fits.PrimaryHDU(PIXELS).writeto, path)
    assert (await sent_and_received(tmp_path, path, local=local))[0].shape == (3, 4)
    assert (await sent_and_received(tmp_path, path.as_uri(), local=local))[0].shape == (3, 4)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            fits.PrimaryHDU(),
            "this PrimaryHDU holds no pixels, as the first HDU of many files: send the one that",
        ),
        (fits.ImageHDU(), "this ImageHDU holds no pixels"),
        (fits.HDUList([fits.PrimaryHDU()]), "no HDU of this HDUList holds any pixels"),
        (np.zeros((0, 3)), r"an array of shape (0, 3) has no pixels, so there is no image to send"),
        (
            np.zeros(4),
            "an image has two axes or more; this array has the shape (4,); send_spectrum or send_table",
        ),
        (np.array(4.0), "an image has two axes or more; this array has the shape ()"),
        ([[1, 2], [3]], "these are not pixels"),
        (np.zeros((2, 2), dtype=complex), "FITS images cannot hold pixels of type complex128"),
        ("none.fits", "there is no file"),
        (
            "www.example.org/m31.fits",
            "there is no file www.example.org/m31.fits; if it is a URL, write https://www.example.org/m31.fits",
        ),
        (3, "cannot send int as an image"),
    ],
)
async def test_what_is_no_image(tmp_path: Path, data: Any, text: str) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.images() as images:
        with pytest.raises(DataError) as caught:
            await sender.send_image(data)
        assert text in str(caught.value)
        await sender.send_image(PIXELS, timeout=10)
        assert (await asyncio.wait_for(anext(images), 30))[0].shape == (3, 4)


async def test_a_file_that_holds_no_image(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\1\2 of a format that nobody knows")
    (tmp_path / "y").write_bytes(await asyncio.to_thread(_table_only))
    async with pair(tmp_path) as (sender, receiver), receiver.images():
        for name, text in (("x", "this is not a FITS image"), ("y", "holds no image")):
            url = {"url": f"file://{tmp_path}/{name}"}
            with pytest.raises(ReplyError, match=text):
                await sender.call(receiver.public_id, "image.load.fits", url, timeout=10)


def _table_only() -> bytes:
    from asyncsamp.data.formats.table_write import write_fits

    return write_fits(Table({"a": [1]}))


async def test_an_image_is_received_in_one_call(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        waiting = asyncio.create_task(receiver.receive_image(timeout=10))
        while not await sender.get_subscribed_clients("image.load.fits"):
            await asyncio.sleep(0)
        await sender.send_image(PIXELS)
        assert (await waiting)[0].shape == (3, 4)


async def test_spectra_and_coverages(tmp_path: Path) -> None:
    got: list[tuple[Message, bytes]] = []
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on("spectrum.load.ssa-generic", "coverage.load.moc.fits")
        async def load(message: Message) -> None:
            got.append((message, await fetch(str(message.params["url"]))))

        await receiver.settled()
        table = Table({"wavelength": [1.0, 2.0], "flux": [3.0, 4.0]})
        await sender.send_spectrum(table, meta={"Target.Name": "Vega"}, name="Vega", timeout=10)
        await sender.send_spectrum(fits.PrimaryHDU(PIXELS), timeout=10)
        unit = fits.BinTableHDU.from_columns([fits.Column("UNIQ", "K", array=[4])])
        await sender.send_moc(unit, name="all", coverage_id="m", timeout=10)
        await sender.send_moc(SerialisedMoc(), timeout=10)
        with pytest.raises(DataError, match="cannot send int as a coverage"):
            await sender.send_moc(3)
    spectrum = SpectrumLoadSsaGeneric.from_message(got[0][0])
    assert spectrum.meta == {"Target.Name": "Vega", "Access.Format": "application/x-votable+xml"}
    assert spectrum.name == "Vega"
    assert b"<VOTABLE" in got[0][1]
    assert got[1][0].params["meta"] == {"Access.Format": "application/fits"}
    assert got[2][0].params["coverage-id"] == "m"
    assert all(data.startswith(b"SIMPLE") for _, data in got[1:])


def columns() -> fits.BinTableHDU:
    return fits.BinTableHDU(Table({"wave": [1.0, 2.0], "flux": [3.0, 4.0]}), name="SPECTRUM")


@pytest.mark.parametrize(
    "spectrum",
    [
        columns(),
        fits.HDUList([fits.PrimaryHDU(), columns()]),
        fits.HDUList([fits.PrimaryHDU(PIXELS[0])]),
        fits.CompImageHDU(PIXELS.astype("i4")),
    ],
    ids=lambda data: type(data).__name__,
)
async def test_spectra_go_as_they_are(tmp_path: Path, spectrum: Any) -> None:
    got: list[bytes] = []
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on("spectrum.load.ssa-generic")
        async def load(message: Message) -> None:
            got.append(await fetch(str(message.params["url"])))

        await receiver.settled()
        await sender.send_spectrum(spectrum, timeout=10)
        with pytest.raises(DataError, match="the spectrum has no data"):
            await sender.send_spectrum(fits.HDUList([fits.PrimaryHDU()]))
    last = spectrum[-1] if isinstance(spectrum, fits.HDUList) else spectrum
    with fits.open(io.BytesIO(got[0]), memmap=False) as units:
        assert np.array_equal(units[-1].data, last.data)


async def test_an_hdu_of_columns_is_a_table(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        await sender.send_table(columns(), timeout=10)
        table = await asyncio.wait_for(anext(tables), 30)
        assert table.meta["samp"]["name"] == "SPECTRUM"
        assert list(table["flux"]) == [3, 4]


class SerialisedMoc:
    """What mocpy's MOC offers."""

    def serialize(self, kind: str) -> fits.HDUList:
        assert kind == "fits"
        unit = fits.BinTableHDU.from_columns([fits.Column("UNIQ", "K", array=[4])])
        return fits.HDUList([fits.PrimaryHDU(), unit])


async def test_positions(tmp_path: Path) -> None:
    seen = []
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on(CoordPointAtSky)
        async def point(at: CoordPointAtSky) -> Response:
            seen.append((round(at.ra, 3), round(at.dec, 3)))
            return Response.warning({}, "if you say so")

        await receiver.settled()
        sent = await sender.point_at(10.684, 41.269)
        assert sent[receiver.public_id].ok
        assert "samp.warning, if you say so" in repr(sent)
        await sender.point_at(SkyCoord(10.684, 41.269, unit="deg"), "receiver")
        await sender.point_at(10.684 * u.deg, 41.269 * u.deg, receiver.public_id)
        with pytest.raises(DataError, match="got 10 alone"):
            await sender.point_at(10)
    assert seen == [(10.684, 41.269)] * 3


async def test_scripts_for_ds9_and_aladin(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "answer").write_text("from a file")
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on(Ds9Set)
        async def set_(message: Ds9Set) -> None:
            said.append(message.cmd)

        @receiver.on(Ds9Get)
        async def get(message: Ds9Get) -> dict[str, str]:
            return {"file": {"url": f"file://{tmp_path}/answer"}, "x": {}}.get(message.cmd, {"value": "7"})

        @receiver.on(ScriptAladinSend)
        async def script(message: ScriptAladinSend) -> None:
            said.append(message.script)

        await receiver.declare_metadata({"samp.name": "SAOImageDS9"})
        await receiver.settled()
        await sender.ds9("scale log")
        assert await sender.ds9_get("size") == "7"
        assert await sender.ds9_get("file") == "from a file"
        assert await sender.ds9_get("x") == ""
        await sender.aladin("grid on", "SAOImageDS9")
    assert said == ["scale log", "grid on"]


@pytest.mark.parametrize(
    "table",
    [
        Table({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 2], "b": [3, 4]}),
        fits.table_to_hdu(Table({"a": [1, 2]})),
        from_table(Table({"a": [1, 2]})).get_first_table(),
    ],
    ids=lambda table: type(table).__name__,
)
@pytest.mark.parametrize("to", [None, "receiver", "nobody"])
async def test_a_table_is_not_an_image_whoever_is_there(table: Any, to: str | None, tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, _):
        with pytest.raises(DataError, match="is a table, not an image: use send_table"):
            await sender.send_image(table, to)


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PNG, r" is a PNG picture, not an image in FITS: .*send its pixels as an array, as in send_image\("),
        (gzip.compress(PNG, mtime=0), " is a PNG picture, not"),
        (b"\xff\xd8\xff\xe0", " is a JPEG picture, not"),
        (
            b"ra,dec\n1.5,2.5\n" * 200 + "\u00e4".encode() * 600,
            " is a text, .*: if it is a table, use send_table",
        ),
        (b'<?xml version="1.0"?>\n<VOTABLE>', " is a VOTable, not an image in FITS: use send_table"),
        (b"PAR1", " is a Parquet table, .*: use send_table"),
        (b"\x93NUMPY\1\0", r" is an array of numpy, .*: use send_image\(numpy.load\(FILE\)\)"),
        (b"", " is empty, so it is not an image"),
    ],
    ids=["png", "png.gz", "jpeg", "text", "votable", "parquet", "numpy", "empty"],
)
@pytest.mark.parametrize("frame", [None, "new"])
async def test_a_file_that_is_clearly_not_an_image(
    content: bytes, text: str, frame: str | None, tmp_path: Path
) -> None:
    """By what it holds, whatever it is called, and whoever is there; also by a URL of this machine."""
    place = tmp_path / "m31.fits"
    place.write_bytes(content)
    async with pair(tmp_path) as (sender, _):
        for each in (place, str(place), place.as_uri()):
            with pytest.raises(DataError, match=text):
                await sender.send_image(each, "nobody", frame=frame)


def fits_of(*units: Any, **header: object) -> bytes:
    """Return a FITS file of a primary unit and others, of which the last has `header`."""
    written = io.BytesIO()
    if header:
        units[-1].header.update(header)
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(written)
    return written.getvalue()


ONE = Table({"a": [1, 2]})
IN_FITS = {
    "table": fits_of(fits.BinTableHDU(ONE)),
    "moc": fits_of(fits.BinTableHDU(ONE), MOCVERS="2.0"),
    "image": fits_of(fits.ImageHDU(PIXELS)),
    "text": b"0/1-3",
    "votable": b"<VOTABLE>",
    "png": PNG,
}


@pytest.mark.parametrize(
    ("method", "content", "text"),
    [
        ("send_image", "table", "is a table in FITS, not an image: use send_table$"),
        ("send_image", "moc", "is a coverage map in FITS, not an image: use send_moc$"),
        ("send_table", "image", "is an image in FITS, not a table: use send_image$"),
        ("send_table", "png", "is a PNG picture, not a table$"),
        ("send_spectrum", "png", "is a PNG picture, not a spectrum: send_spectrum takes a VOTable or FITS"),
        ("send_moc", "png", "is a PNG picture, not a coverage map in FITS: send_moc takes a MOC in FITS"),
        ("send_moc", "image", "is an image in FITS, not a coverage map: use send_image$"),
        ("send_moc", "votable", "is a VOTable, not a coverage map in FITS: use send_table$"),
        (
            "send_moc",
            "text",
            r"is a text, .*: read it first, as in send_moc\(mocpy.MOC.load\(FILE, 'ascii'\)",
        ),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["", "gz"])
async def test_a_file_for_another_method(
    method: str, content: str, text: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    place = tmp_path / "x.fits"
    place.write_bytes(pack(IN_FITS[content]))
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("image.load.fits", "table.load.votable", "table.load.fits", "coverage.load.moc.fits")(_ok)
        receiver.on("spectrum.load.ssa-generic")(_ok)
        await receiver.settled()
        for each in (place, str(place), place.as_uri()):
            if each == place.as_uri() and (method, content) == ("send_table", "png"):
                continue  # a URL goes as it is
            with pytest.raises(DataError, match=text):
                await getattr(sender, method)(each)


async def _ok(message: Message) -> None: ...


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("send_image", fits_of(fits.BinTableHDU(ONE), fits.ImageHDU(PIXELS))),
        ("send_image", fits_of(fits.BinTableHDU(ONE), PIXTYPE="HEALPIX")),
        ("send_image", fits_of(fits.BinTableHDU(ONE, name="EVENTS"))),
        ("send_image", fits_of(fits.CompImageHDU(PIXELS.astype("i4")))),
        ("send_image", IN_FITS["table"][:3000]),  # which is cut off
        ("send_table", fits_of(fits.ImageHDU(PIXELS), fits.BinTableHDU(ONE))),
        ("send_moc", IN_FITS["moc"]),
        ("send_moc", IN_FITS["table"]),  # which may be one all the same
        ("send_spectrum", IN_FITS["table"]),
        ("send_spectrum", IN_FITS["image"]),
        ("send_spectrum", b"wave flux\n1 2\n"),
    ],
)
async def test_a_file_that_may_be_meant_so_goes(method: str, content: bytes, tmp_path: Path) -> None:
    place = tmp_path / "x.fits"
    place.write_bytes(content)
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("image.load.fits", "table.load.votable", "table.load.fits", "coverage.load.moc.fits")(_ok)
        receiver.on("spectrum.load.ssa-generic")(_ok)
        await receiver.settled()
        assert (await getattr(sender, method)(place, timeout=10)).names == ["Receiver"]


@pytest.mark.parametrize(
    ("spectrum", "text"),
    [
        (np.arange(3.0), r"an array alone is not a spectrum: .*send_spectrum\(Table\({'wavelength': "),
        ([1.0, 2.0], "an array alone is not a spectrum"),
        (NDData(np.arange(3.0)), "an array alone is not a spectrum"),
        (3, "cannot send int as a spectrum: expected a table, an HDU"),
    ],
)
async def test_what_is_no_spectrum(spectrum: Any, text: str, tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        receiver.on("spectrum.load.ssa-generic")(_ok)
        await receiver.settled()
        with pytest.raises(DataError, match=text):
            await sender.send_spectrum(spectrum)
        good = {"wavelength": [1.0, 2.0], "flux": [3.0, 4.0]}
        assert (await sender.send_spectrum(good, "receiver", "Vega", timeout=10)).names == ["Receiver"]


async def test_aladin_loads_a_moc_by_a_script(tmp_path: Path) -> None:
    """It takes no coverage maps as such; others get theirs as before."""
    said: list[Message] = []
    async with pair(tmp_path) as (sender, receiver), Client("Aladin", lockfile=tmp_path / "samp") as aladin:

        @receiver.on("coverage.load.moc.fits")
        @aladin.on("script.aladin.send")
        async def take(message: Message) -> None:
            said.append(message)

        await receiver.settled()
        await aladin.settled()
        await sender.send_moc(SerialisedMoc(), "aladin", "a; quit", timeout=10)
        await sender.send_moc("http://h/a b;quit.fits", "aladin", timeout=10)
        assert set((await sender.send_moc(SerialisedMoc(), timeout=10)).names) == {"Receiver", "Aladin"}
    first, second = (str(message.params["script"]) for message in said[:2])
    assert re.fullmatch(r"a_quit = load file:/+\S+; sync", first)
    assert second == "moc = load http://h/a%20b%3Bquit.fits; sync"
    assert {message.mtype for message in said[2:]} == {"coverage.load.moc.fits", "script.aladin.send"}


async def test_ds9_is_ended_without_an_answer(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, ds9):
        await ds9.declare_metadata({"samp.name": "SAOImageDS9"})

        @ds9.on("ds9.set")
        async def run(message: Message) -> None:
            assert message.msg_id is None
            asyncio.get_running_loop().create_task(ds9.unregister())

        await ds9.settled()
        assert (await sender.ds9("exit")).names == ["SAOImageDS9"]


@pytest.mark.parametrize("arguments", [("M31",), ("M31", "aladin")])
async def test_a_name_is_not_a_position(arguments: tuple[str, ...], tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, _):
        with pytest.raises(
            DataError, match=r"^'M31' is not a position: point at SkyCoord.from_name\('M31'\)"
        ):
            await sender.point_at(*arguments)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lambda data: data[:5000]], ids=["fits", "gz", "bz2", "cut"]
)
async def test_a_file_that_a_tool_may_take_goes(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Also what this package cannot read itself, and what is elsewhere, whatever that is called."""
    place = tmp_path / "image.png"
    written = io.BytesIO()
    fits.PrimaryHDU(np.ones((60, 60))).writeto(written)
    place.write_bytes(pack(written.getvalue()))
    async with pair(tmp_path) as (sender, receiver):
        seen: list[str] = []

        @receiver.on("image.load.fits")
        async def load(message: Message) -> None:
            seen.append(str(message.params["url"]))

        await receiver.settled()
        elsewhere = "http://127.0.0.1:9/m31.png"
        for each in (place, elsewhere):
            assert (await sender.send_image(each, timeout=10)).names == ["Receiver"]
        assert seen[1] == elsewhere
