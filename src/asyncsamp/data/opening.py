"""Opening a file in whatever tool takes it, which is started if the caller asks for that."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from .. import mtypes
from .._util.foreign_text import listed
from ..client.tracker import RemoteClient
from ..discovery import Location
from ..errors import DataError, NoRecipientsError, ToolError, UnknownClientError
from ..tools import Tool, known_as, known_tools, look_up
from ..tools import start as start_tool
from . import sending
from .context import TABLE_MTYPES, DataContext
from .formats.kinds import Kind
from .formats.table_read import is_table
from .recipients import Recipients, find_recipients
from .recognising import recognise
from .results import Sent
from .sources import is_place, is_url

__all__ = ["find_or_start", "open_data"]


def _mtypes_of(kind: Kind) -> tuple[str, ...]:
    """Return the mtypes that load such data. The classes of mtypes are made when one is first needed."""
    if kind is Kind.TABLE:
        return TABLE_MTYPES
    if kind is Kind.MOC:
        return sending.moc_mtypes()
    loads: dict[Kind, type[mtypes.TypedMessage]] = {
        Kind.IMAGE: mtypes.ImageLoadFits,
        Kind.SPECTRUM: mtypes.SpectrumLoadSsaGeneric,
        Kind.CDF: mtypes.TableLoadCdf,
    }
    return (loads[kind].mtype,)


async def open_data(
    context: DataContext, data: Any, to: Recipients, location: Location | None, *, timeout: float
) -> Sent:
    """See `Client.open`; `location` is where a started tool finds the hub, None if none may be started."""
    kind = await _kind_of(data)
    to = await _those_who_take(context, kind, to, location, timeout)
    local = is_place(data) and not is_url(data)
    data = await asyncio.to_thread(_absolute, data) if local else data
    if kind is Kind.TABLE:
        return await sending.send_table(
            context,
            data,
            to,
            name="",
            table_id=None,
            format="auto",
            hdu=None,
            timeout=timeout,
            local=local,
            progress=False,
        )
    if kind is Kind.IMAGE:
        return await sending.send_image(
            context, data, to, wcs=None, name="", image_id=None, frame=None, timeout=timeout, local=local
        )
    if kind is Kind.SPECTRUM:
        return await sending.send_spectrum(
            context, data, to, meta=None, name="", spectrum_id=None, timeout=timeout, local=local
        )
    if kind is Kind.MOC:
        return await sending.send_moc(
            context, data, to, name="", coverage_id=None, timeout=timeout, local=local
        )
    return await sending.send_cdf(context, data, to, timeout=timeout, local=local)


def _absolute(path: Any) -> Path:
    return Path(path).expanduser().absolute()


async def find_or_start(
    context: DataContext, name: str, location: Location, *, timeout: float
) -> RemoteClient:
    """Return the client of that name, which is started if it is not there.

    Raises `UnknownClientError` if several have the name, `ToolError` if it cannot be started.
    """
    tool = await asyncio.to_thread(known_as, name)
    there = await context.client.get_clients()
    found = context.client.clients.named(name)
    meant = [] if found is None else [found]
    if not meant and tool is not None:
        meant = [other for other in there if tool.answers_to(other.name)]
    if len(meant) > 1:
        ids = listed(other.public_id for other in meant)
        raise UnknownClientError(f"{len(meant)} clients are named {name!r}: {ids}; use a public id")
    if meant:
        return meant[0]
    if tool is None:
        tool = await asyncio.to_thread(look_up, name)  # which says what tools there are
    return await start_tool(context.client, tool, location, timeout=timeout)


async def _kind_of(data: Any) -> Kind:
    """Return what `data` is: by the content of a path or URL, else by the methods of an object."""
    if is_place(data):
        try:
            return await recognise(os.fspath(data))
        except DataError:
            if str(data).lower().endswith((".csv", ".ecsv", ".txt", ".dat", ".parquet")):
                return Kind.TABLE  # which astropy reads
            raise
    if isinstance(data, list | tuple) and data and all(is_place(each) for each in data):
        raise DataError(f"open takes one file or URL at a time, not {len(data)}: call it for each")
    if hasattr(data, "serialize") and hasattr(data, "max_order"):
        return Kind.MOC
    return Kind.TABLE if is_table(data) else Kind.IMAGE


async def _those_who_take(
    context: DataContext, kind: Kind, to: Recipients, location: Location | None, timeout: float
) -> Recipients:
    """Return the recipients; if there are none and a tool may be started, the tool that was."""
    if location is None:
        return to
    if isinstance(to, str):
        return await find_or_start(context, to, location, timeout=timeout)
    if to is not None:
        return to
    try:
        await find_recipients(context.client, None, _mtypes_of(kind))
    except NoRecipientsError:
        tool = await asyncio.to_thread(_tool_for, kind)
        return await start_tool(context.client, tool, location, timeout=timeout)
    return None


def _tool_for(kind: Kind) -> Tool:
    """Return the first installed tool that takes such data. Blocking."""
    wanted = set(_mtypes_of(kind))
    able = [tool for tool in known_tools() if wanted & set(tool.takes)]
    installed = next((tool for tool in able if tool.program() is not None), None)
    if installed is None:
        if not able:
            raise ToolError(
                f"no tool that is known takes a {kind.value}: start one that does by hand, or name it in "
                "tools.toml with what it takes"
            )
        names = ", ".join(tool.name for tool in able)
        raise ToolError(f"no tool that takes a {kind.value} is installed; install one of: {names}")
    return installed
