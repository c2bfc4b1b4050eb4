"""A `Connection` by the Web Profile, whose requests a page of the user's browser makes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from ..client.web import PORT, WebConnection
from ..errors import DataError, FaultError, HubLostError, HubNotFoundError
from ..interfaces import PAGE_LEFT, Content, Receiver, Registration
from ..limits import Limits
from ..rpc import PeerClosedError, PeerError, PeerRefusedError, PeerTimeoutError
from ..rpc.offload import dump_call, load_response
from ..values import Value
from ..xmlrpc import Fault
from .errors import explain
from .relay import PageError, PageRelay
from .source import PageSource, pieces_of

__all__ = ["BrowserConnection"]

log = logging.getLogger("asyncsamp.browser")

PAGE_PATIENCE = 20.0
"""Seconds in which the page has to come, or to come back. JupyterLab takes some to show a widget."""

BACK_PATIENCE = 6.0
"""Seconds in which a page that is loaded again has to be back. A little later the hub counts it as closed."""

_GONE = ("denied", "no-hub", "unreachable", "safari", "no-page")
"""After these nobody is there: other failures may pass."""

LARGE = 4 * 1024 * 1024
"""Bytes from which on the page reads content at its own site, where it can: messages of a notebook go
through its server, the kernel's queue and all pages that show it."""

PERMISSION_PATIENCE = 300.0
"""Seconds for the first answer of the hub: before, the browser may ask its user whether the page may."""

_REGISTER = "samp.webhub.register"

_UNREGISTER = "samp.webhub.unregister"

_PING = "samp.webhub.ping"

_PULL = "samp.webhub.pullCallbacks"

_REPEATED = frozenset(
    f"samp.webhub.{operation}"
    for operation in (
        *("ping", "allowReverseCallbacks", "declareMetadata", "declareSubscriptions", "getMetadata"),
        *("getSubscriptions", "getRegisteredClients", "getSubscribedClients"),
    )
)
"""Methods that do no harm when they are done twice. A page that is loaded again loses their answers."""


class BrowserConnection(WebConnection):
    """A way to the hub on the computer where the user's browser runs, through a page that is open there.

    Data goes with it: what the client sends is uploaded to that hub once, for all recipients, and what it
    is sent is read there. In Jupyter, `asyncsamp.connect("notebook", via="browser")` makes one.

    Args:
        relay: The page.
        limits: Timeouts in seconds, and sizes in bytes.
        sources: Ways by which the page may read large content at its own site, the best first. Where it
            can by none, and for what is small, the content goes through the relay, in pieces.
        holds: What has to live as long as the connection.
    """

    def __init__(
        self,
        relay: PageRelay,
        *,
        limits: Limits | None = None,
        sources: Sequence[PageSource] = (),
        holds: object = None,
    ) -> None:
        super().__init__(port=PORT, limits=limits)
        self._holds = holds
        self._max_body = (limits or Limits()).max_body
        self._relay = relay
        self._sources = tuple(sources)
        self._usable = list(self._sources)
        self._lost = False

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
        if not self._lost:
            self._relay.show("looking", "Looking for the SAMP hub on your computer.")
        try:
            registration = await super().register(name, receiver)
        except BaseException as error:
            self._lost = True
            self._relay.show("lost", str(error) or "Not connected.")
            raise
        self._lost = False
        farewell = await dump_call(_UNREGISTER, [self.proxy.key])
        leaving = await dump_call(PAGE_LEFT, [self.proxy.key]) if self.proxy.upload_url else None
        self._relay.promise(self.proxy.url, farewell, leaving)
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
            uploaded = await self._from_source(url, content)
            return uploaded or await self._relay.upload(url, pieces_of(content))

    async def _from_source(self, url: str, content: Content) -> str:
        """Have the page read large content at its own site; return "" where that is no way."""
        if not self._usable or not await _is_large(content):
            return ""
        for source in list(self._usable):
            try:
                async with source.offer(content) as place:
                    return await self._relay.upload_from(url, place)
            except (PageError, OSError) as error:
                if isinstance(error, PageError) and error.kind != "source":
                    raise
                log.info("the page cannot read large data by %s: %s", type(source).__name__, error)
                with contextlib.suppress(ValueError):  # others may have found it, too
                    self._usable.remove(source)
        return ""

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

    async def close(self) -> None:
        """End everything but the page, also if it is cancelled; see `Connection.close`."""
        self._relay.promise("", None, None)
        if self.proxy.key:
            self._relay.show("ended", "Not connected to the SAMP hub on your computer any more.")
        async with contextlib.AsyncExitStack() as stack:
            for source in self._sources:
                stack.push_async_callback(source.close)
            stack.push_async_callback(super().close)

    # ---- of the Web Profile

    async def _open(self) -> None:
        """Wait for the page. Raises `HubNotFoundError` if none comes."""
        self.proxy.open_with(_PageSender(self._relay, self._max_body))
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

    def __init__(self, relay: PageRelay, max_body: int) -> None:
        self._relay = relay
        self._max_body = max_body
        self._closed = False

    async def call(self, url: str, method: str, params: Sequence[Value], *, timeout: float) -> Value:
        """Call a method; see `HubSender.call`."""
        if method == _REGISTER:
            self._relay.show(
                "asking", "Waiting for the SAMP hub on your computer: answer its question there."
            )
        if method == _PING:
            timeout = max(timeout, PERMISSION_PATIENCE)
        body = await dump_call(method, params)
        try:
            async with asyncio.timeout(timeout):
                status, answered = await self._post(url, body, method)
        except TimeoutError:
            self._relay.doubt()
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

    async def _post(self, url: str, body: bytes, method: str) -> tuple[int, bytes]:
        while True:
            await self._page_back()
            try:
                return await self._relay.post(url, body, max_body=self._max_body, slow=method == _PULL)
            except PageError as error:
                if error.kind != "left" or method not in _REPEATED or self._closed:
                    raise

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
        self._closed = True
        self._relay.close()


async def _is_large(content: Content) -> bool:
    opened = await content.open()
    try:
        return opened.size is not None and opened.size >= LARGE
    finally:
        await opened.close()
