"""What a client has out on its context: what it shares, which tables it knows, what it listens to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import mtypes
from .._util.threads import in_daemon_thread
from ..client.messaging import MessagingClient
from ..errors import DataError
from ..interfaces import DataCarrier
from ..reading.share_server import ShareServer
from ..values import Message
from .fetching import MAX_SIZE, TIMEOUT, fetch
from .formats.images import read_image, read_moc
from .formats.table_read import read_spectrum, read_table
from .optional import need
from .positions import sky_position
from .rows import MANY, within
from .share.files import LocalFiles
from .streams import Feed
from .table_registry import Item, Known, TableRegistry

__all__ = ["DataContext", "Loaded", "Rows"]

TABLE_MTYPES = ("table.load.votable", "table.load.fits")
IMAGE_MTYPES = ("image.load.fits",)
SPECTRUM_MTYPES = ("spectrum.load.ssa-generic",)
COVERAGE_MTYPES = ("coverage.load.moc.fits", "coverage.load.moc.ascii")

_ECHO_SECONDS = 5.0
"""How long the same rows from a client that we sent them to are taken for its echo."""

_TAKEN_KEPT = 100
"""Recipients of tables that are remembered: who is asked for a table is one of the last."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Something that was sent to us, loaded."""

    thing: Any
    item: Item
    size: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of some table, that somebody has selected or highlighted; or said so after us."""

    item_id: str | None
    url: str | None
    numbers: list[int]
    is_echo: bool


@dataclass(frozen=True, slots=True)
class _Echo:
    recipient: str
    table: Known
    numbers: frozenset[int]
    until: float


class DataContext:
    """Everything of `asyncsamp.data` that one client needs while it is registered.

    Args:
        client: The client.
        carrier: What carries data, if the client and the tools can read nothing of each other.
    """

    def __init__(self, client: MessagingClient, carrier: DataCarrier | None = None) -> None:
        self.client = client
        self.carrier = carrier
        self.shares = ShareServer()
        self.files = LocalFiles()
        self.items = TableRegistry()
        self.max_size = MAX_SIZE
        self.fetch_timeout = TIMEOUT
        self._echoes: deque[_Echo] = deque(maxlen=100)
        self._taken: dict[str, float] = {}  # when who took a table of ours, the latest last
        self.tables: Feed[Loaded] = Feed(
            client, TABLE_MTYPES, self._load_table, "nobody waits for a table here", size=_loaded_size
        )
        self.images: Feed[Loaded] = Feed(
            client, IMAGE_MTYPES, self._load_image, "nobody waits for an image here", size=_loaded_size
        )
        self.spectra: Feed[Loaded] = Feed(
            client,
            SPECTRUM_MTYPES,
            self._load_spectrum,
            "nobody waits for a spectrum here",
            size=_loaded_size,
        )
        self.mocs: Feed[Loaded] = Feed(
            client,
            COVERAGE_MTYPES,
            self._load_moc,
            "nobody waits for a coverage here",
            size=_loaded_size,
        )
        self.positions: Feed[Any] = Feed(
            client, (mtypes.CoordPointAtSky.mtype,), self._read_position, "nobody waits for a position here"
        )
        unknown = "there is no such table here"
        self.selections: Feed[Rows] = Feed(
            client,
            (mtypes.TableSelectRowList.mtype,),
            self._read_selection,
            unknown,
            at_once=1,
            size=_rows_size,
        )
        self.highlights: Feed[Rows] = Feed(
            client, (mtypes.TableHighlightRow.mtype,), self._read_highlight, unknown, at_once=1
        )

    async def close(self) -> None:
        """End every stream, stop sharing, take files away."""
        feeds: tuple[Feed[Any], ...] = (
            *(self.tables, self.images, self.spectra, self.mocs),
            *(self.positions, self.selections, self.highlights),
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.files.close)
            stack.push_async_callback(self.shares.close)
            await asyncio.gather(*(feed.close() for feed in feeds))

    # ---- what others have taken

    def note_taken(self, recipients: Iterable[str]) -> None:
        """Note that `recipients` have just taken a table."""
        now = asyncio.get_running_loop().time()
        for recipient in recipients:
            self._taken.pop(recipient, None)
            self._taken[recipient] = now
        while len(self._taken) > _TAKEN_KEPT:
            del self._taken[next(iter(self._taken))]

    def taken_at(self, recipient: str) -> float:
        """Return when, in the time of the loop, it last took a table of ours; minus infinity for never."""
        return self._taken.get(recipient, float("-inf"))

    # ---- echoes

    def expect_echo(self, recipients: list[str], table: Known, numbers: frozenset[int]) -> None:
        """Note that `recipients` are about to be told of these rows, and may tell us of them in turn."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _ECHO_SECONDS
        self._echoes += [_Echo(recipient, table, numbers, until) for recipient in recipients]
        loop.call_later(_ECHO_SECONDS, self._forget_echoes)  # they may be of millions of rows

    def _forget_echoes(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._echoes and self._echoes[0].until <= now:
            self._echoes.popleft()

    def _is_echo(self, sender: str, item_id: str | None, url: str | None, numbers: frozenset[int]) -> bool:
        """Whether `sender` only says what we have just said to it. Each echo counts once.

        It is asked once for all streams.
        """
        now = asyncio.get_running_loop().time()
        for echo in self._echoes:
            if (
                echo.recipient == sender
                and echo.until > now
                and echo.numbers == numbers
                and echo.table.is_meant(item_id, url)
            ):
                self._echoes.remove(echo)
                return True
        return False

    # ---- loading

    async def fetch(self, url: str, timeout: float) -> bytes:
        """Return what a URL that we were sent names, unpacked if it is gzip. Raises `DataError`."""
        return await fetch(
            url,
            max_size=self.max_size,
            timeout=timeout,
            via=self.client.translate_url(url),
            carrier=self.carrier,
        )

    async def _load_table(self, message: Message) -> Loaded:
        data, item = await self._fetch(message, "table-id")
        table = await self._loaded(read_table, data, item)
        _describe(table.meta, message, **{"table-id": item.item_id})
        self.items.remember(table, item, len(table), [message.sender])
        return Loaded(table, item, len(data))

    async def _load_image(self, message: Message) -> Loaded:
        data, item = await self._fetch(message, "image-id")
        return Loaded(await self._loaded(read_image, data, item), item, len(data))

    async def _load_spectrum(self, message: Message) -> Loaded:
        """Load a spectrum: a table where it has columns, an HDUList where it has pixels."""
        read = mtypes.SpectrumLoadSsaGeneric.from_message(message)
        data, item = await self._fetch(message, "spectrum-id")
        spectrum = await self._loaded(read_spectrum, data, item)
        if hasattr(spectrum, "meta"):
            _describe(spectrum.meta, message, **{"spectrum-id": item.item_id, "ssa": read.meta})
        return Loaded(spectrum, item, len(data))

    async def _load_moc(self, message: Message) -> Loaded:
        data, item = await self._fetch(message, "coverage-id")
        return Loaded(await self._loaded(read_moc, data, item), item, len(data))

    async def _read_position(self, message: Message) -> Any:
        read = mtypes.CoordPointAtSky.from_message(message)
        ra, dec = sky_position(read.ra % 360, read.dec)  # whichever way round it is written
        return need("astropy.coordinates").SkyCoord(ra, dec, unit="deg")

    async def _loaded(self, read: Callable[[bytes, int], Any], data: bytes, item: Item) -> Any:
        """Parse what was fetched. No thread can be stopped: one that takes too long is left behind."""
        try:
            async with asyncio.timeout(self.fetch_timeout):
                return await in_daemon_thread(partial(read, data, self.max_size))
        except TimeoutError:
            raise DataError(f"cannot read {item.url} within {self.fetch_timeout:g} s") from None

    async def _fetch(self, message: Message, id_key: str) -> tuple[bytes, Item]:
        url, item_id = message.params.get("url"), message.params.get(id_key)
        if not isinstance(url, str) or not url:
            raise DataError(f"{message.mtype}: the parameter 'url' is missing")
        data = await self.fetch(url, self.fetch_timeout)
        return data, Item(item_id if isinstance(item_id, str) else "", url)

    async def _read_selection(self, message: Message) -> Rows:
        listed = message.params.get("row-list")
        large = isinstance(listed, list) and len(listed) > MANY
        read, numbers = await asyncio.to_thread(_selected, message) if large else _selected(message)
        is_echo = self._is_echo(message.sender, read.table_id, read.url, numbers)
        return Rows(read.table_id, read.url, read.row_list, is_echo)

    async def _read_highlight(self, message: Message) -> Rows:
        read = mtypes.TableHighlightRow.from_message(message)
        within([read.row], None)
        is_echo = self._is_echo(message.sender, read.table_id, read.url, frozenset((read.row,)))
        return Rows(read.table_id, read.url, [read.row], is_echo)


def _selected(message: Message) -> tuple[mtypes.TableSelectRowList, frozenset[int]]:
    """Return what the message says, and which rows. Raises `DataError`, `RemoteProtocolError`."""
    read = mtypes.TableSelectRowList.from_message(message)
    within(read.row_list, None)
    return read, frozenset(read.row_list)


def _loaded_size(loaded: Loaded) -> int:
    return loaded.size


def _rows_size(rows: Rows) -> int:
    return 8 * len(rows.numbers)


def _describe(meta: Any, message: Message, **more: object) -> None:
    """Say in `meta["samp"]` where it comes from; its name is its own, or the sender's for it."""
    given = message.params.get("name")
    name = given if isinstance(given, str) and given else None
    if name is not None:
        meta.setdefault("name", name)
    meta["samp"] = {
        "sender": message.sender,
        "sender-name": message.sender_name or None,
        "url": message.params["url"],
        "name": name,
        **more,
    }
