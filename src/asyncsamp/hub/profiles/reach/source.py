"""What a URL that this hub has offered holds, opened for a hub that may read it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Set
from pathlib import Path

import aiohttp

from ...._util import file_urls
from ....interfaces import Named
from ....reading.content_types import content_type
from ....reading.files import FileReader, open_file
from ....reading.http import HttpReader, Opened, RefusedUrlError
from ....reading.serving import part_of
from ...named import file_itself, names_of_path
from ...opened import resolved
from .transfer import Head
from .urls import Offer

__all__ = ["Source", "SourceReader"]

Source = tuple[Head, AsyncIterator[bytes] | None]
"""How the answer begins, and the body; None for a refusal, which has none."""


class SourceReader:
    """Opens what is offered.

    Args:
        named: What strangers named first.
        own_ports: The ports of this hub, where nothing is read.
        own_files: Files of this hub that are not read, whatever they are called.
        settled: Waits until what strangers named up to a moment is in `named` by what it is. Raises
            `PermissionError` if that takes too long.
    """

    def __init__(
        self,
        named: Named,
        own_ports: Container[int],
        own_files: Set[str],
        settled: Callable[[int], Awaitable[None]],
    ) -> None:
        self._named = named
        self._settled = settled
        self._own_files = own_files
        self._http = HttpReader(own_ports, redirects=False)

    @contextlib.asynccontextmanager
    async def open(self, offer: Offer, method: str, asked: Mapping[str, str]) -> AsyncIterator[Source]:
        """Open what `offer` names. Cancelling is safe.

        Raises `PermissionError`, `FileNotFoundError` or `ConnectionError` with a text that may be shown to
        other members: what cannot be read.
        """
        if offer.moment is None:
            raise PermissionError(
                "the hub that has it does not offer it: a program must have sent it, not a web page, and "
                "that hub (or attach) must run with --reach-files sent"
            )
        if file_urls.is_file_url(offer.url):
            async with self._open_file(offer, offer.moment, asked) as source:
                yield source
            return
        try:
            async with self._http.open(offer.url, method, asked) as opened:
                yield Head(opened.status, opened.headers, _same(opened)), opened.pieces
        except RefusedUrlError as error:
            raise PermissionError(str(error)) from None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ConnectionError(f"its server cannot be read: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    @contextlib.asynccontextmanager
    async def _open_file(self, offer: Offer, moment: int, asked: Mapping[str, str]) -> AsyncIterator[Source]:
        await self._settled(moment)
        try:
            file = await open_file(file_urls.parse(offer.url).paths)
        except FileNotFoundError:
            raise FileNotFoundError("there is no such file (any more)") from None
        except OSError:
            raise PermissionError("the file cannot be read, or is not a plain file") from None
        try:
            await self._check(file, moment)
            part = part_of(file, asked, {"Content-Type": content_type(file.path)})
            same = f"{file.identity[1]:x}-{file.size:x}-{file.modified!r}"
            head = Head(part.status, {**part.headers, "Content-Length": str(part.length)}, same)
            async with contextlib.aclosing(file.pieces(part.start, part.length)) as pieces:
                yield head, pieces
        finally:
            await file.close()

    async def _check(self, file: FileReader, moment: int) -> None:
        """Refuse the hub's own files, and what strangers named first by whatever name."""
        own, path = await asyncio.to_thread(_look, self._own_files, file.path)
        if file.identity in own:
            raise PermissionError("it is a file of the hub's own")
        names = names_of_path(path) | {file_itself(*file.identity)}
        if self._named.closes_elsewhere(names, moment):
            raise PermissionError("others named this file before it was sent to them")


def _look(own_files: Set[str], path: str) -> tuple[set[tuple[int, int]], str]:
    """Return what the hub's own files are, and `path` without links. Blocks."""
    found = set()
    for own in own_files:
        with contextlib.suppress(OSError):
            status = Path(own).stat()
            found.add((status.st_dev, status.st_ino))
    return found, resolved(path)


def _same(opened: Opened) -> str:
    """Return by what the content is known again; "" if its server has no ranges."""
    headers = opened.headers
    total = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    if opened.status not in (200, 206) or not total.isdigit():
        return ""
    if opened.status == 200 and headers.get("Accept-Ranges") != "bytes":
        return ""
    return f"{headers.get('ETag', '')} {headers.get('Last-Modified', '')} {total}"[:500]
