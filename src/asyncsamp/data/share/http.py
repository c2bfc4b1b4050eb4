"""A small HTTP server for what a client shares (SAMP 1.3 §4.5: data goes by URL)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
import secrets
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from ...errors import DataError
from ...rpc import RpcServer
from .content import CallContent, Content

__all__ = ["ShareServer"]

log = logging.getLogger("asyncsamp.client")

_MAX_REQUEST = 64 * 1024  # a request has no body to speak of

_TYPES = {
    ".vot": "application/x-votable+xml",
    ".votable": "application/x-votable+xml",
    ".fits": "application/fits",
    ".fit": "application/fits",
}

# Whoever knows the URL may read it, from web pages too: it cannot be guessed.
_OPEN_TO_PAGES = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, If-Range",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, Content-Type",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "7200",
}


@dataclass(slots=True)
class _Share:
    content: Content
    content_type: str
    name: str
    timer: asyncio.TimerHandle | None = None


class ShareServer:
    """Shares contents on one port of `host`, opened with the first; each at a URL that cannot be guessed."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._server = RpcServer(self._handle, hosts=(host,), port=0, max_body=_MAX_REQUEST, name="share")
        self._shares: dict[str, _Share] = {}
        self._starting = asyncio.Lock()
        self._running = False

    def __len__(self) -> int:
        return len(self._shares)

    async def share(
        self, content: Content, *, name: str, content_type: str | None, lifetime: float | None
    ) -> str:
        """Share `content` and return its URL. `name` ends the URL; some tools look at it."""
        async with self._starting:
            if not self._running:
                await self._server.start()
                self._running = True
        token = secrets.token_urlsafe(16)
        share = self._shares[token] = _Share(content, content_type or guess_type(name), name)
        if lifetime is not None:
            share.timer = asyncio.get_running_loop().call_later(lifetime, self._drop, token)
        return f"http://{self._server.url_host}:{self._server.port}/{token}/{quote(name)}"

    def expire(self, url: str, lifetime: float) -> None:
        """Let `url` end `lifetime` seconds from now; nothing if it is not (or no longer) shared here."""
        token = self._token(urlsplit(url).path)
        share = self._shares.get(token)
        if share is not None and share.timer is None:
            share.timer = asyncio.get_running_loop().call_later(lifetime, self._drop, token)

    def unshare(self, url: str) -> bool:
        """Stop sharing; False if `url` was not shared here."""
        return self._drop(self._token(urlsplit(url).path))

    async def close(self) -> None:
        """Stop sharing everything, and close the port."""
        for token in list(self._shares):
            self._drop(token)
        self._running = False
        await self._server.close()

    def _drop(self, token: str) -> bool:
        share = self._shares.pop(token, None)
        if share is not None and share.timer is not None:
            share.timer.cancel()
        return share is not None

    def _token(self, path: str) -> str:
        return path.lstrip("/").partition("/")[0]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_OPEN_TO_PAGES)
        if request.method not in ("GET", "HEAD"):
            headers = {**_OPEN_TO_PAGES, "Allow": "GET, HEAD, OPTIONS"}
            return web.Response(status=405, headers=headers, text="only GET and HEAD\n")
        token, _, name = request.raw_path.partition("?")[0].lstrip("/").partition("/")
        share = self._shares.get(token)
        if share is None or unquote(name) != share.name:
            return web.Response(status=404, headers=_OPEN_TO_PAGES, text="not shared here (any more)\n")
        try:
            content = await share.content.now() if isinstance(share.content, CallContent) else share.content
            return await _send(request, content, share.content_type)
        except (DataError, OSError) as error:
            log.warning("what is shared as %s cannot be read: %s", share.name, error)
            return web.Response(status=404, headers=_OPEN_TO_PAGES, text="it cannot be read\n")


def guess_type(name: str) -> str:
    """Return the MIME type that a file of that name has."""
    lowered = name.lower()
    if lowered.endswith(".gz"):
        return "application/gzip"
    for ending, kind in _TYPES.items():
        if lowered.endswith(ending):
            return kind
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


async def _send(request: web.BaseRequest, content: Content, content_type: str) -> web.StreamResponse:
    size = await content.size()
    headers = {**_OPEN_TO_PAGES, "Content-Type": content_type, "X-Content-Type-Options": "nosniff"}
    part = slice(0, size)
    status = 200
    if size is not None:
        headers["Accept-Ranges"] = "bytes"
        asked = _asked(request, size)
        if asked is not None:
            if asked.start >= asked.stop:
                return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
            status, part = 206, asked
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        headers["Content-Length"] = str(part.stop - part.start)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    if request.method == "GET":
        chunks = content.chunks(part.start, part.stop)
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                await response.write(chunk)
    await response.write_eof()
    return response


def _asked(request: web.BaseRequest, size: int) -> slice | None:
    """Return the one range that is asked for, within the size; None for all of it."""
    if "If-Range" in request.headers:
        return None  # we give no validators, so it cannot be the same
    try:
        asked = request.http_range
    except ValueError:
        return None  # several ranges, or nonsense: the whole is a right answer to both
    if asked.start is None and asked.stop is None:
        return None
    start, stop, _ = asked.indices(size)
    return slice(start, stop) if asked.start is None or asked.start < size else slice(size, size)
