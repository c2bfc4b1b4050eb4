"""Content that the page reads at its own site, through jupyter-server-proxy and with its own cookies."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from ..interfaces import Content
from ..reading.share_server import ShareServer

__all__ = ["ProxySource"]


class ProxySource:
    """Offers content at a port of this machine, as long as it is wanted, at a URL that cannot be guessed.

    Whether the notebook's server has jupyter-server-proxy is for the page to find out.
    """

    def __init__(self) -> None:
        self._server = ShareServer()

    @contextlib.asynccontextmanager
    async def offer(self, content: Content) -> AsyncIterator[str]:
        """Offer content, and give its place below the URL of the notebook's server.

        Args:
            content: The content, whose size is known: it is read in ranges.
        """
        url = await self._server.share(
            content, name="data", content_type="application/octet-stream", lifetime=None
        )
        try:
            parts = urlsplit(url)
            yield f"proxy/{parts.port}{parts.path}"
        finally:
            self._server.unshare(url)

    async def close(self) -> None:
        """Offer nothing any more, and close the port. It may be used again."""
        await self._server.close()
