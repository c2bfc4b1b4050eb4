"""Reading what a URL names: file:// in all its spellings, http and https, gzip (MTYPE-72).

No text of an error begins with the URL: senders get it, and a room takes a text that begins with one for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import zlib

import aiohttp
from yarl import URL

from .._util import file_urls
from .._util.foreign_text import plain_line
from ..errors import DataError
from ..interfaces import DataCarrier
from ..reading.files import open_first, unreadable

__all__ = ["MAX_SIZE", "TIMEOUT", "answered_error", "fetch"]

MAX_SIZE = 1024 * 1024 * 1024
"""Bytes that are read from one URL, unpacked: a wrong one must not eat the machine."""

TIMEOUT = 120.0
"""Seconds for one URL. Tables of many MB come from slow archives too."""

_REASON = 1024
"""Bytes that are read of what a server says of an error."""

_REASON_TIMEOUT = 2.0
"""Seconds for that: the error itself is known."""

_GZIP = b"\x1f\x8b"
_CHUNK = 1024 * 1024

_PACKED_CHUNK = 16 * 1024
"""Bytes unpacked at once. What follows a member of a gzip file is copied for each member, so it is small."""


async def fetch(
    url: str,
    *,
    max_size: int = MAX_SIZE,
    timeout: float = TIMEOUT,
    via: str = "",
    carrier: DataCarrier | None = None,
) -> bytes:
    """Return what `url` names, unpacked if it is gzip. Cancelling is safe.

    Args:
        url: The URL.
        max_size: Bytes that are read at most, and that it may have unpacked.
        timeout: Seconds.
        via: The URL by which a web client reads it through its hub (WEB-30).
        carrier: Who reads it where we cannot.

    Raises:
        DataError: No such file, HTTP 404, nothing within `timeout` seconds, too large.
    """
    try:
        async with asyncio.timeout(timeout):
            if carrier is not None:
                data = await carrier.fetch(via or url, max_size)
            elif via and via != url:
                data = await _http(URL(via, encoded=True), max_size, shown=url)
            elif url.partition(":")[0].lower() in ("http", "https"):
                data = await _http(url, max_size, shown=url)
            else:
                data = await asyncio.to_thread(_read, url, max_size)
    except TimeoutError:
        raise DataError(f"cannot read {url}: it gave no (complete) answer within {timeout:g} s") from None
    if data.startswith(_GZIP):
        return await asyncio.to_thread(_unpack, data, max_size, url)
    return data


def _read(url: str, max_size: int) -> bytes:
    """Return what a file URL names. Runs in a thread."""
    if not file_urls.is_file_url(url):
        raise DataError(f"cannot read {url}: expected a file, http or https URL")
    try:
        file = open_first(file_urls.parse(url).paths)
    except OSError as error:
        raise unreadable(url, error) from None
    try:
        if file.size > max_size:
            raise DataError(
                f"cannot read {file.path}: it has {file.size} bytes; no more than {max_size} are read"
            )
        return file.read_all()
    except OSError as error:
        raise unreadable(file.path, error) from None
    finally:
        file.close_now()


async def _http(url: str | URL, max_size: int, *, shown: str) -> bytes:
    for attempt in (1, 2):
        data = await _get(url, max_size, shown)
        # STILTS may give an empty body when several read at once; a second reading helps.
        if data or attempt == 2:
            return data
    raise AssertionError("unreachable")


async def _get(url: str | URL, max_size: int, shown: str) -> bytes:
    # Nothing is kept open: tools on the desktop close after each answer anyway.
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=None)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            session.get(url, headers={"Accept-Encoding": "gzip"}) as response,
        ):
            if response.status != 200:
                raise await answered_error(response, shown)
            if (response.content_length or 0) > max_size:
                raise DataError(
                    f"cannot read {shown}: it has {response.content_length} bytes; "
                    f"no more than {max_size} are read"
                )
            return await _body(response, max_size, shown)
    except (aiohttp.ClientError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read {shown}: {error or type(error).__name__}") from None


async def answered_error(response: aiohttp.ClientResponse, shown: str) -> DataError:
    """Return what to raise for an answer with the status of an error: with what the server says of it.

    Args:
        response: The answer, whose body has not been read.
        shown: The URL.
    """
    status = f"{response.status} {response.reason}"
    why = await _first_line(response)
    told = why.lower() not in ("", status.lower(), f"{response.status}: {response.reason}".lower())
    return DataError(f"cannot read {shown}: it answered HTTP {status}" + (f": {why}" if told else ""))


async def _first_line(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of a body that is plain text; "" of any other, or if it does not come."""
    if response.content_type != "text/plain" or "Content-Encoding" in response.headers:
        return ""
    head = b""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_REASON_TIMEOUT):
            async for piece in response.content.iter_any():
                head = (head + piece).lstrip()
                if len(head) > _REASON or b"\n" in head:
                    break
    lines = head[:_REASON].decode(errors="replace").splitlines()
    return plain_line(lines[0]) if lines else ""


async def _body(response: aiohttp.ClientResponse, max_size: int, shown: str) -> bytes:
    data = io.BytesIO()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data.write(chunk)
        if data.tell() > max_size:
            raise DataError(f"cannot read {shown}: it has more than {max_size} bytes")
    return data.getvalue()  # which copies nothing


def _unpack(data: bytes, max_size: int, url: str) -> bytes:
    """Unpack gzip of one or more members, in time and memory that grow with the size alone."""
    unpacked = io.BytesIO()
    packed = io.BytesIO(data)
    unpacker = zlib.decompressobj(wbits=31)
    rest = b""
    try:
        while rest or (rest := packed.read(_PACKED_CHUNK)):
            if unpacker.eof:
                rest = rest.lstrip(b"\0")
                unpacker = zlib.decompressobj(wbits=31) if rest else unpacker
                if not rest:
                    continue
            unpacked.write(unpacker.decompress(rest, max_size + 1 - unpacked.tell()))
            if unpacked.tell() > max_size:
                raise DataError(f"cannot read {url}: it has more than {max_size} bytes when unpacked")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise DataError(f"cannot read {url}: it is broken gzip: {error}") from None
    if not unpacker.eof:
        raise DataError(f"cannot read {url}: it is gzip that ends too soon")
    return unpacked.getvalue()
