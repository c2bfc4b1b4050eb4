"""The real TOPCAT: a table goes in, and what the user selects and clicks in its windows comes back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from asyncsamp import (
    CallTimeoutError,
    Client,
    Hub,
    HubRunningError,
    ReplyError,
    SampError,
    UnknownClientError,
)
from asyncsamp.mtypes import AppPing

from ..peers import own_hub, screen, topcat_on
from .meeting import found
from .sky import stars
from .windows import ACTIONS, BROWSER, MAIN, SUBSETS, click_row, open_window, until_it_arrives

pytestmark = pytest.mark.timeout(240)


async def test_a_hub_after_topcat_names_topcat(tmp_path: Path) -> None:
    """TOPCAT that is started first runs a hub of its own, and ours says so when it is refused."""
    lockfile = tmp_path / "hub.samp"
    async with screen(tmp_path) as display, topcat_on(display, lockfile, tmp_path, own_hub=True):
        async with Client("me", lockfile=lockfile, wait_for_hub=60) as client:
            await found(client, "TOPCAT", "table.load.votable")
        with pytest.raises(HubRunningError) as caught:
            await Hub(lockfile=lockfile).start()
    assert "'org.astrogrid.samp.hub.BasicHubService'; its clients are 'topcat'" in str(caught.value)
    assert "stop it in its program" in str(caught.value)


async def test_a_table_goes_in_and_selections_come_back(tmp_path: Path, picture: Path) -> None:
    """The user's round: out goes a table, back come the rows that were selected by hand."""
    lockfile = tmp_path / "hub.samp"
    table = stars()
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
    ):
        topcat = await found(client, "TOPCAT", "table.load.votable")
        assert topcat.metadata["samp.name"] == "topcat"
        assert "Catalogues And Tables" in str(topcat.metadata["samp.description.text"])
        assert (await client.call(topcat, AppPing(), timeout=30)).ok

        sent = await client.send_table(table, "topcat", name="stars", timeout=60)
        assert sent.names == ["topcat"]
        # An id that TOPCAT has already is refused by it, so the second one has another.
        again = await client.send_table(table, topcat, name="stars again", timeout=60)
        assert again.item_id != sent.item_id

        async with client.selections(table) as selections, client.highlights(table) as highlights:
            assert (await client.highlight_row(table, 7)).names == ["topcat"]
            assert (await client.select_rows(table, table["mag"] < 8, "topcat")).names == ["topcat"]

            async def select() -> None:
                await open_window(display, BROWSER)
                await click_row(display, 3)
                await open_window(display, SUBSETS)
                await display.click(SUBSETS, 217, 129)  # the second one is what has been clicked
                await display.click(SUBSETS, 399, 40)  # broadcast

            rows = await until_it_arrives(select, selections)
            assert rows.dtype.kind == "i"
            # TOPCAT lists the subset that we sent before what has been clicked, once it has both.
            assert rows.tolist() in ([3], np.flatnonzero(table["mag"] < 8).tolist())
            assert isinstance(table[rows], Table)

            async def send_row_index() -> None:
                await open_window(display, ACTIONS)
                await display.click(ACTIONS, 40, 301)
                await click_row(display, 5)

            assert await until_it_arrives(send_row_index, highlights) == 5

        await display.arrange(ACTIONS, 2000, 0)
        await display.arrange(MAIN, 0, 0)
        await display.arrange(SUBSETS, 400, 330)
        await display.arrange(BROWSER, 10, 330)
        await display.drawn(picture, colours=50)


async def test_it_is_killed_in_the_middle(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        Client("other", lockfile=lockfile) as other,
        other.tables() as tables,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path) as process,
    ):
        topcat = await found(client, "topcat", "table.load.votable")
        process.send_signal(signal.SIGSTOP)  # it has taken the message, perhaps, and will never answer
        sending = asyncio.create_task(client.send_table(stars(), timeout=120))
        assert len(await asyncio.wait_for(anext(tables), 60)) == 40
        await process.kill()
        sent = await asyncio.wait_for(sending, 60)  # not the two minutes
        assert sent.names == ["other"]
        assert set(sent.failed) == {topcat.public_id}
        assert isinstance(sent.failed[topcat.public_id].error, ReplyError)
        with pytest.raises((ReplyError, UnknownClientError, CallTimeoutError)):
            await client.send_table(stars(), topcat, timeout=20)
        assert (await client.send_table(stars(), "other", timeout=20)).names == ["other"]


async def test_the_hub_is_killed_and_started_again_under_it(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    state = "--state", str(tmp_path / "hub.state")
    async with contextlib.AsyncExitStack() as stack:
        display = await stack.enter_async_context(screen(tmp_path))
        hub = await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        client = await stack.enter_async_context(Client("me", lockfile=lockfile))
        await stack.enter_async_context(topcat_on(display, lockfile, tmp_path))
        topcat = await found(client, "topcat", "table.load.votable")
        async with asyncio.timeout(60):  # the hub writes down what it knows now and then
            while b"table.load.votable" not in await asyncio.to_thread((tmp_path / "hub.state").read_bytes):
                await asyncio.sleep(0.02)
        await hub.kill()
        await stack.enter_async_context(own_hub(lockfile, tmp_path, *state))
        await client.wait_registered(60)
        assert (await client.send_table(stars(), "topcat", timeout=30)).names == ["topcat"]
        assert (await client.find("topcat")).public_id == topcat.public_id


async def test_the_hub_is_stopped_and_another_started_under_it(tmp_path: Path) -> None:
    """TOPCAT looks for a new hub after a polite end, and takes a table that it has from before once more."""
    lockfile = tmp_path / "hub.samp"
    table = stars()
    async with screen(tmp_path) as display:
        hub = await Hub(lockfile=lockfile).start()
        try:
            async with Client("me", lockfile=lockfile) as client, topcat_on(display, lockfile, tmp_path):
                await found(client, "topcat", "table.load.votable")
                await client.send_table(table, "topcat", timeout=60)
                await hub.shutdown()
                await hub.start()
                await client.wait_registered(60)
                await until_it_loads(client, table)
        finally:
            await hub.shutdown()


async def until_it_loads(client: Client, table: Table) -> None:
    """Wait until TOPCAT takes a table at a new hub. On a busy machine it registers twice, and one is deaf."""
    async with client.messages("samp.hub.event.*") as events, asyncio.timeout(60):
        tried: set[str] = set()
        while True:
            there = [other for other in await client.get_clients() if other.subscribes("table.load.votable")]
            ids = [other.public_id for other in there if other.public_id not in tried]
            if not ids:
                await anext(events)
                continue
            tried.update(ids)
            with contextlib.suppress(SampError):
                if "topcat" in (await client.send_table(table, ids, timeout=10)).names:
                    return


async def test_its_current_table_is_asked_for(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    table = stars()
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
    ):
        await found(client, "TOPCAT", "table.get.stil")
        with pytest.raises(ReplyError, match="No current table; click one in its list of tables, or"):
            await client.get_table("topcat")
        # TOPCAT answers before it has made the table the current one, most clearly for the first.
        await client.send_table(table, "topcat")
        got = await client.get_table("topcat", timeout=30)
        assert list(got["name"]) == list(table["name"])


async def test_a_table_without_rows(tmp_path: Path) -> None:
    """TOPCAT finds no table in a VOTable that has columns only."""
    lockfile = tmp_path / "hub.samp"
    empty = stars()[:0]
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
    ):
        await found(client, "TOPCAT", "table.get.stil")
        for kind in ("votable", "fits"):
            assert (await client.send_table(empty, "topcat", format=kind, timeout=60)).names == ["topcat"]
            got = await client.get_table("topcat", timeout=30)
            assert (len(got), got.colnames) == (0, empty.colnames)


@pytest.mark.parametrize("scheme", ["file", "http"])
async def test_the_url_of_a_fits_table_is_opened(tmp_path: Path, scheme: str) -> None:
    """By what a file holds, and by what a URL elsewhere is called."""
    lockfile = tmp_path / "hub.samp"
    data = tmp_path / "stars"
    await asyncio.to_thread(stars().write, data, format="fits")
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
    ):
        await found(client, "topcat", "table.load.fits")
        url = data.as_uri() if scheme == "file" else await client.share(data.read_bytes(), name="x.fits")
        sent = await client.send_table(url, "topcat", timeout=60)
        assert [answer.mtype for answer in sent.values()] == ["table.load.fits"]
        assert sent.names == ["topcat"]
