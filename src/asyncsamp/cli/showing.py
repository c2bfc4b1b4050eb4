"""Data: open, point, select, get."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..client.tracker import shown
from ..data.asking import table_url
from ..data.client import Client
from ..data.fetching import fetch
from ..data.optional import need
from ..data.positions import sky_position
from ..data.results import Sent
from ..data.sources import is_url
from ..errors import DataError, LocalProtocolError
from ..mtypes import TableGetStil
from ..values import Message, Response
from .messages import send
from .output import safe, say
from .running import ERROR, OK, at_hub
from .traffic import answered

__all__ = ["get", "open_files", "point", "select"]

_SEXAGESIMAL = re.compile(r"\d{1,2}(:\d|h|\s+\d{1,2}\s+[\d.]+\s+[+-]?\d)")
"""10:00:42 +41:16, 0h42m44s +41d16m, and 0 42 44.3 +41 16 9."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_EXAMPLES = ", as in: asyncsamp point 10.68 41.27; or: 0h42m44s +41d16m9s, or a name: M31"

_PATIENCE = 2.0
"""Seconds in which a tool that says that it has no table may be about to show one."""

_FORMATS = {
    "": "votable",
    ".vot": "votable",
    ".xml": "votable",
    ".votable": "votable",
    ".fits": "fits-basic",
    ".fit": "fits-basic",
    ".csv": "csv",
    ".txt": "ascii",
}
"""What TOPCAT calls the format of a file with that ending."""


async def open_files(
    hub: str | None, places: Sequence[str], to: str | None, start: bool, timeout: float
) -> int:
    """Send each file to who takes it, and say who loaded it."""
    code = OK
    async with at_hub(hub, start=start) as client:
        for place in places:
            sent = await client.open(place, to, start=start, timeout=timeout)
            code = max(code, _say_loaded(place, sent))
    return code


def _say_loaded(place: str, sent: Sent) -> int:
    for answer in sent.values():
        by = f"by {safe(answer.name) or '-'} ({safe(answer.public_id)})"
        said = f"loaded {by}" if answer.ok else f"not loaded {by}: {safe(answer)}"
        say(f"{safe(place)}: {said}")
    return ERROR if sent.failed else OK


async def point(hub: str | None, words: Sequence[str], to: str | None, start: bool, timeout: float) -> int:
    """Point at a position or an object by its name."""
    ra, dec = await asyncio.to_thread(parse_position, words)
    async with at_hub(hub, start=start, option="--start" if to else "--to NAME --start") as client:
        recipient = await client.find(to, start=True) if start and to else to
        sent = await client.point_at(ra, dec, recipient, timeout=timeout)
    for answer in sent.values():
        say(
            f"{safe(answer.name) or '-'} ({safe(answer.public_id)}): "
            + ("pointed" if answer.ok else safe(answer))
        )
    return ERROR if sent.failed else OK


def parse_position(words: Sequence[str]) -> tuple[float, float]:
    """Return ra and dec in degrees, of degrees, sexagesimal numbers or a name. Blocking: a name is looked up.

    Raises `DataError`, `LocalProtocolError` for numbers that are too few or too many, `MissingExtraError` for
    a name without astropy.
    """
    text = " ".join(words)
    numbers = re.split(r"[\s,]+", text.strip())
    if _SEXAGESIMAL.match(text):
        return sky_position(_sexagesimal(text), None)
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return sky_position(_place_of(text), None)
    if len(numbers) != 2:
        said = "one number" if len(numbers) == 1 else f"{len(numbers)} numbers"
        raise LocalProtocolError(f"{text!r} is {said}; a position is two, RA and DEC in degrees{_EXAMPLES}")
    return sky_position(numbers[0], numbers[1])


def _sexagesimal(text: str) -> Any:
    coordinates = need("astropy.coordinates")
    try:
        return coordinates.SkyCoord(text, unit=("hourangle", "deg"))
    except Exception as error:  # astropy's parsers raise what they like
        raise DataError(f"{text!r} is not a position: {_first_line(error)}{_EXAMPLES}") from None


def _place_of(name: str) -> Any:
    """Return where an object is, as the name server says. Blocking. Raises `DataError`."""
    coordinates = need("astropy.coordinates")
    try:
        return coordinates.SkyCoord.from_name(name)
    except Exception as error:  # astropy's resolver raises what it likes
        text = _first_line(error)
        if text.startswith("Unable to find"):
            raise DataError(
                f"{name!r} is not a position, and no object of that name was found: {text}"
            ) from None
        *_, why = str(error).splitlines() or [""]
        raise DataError(
            f"the name server, which knows where {name!r} is, could not be asked: {why or text}; give RA and "
            "DEC in degrees, or try again with the Internet"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


async def select(
    hub: str | None, table: str, words: Sequence[str], to: Sequence[str], highlight: bool, timeout: float
) -> int:
    """Select rows of a table that others have, or highlight one."""
    rows = parse_rows(words)
    if highlight and len(rows) != 1:
        raise LocalProtocolError(f"one row is highlighted at a time; got {len(rows)}")
    key = "url" if is_url(table) else "table-id"
    mtype, value = ("table.highlight.row", f"row={rows[0]}") if highlight else ("table.select.rowList", "")
    words = [f"{key}={table}", value or f"row-list:={_json_list(rows)}"]
    return await send((hub, "asyncsamp", ()), mtype, words, to, "call", timeout, False)


def parse_rows(words: Sequence[str]) -> list[int]:
    """Return row numbers from 0 on, of "5", "3-7" and "1,4". Raises `LocalProtocolError`."""
    rows: list[int] = []
    for word in ",".join(words).split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first > 10_000_000:
            raise LocalProtocolError(f"{word!r} is not a row number from 0 on, nor a range such as 3-7")
        rows.extend(range(first, last + 1))
    return rows


def _json_list(rows: list[int]) -> str:
    return "[" + ",".join(f'"{row}"' for row in rows) + "]"


async def get(
    hub: str | None, table_id: str | None, output: Path, tool: str, next_one: bool, timeout: float
) -> int:
    """Write a table of a tool, or the next one that somebody sends, into a file."""
    if table_id is not None and not next_one and not table_id.isdecimal():
        raise LocalProtocolError(
            f"{table_id!r} is not the number of a table in TOPCAT's list; "
            "with --next it may be the table-id of one that somebody will send"
        )
    if not next_one and output.suffix.lower() not in _FORMATS:
        raise LocalProtocolError(
            f"what {output.name} would hold is not known by its ending {output.suffix!r}: "
            f"use one of {', '.join(filter(None, _FORMATS))}"
        )
    async with at_hub(hub) as client:
        if next_one:
            url = await _next_table(client, table_id, timeout)
        else:
            table_format = _FORMATS[output.suffix.lower()]
            url = await _table_of(client, tool, table_id, table_format, timeout)
        data = await fetch(url, timeout=timeout)
    await asyncio.to_thread(output.write_bytes, data)
    say(f"{safe(output)}: {len(data)} bytes")
    return OK


async def _table_of(client: Client, tool: str, number: str | None, table_format: str, timeout: float) -> str:
    """Return the URL of the table of that number in TOPCAT's list, or of its current one."""
    recipient = await client.find(tool)
    params = TableGetStil(format=table_format).to_params() | ({} if number is None else {"index": number})
    # Another process may just have sent one, as in: asyncsamp open x.vot && asyncsamp get -o y.vot
    settles = asyncio.get_running_loop().time() + _PATIENCE
    return await table_url(client, recipient, params, timeout=timeout, settles=settles)


async def _next_table(client: Client, table_id: str | None, timeout: float) -> str:
    """Return the URL of the next table, of that id if one is given; its sender is told that it is taken."""

    async def accept(message: Message) -> Response:
        return Response()

    try:
        async with asyncio.timeout(timeout):
            async for message in answered(client, ["table.load.*"], accept):
                url = message.params.get("url")
                wanted = table_id is None or message.params.get("table-id") == table_id
                if wanted and isinstance(url, str):
                    say(f"table from {safe(message.sender_name or message.sender)}")
                    return url
    except TimeoutError:
        what = "a table" if table_id is None else f"a table with the table-id {table_id!r}"
        there = shown(await client.get_clients())
        raise TimeoutError(
            f"nobody sent {what} within {timeout:g} s; there are: {there}; send it to {client.name!r} from "
            "there, or give a larger -W"
        ) from None
    raise DataError("the hub has gone")
