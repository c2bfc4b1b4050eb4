"""The streams of what others send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..client.validation import within
from ..errors import NotRegisteredError, WaitTimeoutError
from ..values import Message
from .context import DataContext, Loaded, Rows
from .hints import HIGHLIGHT, POSITION, SELECTION, thing, what_next
from .optional import check_installed, need
from .results import Selection
from .rows import within as check_rows
from .streams import ECHO, Received

__all__ = [
    "all_selections",
    "highlights",
    "images",
    "mocs",
    "positions",
    "receive_one",
    "selections",
    "spectra",
    "tables",
]


def tables(context: DataContext) -> Received[Any]:
    """See `Client.tables`."""
    check_installed("astropy")
    return context.tables.open(_thing, "tables", thing("table"))


def images(context: DataContext) -> Received[Any]:
    """See `Client.images`."""
    check_installed("astropy")
    return context.images.open(_thing, "images", thing("image"))


async def receive_one(
    context: DataContext, streams: Callable[[], Received[Any]], timeout: float | None, what: str
) -> Any:
    """Return the first item of a stream that `streams` makes; `what` is its name for people.

    Raises `WaitTimeoutError`, `NotRegisteredError` without a registration and if the client leaves,
    `HubLostError`.
    """
    awaited = thing(what)
    _ = context.client.public_id  # raises if there is nobody to receive anything from

    async def first() -> Any:
        async with streams() as stream:
            async for item in stream:
                return item
        raise NotRegisteredError(context.client.name, "receive anything more")

    try:
        return await within(timeout, first, awaited.missing)
    except WaitTimeoutError as error:
        advice = await what_next(context.client, awaited)
        raise WaitTimeoutError(error.what, error.timeout, advice) from None


def selections(context: DataContext, table: Any) -> Received[Any]:
    """See `Client.selections`."""
    numpy = need("numpy")
    known = context.items.find(table)

    def accept(rows: Rows, message: Message) -> Any:
        if not known.is_meant(rows.item_id, rows.url):
            return None
        check_rows(rows.numbers, known.rows)
        if rows.is_echo:
            return ECHO
        return numpy.array(rows.numbers, dtype=int)

    return context.selections.open(accept, f"selections of {known}", SELECTION)


def spectra(context: DataContext) -> Received[Any]:
    """See `Client.spectra`."""
    check_installed("astropy")
    return context.spectra.open(_thing, "spectra", thing("spectrum"))


def mocs(context: DataContext) -> Received[Any]:
    """See `Client.mocs`."""
    check_installed("astropy")
    check_installed("mocpy", "moc")
    return context.mocs.open(_thing, "coverages", thing("coverage map"))


def positions(context: DataContext) -> Received[Any]:
    """See `Client.positions`."""
    check_installed("astropy")
    return context.positions.open(lambda position, _: position, "positions", POSITION)


def all_selections(context: DataContext) -> Received[Any]:
    """See `Client.all_selections`."""
    numpy = need("numpy")

    def accept(rows: Rows, message: Message) -> Any:
        if rows.is_echo:
            return ECHO
        numbers = numpy.array(rows.numbers, dtype=int)
        return Selection(rows.item_id or "", rows.url or "", numbers, message.sender)

    return context.selections.open(accept, "selections", SELECTION)


def highlights(context: DataContext, table: Any) -> Received[Any]:
    """See `Client.highlights`."""
    numpy = need("numpy")
    known = context.items.find(table)

    def accept(rows: Rows, message: Message) -> Any:
        if not known.is_meant(rows.item_id, rows.url):
            return None
        check_rows(rows.numbers, known.rows)
        return ECHO if rows.is_echo else numpy.int_(rows.numbers[0])

    return context.highlights.open(accept, f"highlights of {known}", HIGHLIGHT)


def _thing(loaded: Loaded, message: Message) -> Any:
    return loaded.thing
