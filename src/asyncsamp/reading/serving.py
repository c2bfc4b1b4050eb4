"""What a reader holds, sent as the answer to a GET or HEAD."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from email.utils import formatdate
from typing import Protocol

from aiohttp import web

from .ranges import RangeNotSatisfiableError, byte_range

__all__ = ["Reader", "send", "serve"]

log = logging.getLogger("asyncsamp")


class Reader(Protocol):
    """Something open that is read in pieces, such as a `FileReader`."""

    @property
    def size(self) -> int | None:
        """How many bytes it has; None if that is known only at the end."""
        ...

    @property
    def modified(self) -> float | None:
        """When it was changed, in seconds since 1970; None if that is not known."""
        ...

    def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes (None: to the end) from `start` on."""
        ...


async def serve(
    request: web.BaseRequest, reader: Reader, headers: Mapping[str, str], *, what: str
) -> web.StreamResponse:
    """Answer a GET or HEAD with what `reader` holds, or the part that is asked for. Cancelling is safe.

    Args:
        request: The request.
        reader: What is sent. It is not closed.
        headers: Headers of the answer. Length, range and date are added.
        what: What is sent, for the log; it must tell no secret.

    Returns:
        The answer, sent: 200, 206 or 416. If the reader fails in the middle, the connection is broken,
        since nothing else tells the client that the data is not whole.
    """
    told = dict(headers)
    size = reader.size
    if reader.modified is not None:
        told["Last-Modified"] = formatdate(reader.modified, usegmt=True)
    start, length, status = 0, size, 200
    if size is not None:
        told["Accept-Ranges"] = "bytes"
        try:
            part = _part(request, told.get("Last-Modified", ""), size)
        except RangeNotSatisfiableError:
            told["Content-Range"] = f"bytes */{size}"
            return web.Response(status=416, headers=told)
        if part is not None:
            (start, length), status = part, 206
            told["Content-Range"] = f"bytes {start}-{start + part[1] - 1}/{size}"
    response = web.StreamResponse(status=status, headers=told)
    response.content_length = length
    async with contextlib.aclosing(reader.pieces(start, length)) as pieces:
        return await send(request, response, pieces, what=what)


async def send(
    request: web.BaseRequest,
    response: web.StreamResponse,
    pieces: AsyncIterable[bytes],
    *,
    what: str,
) -> web.StreamResponse:
    """Send `response` with `pieces` as its body, none for HEAD; as `serve` if they fail in the middle."""
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
    except Exception as error:  # a function that a user shares raises what it likes
        level = logging.INFO if isinstance(error, ConnectionError) else logging.WARNING
        log.log(level, "sending %s broke off: %s", what, type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
    return response


def _part(request: web.BaseRequest, modified: str, size: int) -> tuple[int, int] | None:
    if request.headers.get("If-Range", modified) != modified:
        return None
    return byte_range(request.headers.get("Range", ""), size)
