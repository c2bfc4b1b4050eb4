"""The step in front of every parser, for peers that end header lines with a bare line feed. No I/O.

Every released DS9 sends

    POST /xmlrpc HTTP/1.0<LF>Content-Type: text/xml<LF>Content-length: 280<LF><LF><body>

and aiohttp answers 400 to that, rightly. Such a peer also counts characters where Content-Length wants
bytes, so that a body with an accent in it is announced too short. Both are corrected here, on connections
that begin in this way and on no other. Mended connections carry one request.
"""

from __future__ import annotations

import re

__all__ = ["MAX_HELD", "LineFeedRepair"]

MAX_HEAD = 32 * 1024
"""Bytes of request line and headers that are waited for; what is longer goes on as it is, to be refused."""

MAX_HELD = 64 * 1024
"""Bytes of a body that are held back: no more than a stranger may send, whose key is looked for only behind
this. A longer body goes on as announced, so it must be announced in bytes; what DS9 sends is small."""

_CLOSING_TAGS = (b"</methodCall>", b"</methodResponse>")

_HEAD_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"(?i)content-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*")


class LineFeedRepair:
    """Bytes in, bytes for a strict parser out; holds back what it cannot judge yet. No I/O.

    Once `passing` is True, everything goes through unchanged: for a clean peer from the end of its
    first line on. `waits_for` says what is missing: "head", "body", "tag", or "" for nothing.
    """

    __slots__ = ("_announced", "_held", "_lines", "_max_body", "_searched", "passing", "waits_for")

    def __init__(self, max_body: int) -> None:
        self.passing = False
        self.waits_for = "head"
        self._max_body = max_body
        self._held = bytearray()
        self._lines: list[bytes] = []
        self._announced = 0
        self._searched = 0

    def feed(self, data: bytes) -> bytes:
        """Take what has come and return what the parser may have now."""
        if not self.waits_for:
            return b""  # such peers send one request; what follows it is left over from a wrong length
        self._held += data
        return self._look_at_head() if self.waits_for == "head" else self._look_at_body()

    def give_up(self) -> bytes:
        """Return the request as it stands, with the length that was announced."""
        return self._finish(self._announced)

    def _look_at_head(self) -> bytes:
        held = self._held
        if held.startswith((b"\r", b"\n")):
            held = self._held = held.lstrip(b"\r\n")  # blank lines before a request mean nothing
        line_end = held.find(b"\n", 0, MAX_HEAD)
        if line_end > 0 and held[line_end - 1 : line_end] == b"\r":
            return self._pass()
        match = _HEAD_END.search(held, line_end, MAX_HEAD) if line_end > 0 else None
        if match is not None:
            self._lines = [line.removesuffix(b"\r") for line in bytes(held[: match.start()]).split(b"\n")]
            del held[: match.end()]
            return self._begin_body()
        return self._pass() if len(held) >= MAX_HEAD else b""

    def _begin_body(self) -> bytes:
        lengths = [line for line in self._lines if _name(line) in (b"content-length", b"transfer-encoding")]
        match = _LENGTH.fullmatch(lengths[0]) if len(lengths) == 1 else None
        if match is None or int(match[1]) > self._max_body:
            # No body, or a length that cannot be corrected: for the parser and the endpoint to judge.
            self._held[:0] = b"\r\n".join([*self._lines, b"Connection: close", b"", b""])
            return self._pass()
        self._announced = int(match[1])
        self._lines.remove(lengths[0])
        self.waits_for = "body"
        return self._look_at_body()

    def _look_at_body(self) -> bytes:
        held = self._held
        if len(held) < self._announced:
            return b""
        self.waits_for = "tag"
        for tag in _CLOSING_TAGS:
            found = held.find(tag, max(0, self._searched - len(tag)))
            if found >= 0:
                return self._finish(max(found + len(tag), self._announced))
        self._searched = len(held)
        return self.give_up() if not self._announced or len(held) > self._max_body else b""

    def _finish(self, length: int) -> bytes:
        self.waits_for = ""
        lines = [line for line in self._lines if _name(line) != b"connection"]
        lines += [b"Content-Length: %d" % length, b"Connection: close", b"", b""]
        body, self._held = bytes(self._held[:length]), bytearray()
        return b"\r\n".join(lines) + body

    def _pass(self) -> bytes:
        self.passing = True
        self.waits_for = ""
        held, self._held = bytes(self._held), bytearray()
        return held


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].rstrip().lower()
