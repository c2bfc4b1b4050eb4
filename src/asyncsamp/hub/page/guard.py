"""Who may see the hub's page, and what a browser is told to refuse.

The link that is printed has a one-time token in its fragment, which browsers neither send nor log. The page
posts it once, and gets two secrets for it: a cookie that pages of other sites cannot make the browser send,
and a key, which the page sends with each request and which stays with this host *and port* (a cookie goes to
every port of the host). Whoever lacks one of them gets nothing but the page's own empty files.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from ..._util.hosts import host_header_is_ours

__all__ = ["HEADERS", "KEY_HEADER", "PageGuard"]

KEY_HEADER = "X-Asyncsamp-Page"

_MAX_SESSIONS = 20
"""Browsers that may have the page open; the oldest session ends when there is one more."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageGuard:
    """The tokens and sessions of one page."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._sessions: dict[str, str] = {}  # cookie -> key
        self.port = 0

    @property
    def sessions(self) -> dict[str, str]:
        """The key that belongs to each cookie."""
        return dict(self._sessions)

    def restore(self, sessions: dict[str, str]) -> None:
        """Take in the sessions of an earlier run at the same port."""
        self._sessions = dict(sessions)

    def new_token(self) -> str:
        """Return a token that opens the page once."""
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return token

    def check_place(self, request: web.BaseRequest) -> None:
        """Refuse what was meant for another host (rebinding), or comes from another site's page.

        Raises:
            aiohttp.web.HTTPForbidden: It was, or does.
        """
        host = request.headers.get("Host", "").lower()
        if not host_header_is_ours(host, ("127.0.0.1", "localhost"), port=self.port):
            raise web.HTTPForbidden(text="the hub's page is called 127.0.0.1 or localhost, with its port\n")
        origin = request.headers.get("Origin")
        if origin is None and request.method == "POST":
            raise web.HTTPForbidden(text="a POST needs the Origin of the hub's page\n")
        if origin is not None and origin.lower() != f"http://{host}":
            raise web.HTTPForbidden(text="other pages have no access to the hub's page\n")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="other pages have no access to the hub's page\n")

    def open_session(self, token: object) -> tuple[str, str]:
        """Use `token` up.

        Returns:
            The value of a Set-Cookie header, and the key.

        Raises:
            aiohttp.web.HTTPForbidden: The token is not valid, or was used before.
        """
        if not isinstance(token, str) or token not in self._tokens:
            raise web.HTTPForbidden(text="this link was used before, or is not valid; make a new one\n")
        self._tokens.discard(token)
        while len(self._sessions) >= _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        cookie, key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._sessions[cookie] = key
        return f"{self._cookie_name}={cookie}; HttpOnly; Path=/; SameSite=Strict", key

    def check_session(self, request: web.BaseRequest) -> None:
        """Refuse who has no session.

        Raises:
            aiohttp.web.HTTPUnauthorized: The cookie or the key is missing or wrong.
        """
        key = self._sessions.get(request.cookies.get(self._cookie_name, ""))
        shown = request.headers.get(KEY_HEADER, "")
        if key is None or not secrets.compare_digest(key.encode(), shown.encode(errors="replace")):
            raise web.HTTPUnauthorized(text="open the hub's page by the link that the hub has printed\n")

    @property
    def _cookie_name(self) -> str:
        return f"asyncsamp-page-{self.port}"
