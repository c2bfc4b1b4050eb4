"""XML-RPC servers of the standard library that answer a request each in a thread, for programs with own ones.

The hub and the clients of this package do not use them.
"""

from __future__ import annotations

import logging
import socketserver
from typing import Any
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from .constants import SAMP_ICON
from .utils import safe_xmlrpc_loads

__all__ = ["SAMPSimpleXMLRPCRequestHandler", "ThreadingXMLRPCServer"]

log = logging.getLogger("asyncsamp.client")


class SAMPSimpleXMLRPCRequestHandler(SimpleXMLRPCRequestHandler):
    """Serves XML-RPC by POST, without entities, and the icon by GET /samp/icon."""

    def do_GET(self) -> None:  # noqa: N802 (the name that http.server looks for)
        """Serve the icon."""
        if self.path != "/samp/icon":
            self.report_404()
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(SAMP_ICON)))
        self.end_headers()
        self.wfile.write(SAMP_ICON)

    def decode_request_content(self, data: bytes) -> bytes | None:
        """Return the request. Raises an error, which is answered with status 500, if it has entities."""
        decoded = super().decode_request_content(data)
        if decoded is not None:
            safe_xmlrpc_loads(decoded)
        return decoded


class ThreadingXMLRPCServer(socketserver.ThreadingMixIn, SimpleXMLRPCServer):
    """An XML-RPC server with a thread for each connection."""

    daemon_threads = True

    def __init__(
        self,
        addr: tuple[str, int],
        log: Any = None,
        requestHandler: type[SimpleXMLRPCRequestHandler] = SAMPSimpleXMLRPCRequestHandler,  # noqa: N803 (its old name)
        logRequests: bool = True,  # noqa: N803
        allow_none: bool = True,
        encoding: str | None = None,
    ) -> None:
        self.log = log
        SimpleXMLRPCServer.__init__(self, addr, requestHandler, logRequests, allow_none, encoding)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection."""
        (self.log or log).warning("a request of %s failed", client_address, exc_info=True)
