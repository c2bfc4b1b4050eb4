"""The real DS9: an image goes in, and is asked for back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, ReplyError
from asyncsamp.mtypes import AppPing, Ds9Get

from ..peers import ds9_on, screen
from .meeting import found
from .sky import DEC, RA, image, stars

pytestmark = pytest.mark.timeout(240)


async def test_an_image_goes_in_and_is_asked_for_back(tmp_path: Path, picture: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        ds9_on(display, lockfile, tmp_path),
    ):
        tool = await found(client, "SAOImageDS9", "image.load.fits")
        assert (await client.call(tool, AppPing(), timeout=30)).ok

        sent = await client.send_image(image(), "ds9", name="M 31", timeout=60)
        assert sent.names == ["SAOImageDS9"]
        assert await client.ds9_get("fits size") == "200 160"
        assert (await client.ds9_get("file")).endswith(".fits")

        await client.ds9("scale zscale")
        await client.ds9("cmap heat")
        await client.ds9("zoom to fit")
        assert await client.ds9_get("scale mode") == "zscale"
        await client.point_at(RA, DEC, "ds9")
        response = await client.call(tool, Ds9Get(cmd="cmap"), timeout=30)
        assert response.result["value"] == "heat"

        assert (await client.send_image(image()[0].data, "ds9", local=True, timeout=60)).names
        assert await client.ds9_get("fits size") == "200 160"
        frames = await client.ds9_get("frame all")
        await client.send_image(image()[0].data[:, :100], "ds9", frame="current", timeout=60)
        assert await client.ds9_get("fits size") == "100 160"
        assert await client.ds9_get("frame all") == frames
        await client.send_image(image()[0].data, "ds9", frame=int(frames.split()[0]), timeout=60)
        await client.ds9("frame delete")
        await client.send_image(
            image(), "ds9", frame="current", timeout=60
        )  # with positions, for the picture
        await client.ds9("zoom to fit")
        assert (await client.send_table(stars(), "ds9", timeout=60)).names == ["SAOImageDS9"]

        with pytest.raises(ReplyError, match="answered samp"):
            await client.ds9("no such command")
        assert await client.ds9_get("version")

        await display.drawn(picture, "SAOImage ds9", colours=200)
        assert (await client.ds9("exit")).names == ["SAOImageDS9"]
        async with asyncio.timeout(60):
            while tool.registered:
                await client.clients.changed()
