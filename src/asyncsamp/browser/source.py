"""Content that the page reads at its own site, with its own cookies: on its way no message is large."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from ..interfaces import Content
from ..reading.share_server import ShareServer

__all__ = ["FileSource", "PageSource", "ProxySource", "pieces_of"]

_OURS = re.compile(r"asyncsamp-[0-9a-f]{32}-\w+\.tmp")

_STALE = 3600.0
"""Seconds after which a file is one that a killed kernel has left. The home may be that of other machines,
too, so that nobody can ask whether its process runs."""


class PageSource(Protocol):
    """A way by which a page reads content at its own site. Whether it can is for the page to find out."""

    def offer(self, content: Content) -> contextlib.AbstractAsyncContextManager[str]:
        """Offer content as long as the context lasts; gives its place below the page's base.

        Args:
            content: The content, whose size is known: it is read in ranges.
        """
        ...

    async def close(self) -> None:
        """Offer nothing any more. It may be used again."""
        ...


class ProxySource:
    """Offers content at a port of this machine, at a URL that cannot be guessed: by jupyter-server-proxy."""

    def __init__(self) -> None:
        self._server = ShareServer()

    @contextlib.asynccontextmanager
    async def offer(self, content: Content) -> AsyncIterator[str]:
        """Offer content; see `PageSource.offer`. Cancelling is safe.

        Args:
            content: The content, whose size is known.
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


class FileSource:
    """Offers content as a file in the folder whose files the notebook's server shows to its page.

    The file is its owner's alone, has a name that cannot be guessed, and is gone as soon as it was read.

    Args:
        folder: That folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.asynccontextmanager
    async def offer(self, content: Content) -> AsyncIterator[str]:
        """Offer content; see `PageSource.offer`. Cancelling is safe.

        Args:
            content: The content, whose size is known.

        Raises:
            OSError: The file cannot be written.
        """
        file = await asyncio.to_thread(_create, self._folder)
        try:
            async with contextlib.aclosing(pieces_of(content)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
            yield f"files/{Path(file.name).name}"
        finally:
            await asyncio.shield(asyncio.to_thread(file.close))

    async def close(self) -> None:
        """Do nothing: each file ends with its offer."""


def _create(folder: Path) -> IO[bytes]:
    """Make a file of mode 0600 that goes when it is closed; one whose name begins with a dot is not shown."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_stale(entry)
    return tempfile.NamedTemporaryFile(
        dir=folder, prefix=f"asyncsamp-{secrets.token_hex(16)}-", suffix=".tmp"
    )


def _remove_stale(entry: os.DirEntry[str]) -> None:
    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE:
        Path(entry.path).unlink()


async def pieces_of(content: Content) -> AsyncGenerator[bytes, None]:
    """Yield content from its beginning to its end.

    Args:
        content: The content.

    Yields:
        Its bytes, in pieces.
    """
    opened = await content.open()
    try:
        async with contextlib.aclosing(opened.pieces(0, opened.size)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await opened.close()
