"""The URL translator: the hub reads a URL for a page that cannot (WEB-30..36)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from typing import TypeAlias

import aiohttp
from aiohttp import web

from ...._util import file_urls
from ....reading.content_types import content_type
from ....reading.files import open_file
from ....reading.http import HttpReader, RefusedUrlError, TooManyRedirectsError
from ....reading.serving import SANDBOXED, send, serve
from ...named import file_itself
from ...opened import resolved

__all__ = ["Translator"]

log = logging.getLogger("asyncsamp.hub")

ClosesFile: TypeAlias = Callable[[str, str], bool]

_GUARD = {
    **SANDBOXED,  # what comes through here has the hub's own origin
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-store",
}


class Translator:
    """Reads http, https and file URLs for pages and streams what they hold.

    `own_ports` are the hub's: nothing is read from there. Which URL a page may read is decided before.
    """

    def __init__(self, own_ports: Set[int]) -> None:
        self._reader = HttpReader(own_ports)

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
        except TooManyRedirectsError as error:
            raise web.HTTPBadGateway(text=f"{error}\n") from None
        except RefusedUrlError as error:
            raise web.HTTPForbidden(text=f"{error}\n") from None
        except TimeoutError:
            raise web.HTTPGatewayTimeout(text="the server did not answer in time\n") from None
        except (aiohttp.ClientError, ValueError) as error:
            log.info("a web page could not read a URL: %s", type(error).__name__)
            text = f"the URL cannot be read: {type(error).__name__}\n"
            raise web.HTTPBadGateway(text=text) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

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
        async with self._reader.open(url, request.method, request.headers) as opened:
            told = {**opened.headers, **_GUARD, **headers}
            response = web.StreamResponse(status=opened.status, reason=opened.reason, headers=told)
            response.headers["Server"] = "asyncsamp"
            return await send(request, response, opened.pieces, what="a URL to a web page")
