"""The Web Profile's server: port 21012, requests, consent, callbacks (SAMP 1.3 §5)."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from urllib.parse import unquote

from aiohttp import web

from ...._util.hosts import is_loopback_number
from ....errors import FaultCode
from ....interfaces import Engine
from ....rpc import RpcServer, answer, fault_response
from ...mtype_limits import WEB_MTYPES, MTypeLimits
from ...permissions import Permission, Permissions, default_path
from .consent import AskingConsent, Consent, Gate
from .cors import POLICY_FILES, cors_headers, host_is_ours, origin_of, policy_response, preflight
from .plain import PlainCallers
from .request import TRANSLATOR, UPLOAD, WebRequest
from .service import WebService
from .terminal_consent import TerminalConsent
from .translator import Translator
from .uploads import Uploads
from .window import WINDOW_FILES, page_of, window_file

__all__ = ["PORT", "WebProfile"]

log = logging.getLogger("asyncsamp.hub")

PORT = 21012
"""The fixed port by which pages find the hub (WEB-1)."""

_END_TIME = 0.5
"""Seconds that requests under way have to end when the hub stops."""


class WebProfile:
    """Serves web pages, and programs that speak as they do, with their user's consent.

    If the port is taken the hub runs without the profile, which tries again until it is free.

    Args:
        consent: Who is asked before a page may register; by default the user, on the terminal.
        port: 21012 wherever pages are to find it; 0 means any.
        mtypes: What web clients may send without a question (WEB-60); None lifts the limit.
        rewrite_urls: Whether pages are shown the `file:` and loopback URLs of messages as ones that they can
            read.
        policy_files: Whether to serve what Flash and Silverlight ask for.
        store: Where the answer "always" is kept; by default in a file in the user's config folder.
        more: Who is asked, once for each registration, when a registered page wants more than it may, such as
            to send commands. By default that is `consent`, if it is an `AskingConsent`; without one the
            answer is no.
    """

    def __init__(
        self,
        *,
        consent: Consent | None = None,
        port: int = PORT,
        mtypes: Iterable[str] | None = WEB_MTYPES,
        rewrite_urls: bool = True,
        policy_files: bool = False,
        store: Permissions | None = None,
        more: Consent | None = None,
    ) -> None:
        self._consent = consent or TerminalConsent()
        self._asked_port = port
        self._mtypes = None if mtypes is None else MTypeLimits(mtypes)
        self._rewrite_urls = rewrite_urls
        self._policy_files = policy_files
        self._more = more or (self._consent if isinstance(self._consent, AskingConsent) else None)
        self._store = store or Permissions(default_path())
        self._service: WebService | None = None
        self._server: RpcServer | None = None
        self._translator: Translator | None = None
        self._uploads: Uploads | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._serving = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the profile serves; not while its port is taken."""
        return self._server is not None

    @property
    def permissions(self) -> Permissions:
        """What its user has decided for good."""
        return self._store

    @property
    def port(self) -> int:
        """The port that it serves, or tries to."""
        return self._asked_port if self._server is None else self._server.port

    @property
    def url(self) -> str:
        """The endpoint, for programs; pages may also call it localhost or [::1]."""
        return f"http://127.0.0.1:{self.port}/"

    async def start(self, engine: Engine) -> None:
        """Bind the port and serve; if it is taken, say so and go on trying.

        If it is cancelled, nothing is left open.

        Args:
            engine: The hub.
        """
        await self._store.refresh()
        gate = Gate(self._consent, self._store, engine.limits.web_consent_timeout, self._more)
        self._uploads = Uploads(engine.limits)
        self._service = WebService(
            engine, gate, self._uploads.forget, mtypes=self._mtypes, rewrite_urls=self._rewrite_urls
        )
        self._translator = Translator(engine.own_ports)
        try:
            await self._bind(engine)
        except OSError as error:
            log.warning("no Web Profile as long as its port %d is taken (%s)", self._asked_port, error)
            retry = self._retry(engine)
            self._retrying = asyncio.get_running_loop().create_task(retry, name="asyncsamp-web-port")

    async def wait_serving(self) -> None:
        """Return once the profile serves. Cancelling is safe."""
        await self._serving.wait()

    async def stop(self) -> None:
        """End questions, pulls and connections, within a second or so. If it is cancelled, call it again."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)
            self._retrying = None
        if self._service is not None:
            self._service.stop()
        server, self._server = self._server, None
        self._serving.clear()
        if server is not None:
            await server.close(_END_TIME)
        if self._translator is not None:
            await self._translator.close()
        if self._uploads is not None:
            await self._uploads.close()

    async def _bind(self, engine: Engine) -> None:
        try:
            await self._bind_hosts(engine, ("127.0.0.1", "::1"))
        except OSError as error:
            # A machine without IPv6 is well served without.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            await self._bind_hosts(engine, ("127.0.0.1",))

    async def _bind_hosts(self, engine: Engine, hosts: Sequence[str]) -> None:
        assert self._service is not None
        server = RpcServer(
            self._handle,
            hosts=hosts,
            port=self._asked_port,
            max_body=engine.limits.max_body,
            plain=PlainCallers(self._service, lambda: self.port),
            name="web",
        )
        try:
            await server.start()
        except BaseException:
            await server.close(0)
            raise
        engine.own_ports.add(server.port)
        self._server = server
        self._asked_port = server.port  # where its clients look for it when it is started again
        self._serving.set()
        log.info("Web Profile at port %d", server.port)

    async def _retry(self, engine: Engine) -> None:
        while self._server is None:
            await asyncio.sleep(engine.limits.web_port_retry)
            try:
                await self._bind(engine)
            except OSError as error:
                log.debug("the port of the Web Profile is still taken: %s", error)

    # ---- requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = cors_headers(request)
        refusal = self._refusal(request)
        if request.method == "POST" and not request.raw_path.startswith(UPLOAD):
            if refusal:
                return fault_response(request, FaultCode.NOT_ALLOWED, refusal, headers)
            return await self._post(request, headers)
        try:
            if refusal:
                raise web.HTTPForbidden(text=refusal + "\n")
            if request.method == "OPTIONS":
                return preflight(request)
            if request.method == "POST":
                return await self._upload(request, headers)
            return await self._get(request, headers)
        except web.HTTPException as error:
            error.headers.update(headers)
            raise

    def _refusal(self, request: web.BaseRequest) -> str:
        """Return why the request is refused whatever it says, "" if it is not (WEB-50, WEB-63)."""
        peer = request.transport and request.transport.get_extra_info("peername")
        if peer and not is_loopback_number(str(peer[0])):
            return "the Web Profile serves this machine only"
        if not host_is_ours(request, self.port):
            return "the Web Profile is called localhost, 127.0.0.1 or [::1], with its port"
        if origin_of(request) is None:
            return "the Origin of the page has no form that browsers send"
        return ""

    async def _get(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        path, _, tail = request.raw_path.partition("?")
        if request.method not in ("GET", "HEAD"):
            text = "this is the Web Profile of a SAMP hub: POST XML-RPC, or GET by the URL translator\n"
            raise web.HTTPMethodNotAllowed(request.method, ["POST", "GET", "HEAD", "OPTIONS"], text=text)
        if self._policy_files and path in POLICY_FILES:
            return policy_response(path)
        if path in WINDOW_FILES:
            return await window_file(path)
        if not path.startswith(TRANSLATOR):
            raise web.HTTPNotFound(text="this is the Web Profile of a SAMP hub; there are no pages here\n")
        assert self._service is not None
        assert self._translator is not None
        page = self._service.page_of_token(path[len(TRANSLATOR) :])
        if page is None:
            raise web.HTTPForbidden(text="the URL translator knows no such token, or not any more\n")
        await self._store.refresh(now=False)
        if not self._service.may(page, Permission.READ):
            raise web.HTTPForbidden(text="the user lets this web page read no files and URLs\n")
        url = page.urls.resolve(tail)
        if url is None:
            raise web.HTTPForbidden(text="only URLs that others have sent to this client are read for it\n")
        page.request_begins()
        try:
            closed = partial(page.urls.closes_file, url)
            return await self._translator.serve(request, url, headers, closed)
        finally:
            page.request_ends(broken=request.transport is None or request.transport.is_closing())

    async def _upload(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """Keep what a registered page posts, and answer with its URL."""
        assert self._service is not None
        assert self._uploads is not None
        token, _, name = request.raw_path.partition("?")[0].removeprefix(UPLOAD).partition("/")
        page = self._service.page_of_token(token)
        if page is None:
            raise web.HTTPForbidden(text="the hub knows no such upload token, or not any more\n")
        await self._store.refresh(now=False)
        if not self._service.may(page, Permission.UPLOAD):
            raise web.HTTPForbidden(text="the user lets this web page upload nothing\n")
        page.request_begins()
        try:
            answered = await self._uploads.take(page, unquote(name), request)
        finally:
            page.request_ends(broken=request.transport is None or request.transport.is_closing())
        if "url" in answered:
            page.urls.to_page([answered["url"]])  # the page may name it: it is not somebody else's
        return web.json_response(answered, headers=headers)

    async def _post(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        assert self._service is not None
        host = request.headers.get("Host") or f"127.0.0.1:{self.port}"
        origin, referer = page_of(request)
        exchange = WebRequest(
            self._service,
            f"http://{host}",
            lambda: request.transport,
            origin=origin,
            referer=referer,
        )
        try:
            try:
                response = await answer(
                    request, exchange.dispatch, paths=None, headers=headers, admit=self._service.admits
                )
            except web.HTTPException as refusal:
                # On any other status than 200 samp.js hangs.
                text = (refusal.text or "the request cannot be read").strip()
                response = fault_response(request, FaultCode.MALFORMED, text, headers)
                response.force_close()
            if exchange.is_filled_pull and exchange.alive:
                # Here and now, so as to know whether it went out.
                await response.prepare(request)
                await response.write_eof()
                exchange.written()
            exchange.answered()
        finally:
            exchange.end()
        return response
