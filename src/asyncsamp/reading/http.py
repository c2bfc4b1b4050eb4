"""What an http or https URL holds, as a stream: for the Web Profile's pages and for other machines."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from .._util import hosts
from .._util.hosts import is_local

__all__ = ["HttpReader", "Opened", "RefusedUrlError", "TooManyRedirectsError", "is_our_name"]

MAX_REDIRECTS = 10

CONNECT_TIMEOUT = 30.0
READ_TIMEOUT = 120.0
"""Seconds that a server may stand still. An archive may compute a table before its first byte."""

_ASKED = ("Range", "If-Range", "Accept", "Accept-Encoding")
_PASSED = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
)
_REDIRECTS = (301, 302, 303, 307, 308)


class RefusedUrlError(Exception):
    """A URL that is not read, or leads to where nothing is read. The text says why, for the reader."""


class TooManyRedirectsError(RefusedUrlError):
    """A URL that leads from one to the next."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun.

    Attributes:
        status: Its status.
        reason: What the server calls that.
        headers: Those of its headers that tell what the body is.
        pieces: The body.
    """

    status: int
    reason: str | None
    headers: dict[str, str]
    pieces: AsyncIterator[bytes]


class HttpReader:
    """Reads http and https URLs.

    Args:
        own_ports: Ports of this hub, where nothing is read.
        redirects: Whether redirects are followed. They never lead to a file, into the hub, or from elsewhere
            onto this machine.
    """

    def __init__(self, own_ports: Container[int], *, redirects: bool = True) -> None:
        self._own_ports = own_ports
        self._redirects = redirects
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @contextlib.asynccontextmanager
    async def open(self, url: str, method: str, asked: Mapping[str, str]) -> AsyncIterator[Opened]:
        """Ask for a URL, and give the answer once its head is there. Cancelling is safe.

        Args:
            url: What is read.
            method: GET or HEAD.
            asked: The headers of whoever wants it; a range and what he accepts are passed on.

        Raises:
            RefusedUrlError: It is not read.
            aiohttp.ClientError: It cannot be read; so do TimeoutError, ValueError and OSError.
        """
        sent = {name: asked[name] for name in _ASKED if name in asked}
        sent.setdefault("Accept-Encoding", "identity")
        for last_try in (False, True):
            async with await self._fetch(method, url, sent) as found:
                pieces = _Pieces(found.content)
                whole = method == "GET" and found.status == 200
                if whole and not last_try and not await pieces.first():
                    continue  # STILTS gives an empty body when several read at once
                headers = {name: found.headers[name] for name in _PASSED if name in found.headers}
                headers.setdefault("Content-Type", "application/octet-stream")
                async with contextlib.aclosing(pieces.all()) as body:
                    yield Opened(found.status, found.reason, headers, body)
                return

    async def close(self) -> None:
        """Close the connections."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def _fetch(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Follow redirects, but never to a file, into the hub, or from elsewhere onto this machine.

        A URL that does not say that it means this machine must not come to mean it by its name's address
        either: the owner of a name says what that address is, and may change it (rebinding).
        """
        here = is_local(url) or is_our_name(url)
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            sent = _as_sent(url)
            if not here and _leads_here(sent):
                raise RefusedUrlError("the URL leads to a server on this machine")
            client = self._client(elsewhere=not here)
            found = await client.request(method, sent, headers=headers, allow_redirects=False)
            target = found.headers.get("Location")
            if found.status not in _REDIRECTS or target is None:
                return found
            found.close()
            if not self._redirects:
                raise RefusedUrlError("the URL leads elsewhere by a redirect, which is not followed")
            url = urljoin(url, target)
        raise TooManyRedirectsError(f"more than {MAX_REDIRECTS} redirects")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise RefusedUrlError("only http and https URLs are read from here on")
        if parts.port in self._own_ports:
            raise RefusedUrlError("nothing is read from the hub itself")

    def _client(self, *, elsewhere: bool) -> aiohttp.ClientSession:
        if elsewhere not in self._sessions:
            resolver = _Elsewhere() if elsewhere else None
            self._sessions[elsewhere] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT
                ),
                headers={"User-Agent": "asyncsamp"},
                auto_decompress=False,
            )
        return self._sessions[elsewhere]


class _Elsewhere(aiohttp.ThreadedResolver):
    """Finds the addresses of names, but none of this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if any(hosts.reaches_this_machine(item["host"]) for item in found):
            raise OSError("the URL leads to a server on this machine")
        return found


class _Pieces:
    """The body of an answer, of which one may look at the first piece."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._first: bytes | None = None

    async def first(self) -> bytes:
        if self._first is None:
            self._first = await self._content.readany()
        return self._first

    async def all(self) -> AsyncGenerator[bytes, None]:
        piece = await self.first()
        while piece:
            yield piece
            piece = await self._content.readany()


def is_our_name(url: str) -> bool:
    """Whether the host of `url` is what this machine is called: many systems give that 127.0.1.1."""
    return (urlsplit(url).hostname or "") in hosts.own_names(socket.gethostname())


def _leads_here(url: URL) -> bool:
    """Whether `url` means this machine by what is in it. What a name means is told by its addresses."""
    host = url.host or ""
    # To the system 2130706433 is an address, too. Systems differ in how they read such numbers.
    odd = hosts.looks_like_number(host) and hosts.number_of(host) is None
    return odd or hosts.reaches_this_machine(host)


def _as_sent(url: str) -> URL:
    """Return the URL as it goes over the wire, changed as little as a browser would."""
    text = url.strip().partition("#")[0]
    if urlsplit(text).netloc.isascii():
        return URL(quote(text, safe=_ALL), encoded=True)
    return URL(text)


_ALL = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>')
