"""STILTS sends a real table, which our client reads from its URL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest

from asyncsamp import Client, Message

from . import conversation
from .peers import stilts_send

VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE name="stars">
<FIELD name="name" datatype="char" arraysize="*"/><FIELD name="ra" datatype="double"/>
<DATA><TABLEDATA>
<TR><TD>Vega</TD><TD>279.25</TD></TR><TR><TD>M &amp; N</TD><TD>10.5</TD></TR><TR><TD/><TD>-0.125</TD></TR>
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""

ROWS = [["Vega", "279.25"], ["M & N", "10.5"], ["", "-0.125"]]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("hub", ["asyncsamp", "jsamp"])
async def test_a_table_of_stilts_is_read_by_our_client(hub: str, tmp_path: Path) -> None:
    table = tmp_path / "stars.vot"
    await asyncio.to_thread(table.write_text, VOTABLE)
    tables: asyncio.Queue[tuple[Message, list[list[str]]]] = asyncio.Queue()
    async with conversation.hub_of(hub, tmp_path) as lockfile, aiohttp.ClientSession() as session:
        client = Client("viewer", lockfile=lockfile)

        @client.on("table.load.votable")
        async def load(message: Message) -> dict[str, str]:
            # Read before replying: STILTS serves the table only until all have replied.
            rows = await read_rows(session, str(message.params["url"]))
            tables.put_nowait((message, rows))
            return {"rows": str(len(rows))}

        async with client, stilts_send(lockfile, tmp_path, table) as sender:
            async with asyncio.timeout(60):
                message, rows = await tables.get()
            await sender.succeed(timeout=60)
    assert rows == ROWS
    assert message.params["name"]


async def read_rows(session: aiohttp.ClientSession, url: str) -> list[list[str]]:
    """Read the cells of a VOTable; STILTS may give an empty body at first."""
    for _ in range(2):
        async with session.get(url) as answer:
            text = await answer.text()
        if text:
            break
    return [
        [(cell.text or "") for cell in row.iterfind("{*}TD")]
        for row in ElementTree.fromstring(text).iterfind(".//{*}TR")
    ]
