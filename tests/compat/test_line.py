"""asyncsamp.compat.line: calls from any thread, and connections that do not outlive `close`."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from asyncsamp.compat.line import Line
from asyncsamp.xmlrpc import dump_response


def test_a_connection_that_is_in_use_when_it_closes_is_closed_afterwards() -> None:
    asked, closed = threading.Event(), threading.Event()
    body = dump_response("answer")
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(body)

    def serve(listener: socket.socket) -> bytes:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65536)
            asked.set()
            assert closed.wait(10)
            connection.sendall(head + body)
            return connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as threads:
        serving = threads.submit(serve, listener)
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        calling = threads.submit(line.call, "method", [], 10.0)
        assert asked.wait(10)
        line.close()
        closed.set()
        assert calling.result(10) == "answer"
        assert serving.result(10) == b""
