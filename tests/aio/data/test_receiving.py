"""The streams of what others send: spectra, coverages, positions, and the selections of any table."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from mocpy import MOC

from asyncsamp import ReplyError
from asyncsamp.mtypes import CoverageLoadMocAscii

from ..desktops import pair


async def test_a_spectrum_of_columns_is_a_table(tmp_path: Path) -> None:
    spectrum = Table({"wavelength": [500.0, 501.0], "flux": [1.0, 2.0]}, meta={"name": "Vega"})
    async with pair(tmp_path) as (sender, receiver), receiver.spectra() as spectra:
        sent = await sender.send_spectrum(spectrum, "receiver", meta={"Target.Name": "Vega"}, timeout=10)
        got = await asyncio.wait_for(anext(spectra), 30)
        assert list(got["flux"]) == [1.0, 2.0]
        told = got.meta["samp"]
        assert told["spectrum-id"] == sent.item_id
        assert told["sender"] == sender.public_id
        assert told["sender-name"] == "Sender"
        assert told["name"] == "Vega"
        assert told["ssa"]["Target.Name"] == "Vega"


async def test_a_spectrum_of_pixels_is_an_hdulist(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.spectra() as spectra:
        await sender.send_spectrum(fits.HDUList([fits.PrimaryHDU(np.arange(8.0))]), timeout=10)
        (unit,) = await asyncio.wait_for(anext(spectra), 30)
        assert unit.data.tolist() == list(range(8))


async def test_a_coverage_in_fits_and_as_text(tmp_path: Path) -> None:
    moc = MOC.from_string("3/1-4 6/700")
    (tmp_path / "moc.txt").write_text(moc.to_string())
    async with pair(tmp_path) as (sender, receiver), receiver.mocs() as mocs:
        await sender.send_moc(moc, "receiver", timeout=10)
        assert await asyncio.wait_for(anext(mocs), 30) == moc
        as_text = CoverageLoadMocAscii(url=f"file://{tmp_path}/moc.txt")
        await sender.call(receiver.public_id, as_text, timeout=10)
        assert await asyncio.wait_for(anext(mocs), 30) == moc
        (tmp_path / "moc.txt").write_text("nonsense")
        with pytest.raises(ReplyError, match="this is not a MOC"):
            await sender.call(receiver.public_id, as_text, timeout=10)


async def test_positions_are_sky_coordinates(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.positions() as positions:
        await sender.point_at(SkyCoord(10.684, 41.269, unit="deg").galactic, "receiver")
        position = await asyncio.wait_for(anext(positions), 30)
        assert position.frame.name == "icrs"
        assert position.separation(SkyCoord(10.684, 41.269, unit="deg")).arcsec < 1e-6
        with pytest.raises(ReplyError, match="dec is 91"):
            await sender.call(receiver.public_id, "coord.pointAt.sky", {"ra": 0, "dec": 91}, timeout=30)


async def test_selections_of_any_table(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.all_selections() as selections:
        params = {"table-id": "elsewhere", "row-list": ["3", "5"]}
        await sender.call(receiver.public_id, "table.select.rowList", params, timeout=30)
        selection = await asyncio.wait_for(anext(selections), 30)
        assert (selection.table_id, selection.url, selection.sender) == ("elsewhere", "", sender.public_id)
        assert selection.rows.tolist() == [3, 5]
