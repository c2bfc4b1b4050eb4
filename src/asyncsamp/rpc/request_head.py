"""The head of a plain XML-RPC request, and whether the next one is the same. No I/O.

Plain is what every program of SAMP sends: a POST to a path that is served, with one Content-Length, one
Host and nothing that changes how the body is read or who is asking. Whatever else comes is left to aiohttp.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BROWSER_HEADERS", "MAX_HEAD", "PATHS", "HeadMemory", "RequestHead", "read_head"]

PATHS = frozenset({"/", "/RPC2", "/RPC2/", "/xmlrpc", "/xmlrpc/"})
"""Where XML-RPC libraries post when the URL has no path, and where SAMP's programs do (STD-42)."""

BROWSER_HEADERS = frozenset({"origin", "sec-fetch-site"})
"""Only browsers send these: a request that has one was made by a web page."""

MAX_HEAD = 2048
"""Bytes of a head that is read here; those of SAMP's programs have 200."""

_LEFT_TO_AIOHTTP = BROWSER_HEADERS | {
    "transfer-encoding",
    "content-encoding",
    "expect",
    "upgrade",
    "te",
    "trailer",
    "referer",  # of a web page, or who pretends to be one
}

_REQUEST_LINE = re.compile(rb"POST ([!-~]+) HTTP/(1\.[01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ \t\x21-\x7e\x80-\xff]*)")
_DIGITS = re.compile(rb"[0-9]{1,9}")


class RequestHead(NamedTuple):
    """What a plain request says before its body.

    Attributes:
        version: "1.0" or "1.1".
        host: The value of Host; None if there is none.
        length: The Content-Length.
        keep_alive: Whether the connection stays open after the answer.
        size: Bytes of the head itself.
    """

    version: str
    host: str | None
    length: int
    keep_alive: bool
    size: int


def read_head(data: bytes) -> RequestHead | None:
    """Return the head with which `data` begins, None if it is not whole or not plain."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        return None
    request_line, *lines = data[:end].split(b"\r\n")
    begun = _REQUEST_LINE.fullmatch(request_line)
    if begun is None or begun[1].decode("ascii") not in PATHS:
        return None
    headers: dict[str, bytes] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode("ascii").lower()
        if name in _LEFT_TO_AIOHTTP or (name in headers and name in ("host", "content-length", "connection")):
            return None
        headers[name] = match[2].rstrip(b" \t")
    return _checked(begun[2].decode("ascii"), headers, end + 4)


def _checked(version: str, headers: dict[str, bytes], size: int) -> RequestHead | None:
    """Return the head unless its length, Host or Connection is missing or unusual."""
    length, host = headers.get("content-length", b""), headers.get("host")
    connection = headers.get("connection", b"").lower()
    if not _DIGITS.fullmatch(length) or connection not in (b"", b"keep-alive", b"close"):
        return None
    if host is None and version != "1.0":  # a missing Host is right in HTTP/1.0 (TOL-3)
        return None
    keep_alive = connection == b"keep-alive" or (version == "1.1" and connection != b"close")
    return RequestHead(
        version, None if host is None else host.decode("latin-1"), int(length), keep_alive, size
    )


class HeadMemory:
    """The head of the last request: on a kept connection the next one differs in Content-Length only.

    So its head need not be read and judged again. Bodies of more than `most` bytes are never known.
    """

    __slots__ = ("_after", "_before", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._before = b""
        self._after = b""

    def takes(self, length: int) -> bool:
        """Whether a body of that many bytes may be known."""
        return length <= self._most

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Remember the head with which `data` begins, once it has been judged."""
        match = _LENGTH.search(data, 0, head.size)
        if match is not None:
            self._before, self._after = data[: match.start(1)], data[match.end(1) : head.size]

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body if `data` is one whole request with the head that was learnt."""
        before = self._before
        if not before or not data.startswith(before):
            return None
        end = data.find(b"\r", len(before), len(before) + 10)
        digits = data[len(before) : end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        return body if len(body) == int(digits) <= self._most else None


_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,9})(?=\r\n)")
