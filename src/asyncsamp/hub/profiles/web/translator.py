"""The URL translator: the hub reads a URL for a page that cannot (WEB-30..36)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Set
from typing import TypeAlias
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp import web
from aiohttp.abc import ResolveResult
from yarl import URL

from ...._util import file_urls, hosts
from ...._util.hosts import is_local
from ....reading.content_types import content_type
from ....reading.files import open_file
from ....reading.serving import send, serve
from ...named import file_itself
from ...opened import resolved

__all__ = ["Translator"]

log = logging.getLogger("asyncsamp.hub")

ClosesFile: TypeAlias = Callable[[str, str], bool]

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
_GUARD = {
    # What comes through here has the hub's own origin: as a page of its own it must run no script.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-store",
}
_REDIRECTS = (301, 302, 303, 307, 308)


class Translator:
    """Reads http, https and file URLs for pages and streams what they hold.

    `own_ports` are the hub's: nothing is read from there. Which URL a page may read is decided before.
    """

    def __init__(self, own_ports: Set[int]) -> None:
        self._own_ports = own_ports
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def serve(
        self, request: web.BaseRequest, url: str, headers: Mapping[str, str], closed: ClosesFile
    ) -> web.StreamResponse:
        """Answer a GET or HEAD with what a URL holds. Cancelling is safe.

        Args:
            request: The request.
            url: What is read.
            headers: Headers that are added to the answer.
            closed: Whether a file is closed to the page: its path without links, and its `file_itself`.

        Raises:
            aiohttp.web.HTTPException: 403, 404, 416, 502 or 504, with a reason.
        """
        if file_urls.is_file_url(url):
            return await self._serve_file(request, url, headers, closed)
        try:
            return await self._serve_http(request, url, headers)
        except TimeoutError:
            raise web.HTTPGatewayTimeout(text="the server did not answer in time\n") from None
        except (aiohttp.ClientError, ValueError) as error:
            log.info("a web page could not read a URL: %s", type(error).__name__)
            text = f"the URL cannot be read: {type(error).__name__}\n"
            raise web.HTTPBadGateway(text=text) from None

    async def close(self) -> None:
        """Close the connections."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    # ---- files

    async def _serve_file(
        self, request: web.BaseRequest, url: str, headers: Mapping[str, str], closed: ClosesFile
    ) -> web.StreamResponse:
        try:
            file = await open_file(file_urls.parse(url).paths)
        except FileNotFoundError:
            raise web.HTTPNotFound(text="there is no such file (any more)\n") from None
        except OSError:
            raise web.HTTPForbidden(text="the file cannot be read, or is not a plain file\n") from None
        told = {"Content-Type": content_type(file.path), **_GUARD, **headers}
        try:
            if closed(await asyncio.to_thread(resolved, file.path), file_itself(*file.identity)):
                raise web.HTTPForbidden(text="a web page has named this file before it was sent to one\n")
            return await serve(request, file, told, what="a file to a web page")
        finally:
            await file.close()

    # ---- servers

    async def _serve_http(
        self, request: web.BaseRequest, url: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        asked = {name: request.headers[name] for name in _ASKED if name in request.headers}
        asked.setdefault("Accept-Encoding", "identity")
        for last_try in (False, True):
            async with await self._fetch(request.method, url, asked) as found:
                pieces = _Pieces(found.content)
                if (
                    request.method == "GET"
                    and not last_try
                    and found.status == 200
                    and not await pieces.first()
                ):
                    continue  # STILTS gives an empty body when several read at once
                response = web.StreamResponse(status=found.status, reason=found.reason)
                for name in _PASSED:
                    if name in found.headers:
                        response.headers[name] = found.headers[name]
                response.headers.setdefault("Content-Type", "application/octet-stream")
                response.headers.update({**_GUARD, **headers})
                return await send(request, response, pieces, what="a URL to a web page")
        raise AssertionError("the second try returns or raises")

    async def _fetch(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Follow redirects, but never to a file, into the hub, or from elsewhere onto this machine.

        A URL that does not say that it means this machine must not come to mean it by its name's address
        either: the owner of a name says what that address is, and may change it (rebinding).
        """
        here = is_local(url) or _is_our_name(url)
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            sent = _as_sent(url)
            if not here and _leads_here(sent):
                raise web.HTTPForbidden(text="the URL leads to a server on this machine\n")
            client = self._client(elsewhere=not here)
            found = await client.request(method, sent, headers=headers, allow_redirects=False)
            target = found.headers.get("Location")
            if found.status not in _REDIRECTS or target is None:
                return found
            found.close()
            url = urljoin(url, target)
        raise web.HTTPBadGateway(text=f"more than {MAX_REDIRECTS} redirects\n")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise web.HTTPForbidden(text="only http and https URLs are read from here on\n")
        if parts.port in self._own_ports:
            raise web.HTTPForbidden(text="nothing is read from the hub itself\n")

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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        piece = await self.first()
        while piece:
            yield piece
            piece = await self._content.readany()


def _is_our_name(url: str) -> bool:
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
