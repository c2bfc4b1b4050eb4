"""A window of the hub's own, for pages that the browser does not let call the hub themselves.

A page opens it by a click, and hands it its requests. The window is of the hub's own origin; so it says whose
requests they are, and only what it says counts: no page can send its Origin.
"""

from __future__ import annotations

import asyncio
from importlib import resources

from aiohttp import web

from .cors import origin_of, valid_origin

__all__ = ["WINDOW_FILES", "page_of", "window_file"]

WINDOW_FILES = {"/window": ("window.html", "text/html"), "/window.js": ("window.js", "text/javascript")}

_PAGE_HEADER = "X-Samp-Page"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


async def window_file(path: str) -> web.Response:
    """Return one of `WINDOW_FILES`. Cancelling is safe.

    Args:
        path: Which.
    """
    name, kind = WINDOW_FILES[path]
    source = resources.files(__package__).joinpath("files", name)
    text = await asyncio.to_thread(source.read_text, encoding="utf-8")
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=_HEADERS)


def page_of(request: web.BaseRequest) -> tuple[str, str]:
    """Return the origin of the page that a request is of, and the page itself as the browser tells.

    Args:
        request: The request, whose Host is ours.
    """
    origin = origin_of(request) or ""
    told = request.headers.get(_PAGE_HEADER)
    if told is None or origin.lower() != f"http://{request.headers.get('Host', '')}".lower():
        return origin, request.headers.get("Referer", "")
    return valid_origin(told) or "null", ""
