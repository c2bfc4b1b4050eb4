"""What browsers want to see before a page may read an answer (WEB-40..45, WEB-63, WEB-81)."""

from __future__ import annotations

import re

from aiohttp import web

from ...._util.hosts import host_header_is_ours

__all__ = [
    "POLICY_FILES",
    "cors_headers",
    "host_is_ours",
    "may_be_called",
    "origin_of",
    "policy_response",
    "preflight",
    "valid_origin",
]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[0-9A-Za-z._~%:\[\]-]{1,255}", re.IGNORECASE)
_HOSTS = ("localhost", "127.0.0.1", "[::1]")

MAX_AGE = "7200"
"""Seconds that a preflight holds: Chromium's ceiling. Without it, each call later than 5 s costs one more."""

_EXPOSED = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"

POLICY_FILES: dict[str, tuple[str, str]] = {
    "/crossdomain.xml": (
        "text/x-cross-domain-policy",
        '<?xml version="1.0"?>\n<cross-domain-policy>'
        '<site-control permitted-cross-domain-policies="all"/>'
        '<allow-access-from domain="*"/>'
        '<allow-http-request-headers-from domain="*" headers="*"/>'
        "</cross-domain-policy>\n",
    ),
    "/clientaccesspolicy.xml": (
        "text/xml",
        '<?xml version="1.0"?>\n<access-policy><cross-domain-access><policy>'
        '<allow-from><domain uri="*"/></allow-from>'
        '<grant-to><resource path="/" include-subpaths="true"/></grant-to>'
        "</policy></cross-domain-access></access-policy>\n",
    ),
}
"""For Flash and Silverlight, both long dead (WEB-44, WEB-45)."""


def origin_of(request: web.BaseRequest) -> str | None:
    """Return the Origin of the page, "" if none is told, None if it has no form that browsers send.

    A page from a file, or in a sandbox, has the Origin "null"; one from a file in a program that is built
    on a browser (Electron, Qt WebEngine) has "file://".
    """
    return valid_origin(request.headers.get("Origin", ""))


def valid_origin(origin: str) -> str | None:
    """Return an origin in lower case, None if it has no form that browsers send."""
    origin = origin.strip()
    known = origin.lower() in ("", "null", "file://")
    return origin.lower() if known or _ORIGIN.fullmatch(origin) else None


def host_is_ours(request: web.BaseRequest, port: int) -> bool:
    """Whether the request was meant for this machine by name: against DNS rebinding (WEB-63).

    Programs older than HTTP/1.1 send no Host; browsers always do.
    """
    return may_be_called(request.headers.get("Host"), port)


def may_be_called(host: str | None, port: int) -> bool:
    """Whether a request with that Host, None for none, is for the Web Profile at `port`."""
    return host is None or host_header_is_ours(host, _HOSTS, port=port)


def cors_headers(request: web.BaseRequest) -> dict[str, str]:
    """Return the headers that let the page, whichever it is, read the answer.

    It is the user's consent that keeps pages out, not these (WEB-43).
    """
    origin = request.headers.get("Origin", "").strip()
    if not origin or origin_of(request) is None:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }


def preflight(request: web.BaseRequest) -> web.Response:
    """Answer the browser's question whether the page may ask (WEB-41, WEB-42, WEB-81)."""
    headers = cors_headers(request)
    headers["Access-Control-Allow-Methods"] = "POST, GET, HEAD, OPTIONS"
    headers["Access-Control-Allow-Headers"] = "Content-Type, Range, If-Range, Accept, Cache-Control, Pragma"
    headers["Access-Control-Max-Age"] = MAX_AGE
    if request.headers.get("Access-Control-Request-Private-Network", "").lower() == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(headers=headers)


def policy_response(path: str) -> web.Response:
    """Return the policy file at `path`, one of `POLICY_FILES`."""
    kind, text = POLICY_FILES[path]
    return web.Response(body=text.encode(), headers={"Content-Type": kind})
