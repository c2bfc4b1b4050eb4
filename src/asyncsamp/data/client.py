"""The client that a user holds: messages, and on top of them tables, images, positions and selections."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from ..client.messaging import MessagingClient, check_loop
from ..client.tracker import RemoteClient
from ..discovery import Location, locate
from ..errors import HubRunningError, LocalProtocolError
from ..hub.hub import Hub
from ..interfaces import Connection, DataCarrier, Profile
from ..limits import Limits
from . import opening, receiving, sending
from .context import DataContext
from .recipients import Recipients, advise_starting
from .results import Sent
from .share import api as sharing
from .share.content import Source
from .streams import Received

__all__ = ["Client"]

log = logging.getLogger("asyncsamp.client")

SEND_TIMEOUT = 60.0
"""Seconds for the recipients of data to load it: a table of a million rows takes TOPCAT that long."""

POINT_TIMEOUT = 10.0
"""Seconds for what takes no time but on a busy machine."""

START_TIMEOUT = 60.0
"""Seconds for a tool to start: a cold TOPCAT takes 10 on a busy machine."""

ProgressWanted: TypeAlias = "bool | Callable[[int, int], object]"


class Client(MessagingClient):
    """A SAMP client in the running event loop.

        async with Client("my tool") as client:
            await client.send_table(table, "topcat")

    or, in a notebook, `client = await Client("my tool").register()` and later
    `await client.unregister()`.

    It has the operations on messages of `MessagingClient`, and methods for data. Whatever these need
    beside aiohttp (astropy, numpy) is imported when they are called; `MissingExtraError` says what to
    install. `to` is always a samp.name in any case ("topcat"), a public id, a live client, several of
    them, or None for all who subscribe. Sending returns a `Sent`: who got it, and what each answered. It
    raises `NoRecipientsError` if nobody takes it, `UnknownClientError` or `NotSubscribedError` for a
    wrong `to`, `DataError` for what cannot be sent, `LocalProtocolError` for an invalid timeout; the error
    of the one recipient, or `SendError` if all failed. Cancelling is safe everywhere.

    A client that has only notified or used `call_and_wait` has no port, so nobody can call or ping it. It is
    callable, and answers `samp.app.ping` by itself, from its first handler, stream, `call` or
    `get_clients` on; what sends data asks for the other clients, too.

    Args:
        name: What others call the client (samp.name).
        metadata: What is declared beside samp.name (META-3..9).
        description: What the program does, in plain text (samp.description.text).
        icon: The URL of an icon, which other programs show (samp.icon.url).
        documentation: The URL of a page about the program (samp.documentation.url).
        lockfile: Where the hub is found; by default as SAMP_HUB says, else `~/.samp`.
        connection: A way to the hub, instead of `lockfile`.
        callback_host: Where the client listens for the hub.
        reconnect: Whether a client whose hub goes away looks for a new one, registers again and declares
            the same; handlers and streams go on.
        start_hub: Whether a hub is started in this process if none runs, when the client registers or one
            second after its hub has gone; it lives until the client unregisters.
        profiles: What a hub that is started so serves beside the Standard Profile, such as a room.
        wait_for_hub: What `register` does if no hub runs: False raises `HubNotFoundError`; a number of
            seconds waits that long for one; True returns at once, and the client registers as soon as
            there is a hub.
        limits: Timeouts and sizes.
    """

    def __init__(
        self,
        name: str,
        *,
        metadata: Mapping[str, object] | None = None,
        description: str = "",
        icon: str = "",
        documentation: str = "",
        lockfile: str | os.PathLike[str] | None = None,
        connection: Connection | None = None,
        callback_host: str = "127.0.0.1",
        reconnect: bool = True,
        start_hub: bool = False,
        profiles: Sequence[Profile] = (),
        wait_for_hub: bool | float = False,
        limits: Limits | None = None,
    ) -> None:
        if connection is not None and start_hub:
            raise ValueError("a connection knows its hub: give it without lockfile and start_hub")
        super().__init__(
            name,
            metadata=metadata,
            description=description,
            icon=icon,
            documentation=documentation,
            lockfile=lockfile,
            connection=connection,
            callback_host=callback_host,
            reconnect=reconnect,
            wait_for_hub=wait_for_hub,
            hub=partial(_hub_of_our_own, name, lockfile, limits, profiles) if start_hub else None,
            advise=advise_starting,
            limits=limits,
        )
        self._hub_place = None if connection is not None else (lockfile,)
        self._carrier = connection if isinstance(connection, DataCarrier) else None
        self._context_in_use: DataContext | None = None

    # ---- tools

    async def find(self, name: str, *, timeout: float = 0.0, start: bool = False) -> RemoteClient:
        """Return a live view of the client with that samp.name (in any case) or public id.

        With `start`, a tool that is not there is started: TOPCAT, DS9, Aladin, or one of the user's
        tools.toml. It is detached and outlives this process. Nothing is ever started without `start`.

        Args:
            name: What the client is called: "topcat", "ds9", or a public id.
            timeout: Seconds to wait for it to appear; with `start` and 0, `START_TIMEOUT`.
            start: Whether to start it if it is not there.

        Raises:
            UnknownClientError: It is not there, or several have the name; it says who is there.
            ToolError: It cannot be started, dies while starting, or is not ready in time.

        Cancelling is safe; a tool that was started goes on.
        """
        if not start:
            return await super().find(name, timeout=timeout)
        location = self._location()
        return await opening.find_or_start(self._context(), name, location, timeout=timeout or START_TIMEOUT)

    async def wait_for(self, name: str, *, timeout: float = START_TIMEOUT) -> RemoteClient:
        """Wait until a client of that name is registered; it starts nothing. Cancelling is safe.

        Args:
            name: What the client is called, or its public id.
            timeout: Seconds to wait.

        Returns:
            The client.

        Raises:
            UnknownClientError: It has not come; it says who is there.
        """
        return await self.find(name, timeout=timeout)

    async def open(
        self, data: Any, to: Recipients = None, *, start: bool = False, timeout: float = SEND_TIMEOUT
    ) -> Sent:
        """Send a file, a URL or an object to those who take it, by what it is.

        A VOTable, FITS table, FITS image, spectrum, MOC or CDF is recognised by its content. A file goes
        as its file:// URL, so that it can be read for as long as it is there. Cancelling is safe.

        Args:
            data: A path, a URL, or what `send_table`, `send_image` and `send_moc` take.
            to: Who gets it; by default all who take such data.
            start: Whether to start a tool if none that takes it is registered, or `to`, if it is not there.
            timeout: Seconds for a tool to start, and for each recipient to load.

        Returns:
            What each recipient said.

        Raises:
            DataError: It is not a file of a known kind.
            ToolError: No tool can be started.
            SampError: All that `send_table` raises, too.
        """
        location = self._location() if start else None
        return await opening.open_data(self._context(), data, to, location, timeout=timeout)

    # ---- sending

    async def send_table(
        self,
        table: Any,
        to: Recipients = None,
        name: str = "",
        *,
        table_id: str | None = None,
        format: str = "auto",
        hdu: int | str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
        progress: ProgressWanted = False,
    ) -> Sent:
        """Send a table. It is served from memory by this client.

        Args:
            table: An astropy Table, VOTable or table HDU, what `fits.open` gives, a pyvo result, a
                DataFrame, a dict of columns, a path or a URL. A URL goes as it is.
            to: Who gets it; by default all who take tables.
            name: What people see.
            table_id: By what later messages refer to it; else one is made, or the one that it had
                before is kept. Who refuses such an id, since it has a table of that id already, gets
                the table under another one.
            format: "votable", "fits", "cdf", "parquet", "pds4" or "stil". "auto" is VOTable for all who take
                that, since nothing of the table is lost, else FITS; large tables go as FITS that loses
                nothing. A URL goes as what it holds, a path too, where that is taken.
            hdu: The number or name of the HDU, of a FITS file or an HDUList; by default its first table.
            timeout: Seconds for each recipient.
            local: Whether its URL is a file:// one.
            progress: A function that is called with the rows written and all rows, or True for a
                progress bar by tqdm.

        Returns:
            What each recipient said.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.
        """
        return await sending.send_table(
            self._context(),
            table,
            to,
            name=name,
            table_id=table_id,
            format=format,
            hdu=hdu,
            timeout=timeout,
            local=local,
            progress=progress,
        )

    async def send_image(
        self,
        image: Any,
        to: Recipients = None,
        name: str = "",
        *,
        wcs: Any = None,
        image_id: str | None = None,
        frame: str | int | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send an image.

        Args:
            image: An HDU or HDUList, NDData, an array (with a `wcs`), a FITS path or a URL. A file of this
                machine that is clearly something else, such as a PNG or a VOTable, is refused.
            to: Who gets it; by default all who take images.
            name: What people see.
            wcs: The coordinates of an array.
            image_id: By what later messages refer to it; else one is made.
            frame: Where DS9 shows it: "new", "current", or the number of a frame. It goes as commands
                then, to DS9 alone. By default the recipient decides; DS9 opens a new frame.
            timeout: Seconds for each recipient.
            local: Whether its URL is a file:// one.

        Returns:
            What each recipient said.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.
        """
        return await sending.send_image(
            self._context(),
            image,
            to,
            wcs=wcs,
            name=name,
            image_id=image_id,
            frame=frame,
            timeout=timeout,
            local=local,
        )

    async def send_spectrum(
        self,
        spectrum: Any,
        to: Recipients = None,
        name: str = "",
        *,
        meta: Mapping[str, str] | None = None,
        spectrum_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send a spectrum.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            spectrum: A table, an HDU or HDUList, a path or a URL.
            to: Who gets it, by name, public id or live client; None means all who take it.
            name: What people see.
            meta: What describes it by SSA utypes; Access.Format is added for what is written here.
            spectrum_id: By what later messages refer to it; else one is made.
            timeout: Seconds for each recipient.
            local: Whether its URL is a file:// one.

        Returns:
            What each recipient said.
        """
        return await sending.send_spectrum(
            self._context(),
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
        name: str = "",
        *,
        coverage_id: str | None = None,
        timeout: float = SEND_TIMEOUT,
        local: bool = False,
    ) -> Sent:
        """Send a coverage map. Aladin, which takes none as a message, loads it by a script.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            moc: A mocpy MOC, an HDU or HDUList, a FITS path or a URL.
            to: Who gets it, by name, public id or live client; None means all who take it.
            name: What people see.
            coverage_id: By what later messages refer to it; else one is made.
            timeout: Seconds for each recipient.
            local: Whether its URL is a file:// one.

        Returns:
            What each recipient said.
        """
        return await sending.send_moc(
            self._context(), moc, to, name=name, coverage_id=coverage_id, timeout=timeout, local=local
        )

    async def point_at(
        self, position: Any, dec: Any = None, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Point at a place of the sky: `point_at(SkyCoord(...))`, or `point_at(ra, dec)` in degrees, ICRS.

        `to` comes after either: `point_at(position, "aladin")`, `point_at(10.68, 41.27, "aladin")`.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            position: A SkyCoord of any frame, or the right ascension: degrees from 0 to 360 or from -180 to
                180, a Quantity or an Angle.
            dec: The declination, likewise, from -90 to 90; with a SkyCoord, `to` may stand here.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        if to is None and hasattr(position, "icrs"):
            dec, to = None, dec
        return await sending.point_at(self._context(), position, dec, to, timeout=timeout)

    async def highlight_row(
        self, table: Any, row: int, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Highlight one row of a table that was sent or received.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            table: The table itself, or the table-id or URL by which the others know it.
            row: Its number, from 0.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return await sending.highlight_row(self._context(), table, row, to, timeout=timeout)

    async def select_rows(
        self, table: Any, rows: Any, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Select rows of a table that was sent or received.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            table: The table itself, or the table-id or URL by which the others know it.
            rows: A list or integer array of numbers from 0, a mask, or a slice.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return await sending.select_rows(self._context(), table, rows, to, timeout=timeout)

    async def ds9(
        self, command: str, to: Recipients = "ds9", *, url: str | None = None, timeout: float = SEND_TIMEOUT
    ) -> Sent:
        """Have DS9 run a command, as on its command line: `ds9("scale log")`.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            command: The command.
            to: Which DS9, by name, public id or live client; None means all.
            url: The URL of the command's data, if any.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return await sending.ds9(self._context(), command, to, url=url, timeout=timeout)

    async def ds9_get(self, command: str, to: str = "ds9", *, timeout: float = SEND_TIMEOUT) -> str:
        """Ask DS9 for something: `ds9_get("fits size")`. Cancelling is safe.

        Args:
            command: What is asked, as by XPA.
            to: Which DS9, by name, public id or live client.
            timeout: Seconds for its answer.

        Returns:
            Its answer, as text.
        """
        return await sending.ds9_get(self._context(), command, to, timeout=timeout)

    async def get_table(self, to: str = "topcat", *, timeout: float = SEND_TIMEOUT) -> Any:
        """Ask a client, such as TOPCAT, for its current table. Cancelling is safe.

        TOPCAT says that it has loaded a table a moment before it shows it: who has taken a table of ours is
        asked again for up to ten seconds after that if it says that it has none.

        Args:
            to: Its name, public id, or the live client.
            timeout: Seconds for its answer, and for reading what it names.

        Returns:
            The table, as an astropy Table.

        Raises:
            NotSubscribedError: It does not take `table.get.stil`.
            ReplyError: It has no current table; the text says what to do.
            DataError: It gave no URL, or what the URL names cannot be read.
        """
        return await sending.get_table(self._context(), to, timeout=timeout)

    async def aladin(self, script: str, to: Recipients = "aladin", *, timeout: float = SEND_TIMEOUT) -> Sent:
        """Have Aladin run a script.

        Cancelling is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            script: Commands, one a line.
            to: Which Aladin, by name, public id or live client; None means all.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return await sending.aladin(self._context(), script, to, timeout=timeout)

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
        """Serve something over HTTP to this machine.

        The URL cannot be guessed; Range, HEAD and web pages are served too. It ends with the client, with
        `unshare`, or after `lifetime`. If it is cancelled, nothing is shared that you could know of.

        Args:
            source: Bytes, a path, or a function that gives bytes, a path or an iterable of bytes when
                somebody asks.
            name: What the URL ends with; a path's own name if empty. It tells the type, too.
            content_type: The type, if the name does not tell it.
            lifetime: Seconds until it ends; None means with the client.
            local: Whether it gets a file:// URL instead, which leaves no file behind; that of a path is the
                path's own, and does not end.

        Returns:
            The URL.

        Raises:
            DataError: There is no such file, or it cannot be shared.
        """
        context = self._context()
        return await sharing.share(
            context.shares,
            context.files,
            source,
            name=name,
            content_type=content_type,
            lifetime=lifetime,
            local=local,
            carrier=context.carrier,
        )

    def unshare(self, url: str) -> bool:
        """Stop serving something.

        Args:
            url: What `share` returned.

        Returns:
            Whether it was served.
        """
        context = self._context_in_use
        return context is not None and (context.shares.unshare(url) or context.files.drop(url))

    # ---- receiving

    def tables(self) -> Received[Any]:
        """Return a stream of the tables that others send from now on, as astropy Tables.

            async for table in client.tables(): ...

        The sender is answered samp.ok once the table is loaded, samp.error with the reason if
        it cannot be. `table.meta["samp"]` has its table-id, url, name and sender.
        """
        return receiving.tables(self._context())

    async def receive_table(self, timeout: float | None = None) -> Any:
        """Wait for one table. Cancelling is safe.

        Args:
            timeout: Seconds to wait; None waits until the client leaves.

        Raises:
            WaitTimeoutError: None came in that time; it says who is there, for which it takes a second more
                at most.
            NotRegisteredError: The client is not registered, or leaves.
            HubLostError: There is no hub when it begins.

        Returns:
            The table, as an astropy Table.
        """
        return await receiving.receive_one(self._context(), self.tables, timeout, "table")

    def images(self) -> Received[Any]:
        """Return a stream of the images that others send from now on, as HDULists; as `tables`."""
        return receiving.images(self._context())

    async def receive_image(self, timeout: float | None = None) -> Any:
        """Wait for one image. Cancelling is safe.

        Args:
            timeout: Seconds to wait; None waits until the client leaves.

        Returns:
            The image, as an HDUList.

        Raises:
            SampError: As `receive_table`.
        """
        return await receiving.receive_one(self._context(), self.images, timeout, "image")

    def spectra(self) -> Received[Any]:
        """Return a stream of the spectra that others send from now on.

        A spectrum of columns is an astropy Table, whose `meta["samp"]` has what `tables` says, its
        spectrum-id, and under "ssa" what the sender says of it; one of pixels is an HDUList.
        """
        return receiving.spectra(self._context())

    def mocs(self) -> Received[Any]:
        """Return a stream of the coverage maps that others send from now on, as mocpy MOCs.

        Raises:
            MissingExtraError: mocpy is not installed.
        """
        return receiving.mocs(self._context())

    def positions(self) -> Received[Any]:
        """Return a stream of the places of the sky that others point at, as SkyCoords (ICRS).

        async for position in client.positions(): ...
        """
        return receiving.positions(self._context())

    def selections(self, table: Any) -> Received[Any]:
        """Return a stream of the rows that others select in a table, as numpy integer arrays.

            selected = table[await anext(client.selections(table))]

        What only echoes our own `select_rows` is left out; rows out of range are answered with samp.error.

        Args:
            table: A table that was sent or received, a table-id or a URL.

        Returns:
            The stream.
        """
        return receiving.selections(self._context(), table)

    def all_selections(self) -> Received[Any]:
        """Return a stream of the rows that others select in any table, known here or not.

        Each is a `Selection`, with table-id, URL, rows and sender. What only echoes our own
        `select_rows` is left out.
        """
        return receiving.all_selections(self._context())

    def highlights(self, table: Any) -> Received[Any]:
        """Return a stream of the rows that others highlight in a table, as numpy integers.

        Args:
            table: A table that was sent or received, a table-id or a URL.

        Returns:
            The stream.
        """
        return receiving.highlights(self._context(), table)

    # ---- inside

    def _location(self) -> Location:
        """Return where a tool that we start finds our hub. Raises `LocalProtocolError`."""
        if self._hub_place is None:
            raise LocalProtocolError(
                "a client that was given a connection does not know its hub's lockfile, so it cannot start "
                "tools; give it a lockfile instead"
            )
        return locate(lockfile=self._hub_place[0])

    def _context(self) -> DataContext:
        check_loop(self, "send or receive data")
        if self._context_in_use is None:
            self._context_in_use = DataContext(self, self._carrier)
            self.on_leaving(self._close_context)
        return self._context_in_use

    async def _close_context(self) -> None:
        context, self._context_in_use = self._context_in_use, None
        if context is not None:
            await context.close()


@asynccontextmanager
async def _hub_of_our_own(
    name: str,
    lockfile: str | os.PathLike[str] | None,
    limits: Limits | None,
    profiles: Sequence[Profile],
) -> AsyncIterator[None]:
    """Run a hub in this process, unless somebody else was faster."""
    hub = Hub(lockfile=lockfile, limits=limits or Limits(), profiles=profiles)
    try:
        try:
            await hub.start()
        except HubRunningError as error:
            log.debug("client %r uses the hub that another program has started meanwhile: %s", name, error)
        yield
    finally:
        await hub.shutdown()
