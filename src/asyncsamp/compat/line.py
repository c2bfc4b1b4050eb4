"""XML-RPC calls in the thread that wants the answer, over connections that are kept.

The way through the shared event loop costs two changes of threads for each call; scripts that make
thousands of small calls feel that.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..rpc.pool import PeerPool
from ..rpc.response_parser import ResponseParser
from ..values import Value
from ..xmlrpc import Fault, dump_call, load_response
from .errors import SAMPProxyError

__all__ = ["Line"]

_LIMITS = Limits()
_PIECE = 1 << 16


class Line:
    """Calls methods at one URL; any number of threads may do so at once."""

    def __init__(self, url: str) -> None:
        self._pool = PeerPool(url)
        self._idle: list[socket.socket] = []
        self._closings = 0
        self._pid = os.getpid()

    def call(self, method: str, params: Sequence[Value], timeout: float | None) -> Value:
        """Call a method and return its result.

        Args:
            timeout: Seconds to wait for bytes of the answer; None waits for ever.

        Raises:
            SAMPProxyError: The peer answered with a fault.
            OSError: There is no answer: ConnectionRefusedError, TimeoutError, ConnectionError.
            RemoteProtocolError: The answer cannot be understood.
        """
        body = dump_call(method, params)
        request = b"%b%d\r\n\r\n%b" % (self._pool.head, len(body), body)
        answer = load_response(self._exchange(request, timeout))
        if isinstance(answer, Fault):
            raise SAMPProxyError(answer.code, answer.text)
        return answer

    def close(self) -> None:
        """Close the connections, those in use once their answer has come; a later call opens a new one."""
        self._closings += 1
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, request: bytes, timeout: float | None) -> bytes:
        if self._pid != os.getpid():  # the connections are the parent's
            self._idle, self._pid = [], os.getpid()
        closings = self._closings
        while True:
            kept = self._kept()
            connection = kept or socket.create_connection((self._pool.host, self._pool.port), timeout=30.0)
            reader = ResponseParser(_LIMITS.max_body)
            whole = False
            try:
                connection.settimeout(timeout)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request)
                while not whole:
                    data = connection.recv(_PIECE)
                    whole = reader.feed(data) if data else _ended(reader, connection)
            except ConnectionError as error:
                if kept is not None and not reader.started and not isinstance(error, _UnansweredError):
                    continue  # it was closed as idle just now, and never read the request
                raise
            finally:
                if whole and reader.keep is not False:
                    self._idle.append(connection)
                    if closings != self._closings:  # another thread has closed meanwhile
                        self._close_idle()
                else:
                    connection.close()
            return reader.body

    def _kept(self) -> socket.socket | None:
        """Return a kept connection that its peer has not closed."""
        while self._idle:
            connection = self._idle.pop()
            connection.settimeout(0.0)
            with suppress(BlockingIOError):
                connection.recv(1)  # a byte, or the end, that nobody asked for
                connection.close()
                continue
            return connection
        return None


class _UnansweredError(ConnectionError):
    """The peer has read a request, and did not answer: it may have done what was asked."""


def _ended(reader: ResponseParser, connection: socket.socket) -> bool:
    if reader.feed_eof():
        return True
    if reader.started:
        raise RemoteProtocolError("the connection ended before the answer was complete")
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # by the reset of who closed before
        raise ConnectionResetError("the connection had ended before the request came")
    raise _UnansweredError("the connection ended before the answer came")
