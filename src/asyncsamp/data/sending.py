"""Tables, images, spectra, coverages, positions and rows, on their way out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..client.arguments import check_timeout
from ..client.others import RemoteClient
from ..errors import DataError
from ..mtypes import (
    CoordPointAtSky,
    CoverageLoadMocFits,
    Ds9Get,
    Ds9Set,
    ImageLoadFits,
    ScriptAladinSend,
    SpectrumLoadSsaGeneric,
    TableHighlightRow,
    TableLoadFits,
    TableLoadVotable,
    TableSelectRowList,
    TypedMessage,
)
from .delivering import deliver
from .desk import TABLE_MTYPES
from .fetching import fetch
from .items import Item
from .positions import sky_position
from .progress import ProgressWanted
from .recipients import Recipients, find_recipients
from .rows import row_list, row_number
from .sources import TableSource, file_source, is_place
from .tables import is_table

if TYPE_CHECKING:
    from .desk import Desk
    from .results import Sent

__all__ = [
    "aladin",
    "ds9",
    "ds9_get",
    "highlight_row",
    "point_at",
    "select_rows",
    "send_image",
    "send_moc",
    "send_spectrum",
    "send_table",
]

_KEPT_AFTER = 3600.0
"""Seconds that data stays shared after its recipients have answered: some read it again, when asked to."""


async def send_table(
    desk: Desk,
    table: Any,
    to: Recipients,
    *,
    name: str,
    table_id: str | None,
    timeout: float,
    local: bool,
    progress: ProgressWanted,
) -> Sent:
    """See `DataMethods.send_table`."""
    recipients = await _recipients(desk, to, TABLE_MTYPES, timeout)
    name = name or _own_name(table)
    source = TableSource(desk, table, name, local=local, progress=progress)
    ids = [other.public_id for other, _ in recipients]
    item_id = table_id or desk.items.id_for(table, ids)
    try:
        unsendable = await _make_urls(source, [mtype for _, mtype in recipients])
        first = next(iter(source.urls.values()))
        holders = [other.public_id for other, mtype in recipients if mtype in source.urls]
        desk.items.remember(table, Item(item_id, first), source.rows, holders)

        def message(_: RemoteClient, mtype: str) -> TypedMessage:
            if mtype in unsendable:
                raise unsendable[mtype]
            kind = TableLoadFits if mtype == TableLoadFits.mtype else TableLoadVotable
            return kind(url=source.urls[mtype], table_id=item_id, name=_ascii(name) or None)

        return await deliver(
            desk.client,
            recipients,
            message,
            what="the table",
            timeout=timeout,
            url=first,
            item_id=item_id,
        )
    finally:
        _let_expire(desk, source.urls.values())


async def _make_urls(source: TableSource, mtypes: Iterable[str]) -> dict[str, DataError]:
    """Write the table in every format that is wanted; return why not, by mtype.

    Raises `DataError` if it can be written in none.
    """
    unsendable: dict[str, DataError] = {}
    for mtype in dict.fromkeys(mtypes):
        try:
            await source.url(mtype)
        except DataError as error:
            unsendable[mtype] = error
    if not source.urls:
        raise next(iter(unsendable.values()))
    return unsendable


async def send_image(
    desk: Desk,
    image: Any,
    to: Recipients,
    *,
    wcs: Any,
    name: str,
    image_id: str | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `DataMethods.send_image`."""
    recipients = await _recipients(desk, to, (ImageLoadFits.mtype,), timeout)
    name = name or _own_name(image)
    url = await file_source(desk, image, name, "image", local=local, wcs=wcs)
    item_id = image_id or _new_id()
    message = ImageLoadFits(url=url, image_id=item_id, name=_ascii(name) or None)
    return await _send(desk, recipients, message, "the image", timeout, url, item_id)


async def send_spectrum(
    desk: Desk,
    spectrum: Any,
    to: Recipients,
    *,
    meta: Mapping[str, str] | None,
    name: str,
    spectrum_id: str | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `DataMethods.send_spectrum`."""
    recipients = await _recipients(desk, to, (SpectrumLoadSsaGeneric.mtype,), timeout)
    name = name or _own_name(spectrum)
    described = dict(meta or {})
    if not is_place(spectrum) and is_table(spectrum) and not _is_hdu(spectrum):
        source = TableSource(desk, spectrum, name, local=local, progress=False)
        url = await source.url(TableLoadVotable.mtype)
        described.setdefault("Access.Format", "application/x-votable+xml")
    else:
        url = await file_source(desk, spectrum, name, "spectrum", local=local)
        if not is_place(spectrum):
            described.setdefault("Access.Format", "application/fits")
    item_id = spectrum_id or _new_id()
    message = SpectrumLoadSsaGeneric(url=url, meta=described, spectrum_id=item_id, name=_ascii(name) or None)
    return await _send(desk, recipients, message, "the spectrum", timeout, url, item_id)


async def send_moc(
    desk: Desk,
    moc: Any,
    to: Recipients,
    *,
    name: str,
    coverage_id: str | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `DataMethods.send_moc`."""
    recipients = await _recipients(desk, to, (CoverageLoadMocFits.mtype,), timeout)
    url = await file_source(desk, moc, name, "coverage", local=local)
    item_id = coverage_id or _new_id()
    message = CoverageLoadMocFits(url=url, coverage_id=item_id, name=_ascii(name) or None)
    return await _send(desk, recipients, message, "the coverage", timeout, url, item_id)


async def point_at(desk: Desk, position: Any, dec: Any, to: Recipients, *, timeout: float) -> Sent:
    """See `DataMethods.point_at`."""
    ra, dec = sky_position(position, dec)
    recipients = await _recipients(desk, to, (CoordPointAtSky.mtype,), timeout)
    return await _send(desk, recipients, CoordPointAtSky(ra=ra, dec=dec), "the position", timeout)


async def highlight_row(desk: Desk, table: Any, row: Any, to: Recipients, *, timeout: float) -> Sent:
    """See `DataMethods.highlight_row`."""
    known = desk.items.find(table)
    number = row_number(row, known.rows)

    def message(other: RemoteClient, _: str) -> TypedMessage:
        item = known.to(other.public_id)
        return TableHighlightRow(table_id=item.item_id or None, url=item.url or None, row=number)

    recipients = await _recipients(desk, to, (TableHighlightRow.mtype,), timeout)
    desk.expect_echo([other.public_id for other, _ in recipients], known, [number])
    return await deliver(desk.client, recipients, message, what="the row", timeout=timeout)


async def select_rows(desk: Desk, table: Any, rows: Any, to: Recipients, *, timeout: float) -> Sent:
    """See `DataMethods.select_rows`."""
    known = desk.items.find(table)
    numbers = row_list(rows, known.rows)

    def message(other: RemoteClient, _: str) -> TypedMessage:
        item = known.to(other.public_id)
        return TableSelectRowList(table_id=item.item_id or None, url=item.url or None, row_list=numbers)

    recipients = await _recipients(desk, to, (TableSelectRowList.mtype,), timeout)
    desk.expect_echo([other.public_id for other, _ in recipients], known, numbers)
    return await deliver(desk.client, recipients, message, what="the selection", timeout=timeout)


async def ds9(desk: Desk, command: str, to: Recipients, *, url: str | None, timeout: float) -> Sent:
    """See `DataMethods.ds9`."""
    recipients = await _recipients(desk, to, (Ds9Set.mtype,), timeout)
    return await _send(desk, recipients, Ds9Set(cmd=command, url=url), "the command", timeout)


async def ds9_get(desk: Desk, command: str, to: str, *, timeout: float) -> str:
    """See `DataMethods.ds9_get`."""
    ((other, _),) = await _recipients(desk, to, (Ds9Get.mtype,), timeout)
    answered = await desk.client.call(other, Ds9Get(cmd=command), timeout=timeout)
    value, url = answered.result.get("value"), answered.result.get("url")
    if isinstance(url, str) and url:
        data = await fetch(url, max_size=desk.max_size, timeout=timeout)
        return await asyncio.to_thread(data.decode, "utf-8", "replace")
    return value if isinstance(value, str) else ""


async def aladin(desk: Desk, script: str, to: Recipients, *, timeout: float) -> Sent:
    """See `DataMethods.aladin`."""
    recipients = await _recipients(desk, to, (ScriptAladinSend.mtype,), timeout)
    return await _send(desk, recipients, ScriptAladinSend(script=script), "the script", timeout)


# ---- inside


async def _recipients(
    desk: Desk, to: Recipients, mtypes: Sequence[str], timeout: float | None
) -> list[tuple[RemoteClient, str]]:
    """Return who gets it, before any work is done for a call that is wrong."""
    if timeout is not None:  # which `Client.call` knows a number for
        check_timeout(timeout)
    return await find_recipients(desk.client, to, mtypes)


async def _send(
    desk: Desk,
    recipients: Sequence[tuple[Any, str]],
    message: TypedMessage,
    what: str,
    timeout: float,
    url: str = "",
    item_id: str = "",
) -> Sent:
    try:
        return await deliver(
            desk.client,
            list(recipients),
            lambda _, __: message,
            what=what,
            timeout=timeout,
            url=url,
            item_id=item_id,
        )
    finally:
        _let_expire(desk, [url])


def _let_expire(desk: Desk, urls: Any) -> None:
    for url in urls:
        desk.shares.expire(url, _KEPT_AFTER)
        desk.files.expire(url, _KEPT_AFTER)


def _own_name(data: Any) -> str:
    """Return the name that the data has itself."""
    if is_place(data):
        return str(data).rstrip("/").rpartition("/")[2].partition("?")[0]
    meta = getattr(data, "meta", None)
    name = meta.get("name") if isinstance(meta, Mapping) else getattr(data, "name", "")
    return name if isinstance(name, str) and name != "PRIMARY" else ""


def _ascii(name: str) -> str:
    """Return a name as SAMP can say it (DATA-2)."""
    return "".join(char if " " <= char <= "~" else "?" for char in name)


def _is_hdu(data: Any) -> bool:
    return hasattr(data, "writeto")


def _new_id() -> str:
    return f"asyncsamp-{secrets.token_hex(6)}"
