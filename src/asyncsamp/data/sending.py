"""Tables, images, spectra, coverages, positions and rows, on their way out."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from .. import mtypes
from .._util.foreign_text import quoted
from .._util.spelling import spelled
from ..client.tracker import RemoteClient
from ..client.validation import check_timeout
from ..errors import DataError, LocalProtocolError
from ..values import ReplyError, Response, ValueMap, encode_map
from .asking import NO_SUCH_TABLE, SETTLES, call_once_shown, table_url
from .broadcast import Call, deliver
from .context import DataContext
from .formats.images import refuse_table
from .formats.table_read import is_table, read_table, table_hdu
from .positions import sky_position
from .progress import ProgressWanted
from .recipients import Recipients, find_recipients
from .recognising import refuse_no_image, refuse_no_moc, refuse_no_spectrum, refuse_no_table
from .results import Answer, Sent
from .rows import coded, many, row_list, row_number
from .sources import TableSource, file_source, is_place, is_url, local_source, table_mtypes
from .table_registry import Item

__all__ = [
    "aladin",
    "ds9",
    "ds9_get",
    "get_table",
    "highlight_row",
    "moc_mtypes",
    "point_at",
    "select_rows",
    "send_cdf",
    "send_image",
    "send_moc",
    "send_spectrum",
    "send_table",
]

log = logging.getLogger("asyncsamp.client")

_IN_A_SCRIPT = "/:?&=%#+@~,.-_"
"""Characters of a URL that mean nothing in a script of Aladin."""

_ENDS_DS9 = ("exit", "quit")
"""Commands that DS9 never answers, since it has ended then."""

_HAS_THE_ID = "has already been received"
"""What TOPCAT says of a table whose id it has, in small letters."""

_KEPT_AFTER = 3600.0
"""Seconds that data stays shared after its recipients have answered: some read it again, when asked to."""


async def send_table(
    context: DataContext,
    table: Any,
    to: Recipients,
    *,
    name: str,
    table_id: str | None,
    format: str,
    hdu: int | str | None,
    timeout: float,
    local: bool,
    progress: ProgressWanted,
) -> Sent:
    """See `Client.send_table`."""
    _check_name(name)
    if is_place(table) and hdu is None:
        await refuse_no_table(table)
    data = table if hdu is None else await _chosen(table, hdu)
    table = table if is_place(table) else data
    recipients = await _recipients(context, to, await table_mtypes(data, format), timeout)
    name = name or _own_name(table)
    source = TableSource(context, data, name, local=local, progress=progress)
    ids = [other.public_id for other, _ in recipients]
    item_id = table_id or context.items.id_for(table, ids)
    try:
        unsendable = await _make_urls(source, [mtype for _, mtype in recipients])
        first = next(iter(source.urls.values()))
        holders = [other.public_id for other, mtype in recipients if mtype in source.urls]
        context.items.remember(table, Item(item_id, first), source.rows, holders)
        again: dict[str, Item] = {}

        def message(_: RemoteClient, mtype: str) -> mtypes.TypedMessage:
            if mtype in unsendable:
                raise unsendable[mtype]
            kind = _table_load(mtype)
            return kind(url=source.urls[mtype], table_id=item_id, name=_ascii(name) or None)

        sent = await deliver(
            context.client,
            recipients,
            message,
            what="the table",
            timeout=timeout,
            call=None if table_id else _under_another_id(context, table, source.rows, again, timeout),
            url=first,
            item_id=item_id,
        )
        if again.keys() == sent.keys():
            sent.item_id = next(iter(again.values())).item_id
        context.note_taken(answer.public_id for answer in sent.values() if answer.ok)
        return sent
    finally:
        _let_expire(context, source.urls.values())


def _under_another_id(
    context: DataContext, table: Any, rows: int | None, again: dict[str, Item], timeout: float
) -> Call:
    """Return how a table is sent: once more, under another id, to who has a table of that id already.

    What it is then is put into `again`, by public id.

    TOPCAT keeps its tables when its hub ends, and is not known for who it was when it comes back.
    """
    another = _new_id()

    async def call(other: RemoteClient, message: mtypes.TypedMessage) -> Response:
        try:
            return await context.client.call(other, message, timeout=timeout)
        except ReplyError as error:
            if _HAS_THE_ID not in error.response.errortxt.casefold():
                raise
        params = {**message.to_params(), "table-id": another}
        again[other.public_id] = item = Item(another, str(params["url"]))
        context.items.remember(table, item, rows, [other.public_id])
        return await context.client.call(other, message.mtype, params, timeout=timeout)

    return call


async def _chosen(table: Any, hdu: int | str) -> Any:
    """Return one table of a file or HDUList. Raises `DataError`."""
    if is_url(table):
        raise DataError(
            f"hdu= chooses from a file or an HDUList, not from a URL: fetch {quoted(table)} first, "
            "or send it without hdu="
        )
    return await asyncio.to_thread(table_hdu, table, hdu)


def _table_load(mtype: str) -> Callable[..., mtypes.TypedMessage]:
    """Return the class of messages that load a table; all have the same parameters."""
    loads = (
        *(mtypes.TableLoadVotable, mtypes.TableLoadFits, mtypes.TableLoadCdf),
        *(mtypes.TableLoadParquet, mtypes.TableLoadPds4, mtypes.TableLoadStil),
    )
    return next(kind for kind in loads if kind.mtype == mtype)


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
    context: DataContext,
    image: Any,
    to: Recipients,
    *,
    wcs: Any,
    name: str,
    image_id: str | None,
    frame: str | int | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `Client.send_image`."""
    _check_name(name)
    if is_place(image):
        await refuse_no_image(image)
    else:
        await asyncio.to_thread(refuse_table, image)
    if frame is not None:
        return await _show_in_frame(
            context, image, to, frame, wcs=wcs, name=name, timeout=timeout, local=local
        )
    recipients = await _recipients(context, to, (mtypes.ImageLoadFits.mtype,), timeout)
    name = name or _own_name(image)
    url = await file_source(context, image, name, "image", local=local, wcs=wcs)
    item_id = image_id or _new_id()
    message = mtypes.ImageLoadFits(url=url, image_id=item_id, name=_ascii(name) or None)
    return await _send(context, recipients, message, "the image", timeout, url, item_id)


async def _show_in_frame(
    context: DataContext,
    image: Any,
    to: Recipients,
    frame: str | int,
    *,
    wcs: Any,
    name: str,
    timeout: float,
    local: bool,
) -> Sent:
    """Show an image in a frame of DS9: its command "fits" loads into the current one."""
    number = isinstance(frame, int) and not isinstance(frame, bool) and frame > 0
    if frame not in ("new", "current") and not number:
        raise LocalProtocolError(
            f"frame={frame!r} is not a frame of DS9: expected 'new', 'current' or a number from 1 on"
        )
    recipients = await _recipients(context, to or "ds9", (mtypes.Ds9Set.mtype,), timeout)
    url = await file_source(context, image, name or _own_name(image), "image", local=local, wcs=wcs)
    if frame != "current":
        await _send(context, recipients, mtypes.Ds9Set(cmd=f"frame {frame}"), "the command", timeout)
    return await _send(context, recipients, mtypes.Ds9Set(cmd="fits", url=url), "the image", timeout, url)


async def send_spectrum(
    context: DataContext,
    spectrum: Any,
    to: Recipients,
    *,
    meta: Mapping[str, str] | None,
    name: str,
    spectrum_id: str | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `Client.send_spectrum`."""
    _check_name(name)
    if is_place(spectrum):
        await refuse_no_spectrum(spectrum)
    recipients = await _recipients(context, to, (mtypes.SpectrumLoadSsaGeneric.mtype,), timeout)
    name = name or _own_name(spectrum)
    described = dict(meta or {})
    if isinstance(spectrum, dict) or (is_table(spectrum) and not _is_pixels(spectrum)):
        source = TableSource(context, spectrum, name, local=local, progress=False)
        url = await source.url(mtypes.TableLoadVotable.mtype)
        described.setdefault("Access.Format", "application/x-votable+xml")
    else:
        url = await file_source(context, spectrum, name, "spectrum", local=local)
        if not is_place(spectrum):
            described.setdefault("Access.Format", "application/fits")
    item_id = spectrum_id or _new_id()
    message = mtypes.SpectrumLoadSsaGeneric(
        url=url, meta=described, spectrum_id=item_id, name=_ascii(name) or None
    )
    return await _send(context, recipients, message, "the spectrum", timeout, url, item_id)


def moc_mtypes() -> tuple[str, ...]:
    """Return as what a coverage map goes: Aladin takes none as such, but shows one when a script says so."""
    return (mtypes.CoverageLoadMocFits.mtype, mtypes.ScriptAladinSend.mtype)


async def send_moc(
    context: DataContext,
    moc: Any,
    to: Recipients,
    *,
    name: str,
    coverage_id: str | None,
    timeout: float,
    local: bool,
) -> Sent:
    """See `Client.send_moc`."""
    _check_name(name)
    if is_place(moc):
        await refuse_no_moc(moc)
    recipients = await _recipients(context, to, moc_mtypes(), timeout)
    url = await file_source(context, moc, name, "coverage", local=local)
    by_script = any(mtype == mtypes.ScriptAladinSend.mtype for _, mtype in recipients)
    for_aladin = await local_source(context, moc, name, "coverage") if by_script else ""
    item_id = coverage_id or _new_id()
    load = mtypes.CoverageLoadMocFits(url=url, coverage_id=item_id, name=_ascii(name) or None)

    def message(_: RemoteClient, mtype: str) -> mtypes.TypedMessage:
        return load if mtype == load.mtype else mtypes.ScriptAladinSend(script=_loading(for_aladin, name))

    try:
        return await deliver(
            context.client,
            recipients,
            message,
            what="the coverage",
            timeout=timeout,
            url=url,
            item_id=item_id,
        )
    finally:
        _let_expire(context, [url, for_aladin])


def _loading(url: str, name: str) -> str:
    """Return the script by which Aladin loads what is at `url`, and which ends when it has."""
    plane = re.sub(r"\W+", "_", spelled(name or "moc"))
    return f"{plane} = load {quote(url, safe=_IN_A_SCRIPT)}; sync"


async def send_cdf(context: DataContext, place: Any, to: Recipients, *, timeout: float, local: bool) -> Sent:
    """Send a CDF file or URL, as it is."""
    recipients = await _recipients(context, to, (mtypes.TableLoadCdf.mtype,), timeout)
    name, item_id = _own_name(place), _new_id()
    url = await file_source(context, place, name, "table", local=local)
    message = mtypes.TableLoadCdf(url=url, table_id=item_id, name=_ascii(name) or None)
    return await _send(context, recipients, message, "the CDF table", timeout, url, item_id)


async def point_at(context: DataContext, position: Any, dec: Any, to: Recipients, *, timeout: float) -> Sent:
    """See `Client.point_at`."""
    ra, dec = sky_position(position, dec)
    recipients = await _recipients(context, to, (mtypes.CoordPointAtSky.mtype,), timeout)
    return await _send(context, recipients, mtypes.CoordPointAtSky(ra=ra, dec=dec), "the position", timeout)


async def highlight_row(
    context: DataContext, table: Any, row: Any, to: Recipients, *, timeout: float
) -> Sent:
    """See `Client.highlight_row`."""
    known = context.items.find(table)
    number = row_number(row, known.rows)

    def message(other: RemoteClient, _: str) -> mtypes.TypedMessage:
        item = known.to(other.public_id)
        return mtypes.TableHighlightRow(table_id=item.item_id or None, url=item.url or None, row=number)

    recipients = await _recipients(context, to, (mtypes.TableHighlightRow.mtype,), timeout)
    context.expect_echo([other.public_id for other, _ in recipients], known, frozenset((number,)))
    call = _once_shown(context, timeout)
    return await deliver(context.client, recipients, message, what="the row", timeout=timeout, call=call)


async def select_rows(context: DataContext, table: Any, rows: Any, to: Recipients, *, timeout: float) -> Sent:
    """See `Client.select_rows`."""
    known = context.items.find(table)
    work = partial(_coded_rows, rows, known.rows)
    texts, numbers = await asyncio.to_thread(work) if many(rows, known.rows) else work()

    def message(other: RemoteClient, _: str) -> mtypes.TypedMessage:
        item = known.to(other.public_id)
        return _CodedRows(table_id=item.item_id or None, url=item.url or None, row_list=texts)

    recipients = await _recipients(context, to, (mtypes.TableSelectRowList.mtype,), timeout)
    context.expect_echo([other.public_id for other, _ in recipients], known, numbers)
    call = _once_shown(context, timeout)
    return await deliver(
        context.client, recipients, message, what="the selection", timeout=timeout, call=call
    )


@dataclass(frozen=True, kw_only=True)
class _CodedRows(mtypes.TypedMessage):
    """A selection whose rows are what goes over the wire, coded once for all who are told."""

    # Not derived from the class of that mtype, which is made only where one is needed.
    mtype = "table.select.rowList"
    table_id: str | None
    url: str | None
    row_list: Any

    def to_params(self) -> ValueMap:
        which = {"table-id": self.table_id, "url": self.url}
        given = {key: value for key, value in which.items() if value is not None}
        return {**encode_map(given), "row-list": self.row_list}


def _coded_rows(rows: Any, of_table: int | None) -> tuple[Any, frozenset[int]]:
    """Return row numbers as they go over the wire, and which they are. Raises `DataError`."""
    numbers = row_list(rows, of_table)
    return coded(numbers), frozenset(numbers)


async def ds9(context: DataContext, command: str, to: Recipients, *, url: str | None, timeout: float) -> Sent:
    """See `Client.ds9`."""
    if not isinstance(command, str):
        raise LocalProtocolError(
            f"{command!r} is not a command of DS9: expected one text, as on its command line: 'zoom to fit'"
        )
    recipients = await _recipients(context, to, (mtypes.Ds9Set.mtype,), timeout)
    if command.strip() in _ENDS_DS9:
        for other, _ in recipients:
            await context.client.notify(other, mtypes.Ds9Set(cmd=command))
        return Sent([Answer(other.public_id, other.name, mtype) for other, mtype in recipients])
    return await _send(context, recipients, mtypes.Ds9Set(cmd=command, url=url), "the command", timeout)


async def ds9_get(context: DataContext, command: str, to: str, *, timeout: float) -> str:
    """See `Client.ds9_get`."""
    ((other, _),) = await _recipients(context, to, (mtypes.Ds9Get.mtype,), timeout)
    answered = await context.client.call(other, mtypes.Ds9Get(cmd=command), timeout=timeout)
    value, url = answered.result.get("value"), answered.result.get("url")
    if isinstance(url, str) and url:
        data = await context.fetch(url, timeout)
        return await asyncio.to_thread(data.decode, "utf-8", "replace")
    return value if isinstance(value, str) else ""


async def get_table(context: DataContext, to: str, *, timeout: float) -> Any:
    """See `Client.get_table`."""
    ((other, _),) = await _recipients(context, to, (mtypes.TableGetStil.mtype,), timeout)
    params = mtypes.TableGetStil(format="votable").to_params()
    settles = context.taken_at(other.public_id) + SETTLES
    url = await table_url(context.client, other, params, timeout=timeout, settles=settles)
    data = await context.fetch(url, timeout)
    return await asyncio.to_thread(read_table, data, context.max_size)


async def aladin(context: DataContext, script: str, to: Recipients, *, timeout: float) -> Sent:
    """See `Client.aladin`."""
    recipients = await _recipients(context, to, (mtypes.ScriptAladinSend.mtype,), timeout)
    return await _send(context, recipients, mtypes.ScriptAladinSend(script=script), "the script", timeout)


# ---- inside


async def _recipients(
    context: DataContext, to: Recipients, mtypes: Sequence[str], timeout: float | None
) -> list[tuple[RemoteClient, str]]:
    """Return who gets it, before any work is done for a call that is wrong."""
    if timeout is not None:  # which `Client.call` knows a number for
        check_timeout(timeout)
    return await find_recipients(context.client, to, mtypes)


def _once_shown(context: DataContext, timeout: float) -> Call:
    """Return how rows of a table are told: again to who has taken one just now, and does not know it yet."""

    async def call(other: RemoteClient, message: mtypes.TypedMessage) -> Response:
        settles = context.taken_at(other.public_id) + SETTLES
        return await call_once_shown(
            context.client, other, message, timeout=timeout, settles=settles, lacks=NO_SUCH_TABLE
        )

    return call


async def _send(
    context: DataContext,
    recipients: Sequence[tuple[Any, str]],
    message: mtypes.TypedMessage,
    what: str,
    timeout: float,
    url: str = "",
    item_id: str = "",
) -> Sent:
    try:
        return await deliver(
            context.client,
            list(recipients),
            lambda _, __: message,
            what=what,
            timeout=timeout,
            url=url,
            item_id=item_id,
        )
    finally:
        _let_expire(context, [url])


def _let_expire(context: DataContext, urls: Any) -> None:
    for url in urls:
        context.shares.expire(url, _KEPT_AFTER)
        context.files.expire(url, _KEPT_AFTER)


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise LocalProtocolError(f"name={name!r} is not a name: expected the text that people see")


def _own_name(data: Any) -> str:
    """Return the name that the data has itself."""
    if is_place(data):
        return str(data).rstrip("/").rpartition("/")[2].partition("?")[0]
    meta = getattr(data, "meta", None)
    name = meta.get("name") if isinstance(meta, Mapping) else getattr(data, "name", "")
    return name if isinstance(name, str) and name != "PRIMARY" else ""


def _ascii(name: str) -> str:
    """Return a name as SAMP can say it (DATA-2): letters spelled without their accents, else "?".

    The log has every change: a warning if a letter is lost, else for information.
    """
    said = spelled(name)
    if said != name:
        level = logging.WARNING if said.count("?") > name.count("?") else logging.INFO
        text = "the name %r goes out as %r: SAMP has only ASCII; give another with name="
        log.log(level, text, name, said)
    return said


def _is_pixels(data: Any) -> bool:
    """Whether it is an HDU, an HDUList or NDData."""
    return hasattr(data, "writeto") or hasattr(data, "uncertainty")


def _new_id() -> str:
    return f"asyncsamp-{secrets.token_hex(6)}"
