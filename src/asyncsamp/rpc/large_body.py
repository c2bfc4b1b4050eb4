"""A large body that is read straight into its place: no copy of each piece, and few turns of the loop."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["LargeBody", "Reader"]


class Reader(Protocol):
    """Whose body it is: the protocol that has the connection before and afterwards."""

    def body_has_come(self, body: bytes) -> None:
        """Take the body, which is whole, and the connection."""
        ...

    def eof_received(self) -> bool:
        """The peer has ended its side."""
        ...

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end of the connection."""
        ...


class LargeBody(asyncio.BufferedProtocol):
    """The protocol of a connection while the body of one request comes.

    Args:
        reader: Gets the body, and hears of an end before it.
        length: Bytes of the body. Memory is used as they come.
    """

    def __init__(self, reader: Reader, length: int) -> None:
        self._reader = reader
        self._bytes = bytearray(length)
        self._view = memoryview(self._bytes)
        self._come = 0
        self._seen = 0

    def take(self, data: bytes) -> None:
        """Take bytes that came before the transport knew of the place; never more than there is room."""
        self._view[self._come : self._come + len(data)] = data
        self.buffer_updated(len(data))

    def moved(self) -> bool:
        """Whether anything has come since it was last asked."""
        seen, self._seen = self._seen, self._come
        return self._come > seen

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the place for what comes next."""
        return self._view[self._come :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of what has come."""
        self._come += nbytes
        if self._come == len(self._bytes):
            self._view.release()
            body, self._bytes = bytes(self._bytes), bytearray()
            self._reader.body_has_come(body)

    def eof_received(self) -> bool:
        """The peer has ended its side, and the body is not whole."""
        return self._reader.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._reader.connection_lost(exc)
