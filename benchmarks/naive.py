"""Clients as one writes them with Python's own library: http.server with HTTP/1.1, and two writes an answer.

`python -m benchmarks.naive LOCKFILE SECONDS` prints a line of JSON: the median time of callAndWait every
10 ms to such a client, and the time of a callAll of 50 pings to four of them.
"""

from __future__ import annotations

import json
import queue
import statistics
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any
from xmlrpc.client import ServerProxy, dumps, loads

_MTYPE = "test.naive"
_MESSAGE = {"samp.mtype": _MTYPE, "samp.params": {}}
_PINGS = 50


class NaiveClient:
    """A client that answers each call at once, in a thread of its own."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        info: Any = ServerProxy(url).samp.hub.register(secret)
        self.key, self.id = info["samp.private-key"], info["samp.self-id"]
        self.responses: queue.Queue[str] = queue.Queue()
        self._calls: queue.Queue[str | None] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        threading.Thread(target=self._reply, daemon=True).start()
        hub = ServerProxy(url).samp.hub
        hub.setXmlrpcCallback(self.key, f"http://127.0.0.1:{self._server.server_address[1]}/")
        hub.declareSubscriptions(self.key, {_MTYPE: {}})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        client = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                params, method = loads(self.rfile.read(int(self.headers["Content-Length"])))
                if method == "samp.client.receiveCall":
                    client._calls.put(str(params[2]))
                elif method == "samp.client.receiveResponse":
                    client.responses.put(str(params[1]))
                body = dumps(("",), methodresponse=True).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Connection", "keep-alive")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def _reply(self) -> None:
        hub = ServerProxy(self._url).samp.hub
        while (msg_id := self._calls.get()) is not None:
            hub.reply(self.key, msg_id, {"samp.status": "samp.ok", "samp.result": {}})

    def leave(self) -> None:
        """Unregister, and end."""
        ServerProxy(self._url).samp.hub.unregister(self.key)
        self._calls.put(None)
        self._server.shutdown()


def main() -> None:
    """Measure, and print the outcome."""
    lockfile, seconds = sys.argv[1], float(sys.argv[2])
    text = Path(lockfile).read_text(encoding="utf-8")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    url, secret = lines["samp.hub.xmlrpc.url"].replace("\\", ""), lines["samp.secret"]
    clients = [NaiveClient(url, secret) for _ in range(5)]
    sender, receiver = clients[:2]
    hub = ServerProxy(url).samp.hub
    times = []
    begun = perf_counter()
    while perf_counter() - begun < seconds:
        time.sleep(0.01)
        at = perf_counter()
        hub.callAndWait(sender.key, receiver.id, _MESSAGE, "10")
        times.append(perf_counter() - at)
    begun = perf_counter()
    for number in range(_PINGS):
        hub.callAll(sender.key, f"t{number}", _MESSAGE)
    for _ in range(_PINGS * (len(clients) - 1)):
        sender.responses.get(timeout=30)
    burst = perf_counter() - begun
    for client in clients:
        client.leave()
    print(json.dumps({"p50": 1000 * statistics.median(times), "burst": burst}))


if __name__ == "__main__":
    main()
