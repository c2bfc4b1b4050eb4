"""Rows that are selected or highlighted, there and back; echoes; rows that are not there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Row, Table

from asyncsamp import Client, DataError, Hub, HubLostError, Message, ReplyError, WaitTimeoutError
from asyncsamp.data.rows import MANY, coded
from asyncsamp.mtypes import TableHighlightRow, TableSelectRowList

from ..desktops import pair


def table() -> Table:
    return Table({"a": np.arange(10)})


async def soon(stream: Any) -> Any:
    return await asyncio.wait_for(anext(stream), 30)


async def test_rows_come_as_numpy_indices(tmp_path: Path) -> None:
    mine = table()
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        await sender.send_table(mine, timeout=10)
        theirs = await soon(tables)
        async with sender.selections(mine) as selections, sender.highlights(mine) as highlights:
            sent = await receiver.select_rows(theirs, [1, 3, -1])
            assert sent.names == ["Sender"]
            rows = await soon(selections)
            assert rows.dtype.kind == "i"
            assert list(mine[rows]["a"]) == [1, 3, 9]
            await receiver.select_rows(theirs, theirs["a"] > 7, "sender")
            assert (await soon(selections)).tolist() == [8, 9]
            await receiver.select_rows(theirs, [])
            assert len(await soon(selections)) == 0
            await receiver.highlight_row(theirs, 4)
            row = mine[await soon(highlights)]
            assert isinstance(row, Row)
            assert row["a"] == 4


TOPCAT = r"in TOPCAT choose rows in the Table Browser, press the first button there, then Transmit Subset"


@pytest.mark.parametrize(
    ("names", "stream", "text"),
    [
        ((), "selections", r"^no selection came within 0\.01 s; nobody else is there: start the tool"),
        (("TOPCAT",), "selections", rf"; there are: 'TOPCAT' \(c\d+\); {TOPCAT}, or give a larger timeout$"),
        (
            ("Aladin", "x"),
            "selections",
            "; in Aladin drag the mouse over the sources with the tool 'select', or",
        ),
        (
            ("SAOImageDS9", "TOPCAT"),
            "selections",
            rf"; in SAOImageDS9 choose several rows in .*; {TOPCAT}, or",
        ),
        (("x",), "selections", r"'x' \(c\d+\); select rows of the table there, or give a larger timeout$"),
        (
            ("TOPCAT",),
            "highlights",
            "no row came .*; in TOPCAT switch on 'Send row index' in the window Activ",
        ),
        (("TOPCAT",), "tables", "no table came .*; send it to 'me' from there, or give a larger timeout$"),
        (("TOPCAT",), "positions", "no position came .*; have a position sent from there, or give a larger"),
    ],
)
async def test_a_wait_that_is_over_says_who_is_there_and_which_button_sends(
    tmp_path: Path, names: tuple[str, ...], stream: str, text: str
) -> None:
    lockfile = tmp_path / "samp"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Hub(lockfile=lockfile))
        client = await stack.enter_async_context(Client("me", lockfile=lockfile))
        for name in names:
            await stack.enter_async_context(Client(name, lockfile=lockfile))
        of = ["t"] if stream in ("selections", "highlights") else []
        with pytest.raises(WaitTimeoutError, match=text):
            await getattr(client, stream)(*of).next(timeout=0.01)


async def test_the_next_item_and_the_end(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.selections("t") as selections:
        await sender.select_rows("t", [1])
        assert (await selections.next(timeout=30)).tolist() == [1]
        selections.close()
        with pytest.raises(EOFError, match="the stream has ended"):
            await selections.next()


async def test_by_id_and_by_url(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver), receiver.selections("t1") as by_id:
        async with receiver.selections("http://h/t.vot") as by_url:
            await sender.call(receiver.public_id, TableSelectRowList(table_id="t1", row_list=[1]), timeout=30)
            await sender.call(
                receiver.public_id, TableSelectRowList(url="http://h/t.vot", row_list=[2]), timeout=5
            )
            assert (await soon(by_id)).tolist() == [1]
            assert (await soon(by_url)).tolist() == [2]
        await sender.select_rows("t1", np.array([7]))
        assert (await soon(by_id)).tolist() == [7]


async def test_rows_of_a_file_that_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    await asyncio.to_thread(table().write, path, format="votable")
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for place in (path, str(path), path.as_uri()):
            await sender.send_table(place, timeout=10)
            theirs = await soon(tables)
            async with receiver.selections(theirs) as selections, sender.selections(place) as back:
                await sender.select_rows(place, [1], "receiver")
                assert (await soon(selections)).tolist() == [1]
                await receiver.select_rows(theirs, [2], "sender")
                assert (await soon(back)).tolist() == [2]


class Rows(list[int]):
    """Rows that note in which thread they are read."""

    def __iter__(self) -> Iterator[int]:
        self.thread = threading.current_thread()
        return super().__iter__()


async def test_many_rows_are_coded_once_and_not_in_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    readers: list[threading.Thread] = []

    def noting_coded(numbers: list[int]) -> list[str]:
        times.append(len(numbers))
        return coded(numbers)

    def noting_read(message: Message) -> TableSelectRowList:
        readers.append(threading.current_thread())
        return from_message(message)

    from_message = TableSelectRowList.from_message
    monkeypatch.setattr("asyncsamp.data.sending.coded", noting_coded)
    monkeypatch.setattr(TableSelectRowList, "from_message", noting_read)
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("Third", lockfile=tmp_path / "samp") as third,
        receiver.selections("t1") as one,
        third.selections("t1") as two,
    ):
        rows = Rows(range(MANY + 1))
        sent = await sender.select_rows("t1", rows)
        assert sorted(sent.names) == ["Receiver", "Third"]
        for stream in (one, two):
            assert (await soon(stream)).tolist() == list(range(MANY + 1))
        assert times == [MANY + 1]
        loops = threading.current_thread()
        assert rows.thread is not loops
        assert loops not in readers
        await sender.select_rows("t1", [1], "receiver")
        assert readers[-1] is loops  # few rows are not worth a thread


async def test_an_echo_is_not_taken_for_the_user(tmp_path: Path) -> None:
    mine = table()
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        sent = await sender.send_table(mine, timeout=10)
        await soon(tables)

        @receiver.on(TableSelectRowList)
        async def tell_all(message: TableSelectRowList) -> None:
            rows = TableSelectRowList(table_id=sent.item_id, row_list=message.row_list[::-1])
            assert (await receiver.call(sender.public_id, rows, timeout=30)).ok

        async with sender.selections(mine) as selections:
            await receiver.settled()
            await sender.select_rows(mine, [1, 2], "receiver")
            # What the user selects is taken, also if it is the same rows once more.
            again = TableSelectRowList(table_id=sent.item_id, row_list=[5])
            await receiver.call(sender.public_id, again, timeout=30)
            assert (await soon(selections)).tolist() == [5]
            same = TableSelectRowList(table_id=sent.item_id, row_list=[1, 2])
            await receiver.call(sender.public_id, same, timeout=30)
            assert (await soon(selections)).tolist() == [1, 2]


async def test_an_echo_is_one_for_every_stream(tmp_path: Path) -> None:
    mine = table()
    async with (
        pair(tmp_path) as (sender, receiver),
        receiver.tables() as tables,
        sender.selections("t1") as one,
        sender.selections("t1") as two,
    ):
        await sender.send_table(mine, table_id="t1", timeout=10)
        await soon(tables)

        @receiver.on(TableSelectRowList)
        async def tell_all(message: TableSelectRowList) -> None:
            await receiver.call(sender.public_id, message, timeout=30)

        await receiver.settled()
        await sender.select_rows(mine, [1, 2], "receiver")
        again = TableSelectRowList(table_id="t1", row_list=[5])
        await receiver.call(sender.public_id, again, timeout=30)
        assert [(await soon(stream)).tolist() for stream in (one, two)] == [[5], [5]]


async def test_rows_are_not_kept_for_echoes_that_come_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.data.context._ECHO_SECONDS", 0.02)
    async with pair(tmp_path) as (sender, receiver), receiver.selections("t1"):
        await receiver.settled()
        async with asyncio.timeout(10):
            await sender.select_rows("t1", [1, 2], "receiver")
            while sender._context()._echoes:
                await asyncio.sleep(0)


async def test_the_echo_of_one_is_not_that_of_another(tmp_path: Path) -> None:
    mine = table()
    async with (
        pair(tmp_path) as (sender, receiver),
        Client("Third", lockfile=tmp_path / "samp") as third,
        receiver.tables() as tables,
        receiver.highlights("x"),
    ):
        sent = await sender.send_table(mine, "receiver", timeout=10)
        await soon(tables)
        async with sender.highlights(mine) as highlights:
            with pytest.raises(ReplyError, match="there is no such table here"):
                await sender.highlight_row(mine, 3, "receiver")
            row = TableHighlightRow(table_id=sent.item_id, row=3)
            await third.call(sender.public_id, row, timeout=30)
            assert await soon(highlights) == 3


async def test_rows_and_tables_that_are_not_there(tmp_path: Path) -> None:
    mine = table()
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        for act in (sender.highlight_row(mine, 1), sender.select_rows(mine, [1])):
            with pytest.raises(DataError, match="nobody knows this table yet"):
                await act
        with pytest.raises(DataError, match="nobody knows this table yet"):
            sender.selections(mine)
        sent = await sender.send_table(mine, timeout=10)
        await soon(tables)
        for act in (sender.highlight_row(mine, 10), sender.select_rows(mine, [0, 10])):
            with pytest.raises(DataError, match="row 10 is out of range: the table has 10 rows, 0 to 9"):
                await act

        async with sender.selections(mine) as selections, sender.highlights(mine) as highlights:
            to = sender.public_id
            for wrong, text in (
                (TableSelectRowList(table_id=sent.item_id, row_list=[10]), "row 10 is out of range"),
                (TableHighlightRow(table_id=sent.item_id, row=-1), "row -1 is out of range"),
                (TableHighlightRow(table_id="other", row=1), "there is no such table here"),
            ):
                with pytest.raises(ReplyError, match=text):
                    await receiver.call(to, wrong, timeout=30)
            with pytest.raises(ReplyError, match="'row': 'x' is not a SAMP int"):
                await receiver.call(to, "table.highlight.row", {"table-id": "t", "row": "x"}, timeout=30)
            await receiver.call(to, TableSelectRowList(table_id=sent.item_id, row_list=[9]), timeout=30)
            assert (await soon(selections)).tolist() == [9]
            await receiver.notify(to, TableHighlightRow(url=sent.url, row=2))
            assert await soon(highlights) == 2


async def test_selections_go_on_when_the_hub_was_away(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    hub = await Hub(lockfile=lockfile).start()
    try:
        async with (
            Client("a", lockfile=lockfile) as a,
            Client("b", lockfile=lockfile) as b,
            a.selections("t1") as selections,
        ):
            await hub.shutdown()
            await hub.start()
            async with asyncio.timeout(10):
                while not await subscribers(b):
                    await b.wait_registered()
            await b.select_rows("t1", [3])
            assert (await soon(selections)).tolist() == [3]
    finally:
        await hub.shutdown()


async def subscribers(client: Client) -> dict[str, Any]:
    """Return who takes selections; nobody, while the hub is away."""
    try:
        return dict(await client.get_subscribed_clients("table.select.rowList"))
    except HubLostError:
        return {}
