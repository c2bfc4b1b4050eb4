"""Refuses web pages at a port that is for programs only.

Any page that a browser on this machine shows can send requests to ports of this machine. Two things
give it away: a browser says where a request comes from, and a page whose host name was made to point
here (DNS rebinding) names that host. Both are in the head, so nothing of the body is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import HttpVersion11, web

from .._util.hosts import host_header_is_ours
from .request_head import BROWSER_HEADERS

__all__ = ["OriginGuard"]

_log = logging.getLogger("asyncsamp.rpc")

_KNOWN = 64
"""Values of Host that are remembered as right, so that they need not be read again."""


class OriginGuard:
    """Tells programs from web pages.

    Args:
        host: Where the server listens, as `RpcServer` takes it.
    """

    def __init__(self, host: str) -> None:
        self._names = {"localhost", host.lower(), socket.gethostname().lower()} - {""}
        self._known: set[str] = set()
        self._told: set[str] = set()

    def check(self, request: web.BaseRequest) -> None:
        """Refuse a request by a web page, or to a host that is not this one.

        A missing Host is right in HTTP/1.0 (TOL-3), and no browser leaves it out.

        Args:
            request: The request; only its head is read.

        Raises:
            web.HTTPForbidden: It is by a web page, or to another host.
            web.HTTPBadRequest: HTTP/1.1, and not one Host is named.
        """
        headers = request.headers
        for name in headers:
            if name.lower() in BROWSER_HEADERS:
                raise self._refusal(
                    f"it has the header {name.title()}, which only browsers send; "
                    "web pages have a port of their own"
                )
        hosts = headers.getall("Host", ())
        if len(hosts) != 1 and (hosts or request.version >= HttpVersion11):
            raise web.HTTPBadRequest(text="a request names its Host once\n")
        for host in hosts:
            if request.transport is None or not self.allows(host, request.transport):
                raise self._refusal("its Host is not this machine")

    def allows(self, host: str, transport: asyncio.BaseTransport) -> bool:
        """Return whether `host` is this machine.

        Args:
            host: What a request names as its Host.
            transport: Where the request came.
        """
        if host in self._known:
            return True
        if not self._is_here(host, transport):
            return False
        if len(self._known) < _KNOWN:
            self._known.add(host)
        return True

    def _is_here(self, value: str, transport: asyncio.BaseTransport) -> bool:
        # Listening on all interfaces, this machine is whatever the caller has connected to.
        here = transport.get_extra_info("sockname")
        reached = "" if here is None else str(here[0])
        return host_header_is_ours(value, self._names, any_loopback=True, reached=reached)

    def _refusal(self, why: str) -> web.HTTPForbidden:
        # Once is enough: a page could fill the log. What it sent is never repeated.
        level = logging.DEBUG if why in self._told else logging.WARNING
        self._told.add(why)
        _log.log(level, "refused a request: %s", why)
        refusal = web.HTTPForbidden(text=f"this request is refused: {why}\n")
        refusal.force_close()
        return refusal
