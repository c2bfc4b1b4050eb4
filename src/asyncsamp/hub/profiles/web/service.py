"""The clients of the Web Profile: registering, operations, callbacks (WEB-10..28)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

from ...._util.socket_table import another_user
from ...._util.threads import values_of
from ....delivery import DeliverNotification, Delivery, DeliveryError
from ....errors import FaultCode, FaultError, RemoteProtocolError
from ....interfaces import PAGE_LEFT, Engine
from ....rpc import encode_value, is_large
from ....values import RawMap, Response, Value, ValueMap, as_bool
from ....xmlrpc import Encoded
from ...mtype_limits import MTypeLimits
from ...named import absolute_paths, find_names
from ...opened import identities
from ...permissions import Permission
from ...texts import find_urls, replace_texts
from ..keys import WEB, new_key, shown_keys
from .callback_queue import SitePulls
from .consent import ConsentQuestion, Gate, make_question
from .page_permissions import PagePermissions, command_wanted
from .request import WebRequest
from .sites import site_of
from .urls import WebUrls
from .web_client import Page

__all__ = ["WebService"]

log = logging.getLogger("asyncsamp.hub")

_PREFIX = "samp.webhub"
UPLOAD_KEY = "x-asyncsamp.upload"
"""Where a web client may upload data: POST to this URL with the name of the data behind it."""

_SUBSCRIPTIONS_EVENT = "samp.hub.event.subscriptions"

_LAST_WORDS = ("samp.hub.disconnect", "samp.hub.event.shutdown")
"""What the hub says to a page that is forgotten once it has been told."""


class WebService:
    """Knows the keys, tokens and callback queues of web clients, and is their `Courier`.

    The engine knows public ids only. `forgotten` is called with the id of each that has left. `mtypes`
    limits what web clients may send without being asked about, None for no limit.
    """

    def __init__(
        self,
        engine: Engine,
        gate: Gate,
        forgotten: Callable[[str], None],
        *,
        mtypes: MTypeLimits | None,
        rewrite_urls: bool,
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._forgotten = forgotten
        self._harmless = mtypes or MTypeLimits()
        self._any_mtype = mtypes is None
        self._rewrite_urls = rewrite_urls
        self._pages: dict[str, Page] = {}  # public id -> page
        self._may: dict[str, PagePermissions] = {}  # by public id, as the pages
        self._keys: dict[str, Page] = {}
        self._tokens: dict[str, Page] = {}
        self._sites: dict[str, SitePulls] = {}
        self._asking: set[asyncio.Timeout] = set()
        self._stopping = False
        self._end = gate.permissions.observe(self._permissions_changed)

    def page_of_token(self, token: str) -> Page | None:
        """Return the client whose URL translator has `token`."""
        return self._tokens.get(token)

    def may(self, page: Page, permission: Permission) -> bool:
        """Whether a registered page may do that, without a question."""
        may = self._may.get(page.client)
        return may is not None and may.may(permission)

    def stop(self) -> None:
        """End questions and pulls."""
        self._stopping = True
        self._end()
        now = asyncio.get_running_loop().time()
        for scope in self._asking:
            scope.reschedule(now)
        for page in list(self._pages.values()):
            page.close()

    # ---- from the clients

    def admits(self, begun: bytes) -> bool:
        """Whether the key of a registered page stands at the beginning of a request."""
        return any(key in self._keys for key in shown_keys(begun))

    async def dispatch(self, exchange: WebRequest, method: str, params: list[Value]) -> Value | Encoded:
        """Do what one request asks for. Raises `FaultError`."""
        prefix, _, operation = method.rpartition(".")
        if prefix != _PREFIX and method != PAGE_LEFT:
            text = f"there is no method {method[:80]!r}; the Web Profile's begin with {_PREFIX}."
            raise FaultError(text, code=FaultCode.UNKNOWN_METHOD)
        if operation == "ping":
            return ""  # with a key or without, registered or not (WEB-10)
        if operation == "register":
            if self._stopping:
                raise _stopping()
            return await self._register(exchange, params)
        page = self._caller(operation, params)
        exchange.made_by(page, pull=operation == "pullCallbacks")
        if method == PAGE_LEFT:
            page.leaves()
            return ""
        match operation:
            case "allowReverseCallbacks":
                return await self._allow_callbacks(page, params[1:])
            case "pullCallbacks":
                return await self._pull(exchange, page, params[1:])
            case _:
                return await self._operate_for_page(page, operation, params[1:])

    async def _register(self, exchange: WebRequest, params: Sequence[Value]) -> ValueMap:
        identity = params[0] if len(params) == 1 else None
        name = identity.get("samp.name") if isinstance(identity, dict) else identity
        if not isinstance(name, str) or not name.strip():
            raise _bad("register takes one map with samp.name, the name of the application (WEB-15)")
        self._check_room()
        question = make_question(name, exchange.origin, exchange.referer, exchange.address)
        await self._until_the_end(
            self._gate.admit(question, lambda: _refuse_another_user(exchange, question))
        )
        self._check_room()
        client = self._engine.register(self, _nothing_yet, question.origin)
        key, token = new_key(WEB), secrets.token_urlsafe(24)
        translator = f"{exchange.translator}{token}?"
        urls = WebUrls(translator, exchange.origin, self._engine.named, rewrite=self._rewrite_urls)
        page = Page(client, key, token, urls, self._engine.limits, self._vanished)
        self._pages[client] = self._keys[key] = self._tokens[token] = page
        self._may[client] = PagePermissions(self._gate, self._harmless, self._any_mtype, question)
        self._permit(client)
        log.info("web client %s is %r of %s", client, question.name, question.origin or "no origin")
        return {
            "samp.hub-id": self._engine.hub_id,
            "samp.self-id": client,
            "samp.private-key": key,
            "samp.url-translator": translator,
            UPLOAD_KEY: f"{exchange.upload}{token}/",
        }

    def _check_room(self) -> None:
        most = self._engine.limits.max_web_clients
        if len(self._pages) >= most:
            raise _refused(f"the hub takes no more than {most} web clients")

    def _caller(self, operation: str, params: Sequence[Value]) -> Page:
        key = params[0] if params else None
        page = self._keys.get(key) if isinstance(key, str) else None
        if page is not None:
            return page
        if key is None:
            raise _bad(f"{operation[:80]} takes the private key as its first parameter")
        raise FaultError(
            "the private key is not known, or not any more; register again", code=FaultCode.NOT_REGISTERED
        )

    async def _operate_for_page(self, page: Page, operation: str, params: Sequence[Value]) -> Value:
        restored = [item if isinstance(item, str) else await _restored(page, item) for item in params]
        await self._gate.permissions.refresh(now=False)
        may = self._may[page.client]
        wanted = await command_wanted(self._engine, page.client, may, operation, restored)
        if wanted:
            await self._until_the_end(may.ask_for(Permission.COMMAND, wanted))
        result = await self._engine.operate(page.client, operation, restored)
        if operation == "getSubscriptions" and isinstance(result, dict) and restored[0] != page.client:
            result = may.visible(result)
        return result if isinstance(result, str) else await _translated(page, result)

    async def _until_the_end(self, asking: Awaitable[object]) -> None:
        """Wait for an answer of the user's. Raises `FaultError` when the hub stops."""
        try:
            async with asyncio.timeout(None) as scope:
                self._asking.add(scope)
                await asking
        except TimeoutError:
            raise _stopping() from None
        finally:
            self._asking.discard(scope)

    def _permit(self, client: str) -> None:
        may = self._may[client]
        self._engine.permit(client, may.may_send, may.may(Permission.RECEIVE))

    def _permissions_changed(self) -> None:
        for client, may in self._may.items():
            may.follow()
            self._permit(client)

    # ---- callbacks

    async def _allow_callbacks(self, page: Page, params: Sequence[Value]) -> str:
        try:
            (allow,) = params
            allowed = as_bool(allow)
        except (ValueError, RemoteProtocolError):
            raise _bad("allowReverseCallbacks takes a SAMP boolean, 0 or 1") from None
        page.allows_callbacks = allowed
        self._engine.set_callable(page.client, allowed)
        if not allowed:
            for msg_id in page.pulls.clear():
                refused = Response.failure("the page has stopped taking calls").to_map()
                with contextlib.suppress(FaultError):  # its caller may have given up
                    await self._engine.operate(page.client, "reply", [msg_id, refused])
        return ""

    async def _pull(self, exchange: WebRequest, page: Page, params: Sequence[Value]) -> Encoded:
        if len(params) != 1:
            raise _bad("pullCallbacks takes a timeout, in seconds")
        if not page.allows_callbacks:
            raise _bad("there are no callbacks to pull: call allowReverseCallbacks first (WEB-25)")
        timeout = self._poll_time(params[0])
        site = self._site(page, exchange.origin)
        pull = object()
        if site is not None and timeout > 0:
            site.enter(pull, page.pulls.release)
        try:
            with self._engine.listening(page.client):
                batch = await page.pulls.begin(timeout, lambda: exchange.alive)
        finally:
            if site is not None:
                site.leave(pull)
        if batch is None:
            return _array(())  # nobody is there to read it
        exchange.answers_pull(page.pulls)
        return _array(batch)

    def _poll_time(self, timeout: Value) -> float:
        """Read the timeout of a pull: a negative one means without limit, 0 without a wait (WEB-24)."""
        try:
            seconds = float(timeout) if isinstance(timeout, str) and len(timeout) < 40 else float("nan")
        except ValueError:
            seconds = float("nan")
        if seconds != seconds:
            raise _bad("pullCallbacks: the timeout is not a number of seconds")
        most = self._engine.limits.web_poll
        return most if seconds < 0 else min(seconds, most)

    def _site(self, page: Page, origin: str) -> SitePulls | None:
        """Return the pulls of the page's site; a program keeps its connections as it likes."""
        if not origin:
            return None
        page.site = site_of(origin)
        site = self._sites.setdefault(page.site, SitePulls(self._engine.limits))
        site.pages.add(page.client)
        return site

    def _leave_site(self, page: Page) -> None:
        site = self._sites.get(page.site)
        if site is not None:
            site.pages.discard(page.client)
            if not site.pages:
                del self._sites[page.site]

    # ---- to the clients

    async def deliver(self, delivery: Delivery) -> None:
        """Put a callback into the client's queue. Raises `DeliveryError` if it is full."""
        page = self._pages.get(delivery.recipient)
        if page is None or not page.allows_callbacks:
            raise DeliveryError("it takes no callbacks")
        operation, params = delivery.callback()
        content = params.pop()
        assert isinstance(content, dict | RawMap)
        values = await values_of(content)
        told = self._shown(page, delivery, values) if isinstance(delivery, DeliverNotification) else values
        strings = [str(param) for param in params]
        await _put(page, operation, *strings, await _translated(page, told))
        if self._is_last_word(delivery):
            # It may be between two pulls. The engine bounds this wait, and forgets the client after it.
            await page.pulls.emptied()

    def _is_last_word(self, delivery: Delivery) -> bool:
        if not isinstance(delivery, DeliverNotification) or delivery.sender != self._engine.hub_id:
            return False
        message = delivery.message
        return isinstance(message, dict) and message["samp.mtype"] in _LAST_WORDS

    async def is_alive(self, client: str) -> bool:
        """Whether it is registered: a page that has vanished is removed by its own timer."""
        return client in self._pages

    def has_unread(self, client: str) -> bool:
        """False: pages take what waits for them in its order."""
        return False

    def forget(self, client: str) -> None:
        """Drop the client's key, token and callbacks, all dead from now on."""
        page = self._pages.pop(client, None)
        self._may.pop(client, None)
        if page is not None:
            self._keys.pop(page.key, None)
            self._tokens.pop(page.token, None)
            self._leave_site(page)
            page.close()
            self._forgotten(client)

    def _vanished(self, page: Page, reason: str) -> None:
        self._engine.disconnect(page.client, reason)

    def _shown(self, page: Page, delivery: DeliverNotification, message: ValueMap) -> ValueMap:
        """Return the message as a web client may see it: hidden subscriptions stay hidden (WEB-61)."""
        if message["samp.mtype"] != _SUBSCRIPTIONS_EVENT or delivery.sender != self._engine.hub_id:
            return message
        params = message["samp.params"]
        assert isinstance(params, dict)
        declared = params.get("subscriptions")
        if params.get("id") == page.client or not isinstance(declared, dict):
            return message
        visible = self._may[page.client].visible(declared)
        return {**message, "samp.params": {**params, "subscriptions": visible}}


def _nothing_yet(mtype: str, annotation: ValueMap) -> bool:
    return False


async def _refuse_another_user(exchange: WebRequest, question: ConsentQuestion) -> None:
    """Refuse whom no user of ours sits before: only a browser cannot lie about its Origin."""
    uid = await another_user(exchange.ends)
    if uid is not None:
        origin = question.origin or "no origin"
        log.warning(
            "web page %r of %s was refused: it is of user %d of this machine", question.name, origin, uid
        )
        raise _refused("this hub belongs to another user of this machine, and serves that one only")


async def _put(page: Page, method: str, *params: Value) -> None:
    """Queue a callback. Whoever calls is told when there is no room; a notification waits for it."""
    callback = await encode_value({"samp.methodName": method, "samp.params": list(params)})
    if method == "receiveCall":
        page.pulls.put(callback, str(params[1]))
        return
    await page.pulls.put_in_turn(callback, lambda: page.allows_callbacks)


async def _translated(page: Page, value: Value) -> Value:
    """Return `value` on its way to the page: it may read the URLs in it."""
    large = is_large(value)
    urls = await asyncio.to_thread(find_urls, value) if large else find_urls(value)
    table = page.urls.to_page(urls) if urls else {}
    return await _replaced(value, table, large=large)


async def _restored(page: Page, value: Value) -> Value:
    """Return `value` on its way from the page, with URLs as others know them."""
    large = is_large(value)
    names = await asyncio.to_thread(find_names, value) if large else find_names(value)
    table: dict[str, str] = {}
    if names:
        table, first = page.urls.from_page(names)
        full = page.urls.close(first)
        paths = absolute_paths(first)
        if paths:  # by any other name it is the same file
            full |= page.urls.close(await identities(paths))
        if full:
            log.warning(
                "web client %s, or pages of its site before it, have named too many files and URLs: "
                "nothing more is read for that site until the hub is started again",
                page.client,
            )
    return await _replaced(value, table, large=large)


async def _replaced(value: Value, table: dict[str, str], *, large: bool) -> Value:
    if not table:
        return value
    return await asyncio.to_thread(replace_texts, value, table) if large else replace_texts(value, table)


def _array(items: Sequence[Encoded]) -> Encoded:
    return Encoded(f"<value><array><data>{''.join(item.xml for item in items)}</data></array></value>")


def _bad(text: str) -> FaultError:
    return FaultError(text, code=FaultCode.BAD_PARAMETERS)


def _refused(text: str) -> FaultError:
    return FaultError(text, code=FaultCode.REGISTRATION_REFUSED)


def _stopping() -> FaultError:
    return FaultError("the hub is shutting down", code=FaultCode.SHUTTING_DOWN)
