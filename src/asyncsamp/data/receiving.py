"""The streams of what others send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import NotRegisteredError
from ..values import Message
from .extras import check_installed, need
from .feeds import ECHO, Received
from .rows import within

if TYPE_CHECKING:
    from .desk import Desk, Loaded, Rows

__all__ = ["highlights", "images", "receive_one", "selections", "tables"]


def tables(desk: Desk) -> Received[Any]:
    """See `DataMethods.tables`."""
    check_installed("astropy")
    return desk.tables.open(_thing, "tables")


def images(desk: Desk) -> Received[Any]:
    """See `DataMethods.images`."""
    check_installed("astropy")
    return desk.images.open(_thing, "images")


async def receive_one(desk: Desk, streams: Callable[[], Received[Any]], timeout: float | None) -> Any:
    """Return the first item of a stream that `streams` makes.

    Raises `NotRegisteredError` without a registration and if the client leaves, `HubLostError`.
    """
    _ = desk.client.public_id  # raises if there is nobody to receive anything from
    async with asyncio.timeout(timeout), streams() as stream:
        async for item in stream:
            return item
    raise NotRegisteredError(desk.client.name, "receive anything more")


def selections(desk: Desk, table: Any) -> Received[Any]:
    """See `DataMethods.selections`."""
    numpy = need("numpy")
    known = desk.items.find(table)

    def accept(rows: Rows, message: Message) -> Any:
        if not known.is_meant(rows.item_id, rows.url):
            return None
        within(rows.numbers, known.rows)
        if rows.is_echo:
            return ECHO
        return numpy.array(rows.numbers, dtype=int)

    return desk.selections.open(accept, f"selections of {known}")


def highlights(desk: Desk, table: Any) -> Received[Any]:
    """See `DataMethods.highlights`."""
    numpy = need("numpy")
    known = desk.items.find(table)

    def accept(rows: Rows, message: Message) -> Any:
        if not known.is_meant(rows.item_id, rows.url):
            return None
        within(rows.numbers, known.rows)
        return ECHO if rows.is_echo else numpy.int_(rows.numbers[0])

    return desk.highlights.open(accept, f"highlights of {known}")


def _thing(loaded: Loaded, message: Message) -> Any:
    return loaded.thing
