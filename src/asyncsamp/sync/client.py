"""The synchronous Client, written by scripts/make_sync.py from the asynchronous one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from ..client.hub_changes import HubChange
from ..client.tracker import OtherClients, RemoteClient
from ..client.validation import MType
from ..data.client import POINT_TIMEOUT, SEND_TIMEOUT, START_TIMEOUT, ProgressWanted
from ..data.recipients import Recipients
from ..data.results import Sent
from ..data.share.content import Source
from ..interfaces import Connection, Profile
from ..limits import Limits
from ..mtypes import TypedMessage
from ..values import Message, Response, ValueMap
from .base import AsyncClient, BaseClient
from .handlers import Dispatcher
from .stream import MessageStream, Stream

__all__ = ["Client"]


class Client(BaseClient):
    """A SAMP client for plain, synchronous Python.

        with Client("my tool") as client:
            client.send_table(table, "topcat")

    or `client = Client("my tool").register()` and later `client.unregister()`; `asyncsamp.sync.connect` makes
    one that may join a room. It has the methods of `asyncsamp.Client` without `await`. They may be called
    from any number of threads, and inside a running event loop, which they block. Ctrl-C ends every wait at
    once. The work is done by one event loop in a daemon thread, which all clients and hubs of the process
    share; it starts with the first.

    Handlers are plain functions. Each message runs its handler in a thread of its own, which may use the
    client again; what a handler returns is the answer. Functions that tell of progress are called in
    the loop's thread: they must be quick, and not call the client. What receives is an iterator:

        for table in client.tables(timeout=60): ...

    A client that nobody closes unregisters when the program ends, or when it is collected. A fork of
    the process cannot use it (`ForkedError`): make a new one there.

    Args:
        name: What others call the client (samp.name).
        dispatcher: Where handlers run instead of a thread of their own: it is called with a function
            of no arguments, and sees to it that it is called soon, for instance in the thread of a GUI:
            `lambda work: root.after(0, work)` for Tk, the `emit` of a signal for Qt.
        metadata, description, icon, documentation, lockfile, connection: As those of `asyncsamp.Client`.
        callback_host, reconnect, start_hub, profiles, wait_for_hub, limits: As those of `asyncsamp.Client`.
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
        dispatcher: Dispatcher | None = None,
    ) -> None:
        super().__init__(
            AsyncClient(
                name,
                metadata=metadata,
                description=description,
                icon=icon,
                documentation=documentation,
                lockfile=lockfile,
                connection=connection,
                callback_host=callback_host,
                reconnect=reconnect,
                start_hub=start_hub,
                profiles=profiles,
                wait_for_hub=wait_for_hub,
                limits=limits,
            ),
            dispatcher,
        )

    def find(self, name: str, *, timeout: float = 0.0, start: bool = False) -> RemoteClient:
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

        Ctrl-C is safe; a tool that was started goes on.
        """
        return self._run(self._inner.find(name, timeout=timeout, start=start))

    def wait_for(self, name: str, *, timeout: float = START_TIMEOUT) -> RemoteClient:
        """Wait until a client of that name is registered; it starts nothing. Ctrl-C is safe.

        Args:
            name: What the client is called, or its public id.
            timeout: Seconds to wait.

        Returns:
            The client.

        Raises:
            UnknownClientError: It has not come; it says who is there.
        """
        return self._run(self._inner.wait_for(name, timeout=timeout))

    def open(
        self, data: Any, to: Recipients = None, *, start: bool = False, timeout: float = SEND_TIMEOUT
    ) -> Sent:
        """Send a file, a URL or an object to those who take it, by what it is.

        A VOTable, FITS table, FITS image, spectrum, MOC or CDF is recognised by its content. A file goes
        as its file:// URL, so that it can be read for as long as it is there. Ctrl-C is safe.

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
        return self._run(self._inner.open(data, to, start=start, timeout=timeout))

    def send_table(
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

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.
        """
        return self._run(
            self._inner.send_table(
                table,
                to,
                name,
                table_id=table_id,
                format=format,
                hdu=hdu,
                timeout=timeout,
                local=local,
                progress=progress,
            )
        )

    def send_image(
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

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.
        """
        return self._run(
            self._inner.send_image(
                image, to, name, wcs=wcs, image_id=image_id, frame=frame, timeout=timeout, local=local
            )
        )

    def send_spectrum(
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

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

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
        return self._run(
            self._inner.send_spectrum(
                spectrum, to, name, meta=meta, spectrum_id=spectrum_id, timeout=timeout, local=local
            )
        )

    def send_moc(
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

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

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
        return self._run(
            self._inner.send_moc(moc, to, name, coverage_id=coverage_id, timeout=timeout, local=local)
        )

    def point_at(
        self, position: Any, dec: Any = None, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Point at a place of the sky: `point_at(SkyCoord(...))`, or `point_at(ra, dec)` in degrees, ICRS.

        `to` comes after either: `point_at(position, "aladin")`, `point_at(10.68, 41.27, "aladin")`.

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            position: A SkyCoord of any frame, or the right ascension: degrees from 0 to 360 or from -180 to
                180, a Quantity or an Angle.
            dec: The declination, likewise, from -90 to 90; with a SkyCoord, `to` may stand here.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return self._run(self._inner.point_at(position, dec, to, timeout=timeout))

    def highlight_row(
        self, table: Any, row: int, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Highlight one row of a table that was sent or received.

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            table: The table itself, or the table-id or URL by which the others know it.
            row: Its number, from 0.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return self._run(self._inner.highlight_row(table, row, to, timeout=timeout))

    def select_rows(
        self, table: Any, rows: Any, to: Recipients = None, *, timeout: float = POINT_TIMEOUT
    ) -> Sent:
        """Select rows of a table that was sent or received.

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            table: The table itself, or the table-id or URL by which the others know it.
            rows: A list or integer array of numbers from 0, a mask, or a slice.
            to: Who gets it, by name, public id or live client; None means all who take it.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return self._run(self._inner.select_rows(table, rows, to, timeout=timeout))

    def ds9(
        self, command: str, to: Recipients = "ds9", *, url: str | None = None, timeout: float = SEND_TIMEOUT
    ) -> Sent:
        """Have DS9 run a command, as on its command line: `ds9("scale log")`.

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            command: The command.
            to: Which DS9, by name, public id or live client; None means all.
            url: The URL of the command's data, if any.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return self._run(self._inner.ds9(command, to, url=url, timeout=timeout))

    def ds9_get(self, command: str, to: str = "ds9", *, timeout: float = SEND_TIMEOUT) -> str:
        """Ask DS9 for something: `ds9_get("fits size")`. Ctrl-C is safe.

        Args:
            command: What is asked, as by XPA.
            to: Which DS9, by name, public id or live client.
            timeout: Seconds for its answer.

        Returns:
            Its answer, as text.
        """
        return self._run(self._inner.ds9_get(command, to, timeout=timeout))

    def get_table(self, to: str = "topcat", *, timeout: float = SEND_TIMEOUT) -> Any:
        """Ask a client, such as TOPCAT, for its current table. Ctrl-C is safe.

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
        return self._run(self._inner.get_table(to, timeout=timeout))

    def aladin(self, script: str, to: Recipients = "aladin", *, timeout: float = SEND_TIMEOUT) -> Sent:
        """Have Aladin run a script.

        Ctrl-C is safe: what has gone out stays, and answers that come later are dropped.

        Args:
            script: Commands, one a line.
            to: Which Aladin, by name, public id or live client; None means all.
            timeout: Seconds for each recipient.

        Returns:
            What each recipient said.
        """
        return self._run(self._inner.aladin(script, to, timeout=timeout))

    def share(
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
        return self._run(
            self._inner.share(source, name=name, content_type=content_type, lifetime=lifetime, local=local)
        )

    def unshare(self, url: str) -> bool:
        """Stop serving something.

        Args:
            url: What `share` returned.

        Returns:
            Whether it was served.
        """
        return self._call(self._inner.unshare, url)

    def tables(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the tables that others send from now on, as astropy Tables.

            for table in client.tables(): ...

        The sender is answered samp.ok once the table is loaded, samp.error with the reason if
        it cannot be. `table.meta["samp"]` has its table-id, url, name and sender.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.tables(), timeout)

    def receive_table(self, timeout: float | None = None) -> Any:
        """Wait for one table. Ctrl-C is safe.

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
        return self._run(self._inner.receive_table(timeout))

    def images(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the images that others send from now on, as HDULists; as `tables`.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.images(), timeout)

    def receive_image(self, timeout: float | None = None) -> Any:
        """Wait for one image. Ctrl-C is safe.

        Args:
            timeout: Seconds to wait; None waits until the client leaves.

        Returns:
            The image, as an HDUList.

        Raises:
            SampError: As `receive_table`.
        """
        return self._run(self._inner.receive_image(timeout))

    def spectra(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the spectra that others send from now on.

        A spectrum of columns is an astropy Table, whose `meta["samp"]` has what `tables` says, its
        spectrum-id, and under "ssa" what the sender says of it; one of pixels is an HDUList.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.spectra(), timeout)

    def mocs(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the coverage maps that others send from now on, as mocpy MOCs.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.

        Raises:
            MissingExtraError: mocpy is not installed.
        """
        return self._received(lambda client: client.mocs(), timeout)

    def positions(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the places of the sky that others point at, as SkyCoords (ICRS).

        for position in client.positions(): ...

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.positions(), timeout)

    def selections(self, table: Any, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the rows that others select in a table, as numpy integer arrays.

            selected = table[next(client.selections(table))]

        What only echoes our own `select_rows` is left out; rows out of range are answered with samp.error.

        Args:
            table: A table that was sent or received, a table-id or a URL.
            timeout: Seconds without anything after which it ends; None waits for ever.

        Returns:
            The stream.
        """
        return self._received(lambda client: client.selections(table), timeout)

    def all_selections(self, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the rows that others select in any table, known here or not.

        Each is a `Selection`, with table-id, URL, rows and sender. What only echoes our own
        `select_rows` is left out.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.all_selections(), timeout)

    def highlights(self, table: Any, *, timeout: float | None = None) -> Stream[Any]:
        """Return a stream of the rows that others highlight in a table, as numpy integers.

        Args:
            table: A table that was sent or received, a table-id or a URL.
            timeout: Seconds without anything after which it ends; None waits for ever.

        Returns:
            The stream.
        """
        return self._received(lambda client: client.highlights(table), timeout)

    @property
    def registered(self) -> bool:
        """Whether the client is registered with a hub now."""
        return self._inner.registered

    @property
    def public_id(self) -> str:
        """Our public id, by which others know us.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: Its hub is lost.
        """
        return self._inner.public_id

    @property
    def hub_id(self) -> str:
        """The public id of the hub itself.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: Its hub is lost.
        """
        return self._inner.hub_id

    def translate_url(self, url: str) -> str:
        """Return the URL by which to read one that we were sent (WEB-30, WEB-73).

        It is the same unless we are connected by the Web Profile, whose hub reads it for us.

        Args:
            url: A URL from a message.

        Returns:
            The URL to read.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: The hub is lost.
        """
        return self._call(self._inner.translate_url, url)

    def register(self) -> Self:
        """Find a hub and register; returns the client. Registered already, it does nothing.

        If it fails or is cancelled, nothing is left behind; handlers and streams wait for the next attempt.

        Raises:
            HubNotFoundError: There is no hub.
            LockfileError: The lockfile, or SAMP_HUB, cannot be used.
            RegistrationError: The hub does not let us in.
            HubFaultError: The hub refuses our metadata or subscriptions.
            HubLostError: The hub does not answer.
            OSError: We cannot listen at `callback_host`.
        """
        self._run(self._inner.register())
        return self

    def unregister(self) -> None:
        """Leave: end the streams, give the handlers `Limits.close_timeout`, unregister, close.

        Calls that are unanswered then, be it in a handler, by the reader of a stream or since
        their data is being loaded, are answered with samp.error, for which the hub has
        `Limits.close_timeout` once more (CLIENT-5, MSG-23); our own calls that wait
        raise `NotRegisteredError`. Not registered, it does nothing. Cancelling it cuts the
        wait for the handlers short; everything is closed all the same. A handler may call it,
        and is not waited for.
        """
        return self._run(self._inner.unregister())

    def wait_registered(self, timeout: float | None = None) -> None:
        """Return once the client is registered (again), subscriptions and all. Ctrl-C is safe.

        Args:
            timeout: Seconds to wait; None waits for as long as the client looks for a hub.

        Raises:
            WaitTimeoutError: There was no hub in that time.
            NotRegisteredError: The client has not been registered, or leaves.
            HubLostError: The hub is lost and no other one is looked for.
        """
        return self._run(self._inner.wait_registered(timeout))

    def hub_changes(self, *, timeout: float | None = None) -> Stream[HubChange]:
        """Return a stream that says when the hub is lost, and when there is one again.

            for change in client.hub_changes():
                print("registered" if change.connected else f"no hub: {change.reason}")

        It begins with what happens after this call and ends when the client unregisters.

        Args:
            timeout: Seconds without anything after which it ends; None waits for ever.
        """
        return self._received(lambda client: client.hub_changes(), timeout)

    @property
    def metadata(self) -> ValueMap:
        """What we declare of ourselves; change it with `declare_metadata`."""
        return self._inner.metadata

    def declare_metadata(self, metadata: Mapping[str, object]) -> None:
        """Replace our metadata, here and at the hub (META-2); samp.name stays unless given.

        Not registered, it says it to the next hub. If it is cancelled, the hub may know them or not.

        Args:
            metadata: All that others are to know, such as "samp.description.text".

        Raises:
            LocalProtocolError: SAMP cannot say it.
            HubFaultError: The hub refuses it.
            HubLostError: The hub is lost.
        """
        return self._run(self._inner.declare_metadata(metadata))

    def off(self, *mtypes: str | type[TypedMessage]) -> None:
        """Take handlers away; none is, if one of `mtypes` has no handler.

        Args:
            mtypes: What the handlers were made for, spelled as in `on`.

        Raises:
            KeyError: One has no handler.
        """
        return self._call(self._inner.off, *mtypes)

    def messages(
        self,
        *mtypes: str | type[TypedMessage],
        limit: int | None = None,
        answer: bool = True,
        timeout: float | None = None,
    ) -> MessageStream:
        """Return a stream of messages; it listens from now on.

        Use it with `with`, which also sees to it that the hub knows the subscription.

        A class of `asyncsamp.mtypes` gives messages whose parameters are as it says: one in which some are
        missing or no numbers is answered with samp.error, or, in a notification, left out with a warning in
        the log. For a string they come as they are.

        Args:
            mtypes: What it takes: mtypes, wildcards, or classes of `asyncsamp.mtypes`.
            limit: How many messages it holds; None means `Limits.stream`.
            answer: Whether a call that has no handler is answered samp.ok when it is read. Else you answer
                it with `reply`.
            timeout: Seconds without anything after which it ends; None waits for ever.

        Returns:
            The stream.

        Raises:
            LocalProtocolError: One of `mtypes` is not valid.
        """
        return self._messages(lambda client: client.messages(*mtypes, limit=limit, answer=answer), timeout)

    def settled(self) -> None:
        """Return once the hub knows every handler and stream. Ctrl-C is safe.

        Not registered, it returns at once. Raises what the hub said if it refused them.
        """
        return self._run(self._inner.settled())

    @property
    def clients(self) -> OtherClients:
        """The other clients by public id, live; known from the first `get_clients` or `find` on."""
        return self._inner.clients

    def get_clients(self) -> list[RemoteClient]:
        """Return the other clients, the hub's own among them (CLIENT-12). Ctrl-C is safe.

        Returns:
            A live view of each, which changes as the client does.
        """
        return self._run(self._inner.get_clients())

    def get_registered_clients(self) -> list[str]:
        """Return the public ids of all other clients and of the hub (HUB-26). Ctrl-C is safe.

        Returns:
            The ids, in the hub's order.
        """
        return self._run(self._inner.get_registered_clients())

    def get_metadata(self, client: str | RemoteClient) -> ValueMap:
        """Ask the hub for a client's metadata (HUB-23). Ctrl-C is safe.

        Args:
            client: Its name, public id, or the live client.

        Returns:
            What it declared.

        Raises:
            UnknownClientError: It is not there.
        """
        return self._run(self._inner.get_metadata(client))

    def get_subscriptions(self, client: str | RemoteClient) -> ValueMap:
        """Ask the hub for a client's subscriptions (HUB-25). Ctrl-C is safe.

        Args:
            client: Its name, public id, or the live client.

        Returns:
            Mtype or wildcard to annotation.

        Raises:
            UnknownClientError: It is not there.
        """
        return self._run(self._inner.get_subscriptions(client))

    def get_subscribed_clients(self, mtype: str) -> ValueMap:
        """Ask the hub who takes an mtype (HUB-27). Ctrl-C is safe.

        Args:
            mtype: The mtype, without a wildcard.

        Returns:
            Public id to annotation, without us.

        Raises:
            LocalProtocolError: The mtype is not valid, or has a wildcard.
        """
        return self._run(self._inner.get_subscribed_clients(mtype))

    def notify(
        self, recipient: str | RemoteClient, mtype: MType, params: Mapping[str, object] | None = None
    ) -> None:
        """Send a message to one client, without an answer (HUB-28).

        Returns when the hub has taken it, not when the recipient has. If it is cancelled, the hub may have
        taken it or not.

        Args:
            recipient: A name such as "topcat", in any case of letters, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters. Numbers and booleans are encoded by the standard's rules (DATA-7..10).

        Raises:
            LocalProtocolError: SAMP cannot say it.
            NotSubscribedError: The recipient does not take it.
            UnknownClientError: There is no such client.
            HubFaultError: The hub refuses it for another reason.
            HubLostError: The hub is lost.
        """
        return self._run(self._inner.notify(recipient, mtype, params))

    def notify_all(self, mtype: MType, params: Mapping[str, object] | None = None) -> list[str]:
        """Send a message to all who subscribe, without an answer (HUB-29).

        Nobody subscribing is not an error (MSG-32). If it is cancelled, the hub may have taken it or not.

        Args:
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.

        Returns:
            The public ids of those it goes to.

        Raises:
            LocalProtocolError: SAMP cannot say it.
            HubLostError: The hub is lost.
        """
        return self._run(self._inner.notify_all(mtype, params))

    def call(
        self,
        recipient: str | RemoteClient,
        mtype: MType,
        params: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Message], object] | None = None,
    ) -> Response:
        """Send a message to one client and its response (HUB-30).

        No request is held open meanwhile. A samp.warning is returned, not raised. Ctrl-C is safe: a
        response that comes later is dropped.

        Args:
            recipient: A name such as "topcat", in any case of letters, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds; None means `Limits.call_timeout`, which is 300 s unless you change it.
            on_progress: Is called with each samp.msg.progress message about this call.

        Returns:
            The response.

        Raises:
            ReplyError: The recipient answers samp.error.
            CallTimeoutError: It does not answer in time.
            SampError: All that `notify` raises, too.
        """
        return self._run(self._inner.call(recipient, mtype, params, timeout=timeout, on_progress=on_progress))

    def call_all(
        self, mtype: MType, params: Mapping[str, object] | None = None, *, timeout: float | None = None
    ) -> Stream[tuple[str, Response]]:
        """Send a message to all who subscribe and yield their responses as they come in (HUB-31).

        Every recipient is yielded once; one that has not answered in time, with a samp.error response that
        says so. Nothing is raised for a samp.error. Sent when the iteration begins; leaving it early, or
        cancelling it, is safe.

        Args:
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds; None means `Limits.call_timeout`.

        Returns:
            Pairs of public id and response.

        Raises:
            LocalProtocolError: At once: SAMP cannot say it.
            HubFaultError: When iterated: the hub refuses it.
            HubLostError: When iterated: the hub is lost.
            CallTimeoutError: When iterated: the hub does not say in time whom it was sent to.
        """
        return self._generated(lambda client: client.call_all(mtype, params, timeout=timeout))

    def call_and_wait(
        self,
        recipient: str | RemoteClient,
        mtype: MType,
        params: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> Response:
        """Like `call`, by the synchronous operation: one open request, and no port (HUB-32).

        If it is cancelled, our hub forgets the call, others answer nobody.

        Args:
            recipient: A name, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds, whole at the hub, exact here; 0 asks the hub for no limit.

        Returns:
            The response.

        Raises:
            SampError: As `call`.
        """
        return self._run(self._inner.call_and_wait(recipient, mtype, params, timeout=timeout))

    def reply(self, message: Message | str, result: Mapping[str, object] | Response | None = None) -> None:
        """Answer a call that a stream with `answer=False` gave (HUB-33); handlers need only return.

        A call is answered once (MSG-23): what a handler that has replied returns is not sent. If it is
        cancelled, the answer may have gone out or not, and cannot be given again.

        Args:
            message: The call, or its msg-id.
            result: The result, or a `Response`.

        Raises:
            LocalProtocolError: It is a notification, was answered already, its hub is gone, or SAMP cannot
                say the result.
            HubFaultError: The hub does not take it, as when the sender has left.
        """
        return self._run(self._inner.reply(message, result))

    def progress(
        self, message: Message, text: str, *, percent: float | None = None, time_left: float | None = None
    ) -> None:
        """Tell the sender of a call how far we are (samp.msg.progress, MTYPE-33).

        Does nothing if the message is a notification or its sender does not want to know. Ctrl-C is safe.

        Args:
            message: The call.
            text: What is done now, for people.
            percent: How much is done, from 0 to 100.
            time_left: Seconds that it will take still.
        """
        return self._run(self._inner.progress(message, text, percent=percent, time_left=time_left))
