"""What a reader holds, sent as the answer to a GET or HEAD."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from ..interfaces import Reader
from .ranges import RangeNotSatisfiableError, byte_range

__all__ = ["OPEN_TO_PAGES", "SANDBOXED", "Part", "part_of", "send", "serve"]

log = logging.getLogger("asyncsamp")

OPEN_TO_PAGES = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, If-Range",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, Content-Type",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "7200",
}
"""Headers for URLs that cannot be guessed: whoever knows one may read it, from web pages too."""

SANDBOXED = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
"""Headers for what strangers made: shown in a browser it runs no script, and has no part in our origin."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is sent of a reader: from where, how much, and what the answer's head says.

    Attributes:
        status: 200, 206 or 416; with the last nothing is sent.
        headers: The head.
        start: The first byte.
        length: How many bytes; None for all there will be.
    """

    status: int
    headers: dict[str, str]
    start: int
    length: int | None


def part_of(reader: Reader, asked: Mapping[str, str], headers: Mapping[str, str]) -> Part:
    """Return which part of `reader` is asked for.

    Args:
        reader: What is sent.
        asked: The request's headers.
        headers: Headers of the answer. Range and date are added.
    """
    told = dict(headers)
    size = reader.size
    if reader.modified is not None:
        told["Last-Modified"] = formatdate(reader.modified, usegmt=True)
    if size is None:
        return Part(200, told, 0, None)
    told["Accept-Ranges"] = "bytes"
    try:
        part = _range(asked, told.get("Last-Modified", ""), size)
    except RangeNotSatisfiableError:
        return Part(416, {**told, "Content-Range": f"bytes */{size}"}, 0, 0)
    if part is None:
        return Part(200, told, 0, size)
    start, length = part
    return Part(206, {**told, "Content-Range": f"bytes {start}-{start + length - 1}/{size}"}, start, length)


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
    part = part_of(reader, request.headers, headers)
    if part.status == 416:
        return web.Response(status=416, headers=part.headers)
    response = web.StreamResponse(status=part.status, headers={"Server": "asyncsamp", **part.headers})
    response.content_length = part.length
    async with contextlib.aclosing(reader.pieces(part.start, part.length)) as pieces:
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


def _range(asked: Mapping[str, str], modified: str, size: int) -> tuple[int, int] | None:
    if asked.get("If-Range", modified) != modified:
        return None
    return byte_range(asked.get("Range", ""), size)
