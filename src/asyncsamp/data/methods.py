"""What `Client` can do with tables, images, positions and selections; the work is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from ..client.client import Client
    from .contents import Source
    from .desk import Desk
    from .feeds import Received
    from .recipients import Recipients
    from .results import Sent

__all__ = ["DataMethods"]

SEND_TIMEOUT = 60.0
"""Seconds for the recipients of data to load it: a table of a million rows takes TOPCAT that long."""

POINT_TIMEOUT = 10.0
"""Seconds for what takes no time but on a busy machine."""

ProgressWanted: TypeAlias = "bool | Callable[[int, int], object]"


class DataMethods:
    """The base of `Client` with the methods for data.

    Whatever they need beside aiohttp (astropy, numpy) is imported when they are called;
    `MissingExtraError` says what to install. `to` is always a samp.name in any case
    ("topcat"), a public id, a live client, several of them, or None for all who subscribe.
    Sending returns a `Sent`: who got it, and what each answered. It raises `NobodyError` if
    nobody takes it, `UnknownClientError` or `NotSubscribedError` for a wrong `to`, `DataError`
    for what cannot be sent, `LocalProtocolError` for a timeout that is none; the error of the
    one recipient, or `SendError` if all failed.
    Cancelling is safe everywhere.
    """

    _desk_in_use: Desk | None = None

    # ---- sending

    async def send_table(
        self,
        table: Any,
        to: Recipients = None,
        *,
        name: str = "",
        table_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
        progress: ProgressWanted = False,
    ) -> Sent:
        """Send a table: an astropy Table, VOTable or table HDU, a pyvo result, a DataFrame, a path or a URL.

        It goes as VOTable to all who take that (nothing of it is lost), else as FITS, served
        from memory by this client; with `local`, as a file:// URL. `name` is for people;
        `table_id` is by what later messages refer to it, else one is made, or the one that it
        had before is kept. `timeout` in seconds is for each recipient. `progress` is a function
        that is called with the rows written and all rows, or True for a progress bar by tqdm.
        """
        from .sending import send_table

        return await send_table(
            self._desk(),
            table,
            to,
            name=name,
            table_id=table_id,
            timeout=timeout,
            local=local,
            progress=progress,
        )

    async def send_image(
        self,
        image: Any,
        to: Recipients = None,
        *,
        wcs: Any = None,
        name: str = "",
        image_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send an image: an HDU or HDUList, NDData, an array (with a `wcs`), a FITS path or a URL."""
        from .sending import send_image

        return await send_image(
            self._desk(), image, to, wcs=wcs, name=name, image_id=image_id, timeout=timeout, local=local
        )

    async def send_spectrum(
        self,
        spectrum: Any,
        to: Recipients = None,
        *,
        meta: Mapping[str, str] | None = None,
        name: str = "",
        spectrum_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send a spectrum: a table, an HDU or HDUList, a path or a URL.

        `meta` describes it by SSA utypes; Access.Format is added for what is written here.
        """
        from .sending import send_spectrum

        return await send_spectrum(
            self._desk(),
            spectrum,
            to,
            meta=meta,
            name=name,
            spectrum_id=spectrum_id,
            timeout=timeout,
            local=local,
        )

    async def send_moc(
        self,
        moc: Any,
        to: Recipients = None,
        *,
        name: str = "",
        coverage_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send a coverage map: a mocpy MOC, an HDU or HDUList, a FITS path or a URL."""
        from .sending import send_moc

        return await send_moc(
            self._desk(), moc, to, name=name, coverage_id=coverage_id, timeout=timeout, local=local
        )

    async def point_at(
        self, position: Any, dec: Any = None, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Point at a place of the sky: `point_at(SkyCoord(...))`, or `point_at(ra, dec)` in degrees, ICRS.

        A SkyCoord of any frame is taken; ra and dec may be Quantities or Angles. `to` comes
        after either: `point_at(position, "aladin")`, `point_at(10.68, 41.27, "aladin")`.
        """
        from .sending import point_at

        if to is None and hasattr(position, "icrs"):
            dec, to = None, dec
        return await point_at(self._desk(), position, dec, to, timeout=timeout)

    async def highlight_row(
        self, table: Any, row: int, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Highlight one row, counted from 0, of a table that was sent or received.

        `table` is the table itself, or the table-id or URL by which the others know it.
        """
        from .sending import highlight_row

        return await highlight_row(self._desk(), table, row, to, timeout=timeout)

    async def select_rows(
        self, table: Any, rows: Any, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Select rows of a table that was sent or received.

        `rows` is a list or integer array of numbers from 0, a mask, or a slice.
        """
        from .sending import select_rows

        return await select_rows(self._desk(), table, rows, to, timeout=timeout)

    async def ds9(
        self, command: str, to: Recipients = "ds9", *, url: str | None = None, timeout: float = SEND_TIMEOUT
    ) -> Sent:
        """Have DS9 run a command, as on its command line: `ds9("scale log")`; `url` is its data, if any."""
        from .sending import ds9

        return await ds9(self._desk(), command, to, url=url, timeout=timeout)

    async def ds9_get(self, command: str, to: str = "ds9", *, timeout: float = SEND_TIMEOUT) -> str:
        """Ask DS9 for something: `ds9_get("fits size")`. Returns its answer as text."""
        from .sending import ds9_get

        return await ds9_get(self._desk(), command, to, timeout=timeout)

    async def aladin(self, script: str, to: Recipients = "aladin", *, timeout: float = SEND_TIMEOUT) -> Sent:
        """Have Aladin run a script: commands, one a line."""
        from .sending import aladin

        return await aladin(self._desk(), script, to, timeout=timeout)

    # ---- serving

    async def share(
        self,
        source: Source,
        *,
        name: str = "",
        content_type: str | None = None,
        lifetime: float | None = None,
        local: bool = False,
    ) -> str:
        """Serve something over HTTP to this machine, and return its URL.

        `source` is bytes, a path, or a function that gives bytes, a path or an iterable of
        bytes when somebody asks. The URL cannot be guessed; Range, HEAD and web pages are
        served too. It ends with the client, with `unshare`, or after `lifetime` seconds.
        `name` ends the URL (a path's own name if empty) and tells the type unless `content_type`
        does. With `local` it is a file:// URL instead, which leaves no file behind; that of a path
        is the path's own, and does not end.

        Raises `DataError` if there is no such file, or it cannot be shared.
        """
        from .sharing import share

        return await share(
            self._desk(), source, name=name, content_type=content_type, lifetime=lifetime, local=local
        )

    def unshare(self, url: str) -> bool:
        """Stop serving `url`; False if it was not served."""
        desk = self._desk_in_use
        return desk is not None and (desk.shares.unshare(url) or desk.files.drop(url))

    # ---- receiving

    def tables(self) -> Received[Any]:
        """Return a stream of the tables that others send from now on, as astropy Tables.

            async for table in client.tables(): ...

        The sender is answered samp.ok once the table is loaded, samp.error with the reason if
        it cannot be. `table.meta["samp"]` has its table-id, url, name and sender.
        """
        from .receiving import tables

        return tables(self._desk())

    async def receive_table(self, timeout: float | None = None) -> Any:
        """Wait for one table. Raises TimeoutError after `timeout` seconds.

        Raises `NotRegisteredError` without a registration and when the client leaves, `HubLostError`
        if the hub is lost when it begins.
        """
        from .receiving import receive_one

        return await receive_one(self._desk(), self.tables, timeout)

    def images(self) -> Received[Any]:
        """Return a stream of the images that others send from now on, as HDULists; as `tables`."""
        from .receiving import images

        return images(self._desk())

    async def receive_image(self, timeout: float | None = None) -> Any:
        """Wait for one image; as `receive_table`."""
        from .receiving import receive_one

        return await receive_one(self._desk(), self.images, timeout)

    def selections(self, table: Any) -> Received[Any]:
        """Return a stream of the rows that others select in `table`, as numpy integer arrays.

            selected = table[await anext(client.selections(table))]

        `table` was sent or received, or is a table-id or URL. What only echoes our own
        `select_rows` is left out; rows out of range are answered with samp.error.
        """
        from .receiving import selections

        return selections(self._desk(), table)

    def highlights(self, table: Any) -> Received[Any]:
        """Return a stream of the rows that others highlight in `table`, as numpy integers."""
        from .receiving import highlights

        return highlights(self._desk(), table)

    # ---- inside

    def _desk(self) -> Desk:
        if self._desk_in_use is None:
            from .desk import Desk

            client = cast("Client", self)
            self._desk_in_use = Desk(client)
        return self._desk_in_use

    async def _clear_desk(self) -> None:
        desk, self._desk_in_use = self._desk_in_use, None
        if desk is not None:
            await desk.close()
