"""The real Aladin: a table, an image and a position go in; the position is read back."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from astropy import units as u
from astropy.coordinates import Latitude, Longitude, SkyCoord
from mocpy import MOC

from asyncsamp import Client, Hub, RemoteClient
from asyncsamp.mtypes import AppPing, CoordGetSky, CoordPointAtSky, ScriptAladinSend

from ..peers import aladin_on, own_hub, screen
from .meeting import aladin_ready
from .sky import DEC, RA, image, stars

pytestmark = pytest.mark.timeout(240)


async def test_tables_images_and_positions_go_in(tmp_path: Path, picture: Path) -> None:
    lockfile = tmp_path / ".samp"
    table = stars()
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        aladin_on(display, lockfile, tmp_path),
    ):
        tool = await aladin_ready(client, display)
        assert tool.metadata["samp.name"] == "Aladin"
        assert (await client.call(tool, AppPing(), timeout=30)).ok

        sent = await client.send_image(image(), "aladin", name="field", local=True, timeout=60)
        assert sent.names == ["Aladin"]
        assert (await client.send_table(table, "Aladin", name="stars", timeout=60)).names == ["Aladin"]
        assert (await client.select_rows(table, [0, 1, 2], "aladin")).names == ["Aladin"]

        await client.point_at(SkyCoord(RA, DEC, unit="deg"), "aladin")
        answered = await client.call(tool, CoordGetSky(), timeout=30)
        there = CoordPointAtSky.from_params(answered.result)
        assert (there.ra, there.dec) == pytest.approx((RA, DEC), abs=1e-3)

        assert (await client.aladin("zoom 1deg\ngrid on\nsync")).names == ["Aladin"]
        await display.drawn(picture, "Aladin v", colours=200)

        moc = MOC.from_cone(Longitude(RA * u.deg), Latitude(DEC * u.deg), radius=1 * u.deg, max_depth=8)
        moc.save(tmp_path / "a map.fits", format="fits")
        for each, name in ((moc, "the map"), (tmp_path / "a map.fits", "from a file")):
            assert (await client.send_moc(each, "aladin", name, timeout=60)).names == ["Aladin"]
        async with asyncio.timeout(60):  # it answers before it shows them
            while await maps_in(client, tool) != {"the_map", "from_a_file"}:
                pass


async def maps_in(client: Client, tool: RemoteClient) -> set[str]:
    """Return the names of the coverage maps that Aladin shows."""
    status = await client.call(tool, ScriptAladinSend(script="status"), timeout=30)
    planes = str(status.result["script.result"]).split("\n\n")
    return {plane.split()[1] for plane in planes if "SMOC" in plane}


async def test_the_hub_is_killed_and_started_again_under_it(tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    state = "--state", str(tmp_path / "hub.state")
    async with contextlib.AsyncExitStack() as stack:
        display = await stack.enter_async_context(screen(tmp_path))
        hub = await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        client = await stack.enter_async_context(Client("me", lockfile=lockfile))
        await stack.enter_async_context(aladin_on(display, lockfile, tmp_path))
        tool = await aladin_ready(client, display)
        await hub.kill()
        await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        await client.wait_registered(60)
        assert (await client.send_table(stars(), "aladin", timeout=60)).names == ["Aladin"]
        assert (await client.find("aladin")).public_id == tool.public_id
