"""A small HTTP server for what a program shares (SAMP 1.3 §4.5: data goes by URL)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from ..errors import DataError
from ..interfaces import Content
from ..rpc import RpcServer
from .content_types import content_type as content_type_of
from .serving import OPEN_TO_PAGES, serve

__all__ = ["ShareServer"]

log = logging.getLogger("asyncsamp")

_MAX_REQUEST = 64 * 1024  # a request has no body to speak of


@dataclass(slots=True)
class _Share:
    content: Content
    content_type: str
    name: str
    timer: asyncio.TimerHandle | None = None


class ShareServer:
    """Shares contents on one port of `host`, opened with the first; each at a URL that cannot be guessed.

    Args:
        host: Where to listen.
        headers: Headers of each answer with content, beside its own.
    """

    def __init__(self, host: str = "127.0.0.1", headers: Mapping[str, str] | None = None) -> None:
        self._headers = {**OPEN_TO_PAGES, "X-Content-Type-Options": "nosniff", **(headers or {})}
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
        share = self._shares[token] = _Share(content, content_type or content_type_of(name), name)
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
            return web.Response(status=204, headers=OPEN_TO_PAGES)
        if request.method not in ("GET", "HEAD"):
            headers = {**OPEN_TO_PAGES, "Allow": "GET, HEAD, OPTIONS"}
            return web.Response(status=405, headers=headers, text="only GET and HEAD\n")
        token, _, name = request.raw_path.partition("?")[0].lstrip("/").partition("/")
        share = self._shares.get(token)
        if share is None or unquote(name) != share.name:
            return web.Response(status=404, headers=OPEN_TO_PAGES, text="not shared here (any more)\n")
        try:
            reader = await share.content.open()
        except (DataError, OSError) as error:
            log.warning("what is shared as %s cannot be read: %s", share.name, error)
            return web.Response(status=404, headers=OPEN_TO_PAGES, text="it cannot be read\n")
        headers = {**self._headers, "Content-Type": share.content_type}
        try:
            return await serve(request, reader, headers, what=f"the shared {share.name}")
        finally:
            await reader.close()
