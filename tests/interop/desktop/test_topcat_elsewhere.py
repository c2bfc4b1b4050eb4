"""The real TOPCAT and DS9 on a laptop; a notebook and STILTS on a cluster, in one room.

The laptop has a network and a file system of its own: it does not have the cluster's files.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from astropy.io import fits

from asyncsamp import Client, RemoteClient, ReplyError
from asyncsamp.data.formats.table_write import write_fits
from asyncsamp.mtypes import Ds9Get, Ds9Set

from ..peers import ds9_on, screen, stilts_send, topcat_on
from ..rooms import at, attached, joined_hub, room, second_machine
from .meeting import found
from .sky import image, stars
from .windows import ACTIONS, BROWSER, MAIN, click_row, open_window, until_it_arrives

pytestmark = pytest.mark.timeout(240)

FILES = ("--reach-files", "sent")


async def test_a_notebook_on_a_cluster_and_topcat_on_the_laptop(tmp_path: Path, picture: Path) -> None:
    """Out goes a table, from memory and from a file; a row that is clicked comes back."""
    cluster_files = tmp_path / "cluster"
    cluster_files.mkdir()
    path = cluster_files / "from_stilts.fits"
    await asyncio.to_thread(lambda: path.write_bytes(write_fits(stars(25), name="from STILTS")))
    table = stars()
    async with (
        room(tmp_path) as server,
        second_machine(server, tmp_path, cluster_files) as there,
        at(there, joined_hub(server, tmp_path, "laptop", *FILES)) as laptop,
        joined_hub(server, cluster_files, "cluster", *FILES) as cluster,
        Client("notebook", lockfile=cluster) as client,
        screen(tmp_path) as display,
        at(there, topcat_on(display, laptop, tmp_path)),
    ):
        topcat = await found(client, "topcat", "table.load.votable")
        assert topcat.name == "topcat @laptop"
        sent = await client.send_table(table, "topcat", name="stars of the cluster", timeout=60)
        assert sent.names == ["topcat @laptop"]
        async with asyncio.timeout(60):
            while True:  # TOPCAT answers before it knows the table by its id
                with contextlib.suppress(ReplyError):
                    bright = await client.select_rows(table, table["mag"] < 8, "topcat")
                    break
        assert bright.names == ["topcat @laptop"]
        async with client.highlights(table) as highlights:

            async def click_a_row() -> None:
                await open_window(display, BROWSER)
                await open_window(display, ACTIONS)
                await display.click(ACTIONS, 40, 301)  # send row index
                await click_row(display, 5)

            assert await until_it_arrives(click_a_row, highlights) == 5
        async with stilts_send(cluster, tmp_path, path, client="topcat @laptop") as sender:
            await sender.succeed(timeout=90)
        await display.arrange(ACTIONS, 2000, 0)
        await display.arrange(MAIN, 0, 0)
        await display.arrange(BROWSER, 10, 330)
        await display.drawn(picture, colours=50)
        await a_file_by_its_url(client, topcat, cluster_files / "own table.vot")
        await the_icon(topcat)


async def a_file_by_its_url(client: Client, topcat: RemoteClient, path: Path) -> None:
    """What the cluster calls by the URL of its own file, TOPCAT knows by that of its own hub."""
    await asyncio.to_thread(stars(30).write, path, format="votable")
    url = path.as_uri()
    load = {"url": url, "table-id": "own-1", "name": "own table"}
    assert (await client.call(topcat, "table.load.votable", load, timeout=60)).ok
    for same in ({"url": url}, {"table-id": "own-1"}):
        await once_it_is_known(client, topcat, {**same, "row": "7"})
    with pytest.raises(ReplyError, match="No table with"):
        await client.call(topcat, "table.highlight.row", {"url": f"{url}x", "row": "7"}, timeout=60)


async def once_it_is_known(client: Client, topcat: RemoteClient, row: dict[str, str]) -> None:
    """Highlight a row: TOPCAT answers that it loads a table before it knows it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(ReplyError):
                assert (await client.call(topcat, "table.highlight.row", row, timeout=60)).ok
                return


async def the_icon(topcat: RemoteClient) -> None:
    """TOPCAT serves it itself, on a port of the laptop."""
    url = str(topcat.metadata["samp.icon.url"])
    content = await read(url)
    assert url.startswith("http://127.0.0.1:")
    assert (url[-4:], content[:8]) == (".png", b"\x89PNG\r\n\x1a\n")


async def read(url: str) -> bytes:
    async with aiohttp.ClientSession(raise_for_status=True) as tool, tool.get(url) as answer:
        content = await answer.read()
        assert len(content) == answer.content_length
        return content


async def test_topcat_that_was_started_first_is_attached(tmp_path: Path) -> None:
    """It runs a hub of its own then, to which `attach` brings the room."""
    cluster_files = tmp_path / "cluster"
    cluster_files.mkdir()
    lockfile = tmp_path / "topcat.samp"
    async with (
        room(tmp_path) as server,
        second_machine(server, tmp_path, cluster_files) as there,
        joined_hub(server, cluster_files, "cluster", *FILES) as cluster,
        Client("notebook", lockfile=cluster) as client,
        screen(tmp_path) as display,
        at(there, topcat_on(display, lockfile, tmp_path, own_hub=True)),
        at(there, attached(server, lockfile, tmp_path, "laptop")),
    ):
        topcat = await found(client, "topcat", "table.load.votable")
        table = stars()
        sent = await client.send_table(table, "topcat", timeout=60)
        assert sent.names == ["topcat @laptop"]
        await once_it_is_known(client, topcat, {"table-id": sent.item_id, "row": "7"})


async def test_who_sends_topcat_what_it_may_not_read_is_told_what_to_do(tmp_path: Path) -> None:
    """The hub of the cluster does not offer its files. TOPCAT says no more than the status."""
    cluster_files = tmp_path / "cluster"
    cluster_files.mkdir()
    async with (
        room(tmp_path) as server,
        second_machine(server, tmp_path, cluster_files) as there,
        at(there, joined_hub(server, tmp_path, "laptop", *FILES)) as laptop,
        joined_hub(server, cluster_files, "cluster", "--reach-files", "none") as cluster,
        Client("notebook", lockfile=cluster) as client,
        screen(tmp_path) as display,
        at(there, topcat_on(display, laptop, tmp_path)),
    ):
        await found(client, "topcat", "table.load.votable")
        with pytest.raises(ReplyError, match=r"response code: 403 .*; if this hub .* --reach-files sent;"):
            await client.send_table(stars(), "topcat", timeout=60)


async def test_an_image_from_the_cluster_in_ds9_on_the_laptop(tmp_path: Path) -> None:
    """And back: what DS9 broadcasts of it are the same pixels."""
    cluster_files = tmp_path / "cluster"
    cluster_files.mkdir()
    async with (
        room(tmp_path) as server,
        second_machine(server, tmp_path, cluster_files) as there,
        at(there, joined_hub(server, tmp_path, "laptop", *FILES)) as laptop,
        joined_hub(server, cluster_files, "cluster", *FILES) as cluster,
        Client("notebook", lockfile=cluster) as client,
        screen(tmp_path) as display,
        at(there, ds9_on(display, laptop, tmp_path)),
    ):
        tool = await found(client, "ds9", "image.load.fits")
        assert tool.name == "SAOImageDS9 @laptop"
        sent = await client.send_image(image(), "ds9", name="M 31", timeout=60)
        assert sent.names == ["SAOImageDS9 @laptop"]
        response = await client.call(tool, Ds9Get(cmd="fits size"), timeout=60)
        assert response.result["value"] == "200 160"
        async with client.messages("image.load.fits") as images:

            async def broadcast() -> None:
                await client.call(tool, Ds9Set(cmd="samp broadcast image"), timeout=60)

            told = await until_it_arrives(broadcast, images)
        assert told.sender == tool.public_id
        url = str(told.params["url"])
        assert url.startswith("http://127.0.0.1:")
        with fits.open(io.BytesIO(await read(url))) as shown:
            assert np.array_equal(shown[0].data, image()[0].data)
