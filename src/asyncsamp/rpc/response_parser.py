"""Reading an HTTP answer that holds an XML-RPC response, however oddly the peer frames it.

No socket here: bytes are fed in, and a bool says when the answer is whole. The framings that SAMP's
programs use are HTTP/1.0 and 1.1, bodies with a length, in chunks or until the connection ends (STD-43),
line ends of CR LF or LF alone, and a Content-Length that counts characters where it should count
bytes (DS9). An XML-RPC response ends with its closing tag, so that is trusted where the length is not.
"""

from __future__ import annotations

import re

from ..errors import RemoteProtocolError
from .errors import NO_ROOM

__all__ = ["CLOSING_TAG", "MAX_HEAD", "NoRoomError", "ResponseParser"]

CLOSING_TAG = b"</methodResponse>"
_OPENING_TAG = b"<methodResponse"
_TAIL = len(CLOSING_TAG) + 2  # a line end may follow it

MAX_HEAD = 32 * 1024
"""Bytes of status line and headers; servers send a few hundred, aiohttp allows 8 KiB a line."""

_MAX_CHUNK_LINE = 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) +([1-5][0-9][0-9])( [^\r\n]*)?\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?")


class NoRoomError(RemoteProtocolError):
    """The peer has no room for the request, and has not read it."""


class ResponseParser:
    """One HTTP answer, read piece by piece.

    After `feed` has returned True, `body` is the XML-RPC response and `keep` says what the peer told
    about the connection: True (it stays open), False (it ends, or cannot be used again), None (the
    peer said nothing, and HTTP/1.1 would keep it).
    """

    __slots__ = ("_body", "_chunks", "_head", "_length", "_max_body", "_started", "body", "keep")

    def __init__(self, max_body: int) -> None:
        self.body = b""
        self.keep: bool | None = None
        self._max_body = max_body
        self._head: bytes | None = b""
        self._body = bytearray()
        self._length: int | None = None
        self._chunks: _Chunks | None = None
        self._started = False

    @property
    def started(self) -> bool:
        """Whether a byte of the answer has come."""
        return self._started

    def feed(self, data: bytes) -> bool:
        """Take what has come; return whether the answer is whole.

        Raises `RemoteProtocolError` for an answer that is not HTTP, not 200, or too large; `NoRoomError`
        if the peer has no room for the request.
        """
        self._started = True
        if self._head is not None:
            rest = self._take_head(self._head + data)
            if rest is None:
                return False
            self._head = None
            data = rest
            if len(data) == self._length and CLOSING_TAG in data[-_TAIL:]:
                self.body = data  # nearly always: one packet, and everything in order
                return True
        return self._take_body(data)

    def feed_eof(self) -> bool:
        """Say that nothing more comes; return whether what has come is a whole answer."""
        self.keep = False
        whole = self._head is None and (self._ends_here() or self._closing_end() is not None)
        if whole:
            self.body = bytes(self._body)
        return whole

    def _ends_here(self) -> bool:
        """Whether the end of the connection is the proper end of the body."""
        if self._chunks is not None:
            return False
        return self._length is None or len(self._body) >= self._length

    def _take_head(self, data: bytes) -> bytes | None:
        """Return what follows the head, or None as long as the head is not whole."""
        while True:
            if not data.startswith(b"HTTP/1."[: len(data)]):
                raise RemoteProtocolError(f"the answer is not HTTP/1: it begins with {data[:40]!r}")
            match = _HEAD_END.search(data, 0, MAX_HEAD)
            if match is None:
                if len(data) >= MAX_HEAD:
                    raise RemoteProtocolError(f"the head of the answer is longer than {MAX_HEAD} bytes")
                self._head = data
                return None
            head, data = data[: match.end()], data[match.end() :]
            if self._read_status(head):
                self._read_headers(head)
                return data

    def _read_status(self, head: bytes) -> bool:
        """Return False for an interim answer (100 Continue), True for 200."""
        match = _STATUS.match(head)
        if match is None:
            raise RemoteProtocolError(f"the answer is not HTTP/1: it begins with {head[:40]!r}")
        if match[2].startswith(b"1"):
            return False
        if match[2] != b"200":
            reason = (match[3] or b"").decode("latin-1")
            if match[2] == b"503" and reason.strip() == NO_ROOM:
                raise NoRoomError(f"it refuses the request: {NO_ROOM}")
            raise RemoteProtocolError(f"the answer is HTTP {match[2].decode()}{reason}, not 200 (STD-40)")
        self.keep = None if match[1] != b"0" else False
        return True

    def _read_headers(self, head: bytes) -> None:
        for line in head.split(b"\n")[1:]:
            name, _, value = line.partition(b":")
            name = name.rstrip().lower()
            if name == b"content-length":
                self._read_length(value.strip())
            elif name == b"connection":
                tokens = value.lower()
                if b"close" in tokens:
                    self.keep = False
                elif b"keep-alive" in tokens:
                    self.keep = True
            elif name == b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    raise RemoteProtocolError(f"the answer has the Transfer-Encoding {value.strip()!r}")
                self._chunks = _Chunks()
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                raise RemoteProtocolError(f"the answer has the Content-Encoding {value.strip()!r}")
        if (self._length is None) == (self._chunks is None):
            # Neither: the end of the connection is the end of the body. Both: nobody knows what comes next.
            self._length = None
            self.keep = False

    def _read_length(self, value: bytes) -> None:
        if not value.isdigit() or len(value) > 18 or self._length not in (None, int(value)):
            raise RemoteProtocolError(f"the answer has a wrong Content-Length: {value[:40]!r}")
        self._length = int(value)
        if self._length > self._max_body:
            raise RemoteProtocolError(
                f"the answer announces {self._length} bytes; at most {self._max_body} are taken"
            )

    def _take_body(self, data: bytes) -> bool:
        if self._chunks is not None:
            whole = self._chunks.feed(data, self._body)
            self._check_size()
            if whole:
                self.body = bytes(self._body)
                if self._chunks.rest:
                    self.keep = False
            return whole
        self._body += data
        self._check_size()
        end = self._end_of_body(len(data))
        if end is None:
            return False
        if end != len(self._body) or end != self._length:
            self.keep = False
        self.body = bytes(memoryview(self._body)[:end])
        return True

    def _check_size(self) -> None:
        if len(self._body) > self._max_body:
            raise RemoteProtocolError(f"the answer is larger than {self._max_body} bytes")

    def _end_of_body(self, news: int) -> int | None:
        """Return where the body ends, None while it goes on; `news` bytes are new."""
        body, length = self._body, self._length
        closing = self._closing_end(len(body) - news)
        if closing is not None:
            return closing if length is None else min(max(closing, length), len(body))
        if length is None or len(body) < length:
            return None
        # Cut within a response: the length counted characters. Anything else is not ours to correct.
        return None if _OPENING_TAG in body[:1024] else length

    def _closing_end(self, since: int = 0) -> int | None:
        found = self._body.rfind(CLOSING_TAG, max(0, since - len(CLOSING_TAG)))
        return None if found < 0 else found + len(CLOSING_TAG)


class _Chunks:
    """A chunked body. Peers should not send one (STD-43), but some HTTP libraries know no other."""

    __slots__ = ("_buffer", "_line_wanted", "_need", "_trailer", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._need = 0  # bytes of the present chunk still to come
        self._line_wanted = False  # whether the line end after a chunk is still to come
        self._trailer = False
        self.rest = b""

    def feed(self, data: bytes, body: bytearray) -> bool:
        """Append the chunks' contents to `body`; return whether the last one has come."""
        data, self._buffer = self._buffer + data, b""
        while data:
            if self._need:
                body += data[: self._need]
                taken = min(self._need, len(data))
                self._need -= taken
                data = data[taken:]
                continue
            line, found, rest = data.partition(b"\n")
            if len(line) > _MAX_CHUNK_LINE:
                raise RemoteProtocolError("the answer has a chunk line without an end")
            if not found:
                self._buffer = data
                return False
            data = rest
            if self._take_line(line.removesuffix(b"\r")):
                self.rest = data
                return True
        return False

    def _take_line(self, line: bytes) -> bool:
        """Take a line between chunks; return whether it ends the body."""
        if self._trailer:
            return not line
        if self._line_wanted and not line:
            self._line_wanted = False
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None or self._line_wanted:
            raise RemoteProtocolError(f"the answer has a wrong chunk line: {line[:40]!r}")
        self._need = int(match[1], 16)
        self._line_wanted = self._need > 0
        self._trailer = self._need == 0
        return False
