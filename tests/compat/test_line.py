"""asyncsamp.compat.line: calls from any thread, and connections that do not outlive `close`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from asyncsamp.compat.line import Line
from asyncsamp.xmlrpc import dump_response


def test_a_connection_that_is_in_use_when_it_closes_is_closed_afterwards() -> None:
    asked, closed = threading.Event(), threading.Event()
    body = dump_response("answer")
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(body)

    def serve(listener: socket.socket) -> bytes:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(65536)
            asked.set()
            assert closed.wait(30)
            connection.sendall(head + body)
            return connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as threads:
        serving = threads.submit(serve, listener)
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        calling = threads.submit(line.call, "method", [], 30.0)
        assert asked.wait(30)
        line.close()
        closed.set()
        assert calling.result(30) == "answer"
        assert serving.result(30) == b""


@pytest.mark.parametrize("reads", [True, False])
def test_what_a_hub_has_read_is_not_said_again(reads: bool) -> None:
    """It may have done what was asked; one that closed before it read has not."""
    body = dump_response("answer")
    answer = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    asked, closed, came = threading.Event(), threading.Event(), []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            came.append(connection.recv(65536))
            connection.sendall(answer)
            if reads:
                came.append(connection.recv(65536))
            else:
                assert asked.wait(30)
        closed.set()
        listener.settimeout(1.0 if reads else 30.0)
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            with connection:
                came.append(connection.recv(65536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        listener.settimeout(30.0)
        serving = threads.submit(serve, listener)
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert line.call("first", [], 30.0) == "answer"
        if reads:
            with pytest.raises(ConnectionError, match="before the answer came"):
                line.call("second", [], 30.0)
        else:
            line._kept = _once_closed(line._kept, asked, closed)  # type: ignore[method-assign]
            assert line.call("second", [], 30.0) == "answer"
        serving.result(50)
        line.close()
    assert sum(b"second" in request for request in came) == 1


def _once_closed(
    kept: Callable[[], socket.socket | None], asked: threading.Event, closed: threading.Event
) -> Callable[[], socket.socket | None]:
    """Take a connection as one that is there, and let its peer close it before anything is sent."""

    def take() -> socket.socket | None:
        connection = kept()
        asked.set()
        assert closed.wait(30)
        return connection

    return take
