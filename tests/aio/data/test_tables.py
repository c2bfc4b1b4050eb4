"""Tables from client to client: every kind goes out, comes back whole, and is answered for."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from aiohttp import web
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Column, MaskedColumn, QTable, Table, hstack
from astropy.time import Time
from astropy.utils.masked import Masked
from pyvo.dal import DALResults

from asyncsamp import (
    Client,
    DataError,
    HubFaultError,
    Limits,
    LocalProtocolError,
    Message,
    MissingExtraError,
    NoRecipientsError,
    NotRegisteredError,
    NotSubscribedError,
    ReplyError,
    Response,
    SampError,
    SendError,
    UnknownClientError,
)
from asyncsamp.data import sending
from asyncsamp.data.fetching import fetch
from asyncsamp.data.formats.table_read import read_table
from asyncsamp.data.formats.table_write import write_votable
from asyncsamp.data.recognising import recognise
from asyncsamp.data.sources import TableSource
from asyncsamp.mtypes import TableHighlightRow
from asyncsamp.rpc import RpcServer

from ..desktops import pair
from ..hub_process import hub_process

WITH_EVERYTHING = b"""<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
 <DESCRIPTION>the file</DESCRIPTION>
 <RESOURCE type="results">
  <DESCRIPTION>the resource</DESCRIPTION>
  <INFO name="QUERY_STATUS" value="OK"/>
  <COOSYS ID="sys" system="FK5" equinox="J2000"/>
  <TABLE ID="t" name="stars">
   <DESCRIPTION>bright stars</DESCRIPTION>
   <PARAM name="limit" datatype="double" unit="mag" ucd="phot.mag" value="6.5"/>
   <FIELD name="RA" ID="col_ra" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main" ref="sys"
     utype="stc:ra"><DESCRIPTION>right ascension</DESCRIPTION></FIELD>
   <FIELD name="name" datatype="char" arraysize="*"/>
   <DATA><TABLEDATA>
    <TR><TD>1.5</TD><TD>one</TD></TR><TR><TD>2.5</TD><TD>two</TD></TR>
   </TABLEDATA></DATA>
  </TABLE>
 </RESOURCE>
</VOTABLE>
"""


async def sent_and_received(tmp_path: Path, data: Any, **options: Any) -> Table:
    """Send `data` and return what the other got."""
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(data, "receiver", timeout=10, **options)
        assert sent.names == ["Receiver"]
        received: Table = await asyncio.wait_for(anext(tables), 30)
        return received


def stars() -> Table:
    table = Table(
        {"ra": [1.5, 2.5, 3.5], "name": ["a", "b", "\u00e9"], "n": [1, 2, 3]}, meta={"name": "stars"}
    )
    table["ra"].unit = "deg"
    table["ra"].description = "right ascension"
    table["ra"].meta["ucd"] = "pos.eq.ra"
    return table


async def test_a_table_is_sent_and_received_in_one_call_each(tmp_path: Path) -> None:
    """astropy issue 1920."""
    async with pair(tmp_path) as (sender, receiver):
        waiting = asyncio.create_task(receiver.receive_table(timeout=10))
        while "table.load.votable" not in await sender.get_subscriptions(receiver.public_id):
            await asyncio.sleep(0)
        sent = await sender.send_table(stars())
        table = await waiting
    assert sent.item_id
    assert table.meta["samp"] == {
        "sender": sender_of(table),
        "sender-name": "Sender",
        "url": sent.url,
        "table-id": sent.item_id,
        "name": "stars",
    }
    assert list(table["n"]) == [1, 2, 3]


async def test_the_name_is_none_if_none_was_sent(tmp_path: Path) -> None:
    await asyncio.to_thread(stars().write, tmp_path / "t.vot", format="votable")
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        await sender.notify("receiver", "table.load.votable", {"url": (tmp_path / "t.vot").as_uri()})
        table = await asyncio.wait_for(anext(tables), 30)
    told = table.meta["samp"]
    assert (told["name"], told["table-id"], told["sender-name"]) == (None, "", "Sender")


def sender_of(table: Table) -> str:
    return str(table.meta["samp"]["sender"])


async def test_what_a_column_says_of_itself_comes_over(tmp_path: Path) -> None:
    """pyvo issue 734: descriptions, units, UCDs and a user's own remarks are kept."""
    data = stars()
    data.meta |= {"observer": "Leavitt", "exposure": 30.5, "frames": 3, "good": True, "dict": {}}
    table = await sent_and_received(tmp_path, data)
    assert table.meta["name"] == "stars"
    assert [table.meta[key] for key in ("observer", "exposure", "frames", "good")] == [
        "Leavitt",
        30.5,
        3,
        True,
    ]
    assert table["ra"].unit == "deg"
    assert table["ra"].description == "right ascension"
    assert table["ra"].meta["ucd"] == "pos.eq.ra"
    assert list(table["name"]) == ["a", "b", "\u00e9"]


async def test_a_votable_comes_back_as_it_was(tmp_path: Path) -> None:
    """pyvo issue 734: params, descriptions, UCDs and coordinate systems survive the way out and back."""
    file = votable.parse(io.BytesIO(WITH_EVERYTHING))
    async with (
        pair(tmp_path) as (sender, receiver),
        receiver.tables() as there,
        sender.tables() as back,
    ):
        await sender.send_table(file, "receiver", timeout=10)
        table = await asyncio.wait_for(anext(there), 30)
        assert table.colnames == ["RA", "name"]
        assert table.meta["limit"] == 6.5
        assert table.meta["votable"].params == {"limit": 6.5}
        assert [item.system for item in table.meta["votable"].coordinate_systems] == ["FK5"]
        sent = await receiver.send_table(table, "sender", timeout=10)
        again = await asyncio.wait_for(anext(back), 30)
        written = await asyncio.to_thread(votable.parse, io.BytesIO(await read(sent.url)))
    assert again.meta["votable"].params == {"limit": 6.5}
    resource = written.resources[0]
    assert [item.system for item in resource.coordinate_systems] == ["FK5"]
    assert [info.name for info in resource.infos] == ["QUERY_STATUS"]
    assert (written.description, resource.description) == ("the file", "the resource")
    element = resource.tables[0]
    assert element.description == "bright stars"
    assert [(item.name, item.value, str(item.unit)) for item in element.params] == [("limit", 6.5, "mag")]
    column = element.fields[0]
    assert (column.ID, column.ref, column.ucd, column.utype) == (
        "col_ra",
        "sys",
        "pos.eq.ra;meta.main",
        "stc:ra",
    )
    assert column.description == "right ascension"


async def read(url: str) -> bytes:
    from asyncsamp.data.fetching import fetch

    return await fetch(url)


async def test_a_table_of_a_votable(tmp_path: Path) -> None:
    file = votable.parse(io.BytesIO(WITH_EVERYTHING))
    table = await sent_and_received(tmp_path, file.get_first_table())
    assert [item.system for item in table.meta["votable"].coordinate_systems] == ["FK5"]


async def test_one_table_of_several_in_a_file(tmp_path: Path) -> None:
    file = votable.parse(io.BytesIO(WITH_EVERYTHING))
    file.resources[0].tables.append(votable.from_table(Table({"x": [1]})).get_first_table())
    table = await sent_and_received(tmp_path, file.get_first_table())
    assert table.colnames == ["RA", "name"]
    assert [item.system for item in table.meta["votable"].coordinate_systems] == ["FK5"]


async def test_a_pyvo_result(tmp_path: Path) -> None:
    table = await sent_and_received(tmp_path, DALResults(votable.parse(io.BytesIO(WITH_EVERYTHING))))
    assert table.meta["limit"] == 6.5


async def test_a_dataframe(tmp_path: Path) -> None:
    table = await sent_and_received(tmp_path, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert list(table["a"]) == [1, 2]
    assert list(table["b"]) == ["x", "y"]


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (pd.RangeIndex(2), ["0", "x"]),
        (pd.RangeIndex(2, name="n"), ["n", "0", "x"]),
        (pd.Index(["a", "b"]), ["index", "0", "x"]),
        (pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["g", "h"]), ["g", "h", "0", "x"]),
    ],
)
async def test_the_index_of_a_dataframe(tmp_path: Path, index: Any, columns: list[str]) -> None:
    frame = pd.DataFrame({0: [1, 2], "x": [1.5, 2.5]}, index=index)
    names = list(frame.columns)
    table = await sent_and_received(tmp_path, frame)
    assert table.colnames == columns
    assert list(table["x"]) == [1.5, 2.5]
    assert list(frame.columns) == names


async def test_columns_of_several_levels(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1, 2, 3]}).groupby("g").agg(["min", "max"])
    table = await sent_and_received(tmp_path, frame)
    assert table.colnames == ["g", "x_min", "x_max"]


async def test_frames_and_tables_that_cannot_be_written_say_why(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(DataError, match="more than one column named '0'"):
            await sender.send_table(pd.DataFrame([[1, 2]], columns=[0, "0"]))
        texts = Table({"s": np.array([["a", "b"], ["c", "d"]])})
        with pytest.raises(DataError, match=r"'s' \(of texts in 2 axes\)"):
            await sender.send_table(texts)

        class Broken:
            def to_table(self) -> None:
                raise ZeroDivisionError("odd")

        with pytest.raises(DataError, match="this Broken is not a table: odd"):
            await sender.send_table(Broken())


async def test_short_floats(tmp_path: Path) -> None:
    data = Table({"f": Column(np.array([1.5, 2], "f2"), unit="mag", description="brightness")})
    table = await sent_and_received(tmp_path, data)
    assert list(table["f"]) == [1.5, 2]
    assert (table["f"].unit, table["f"].description) == ("mag", "brightness")


async def test_quantities_positions_and_times(tmp_path: Path) -> None:
    data = QTable(
        {
            "where": SkyCoord([10, 20] * u.deg, [-5, 5] * u.deg, frame="fk5"),
            "when": Time(["2026-01-01", "2026-01-02"]),
            "flux": [1.0, 2.0] * u.Jy,
            "day": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"),
        }
    )
    table = await sent_and_received(tmp_path, data)
    assert table.colnames == ["ra", "dec", "when", "flux", "day"]
    assert table["ra"][0] == pytest.approx(10, abs=1e-4)
    assert table["flux"].unit == "Jy"
    assert table["when"][0] == "2026-01-01T00:00:00.000"
    assert [item.system for item in table.meta["votable"].coordinate_systems] == ["ICRS"]


@pytest.mark.parametrize("mtype", ["table.load.votable", "table.load.fits"])
async def test_missing_times_and_positions_stay_missing(tmp_path: Path, mtype: str) -> None:
    when = Time(["2026-01-01", "2026-01-02"])
    when[1] = np.ma.masked
    gap = {"mask": [False, True]}
    days = np.array(["2026-01-01", "2026-01-02"], "M8[s]")
    data = Table(
        {
            "when": when,
            "day": np.array(["2026-01-01", "NaT"], "M8[D]"),
            "masked": MaskedColumn(days, **gap),
            "where": SkyCoord(Masked([1, 2] * u.deg, **gap), [3, 4] * u.deg),
        }
    )
    frame = Table.from_pandas(pd.DataFrame({"panda": pd.to_datetime(["2026-01-01", None])}))
    sent = await sent_as(tmp_path, mtype, hstack([data, frame]))
    table = await asyncio.to_thread(read_table, sent)
    for name in ("when", "day", "masked", "panda"):
        assert table[name][0].startswith("2026-01-01T00:00:00"), name
        assert table[name][1] is np.ma.masked or table[name][1] == "", name
    assert (table["ra"][0], table["dec"][0]) == pytest.approx((1, 3))
    for name in ("ra", "dec"):
        assert np.isnan(np.ma.filled(table[name], np.nan)[1])


async def sent_as(tmp_path: Path, mtype: str, data: Any) -> bytes:
    """Send `data` to somebody who takes only `mtype`, and return what they read."""
    async with pair(tmp_path) as (sender, receiver):
        got: list[bytes] = []

        @receiver.on(mtype)
        async def load(message: Any) -> None:
            got.append(await read(str(message.params["url"])))

        await receiver.settled()
        await sender.send_table(data, "receiver", timeout=10)
        return got[0]


async def test_masked_values_and_arrays_in_cells(tmp_path: Path) -> None:
    data = Table({"a": np.ma.array([1, 2], mask=[True, False]), "v": np.arange(4.0).reshape(2, 2)})
    table = await sent_and_received(tmp_path, data)
    assert list(table["a"].mask) == [True, False]
    assert table["v"].tolist() == [[0.0, 1.0], [2.0, 3.0]]


async def test_an_empty_table(tmp_path: Path) -> None:
    table = await sent_and_received(tmp_path, Table({"a": np.zeros(0), "s": np.zeros(0, "U3")}))
    assert len(table) == 0
    assert table.colnames == ["a", "s"]


@pytest.mark.parametrize("packed", [False, True])
async def test_files(tmp_path: Path, packed: bool) -> None:
    votable_file = tmp_path / ("t.vot.gz" if packed else "t.vot")
    votable_file.write_bytes(gzip.compress(WITH_EVERYTHING) if packed else WITH_EVERYTHING)
    assert len(await sent_and_received(tmp_path, votable_file)) == 2
    assert len(await sent_and_received(tmp_path, str(votable_file), local=True)) == 2


async def test_a_file_in_another_format_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    table = await sent_and_received(tmp_path, path)
    assert list(table["b"]) == [2, 4]


async def test_a_url(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_bytes(WITH_EVERYTHING)
    table = await sent_and_received(tmp_path, f"file://localhost//{path}")
    assert table.meta["samp"]["url"] == f"file://localhost//{path}"


async def test_a_file_url_that_leaves_no_file(tmp_path: Path) -> None:
    table = await sent_and_received(tmp_path, stars(), local=True)
    assert table.meta["samp"]["url"].startswith("file:///")
    assert len(table) == 3


async def test_who_takes_only_fits_gets_fits(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        got: list[str] = []

        @receiver.on("table.load.fits")
        async def load(message: Any) -> None:
            got.append(str(message.params["url"]))

        async with sender.messages("table.load.votable"):
            await receiver.settled()
            await sender.send_table(stars_in_ascii(), "receiver", timeout=10)
            path = tmp_path / "t.vot"
            path.write_bytes(WITH_EVERYTHING)
            await sender.send_table(path, "receiver", timeout=10)
        first, second = [await asyncio.to_thread(read_table, await read(url)) for url in got]
    assert got[0].endswith("/stars.fits")
    assert list(first["n"]) == [1, 2, 3]
    assert second.colnames == ["RA", "name"]


def stars_in_ascii() -> Table:
    table = stars()
    table["name"][2] = "c"
    return table


async def test_a_table_has_one_id_for_all_but_is_never_sent_twice_under_it(tmp_path: Path) -> None:
    """TOPCAT refuses a table-id that it has already."""
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("Third", lockfile=tmp_path / "samp") as third,
        receiver.tables() as tables,
        third.tables() as others,
    ):
        data = stars()
        first = await sender.send_table(data, "receiver", timeout=10)
        again = await sender.send_table(data, "receiver", timeout=10)
        assert again.item_id != first.item_id
        named = await sender.send_table(data, "receiver", table_id="mine", timeout=10)
        assert named.item_id == "mine"
        received = [await asyncio.wait_for(anext(tables), 30) for _ in range(3)]
        assert [table.meta["samp"]["table-id"] for table in received] == [
            first.item_id,
            again.item_id,
            "mine",
        ]
        # The id of a table that came in is kept when it is passed on.
        assert (await receiver.send_table(received[0], "third", timeout=10)).item_id == first.item_id
        passed_on = await asyncio.wait_for(anext(others), 30)
        async with third.selections(passed_on) as rows:
            await receiver.select_rows(received[0], [1], "third")
            assert (await asyncio.wait_for(anext(rows), 30)).tolist() == [1]


@contextlib.asynccontextmanager
async def like_topcat(lockfile: Path) -> AsyncIterator[tuple[Client, list[str]]]:
    """Run a tool that refuses an id that it has had; give it, and all ids that it was sent."""
    ids: list[str] = []
    async with Client("tool", lockfile=lockfile) as tool:

        @tool.on("table.load.votable")
        async def load(message: Message) -> Response:
            ids.append(str(message.params["table-id"]))
            if ids.count(ids[-1]) == 1:
                return Response("samp.ok")
            return Response.failure(f"Duplicate table-id: table '{ids[-1]}' has already been received")

        await tool.settled()
        yield tool, ids


async def test_a_table_goes_under_another_id_to_a_tool_that_came_back_with_it(tmp_path: Path) -> None:
    """TOPCAT keeps its tables when its hub ends, and has another public id at the next one."""
    async with pair(tmp_path) as (sender, _), like_topcat(tmp_path / "samp") as (tool, ids):
        data = stars()
        first = await sender.send_table(data, "tool", timeout=10)
        await tool.unregister()
        await tool.register()
        again = await sender.send_table(data, "tool", timeout=10)
        assert again.names == ["tool"]
        assert ids == [first.item_id, first.item_id, again.item_id]
        assert again.item_id != first.item_id
        rows = []

        @tool.on(TableHighlightRow)
        async def highlight(message: TableHighlightRow) -> None:
            rows.append((message.table_id, message.row))

        await tool.settled()
        await sender.highlight_row(data, 0, "tool", timeout=10)
        assert rows == [(again.item_id, 0)]
        async with sender.highlights(data) as highlights:  # by either
            for number, sent in enumerate((first, again), start=1):
                await tool.notify("sender", TableHighlightRow(table_id=sent.item_id, row=number))
                assert await asyncio.wait_for(anext(highlights), 30) == number


async def test_only_who_has_the_id_already_gets_another(tmp_path: Path) -> None:
    async with (
        pair(tmp_path) as (sender, receiver),
        like_topcat(tmp_path / "samp") as (tool, ids),
        receiver.tables() as tables,
    ):
        data = stars()
        first = await sender.send_table(data, "tool", timeout=10)
        await tool.unregister()
        await tool.register()
        await receiver.settled()
        sent = await sender.send_table(data, timeout=10)
        assert sorted(sent.names) == ["Receiver", "tool"]
        assert sent.item_id == first.item_id
        table = await asyncio.wait_for(anext(tables), 30)
        assert table.meta["samp"]["table-id"] == first.item_id
        assert len(set(ids)) == 2
        # An id that the user gives is not changed.
        with pytest.raises(ReplyError, match="has already been received"):
            await sender.send_table(data, "tool", table_id=first.item_id, timeout=10)
        assert len(ids) == 4


# ---- progress


async def test_progress_is_told_in_the_loops_thread(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    loop = asyncio.get_running_loop()

    def progress(done: int, rows: int) -> None:
        assert asyncio.get_running_loop() is loop
        told.append((done, rows))

    await sent_and_received(tmp_path, Table({"a": np.arange(2000)}), progress=progress)
    assert told[-1] == (2000, 2000)
    assert len(told) > 5
    assert told == sorted(told)


async def test_a_progress_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    await sent_and_received(tmp_path, Table({"a": np.arange(500)}), progress=True, name="mine")
    assert "mine: 100%" in capfd.readouterr().err


@pytest.mark.alone
async def test_a_large_table_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    data = Table({name: np.arange(20000.0) for name in "abc"})
    ticks, seen = 0, []

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        ticking = asyncio.create_task(tick())
        for _ in range(3):  # a busy machine stands still now and then
            begun, before = asyncio.get_running_loop().time(), ticks
            await sender.send_table(data, "receiver", timeout=20)
            took = asyncio.get_running_loop().time() - begun
            assert len(await asyncio.wait_for(anext(tables), 30)) == 20000
            seen.append((ticks - before, took))
            if ticks - before > took / 0.05:  # blocked, there would be next to none
                break
        else:
            pytest.fail(f"ticks, and seconds: {seen}")
        ticking.cancel()


# ---- what goes wrong, and the client goes on


async def test_nobody_is_there(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        with pytest.raises(NoRecipientsError) as caught:
            await sender.send_table(stars())
        assert "nobody is registered who takes table.load.votable or table.load.fits" in str(caught.value)
        assert f"'Receiver' ({receiver.public_id})" in str(caught.value)
        assert caught.value.mtypes == ("table.load.votable", "table.load.fits")


async def test_who_is_not_there_may_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told only of tools that are known, and for whoever takes such data of one that is installed."""
    tools = tmp_path / "tools.toml"
    command = f'command = ["{sys.executable}"]\ntakes = ["a.load", "table.load.votable"]\n'
    tools.write_text(f"[viewer]\n{command}")
    monkeypatch.setenv("ASYNCSAMP_TOOLS", str(tools))
    how = r"start {} by hand, or with client\.find\('viewer', start=True\)$"
    async with pair(tmp_path) as (sender, _):
        for ask in (
            sender.send_table(stars(), "Viewer"),
            sender.find("viewer"),
            sender.wait_for("viewer", timeout=0),
            sender.call("viewer", "a.b"),
            sender.notify("viewer", "a.b"),
            sender.call_and_wait("viewer", "a.b"),
        ):
            with pytest.raises(UnknownClientError, match=how.format("it")):
                await ask
        with pytest.raises(NoRecipientsError, match=how.format("one")):
            await sender.send_table(stars())
        with pytest.raises(UnknownClientError, match=r"; did you mean 'Receiver'\?$"):
            await sender.send_table(stars(), "reciever")
        tools.write_text("[viewer")  # which is not what is asked here
        with pytest.raises(UnknownClientError, match="no client named 'viewer'"):
            await sender.find("viewer")
        with pytest.raises(NoRecipientsError, match="nobody is registered"):
            await sender.send_table(stars())


async def test_recipients_who_are_not_there_or_take_no_tables(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        with pytest.raises(UnknownClientError, match=r"no client named 'topcat'.*'Receiver' \(c\d+\)"):
            await sender.send_table(stars(), "topcat")
        with pytest.raises(
            NotSubscribedError,
            match=r"'Receiver' \(c\d+\) does not take .*who do: none; it only sends, as a",
        ):
            await sender.send_table(stars(), "receiver")
        live = await sender.find("receiver")
        await receiver.unregister()
        while live.registered:
            await asyncio.sleep(0)
        with pytest.raises(UnknownClientError, match="has left"):
            await sender.send_table(stars(), live)


async def test_an_empty_list_of_recipients(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables(), receiver.images():
        for sending in (sender.send_table(stars(), []), sender.send_image([[1, 2]], iter(()))):
            with pytest.raises(
                NoRecipientsError, match="the list of recipients is empty, so nothing was sent"
            ):
                await sending


@pytest.mark.parametrize("timeout", ["5", -1, float("nan")])
async def test_timeouts_that_are_none(tmp_path: Path, timeout: Any) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(LocalProtocolError, match="is not a number of seconds"):
            await sender.send_table(stars(), timeout=timeout)
        with pytest.raises(LocalProtocolError, match="is not a number of seconds"):
            await sender.call(receiver.public_id, "samp.app.ping", timeout="5")  # type: ignore[arg-type]
        assert len(sender._context().shares) == 0


async def test_a_bug_is_raised_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables():

        async def fail(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(sender, "call", fail)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await sender.send_table(stars(), timeout=10)
        async with Client("Third", lockfile=tmp_path / "samp") as third, third.tables():
            with pytest.raises(ExceptionGroup):
                await sender.send_table(stars(), timeout=10)


async def test_two_of_that_name(tmp_path: Path) -> None:
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("RECEIVER", lockfile=tmp_path / "samp") as other,
    ):
        with pytest.raises(UnknownClientError) as caught:
            await sender.send_table(stars(), "receiver")
        assert receiver.public_id in str(caught.value)
        assert other.public_id in str(caught.value)
        async with other.tables() as tables:
            await sender.send_table(stars(), other.public_id, timeout=10)
            assert len(await asyncio.wait_for(anext(tables), 30)) == 3


async def test_a_failure_of_one_is_named_and_the_others_have_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("Broken", lockfile=tmp_path / "samp") as broken,
        receiver.tables() as tables,
    ):

        @broken.on("table.load.votable")
        async def load(message: Any) -> None:
            raise DataError("out of paper")

        await broken.settled()
        sent = await sender.send_table(stars(), timeout=10)
        assert sent.names == ["Receiver"]
        assert set(sent) == {receiver.public_id, broken.public_id}
        failed = sent.failed[broken.public_id]
        assert isinstance(failed.error, ReplyError)
        assert "out of paper" in str(failed)
        assert "Broken" in sent._repr_html_()
        assert "out of paper" in caplog.text
        await asyncio.wait_for(anext(tables), 30)
        with pytest.raises(ReplyError, match="out of paper"):
            await sender.send_table(stars(), "broken", timeout=10)
        tables.close()
        await receiver.settled()

        @receiver.on("table.load.votable")
        async def refuse(message: Any) -> None:
            raise DataError("no room")

        await receiver.settled()
        with pytest.raises(SendError) as caught:
            await sender.send_table(stars(), ["receiver", "broken"], timeout=10)
        assert "no room" in str(caught.value)
        assert "out of paper" in str(caught.value)
        assert len(caught.value.results.failed) == 2


async def test_who_takes_only_fits_does_not_keep_the_others_from_their_votable(tmp_path: Path) -> None:
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("OnlyFits", lockfile=tmp_path / "samp") as only_fits,
        receiver.tables() as tables,
    ):

        @only_fits.on("table.load.fits")
        async def load(message: Any) -> None: ...

        await only_fits.settled()
        sent = await sender.send_table(stars(), timeout=10)
        assert sent.names == ["Receiver"]
        assert "with text that is not ASCII" in str(sent.failed[only_fits.public_id])
        assert isinstance(sent.failed[only_fits.public_id].error, DataError)
        assert len(await asyncio.wait_for(anext(tables), 30)) == 3
        with pytest.raises(DataError, match="not ASCII"):
            await sender.send_table(stars(), "onlyfits", timeout=10)
        with pytest.raises(DataError, match=r"'o' \(holds numbers as objects, .* use a masked column"):
            await sender.send_table(Table({"o": [None, 1, 2]}), timeout=10)
        with pytest.raises(DataError, match=r"holds dict"):
            await sender.send_table(Table({"bad": [{}]}), timeout=10)


async def test_what_is_written_when_sending_is_cancelled_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = asyncio.Event()
    make = TableSource._make

    async def stuck(source: TableSource, mtype: str) -> str:
        if mtype == "table.load.fits":
            writing.set()
            await asyncio.Event().wait()
        return await make(source, mtype)

    monkeypatch.setattr(TableSource, "_make", stuck)
    monkeypatch.setattr(sending, "_KEPT_AFTER", 0.01)
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("OnlyFits", lockfile=tmp_path / "samp") as only_fits,
        receiver.messages("table.load.votable"),
        only_fits.messages("table.load.fits"),
    ):
        task = asyncio.create_task(sender.send_table(stars(), timeout=10))
        await asyncio.wait_for(writing.wait(), 30)
        assert len(sender._context().shares) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30):
            while len(sender._context().shares):
                await asyncio.sleep(0)


async def test_columns_that_no_table_can_hold_are_named(tmp_path: Path) -> None:
    data = Table({"good": [1, 2], "bad": [{}, {}], "worse": np.array([1, 2], dtype="timedelta64[s]")})
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        with pytest.raises(DataError) as caught:
            await sender.send_table(data)
        assert "'bad' (holds dict), 'worse' (of type timedelta64[s])" in str(caught.value)
        assert "good" not in str(caught.value)
        await sender.send_table(stars(), timeout=10)
        await asyncio.wait_for(anext(tables), 30)


@pytest.mark.parametrize("data", [3, None, object()])
async def test_what_is_no_table(tmp_path: Path, data: Any) -> None:
    async with pair(tmp_path) as (sender, _):  # and nobody takes tables: that is the lesser mistake
        with pytest.raises(DataError, match=r"cannot send \w+ as a table: expected an astropy Table"):
            await sender.send_table(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            {"a": 1},
            r"^the column 'a' is of type int: each column of a table is a list .*, as in {'a': \[1\]}$",
        ),
        ({"a": "text"}, r"^the column 'a' is of type str: "),
        ({}, "^the dict has no columns, so there is nothing to send$"),
        (
            {"a": [1, 2], "b": [1]},
            "^the columns of a table have as many rows each, but 'a' has 2, 'b' has 1$",
        ),
        (np.zeros((2, 2)), "cannot send ndarray as a table: .*; give its columns names, as in send_table"),
        ([[1, 2]], "cannot send list as a table: .*; give its columns names, as in send_table"),
        (Table(), "^the table has no columns, so there is nothing to send$"),
        (pd.DataFrame(), "^the table has no columns, so there is nothing to send$"),
        (Table({"n": np.array([1], "u8")}), r"table\['n'\] = table\['n'\].astype\('int64'\)$"),
    ],
)
async def test_tables_that_are_not_as_they_should_be(tmp_path: Path, data: Any, text: str) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(DataError, match=text):
            await sender.send_table(data)


async def test_texts_that_fits_has_not_go_as_votable(tmp_path: Path) -> None:
    data = Table({"s": ["\u00e4"]})
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        with pytest.raises(
            DataError, match=r"'s' \(with text .*; FITS holds only ASCII: send it with format='vo"
        ):
            await sender.send_table(data, format="fits")
        await sender.send_table(data, format="votable", timeout=10)
        assert list((await asyncio.wait_for(anext(tables), 30))["s"]) == ["\u00e4"]


@pytest.mark.parametrize(
    ("name", "format", "text"),
    [
        (
            "junk.txt",
            "auto",
            r"is not a table that astropy can read by itself; name its format: send_table\(Tab",
        ),
        ("x.csv", "csv", r"'csv' is not known: .*; to read a file in that format: send_table\(Table.read\('"),
        ("x.csv", "ascii.csv", r"x\.csv', format='ascii.csv'\)\), with astropy's Table$"),
    ],
)
async def test_files_that_are_to_be_read_first(tmp_path: Path, name: str, format: str, text: str) -> None:
    path = tmp_path / name
    path.write_text("a; b\n1 2 3\n\n4; 5\n")
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(SampError, match=text):
            await sender.send_table(str(path), format=format)


async def test_the_third_argument_is_the_name(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables, receiver.images():
        await sender.send_table(stars(), "receiver", "gal", timeout=10)
        assert (await asyncio.wait_for(anext(tables), 30)).meta["samp"]["name"] == "gal"
        for send in (sender.send_table, sender.send_image, sender.send_spectrum, sender.send_moc):
            with pytest.raises(LocalProtocolError, match="name=3 is not a name: expected the text"):
                await send(stars(), "receiver", 3)  # type: ignore[arg-type]


async def test_paths_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0\1\2")
    (tmp_path / "empty.vot").touch()
    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        with pytest.raises(DataError, match=r"cannot read .*missing\.vot: No such file"):
            await sender.send_table(tmp_path / "missing.vot")
        with pytest.raises(DataError, match=r"x\.bin is not a table that astropy can read"):
            await sender.send_table(tmp_path / "x.bin")
        for send, what in (
            (sender.send_table, "a table"),
            (sender.send_image, "an image"),
            (sender.send_spectrum, "a spectrum"),
            (sender.send_moc, "a coverage map"),
        ):
            with pytest.raises(DataError, match=rf"empty\.vot is empty, so it is not {what}$"):
                await send(tmp_path / "empty.vot")
            with pytest.raises(DataError, match=r"no program knows .* 'htp'; did you mean 'http'\?$"):
                await send("htp://example.org/stars.vot")
        with pytest.raises(DataError, match="is empty, so there is nothing to show"):
            await sender.open(tmp_path / "empty.vot")


async def test_astropy_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        monkeypatch.setitem(sys.modules, "astropy.io.votable", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'asyncsamp\[astropy\]'"):
            await sender.send_table(stars())
        monkeypatch.undo()
        await sender.send_table(stars(), timeout=10)


# ---- what comes in and cannot be loaded


async def refused(tmp_path: Path, url: str, **settings: Any) -> str:
    """Return what the receiver answers to a URL; afterwards it still takes a good one."""
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for name, value in settings.items():
            setattr(receiver._context(), name, value)
        with pytest.raises(ReplyError) as caught:
            await sender.call("c2", "table.load.votable", {"url": url} if url else {}, timeout=10)
        for name in settings:
            setattr(receiver._context(), name, 60 * 1024 * 1024)
        await sender.send_table(stars(), timeout=10)
        assert len(await asyncio.wait_for(anext(tables), 30)) == 3
        return str(caught.value)


async def test_a_file_that_is_no_votable(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    assert "this is not a VOTable" in await refused(tmp_path, f"file://{tmp_path}/x")
    (tmp_path / "x").write_text("<VOTABLE/>")
    assert "the VOTable holds no table" in await refused(tmp_path, f"file://{tmp_path}/x")
    (tmp_path / "x").write_bytes(b"")
    assert "the file is empty" in await refused(tmp_path, f"file://{tmp_path}/x")
    (tmp_path / "x").write_bytes(b"SIMPLE  = nonsense")
    assert "this is not a FITS table" in await refused(tmp_path, f"file://{tmp_path}/x")
    (tmp_path / "x").write_bytes(gzip.compress(b"hello")[:-4])
    assert "gzip that ends too soon" in await refused(tmp_path, f"file://{tmp_path}/x")
    (tmp_path / "x").write_bytes(b"\x1f\x8bhello")
    assert "broken gzip" in await refused(tmp_path, f"file://{tmp_path}/x")


async def test_urls_that_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in await refused(tmp_path, f"file://{tmp_path}/none")
    assert "cannot read /dev/zero: not a plain file" in await refused(tmp_path, "file:///dev/zero")
    assert "expected a file, http or https URL" in await refused(tmp_path, "ftp://localhost/x")
    assert "cannot read http://127.0.0.1:1/x" in await refused(tmp_path, "http://127.0.0.1:1/x")
    assert "cannot read http://" in await refused(tmp_path, "http://[::1/x")
    assert "the parameter 'url' is missing" in await refused(tmp_path, "")


async def test_a_url_that_answers_404(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    async with RpcServer(handle) as server:
        url = f"http://127.0.0.1:{server.port}/t.vot"
        assert f"cannot read {url}: it answered HTTP 404 Not Found" in await refused(tmp_path, url)


WHY = [
    (
        b"files are not offered: start that hub with --reach-files sent\nmore\n",
        ": files are not offered: start",
    ),
    (b"\n\x1b[31mred\x1b[0m\r\nmore", ": ?[31mred?[0m"),
    (b"x" * 100_000, ": " + "x" * 200),
    (b"\xff\x00", ": \ufffd?"),
    (b"", ""),
    (b"403: Forbidden", ""),  # which the status has said
]


@pytest.mark.parametrize(("body", "said"), WHY)
async def test_what_a_server_says_of_its_error_is_said(body: bytes, said: str) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=403, body=body, content_type="text/plain")

    async with RpcServer(handle) as server:
        url = f"http://127.0.0.1:{server.port}/t.vot"
        for read in (fetch, recognise):
            with pytest.raises(DataError) as caught:
                await read(url)
            text = str(caught.value)
            assert text.startswith(f"cannot read {url}: it answered HTTP 403 Forbidden{said}")
            assert len(text) - len(url) < 260
            assert text.isprintable()
            assert "more" not in text
            assert text.endswith("Forbidden") == (not said)


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html"}, {"Content-Encoding": "gzip"}])
async def test_what_a_server_says_in_no_plain_text_is_not(headers: dict[str, str]) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404, body=b"<p>no", headers={"Content-Type": "text/plain", **headers})

    async with RpcServer(handle) as server:
        with pytest.raises(DataError, match=r"it answered HTTP 404 Not Found$"):
            await fetch(f"http://127.0.0.1:{server.port}/t.vot")


@pytest.mark.parametrize("broken_off", [True, False])
async def test_a_server_that_does_not_finish_what_it_says_of_its_error(broken_off: bool) -> None:
    ended = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=403, headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        if broken_off:
            assert request.transport is not None
            request.transport.abort()
        else:
            await ended.wait()
        return response

    async with RpcServer(handle) as server:
        with pytest.raises(DataError, match=r"it answered HTTP 403 Forbidden$"):
            await fetch(f"http://127.0.0.1:{server.port}/t.vot", timeout=60)
        ended.set()


async def test_a_table_that_is_not_shared_any_more(tmp_path: Path) -> None:
    """Our own servers say what is wrong, also where a table is asked for."""
    async with pair(tmp_path) as (sender, receiver):
        url = await receiver.share(b"x", name="x.vot")

        @receiver.on("table.get.stil")
        async def give(message: Message) -> dict[str, str]:
            return {"url": url + "x"}

        await receiver.settled()
        why = r"answered HTTP 404 Not Found: not shared here \(any more\)$"
        with pytest.raises(DataError, match=why):
            await sender.get_table("receiver", timeout=10)
        with pytest.raises(DataError, match=why):
            await sender.open(url + "x", "receiver", timeout=10)


async def test_a_url_that_never_answers(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with RpcServer(handle) as server:
        url = f"http://127.0.0.1:{server.port}/t.vot"
        assert "gave no (complete) answer within 0.2 s" in await refused(tmp_path, url, fetch_timeout=0.2)


async def test_what_is_too_large(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(bytes(2000))
        return response

    (tmp_path / "x").write_bytes(bytes(2000))
    assert "has 2000 bytes; no more than 1000" in await refused(
        tmp_path, f"file://{tmp_path}/x", max_size=1000
    )
    (tmp_path / "x").write_bytes(gzip.compress(bytes(100000)))
    bomb = await refused(tmp_path, f"file://{tmp_path}/x", max_size=1000)
    assert "more than 1000 bytes when unpacked" in bomb
    async with RpcServer(handle) as server:
        url = f"http://127.0.0.1:{server.port}/t.vot"
        assert "has more than 1000 bytes" in await refused(tmp_path, url, max_size=1000)


async def test_gzip_and_an_empty_first_answer_over_http(tmp_path: Path) -> None:
    answers = [b"", gzip.compress(WITH_EVERYTHING), WITH_EVERYTHING]

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            body=answers.pop(0), headers={"Content-Encoding": "gzip"} if len(answers) == 1 else {}
        )

    async with RpcServer(handle) as server, pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for _ in range(2):
            await sender.send_table(f"http://127.0.0.1:{server.port}/t.vot.gz", timeout=10)
            assert len(await asyncio.wait_for(anext(tables), 30)) == 2


# ---- streams


async def test_the_sender_is_answered_when_the_table_is_loaded_and_not_before(tmp_path: Path) -> None:
    """glue-samp: reply only when really loaded."""
    go = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=WITH_EVERYTHING)

    async with RpcServer(handle) as server, pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        url = f"http://127.0.0.1:{server.port}/t"
        sending = asyncio.create_task(sender.send_table(url, timeout=10))
        second = await sender.send_table(stars(), timeout=10)  # a slow one does not hold up the next
        assert second.names == ["Receiver"]
        assert not sending.done()
        go.set()
        assert (await sending).names == ["Receiver"]
        assert len(await asyncio.wait_for(anext(tables), 30)) == 3
        assert len(await asyncio.wait_for(anext(tables), 30)) == 2


async def test_a_stream_that_is_left_or_forgotten_takes_no_more(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        stream = receiver.tables()
        again = receiver.tables()
        await receiver.settled()
        assert "table.load.fits" in await sender.get_subscriptions(receiver.public_id)
        stream.close()
        assert "table.load.fits" in await sender.get_subscriptions(receiver.public_id)
        del again
        while "table.load.fits" in await sender.get_subscriptions(receiver.public_id):
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_two_streams_have_the_same_table(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as one, receiver.tables() as two:
        await sender.send_table(stars(), timeout=10)
        first = await asyncio.wait_for(anext(one), 30)
        assert await asyncio.wait_for(anext(two), 30) is first


async def test_nobody_came(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        with pytest.raises(TimeoutError):
            await receiver.receive_table(timeout=0.05)
        while "table.load.fits" in await sender.get_subscriptions(receiver.public_id):
            await asyncio.sleep(0)


async def test_a_reader_survives_a_hub_that_is_killed_before_it_hears_of_it(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    limits = Limits(reconnect_first=0.01)
    async with hub_process(lockfile) as hub:
        receiver = await Client("Receiver", lockfile=lockfile, limits=limits).register()
        await hub.kill()
        reading = asyncio.ensure_future(anext(receiver.tables()))
    try:
        async with hub_process(lockfile), asyncio.timeout(30):
            while not receiver.registered or not await all_told(receiver):
                await receiver.wait_registered()
            async with Client("Sender", lockfile=lockfile) as sender:
                await sender.send_table(stars(), "receiver", timeout=10)
            assert len(await reading) == 3
            await receiver.unregister()
    finally:
        reading.cancel()
        await receiver.unregister()


async def all_told(client: Client) -> bool:
    """Whether the hub knows that the client takes tables."""
    try:
        return "table.load.votable" in await client.get_subscriptions(client.public_id)
    except SampError:
        return False


async def test_a_reader_survives_a_hub_that_refuses_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path) as (sender, receiver):
        connection = receiver._connection
        ask_hub = connection.ask_hub

        async def refuse(operation: str, *params: Any, **options: Any) -> Any:
            raise HubFaultError("not today")

        monkeypatch.setattr(connection, "ask_hub", refuse)
        with pytest.raises(HubFaultError, match="not today"):
            async with receiver.tables():
                pass
        tables = receiver.tables()
        with pytest.raises(HubFaultError, match="not today"):
            await receiver.settled()
        monkeypatch.setattr(connection, "ask_hub", ask_hub)
        async with receiver.images():  # whatever is declared next says it all
            await sender.send_table(stars(), "receiver", timeout=10)
        assert len(await asyncio.wait_for(anext(tables), 30)) == 3


async def test_streams_end_with_the_error_that_ended_the_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path) as (sender, receiver):
        stream = receiver.tables()
        await receiver.settled()

        def fail(*_: Any) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(stream, "put", fail)
        await sender.send_table(stars(), "receiver", timeout=10)
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(anext(stream), 30)
        assert caught.group_contains(ZeroDivisionError, match="a bug")
        async with receiver.tables() as another:
            await sender.send_table(stars(), "receiver", timeout=10)
            assert len(await asyncio.wait_for(anext(another), 30)) == 3


async def test_nobody_receives_anything_without_a_registration(tmp_path: Path) -> None:
    client = Client("Nobody", lockfile=tmp_path / "samp")
    with pytest.raises(NotRegisteredError):
        await client.receive_table(timeout=30)
    with pytest.raises(NotRegisteredError):
        await client.receive_image(timeout=30)


async def test_a_stream_that_is_closed_at_once_leaves_no_subscription(tmp_path: Path) -> None:
    async with pair(tmp_path) as (_, receiver):
        receiver.tables().close()
        await receiver.settled()
        assert not receiver._inbox.router.all_streams()


async def test_streams_end_with_the_client(tmp_path: Path) -> None:
    async with pair(tmp_path) as (_, receiver):
        waiting = asyncio.create_task(anext(receiver.tables(), None))
        await receiver.settled()
        await receiver.unregister()
        assert await asyncio.wait_for(waiting, 30) is None
        await receiver.register()
        assert receiver.registered


async def test_a_table_that_is_being_loaded_when_the_client_leaves_is_answered(tmp_path: Path) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.set()
        await go.wait()
        return web.Response()

    async with RpcServer(handle) as server, pair(tmp_path) as (sender, receiver):
        stream = receiver.tables()
        await receiver.settled()
        url = f"http://127.0.0.1:{server.port}/t"
        sending = asyncio.create_task(sender.send_table(url, timeout=10))
        await asyncio.wait_for(asked.wait(), 30)
        await receiver.unregister()
        with pytest.raises(ReplyError, match="nobody waits for a table here"):
            await sending
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        go.set()


async def test_a_stream_that_nobody_reads_refuses_more(tmp_path: Path) -> None:
    from asyncsamp.data import streams

    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for _ in range(streams._LIMIT):
            tables.put("a table", 10)
        with pytest.raises(ReplyError, match="64 items wait already"):
            await sender.send_table(stars(), timeout=10)
        assert await anext(tables) == "a table"
        await sender.send_table(stars(), timeout=10)


async def test_tables_that_nobody_reads_are_bounded_by_their_size_too(tmp_path: Path) -> None:
    file = tmp_path / "t.vot"
    stars().write(file, format="votable")
    size = file.stat().st_size
    async with (
        pair(tmp_path, limits=Limits(stream_bytes=3 * size + 10)) as (sender, receiver),
        receiver.tables() as tables,
    ):
        for _ in range(3):
            await sender.send_table(file, timeout=10)
        with pytest.raises(ReplyError, match="3 items of about 0 MB wait already for somebody to read them"):
            await sender.send_table(file, timeout=10)
        await anext(tables)
        await sender.send_table(file, timeout=10)


async def test_messages_wait_in_a_bounded_stream_until_there_is_a_place_for_them(tmp_path: Path) -> None:
    """And not each in a task of its own."""
    asked, go = asyncio.Queue[int](), asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.put_nowait(1)
        await go.wait()
        return web.Response()

    async with (
        RpcServer(handle) as server,
        pair(tmp_path, limits=Limits(stream=6)) as (sender, receiver),
        receiver.tables(),
    ):
        message = "table.load.votable", {"url": f"http://127.0.0.1:{server.port}/t"}
        calls = [
            asyncio.ensure_future(sender.call(receiver.public_id, *message, timeout=10)) for _ in range(11)
        ]
        async with asyncio.timeout(30):
            for _ in range(4):
                await asked.get()
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(ReplyError, match=r"too many messages wait already \(6\)"):
            await done.pop()
        go.set()
        await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("kind", [Table, pd.DataFrame])
async def test_what_is_missing_in_a_column_of_objects_is_an_empty_text(tmp_path: Path, kind: Any) -> None:
    """It arrived as the text 'None'."""
    table = await sent_and_received(tmp_path, kind({"t": np.array(["a", None], dtype=object)}))
    assert [str(text) for text in table["t"]] == ["a", ""]


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (Column(np.array(["a", None], dtype=object)), False),
        (Column(np.array(["", None], dtype=object)), True),
        (MaskedColumn(["a", ""], mask=[True, False]), True),
        (MaskedColumn(["a", ""], mask=[False, True]), False),
    ],
)
async def test_missing_texts_beside_empty_ones_are_told_of(
    column: Any, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither VOTable nor FITS tells them apart."""
    table = await sent_and_received(tmp_path, Table({"t": column}))
    assert "" in np.ma.filled(table["t"], "").tolist()
    assert (
        "missing texts of the table arrive as empty ones, of which it has too: 't'" in caplog.text
    ) is told


async def test_a_name_beyond_ascii(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, said in (("Andr\u00e9", "Andre"), ("\u03b1 Cen", "alpha Cen"), ("M\u00fcller", "Mueller")):
        assert (await sent_and_received(tmp_path, stars(), name=name)).meta["samp"]["name"] == said
        assert ("asyncsamp.client", logging.INFO, f"{name!r} goes out as {said!r}") in changes(caplog)
    assert (await sent_and_received(tmp_path, stars(), name="\u661f")).meta["samp"]["name"] == "?"
    assert ("asyncsamp.client", logging.WARNING, "'\u661f' goes out as '?'") in changes(caplog)


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    """Return what was said of names that go out changed."""
    return [
        (name, level, text.removeprefix("the name ").partition(":")[0])
        for name, level, text in caplog.record_tuples
        if "goes out as" in text
    ]


async def test_hdulists_and_dicts_are_tables(tmp_path: Path) -> None:
    units = fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(Table({"n": [1, 2]}))])
    for data in (units, {"n": [1, 2]}):
        assert list((await sent_and_received(tmp_path, data))["n"]) == [1, 2]
    with pytest.raises(DataError, match="send_image"):
        await sent_and_received(tmp_path, fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2)))]))


async def test_a_home_folder_in_a_path(tmp_path: Path) -> None:
    await asyncio.to_thread(stars().write, tmp_path / "t.vot", format="votable")
    assert list((await sent_and_received(tmp_path, "~/t.vot"))["n"]) == [1, 2, 3]


async def test_the_url_of_a_fits_table_goes_as_fits(tmp_path: Path) -> None:
    """It went as table.load.votable, which TOPCAT cannot open."""
    path = tmp_path / "x.data"
    await asyncio.to_thread(Table({"n": [1, 2]}).write, path, format="fits")
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(path.as_uri(), "receiver", timeout=10)
        assert [answer.mtype for answer in sent.values()] == ["table.load.fits"]
        assert list((await asyncio.wait_for(anext(tables), 30))["n"]) == [1, 2]


async def test_the_current_table_of_another(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    await asyncio.to_thread(stars().write, path, format="votable")
    async with pair(tmp_path) as (asker, topcat):
        answers = [{"url": path.as_uri()}, {}]

        @topcat.on("table.get.stil")
        async def current(message: Message) -> dict[str, str]:
            assert message.params == {"format": "votable"}
            return answers.pop(0)

        await topcat.settled()
        assert list((await asker.get_table("receiver", timeout=10))["n"]) == [1, 2, 3]
        with pytest.raises(DataError, match="gave no URL of a table"):
            await asker.get_table("receiver", timeout=10)


@pytest.mark.parametrize("infos", [0, 2])
async def test_a_table_without_rows_has_data_of_none(infos: int, tmp_path: Path) -> None:
    """TOPCAT finds no table without a DATA element, which stands before what may follow it."""
    file = votable.from_table(stars())
    table = file.get_first_table()
    table.array = table.array[:0]
    for number in range(infos):
        table.infos.append(votable.tree.Info(name=f"i{number}", value="x > </TABLE>"))
    written = await asyncio.to_thread(write_votable, file, stop=threading.Event())
    (element,) = ElementTree.fromstring(written).iterfind("{*}RESOURCE/{*}TABLE")
    names = [child.tag.partition("}")[2] for child in element]
    assert names == ["FIELD"] * 3 + ["DATA"] + ["INFO"] * infos
    got = await sent_and_received(tmp_path, stars()[:0])
    assert (len(got), got.colnames) == (0, ["ra", "name", "n"])


@pytest.mark.parametrize("sent", [True, False])
async def test_who_has_just_taken_a_table_may_show_it_a_moment_later(sent: bool, tmp_path: Path) -> None:
    """As TOPCAT does: asked again if it has taken a table of ours, and not if it has none to show."""
    path = tmp_path / "t.vot"
    await asyncio.to_thread(stars().write, path, format="votable")
    none = Response.failure("No current table")
    answers = [none, none, Response(result={"url": path.as_uri()})]
    async with pair(tmp_path) as (asker, topcat):

        @topcat.on("table.load.votable")
        async def load(message: Message) -> None: ...

        @topcat.on("table.get.stil")
        async def current(message: Message) -> Response:
            return answers.pop(0)

        await topcat.settled()
        if sent:
            await asker.send_table(stars(), "receiver", timeout=10)
            assert len(await asker.get_table("receiver", timeout=10)) == 3
            assert answers == []
            answers.append(Response.failure("No handler for table format"))
        with pytest.raises(ReplyError) as raised:
            await asker.get_table("receiver", timeout=10)
        advised = "No current table; click one in its list of tables, or send one first"
        assert str(raised.value).endswith("No handler for table format" if sent else advised)
        assert len(answers) == (0 if sent else 2)


async def test_rows_of_a_table_are_told_again_to_who_has_taken_it_just_now(tmp_path: Path) -> None:
    """TOPCAT knows a table by its id a moment after it has loaded it. What else it says is final."""
    table = stars()
    unknown = Response.failure("No table with table-id=x or url=y is loaded")
    answers = [unknown, unknown, Response(), unknown, Response(), Response.failure("No such row")]
    async with pair(tmp_path) as (sender, topcat):

        @topcat.on("table.load.votable")
        async def load(message: Message) -> None: ...

        @topcat.on("table.select.rowList", "table.highlight.row")
        async def rows(message: Message) -> Response:
            return answers.pop(0)

        await topcat.settled()
        await sender.send_table(table, "receiver", timeout=10)
        assert (await sender.select_rows(table, [0, 1], "receiver", timeout=10)).names == ["Receiver"]
        assert len(answers) == 3
        assert (await sender.highlight_row(table, 2, "receiver", timeout=10)).names == ["Receiver"]
        with pytest.raises(ReplyError, match="No such row"):
            await sender.highlight_row(table, 2, "receiver", timeout=10)
        assert answers == []


async def test_who_never_shows_a_table_is_not_asked_for_ever(tmp_path: Path) -> None:
    async with pair(tmp_path) as (asker, topcat):
        asked = 0

        @topcat.on("table.load.votable")
        async def load(message: Message) -> None: ...

        @topcat.on("table.get.stil")
        async def current(message: Message) -> Response:
            nonlocal asked
            asked += 1
            return Response.failure("No current table")

        await topcat.settled()
        await asker.send_table(stars(), "receiver", timeout=10)
        with pytest.raises(ReplyError, match="No current table; click one"):
            await asker.get_table("receiver", timeout=4)
        assert 1 < asked < 16


def test_a_list_of_texts_among_the_parameters_is_left_out() -> None:
    """TOPCAT writes the COMMENT cards of FITS so; astropy reads no such parameter."""
    head = b'<VOTABLE version="1.4"><RESOURCE><TABLE>'
    listed = b'<PARAM name="COMMENT" datatype="char" arraysize="3x2" value="onetwo"/>'
    rest = b'<PARAM name="n" datatype="int" value="7"/><FIELD name="a" datatype="int"/><DATA><TABLEDATA>'
    rows = b"<TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    table = read_table(head + listed + rest + rows)
    assert list(table["a"]) == [1]
    assert table.meta["n"] == 7
    assert "COMMENT" not in table.meta
