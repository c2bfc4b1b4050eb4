"""The real STILTS sends a table to us."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncsamp import Client, Hub
from asyncsamp.data.formats.table_write import write_fits

from ..peers import stilts_send
from .sky import stars

pytestmark = pytest.mark.timeout(150)


async def test_a_table_of_stilts_arrives_as_an_astropy_table(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    path = tmp_path / "stars.fits"
    await asyncio.to_thread(lambda: path.write_bytes(write_fits(stars(), name="stars")))
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        client.tables() as tables,
        stilts_send(lockfile, tmp_path, path) as sender,
    ):
        table = await asyncio.wait_for(anext(tables), 60)
        await sender.succeed(timeout=60)  # it waits for our samp.ok
    assert len(table) == 40
    assert table["ra"].unit == "deg"
    assert table.meta["samp"]["url"].startswith("http://127.0.0.1:")
