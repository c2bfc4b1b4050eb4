"""A `Connection` by the Web Profile, whose requests a page of the user's browser makes."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from urllib.parse import quote

from ..client.web import PORT, WebConnection
from ..errors import DataError, FaultError, HubLostError, HubNotFoundError
from ..interfaces import Content, Receiver, Registration
from ..limits import Limits
from ..rpc import PeerClosedError, PeerError, PeerRefusedError, PeerTimeoutError
from ..rpc.offload import dump_call, load_response
from ..values import Value
from ..xmlrpc import Fault
from .errors import explain
from .relay import PageError, PageRelay

__all__ = ["BrowserConnection"]

PAGE_PATIENCE = 20.0
"""Seconds in which the page has to come, or to come back. JupyterLab takes some to show a widget."""

BACK_PATIENCE = 6.0
"""Seconds in which a page that is loaded again has to be back. A little later the hub counts it as closed."""

_GONE = ("denied", "no-hub", "unreachable", "no-page")
"""After these nobody is there: other failures may pass."""

Source = Callable[[Content, str], Awaitable[str | None]]
"""Puts content where the page can read it at its own site; returns that place, None if it cannot."""


class BrowserConnection(WebConnection):
    """A way to the hub on the computer where the user's browser runs, through a page that is open there.

    Data goes with it: what the client sends is uploaded to that hub once, for all recipients, and what it
    is sent is read there. In Jupyter, `asyncsamp.connect("notebook", via="browser")` makes one.

    Args:
        relay: The page.
        limits: Timeouts in seconds, and sizes in bytes.
        source: Puts content where the page can read it at its own site. Without it, or where it returns
            None, the content goes through the relay, in pieces.
        holds: What has to live as long as the connection.
    """

    def __init__(
        self,
        relay: PageRelay,
        *,
        limits: Limits | None = None,
        source: Source | None = None,
        holds: object = None,
    ) -> None:
        super().__init__(port=PORT, limits=limits)
        self._holds = holds
        self._relay = relay
        self._source = source

    def __repr__(self) -> str:
        return f"<BrowserConnection {'by a page' if self._relay.ready else 'without a page'}>"

    @property
    def url(self) -> str:
        """The hub, for people to read."""
        return "localhost:21012 of the computer where your browser runs"

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Wait for the page, and register once the hub's user has consented; see `Connection.register`.

        Cancelling is safe.

        Args:
            name: What the client is called; the user is asked for it.
            receiver: Who gets what the hub delivers.

        Returns:
            Our public id, and the hub's.

        Raises:
            HubNotFoundError: No page came, or it found no hub.
            RegistrationError: The user has said no.
            HubLostError: The hub does not answer.
        """
        self._relay.show("asking", "Waiting for the SAMP hub on your computer: answer its question there.")
        try:
            registration = await super().register(name, receiver)
        except BaseException as error:
            self._relay.show("lost", str(error) or "Not connected.")
            raise
        self._relay.show("connected", f"Connected to the SAMP hub on your computer as {name}.")
        return registration

    # ---- data

    async def share(self, content: Content, name: str) -> str:
        """Upload content to the hub; see `DataCarrier.share`. Cancelling is safe.

        Args:
            content: The data.
            name: What its URL ends with.

        Returns:
            A URL that the tools can read.

        Raises:
            DataError: It cannot be brought there.
            HubLostError: The page or the hub has gone.
        """
        uploads = self.proxy.upload_url
        if not uploads:
            raise DataError(
                "the hub on your desktop takes no data from web pages, so its tools cannot read what this "
                "program has: start python -m asyncsamp.hub there instead, or send a URL that the tools can "
                "read themselves"
            )
        url = uploads + quote(name, safe="")
        with self._data_errors("the data could not be brought to your desktop"):
            place = await self._source(content, name) if self._source is not None else None
            if place is not None:
                return await self._relay.upload_from(url, place)
            return await self._relay.upload(url, _pieces(content))

    async def fetch(self, url: str, max_size: int) -> bytes:
        """Return what `url` names, read by the page; see `DataCarrier.fetch`. Cancelling is safe.

        Args:
            url: The URL.
            max_size: Bytes that are read at most.

        Raises:
            DataError: It cannot be read, or has more than `max_size` bytes.
            HubLostError: The page or the hub has gone.
        """
        data = io.BytesIO()
        with self._data_errors("the data could not be read on your desktop"):
            async with contextlib.aclosing(self._relay.get(url)) as pieces:
                async for piece in pieces:
                    data.write(piece)
                    if data.tell() > max_size:
                        raise DataError(f"it has more than {max_size:,} bytes")
        return data.getvalue()

    @contextlib.contextmanager
    def _data_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except PageError as error:
            if error.kind in _GONE:
                raise HubLostError(self.url, "data", str(error)) from None
            raise DataError(f"{what}: {error}") from None

    # ---- of the Web Profile

    async def _open(self) -> None:
        """Wait for the page. Raises `HubNotFoundError` if none comes."""
        self.proxy.open_with(_PageSender(self._relay))
        try:
            async with asyncio.timeout(PAGE_PATIENCE):
                await self._relay.wait_ready()
        except TimeoutError:
            raise HubNotFoundError(self.url, waited=PAGE_PATIENCE, advice=explain("no-page")) from None

    async def _enter(self, name: str, receiver: Receiver) -> Registration:
        try:
            return await super()._enter(name, receiver)
        except HubNotFoundError as error:
            cause = error.__cause__
            advice = cause.reason if isinstance(cause, HubLostError) else ""
            raise HubNotFoundError(self.url, advice=advice) if advice else error from cause


class _UnreachableError(PeerRefusedError):
    """No page leads there, for the reason that is given."""


class _PageSender:
    """Stands in for an `RpcClient`: the page posts."""

    def __init__(self, relay: PageRelay) -> None:
        self._relay = relay

    async def call(self, url: str, method: str, params: Sequence[Value], *, timeout: float) -> Value:
        """Call a method; see `HubSender.call`."""
        body = await dump_call(method, params)
        try:
            async with asyncio.timeout(timeout):
                await self._page_back()
                status, answered = await self._relay.post(url, body)
        except TimeoutError:
            raise PeerTimeoutError(url, f"no answer within {timeout:g} s", sent=True) from None
        except PageError as error:
            if error.kind in _GONE:
                raise _UnreachableError(url, str(error), sent=False) from None
            raise PeerClosedError(url, str(error), sent=True) from None
        if status != 200:
            raise PeerError(url, f"it answered HTTP {status}", sent=True)
        answer = await load_response(answered)
        if isinstance(answer, Fault):
            raise FaultError(answer.text, code=answer.code)
        return answer

    async def _page_back(self) -> None:
        """Wait a moment for a page that is being loaded again: the hub knows us still."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BACK_PATIENCE):
                await self._relay.wait_ready()

    async def gone(self, url: str) -> None:
        """Return when the page has left; see `HubSender.gone`."""
        await self._relay.wait_left()

    async def close(self) -> None:
        """Give up every request under way."""
        self._relay.close()


async def _pieces(content: Content) -> AsyncIterator[bytes]:
    opened = await content.open()
    try:
        async with contextlib.aclosing(opened.pieces(0, opened.size)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await opened.close()
