"""The server of the hub's page: its files, its stream of events, and what its user does with the hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from ..._util.socket_table import Ends, another_user
from ...errors import FaultError, SampError
from ...rpc import RpcServer
from ...values import Value, ValueMap, encode_map
from ..hub import Hub
from ..permissions import Permission, Permissions, Subject
from ..profiles.web import ConsentAnswer
from .consent import PageConsent
from .feed import Feed
from .forms import forms
from .guard import HEADERS, PageGuard
from .kept import Kept, KeptFile
from .shown import beginning, permissions_shown

__all__ = ["HubPage"]

log = logging.getLogger("asyncsamp.hub")

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_MAX_BODY = 1024 * 1024
_PING_TIME = "10"
_CALL_TIME = "60"
"""Seconds that the page waits for an answer, as callAndWait takes them."""

_END_TIME = 0.5
"""Seconds in which open pages are told that the hub stops."""

_ALIVE = 20.0
"""Seconds after which an idle stream sends a comment, so that a browser that is gone is noticed."""

_Action = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class HubPage:
    """A page at a free port of 127.0.0.1, on which the user of a running hub sees it and acts on it.

        async with Hub() as hub, HubPage(hub) as page:
            print(page.new_link())

    It is for the one who has the link: see `guard`. It costs the hub nothing while no browser shows it.

    Args:
        hub: The hub, which must run.
        consent: What the hub's `WebProfile` asks: its questions are answered on the page, too.
        state: A file in which port and sessions are kept, so that open pages find the page again when the hub
            comes back after a crash; None keeps nothing.
        store: What the user has decided for good, as the hub and its `WebProfile` have it; the hub's if None.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        consent: PageConsent | None = None,
        store: Permissions | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        self._hub = hub
        self._consent = consent
        self._store = store
        self._guard = PageGuard()
        self._feeds: set[Feed] = set()
        self._files: dict[str, bytes] = {}
        self._forms: list[dict[str, Any]] = []
        self._kept = KeptFile(None if state is None else Path(state).expanduser())
        self._server = self._make_server(0)
        self._actions: dict[str, _Action] = {
            "/ping": self._ping,
            "/disconnect": self._disconnect,
            "/send": self._send,
            "/stop": self._stop,
            "/link": self._link,
            "/consent": self._answer_question,
            "/permit": self._permit,
            "/revoke": self._revoke,
        }
        self._ending = False
        self._unobserve: Callable[[], None] = lambda: None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def watched(self) -> bool:
        """Whether some browser shows the page."""
        return bool(self._feeds)

    def new_link(self) -> str:
        """Return a link that opens the page in one browser. Whoever has it may do what the page can."""
        return f"http://127.0.0.1:{self._guard.port}/#{self._guard.new_token()}"

    async def start(self) -> Self:
        """Begin to serve. If it is cancelled, call `stop`.

        Raises:
            OSError: There is no free port.
        """
        self._files = await asyncio.to_thread(_read_files)
        self._forms = await asyncio.to_thread(forms)
        await self._listen()
        self._hub.engine.own_ports.add(self._server.port)
        if self._consent is not None:
            self._consent.watched = lambda: self.watched
            self._consent.place = f"http://127.0.0.1:{self._server.port}/"
            self._consent.changed = self._tell_questions
        if self._store is None:
            self._store = self._hub.engine.permissions
        if self._store is not None:
            await self._store.refresh()
            self._unobserve = self._store.observe(self._tell_permissions)
        return self

    def _make_server(self, port: int) -> RpcServer:
        return RpcServer(self._handle, port=port, max_body=_MAX_BODY, name="page")

    async def _listen(self) -> None:
        """Take the port of the last run, if that ended by a crash, or any."""
        kept = await self._kept.read()
        self._server = self._make_server(kept.port)
        try:
            await self._server.start()
            self._guard.restore(kept.sessions)
        except OSError as error:
            await self._server.close(0)
            if not kept.port:
                raise
            log.warning("the hub's page has another port than before, which is taken (%s)", error)
            self._server = self._make_server(0)
            await self._server.start()
        self._guard.port = self._server.port
        await self._keep()

    async def _keep(self) -> None:
        await self._kept.write(Kept(self._server.port, self._guard.sessions))

    async def stop(self) -> None:
        """End every stream and connection, within a second. If it is cancelled, call it again."""
        self._ending = True
        self._unobserve()
        if self._consent is not None:
            self._consent.watched = lambda: False
        for feed in self._feeds:
            feed.tell({})
        await self._server.close(_END_TIME)
        await self._kept.remove()
        if self._stopping is not None:
            await asyncio.wait([self._stopping])

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # ---- requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._guard.check_place(request)
            await _refuse_another_user(request)
            if request.method == "GET":
                return await self._get(request)
            if request.method == "POST":
                return await self._post(request)
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST"])
        except web.HTTPException as refusal:
            refusal.headers.update(HEADERS)
            raise

    async def _get(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in self._files:
            headers = {**HEADERS, "Content-Type": _FILES[path][1]}
            return web.Response(body=self._files[path], headers=headers)
        if path != "/events":
            raise web.HTTPNotFound(text="there is no such page\n")
        self._guard.check_session(request)
        return await self._stream(request)

    async def _post(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/session":
            cookie, key = self._guard.open_session((await _body(request)).get("token"))
            await self._keep()
            return web.json_response({"key": key}, headers={**HEADERS, "Set-Cookie": cookie})
        self._guard.check_session(request)
        action = self._actions.get(request.path)
        if action is None:
            raise web.HTTPNotFound(text="there is no such action\n")
        try:
            answer = await action(await _body(request))
        except (FaultError, SampError) as error:
            answer = {"error": getattr(error, "text", "") or str(error)}
        return web.json_response(answer, headers=HEADERS)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={**HEADERS, "Server": "asyncsamp", "Content-Type": "text/event-stream"}
        )
        await response.prepare(request)
        feed = Feed(self._hub)
        self._feeds.add(feed)
        try:
            parts = feed.whole()
            await response.write(_event("hello", {**await self._hello(), **next(parts)}))
            for part in parts:
                await response.write(_event("clients", part))
                await asyncio.sleep(0)  # the messages of others go on
            while self._hub.running and not self._ending:
                try:
                    async with asyncio.timeout(_ALIVE):
                        batch = await feed.batch()
                except TimeoutError:
                    await response.write(b": idle\n\n")
                else:
                    await response.write(_event("batch", batch))
            await response.write(_event("stopped", {}))
        except ConnectionError:
            log.debug("a browser that showed the hub's page is gone")
        finally:
            self._feeds.discard(feed)
            feed.close()
        return response

    async def _hello(self) -> dict[str, Any]:
        hub = self._hub
        if self._store is not None:
            await self._store.refresh()
        return {
            "url": hub.url,
            "id": hub.engine.hub_id,
            "label": hub.label,
            "questions": self._questions(),
            "permissions": self._permissions(),
            "forms": self._forms,
        }

    def _questions(self) -> list[dict[str, Any]]:
        return [] if self._consent is None else self._consent.questions()

    def _permissions(self) -> list[dict[str, Any]]:
        return [] if self._store is None else permissions_shown(self._store)

    def _tell_permissions(self) -> None:
        for feed in self._feeds:
            feed.tell({"permissions": self._permissions()})

    def _tell_questions(self) -> None:
        for feed in self._feeds:
            feed.tell({"questions": self._questions()})

    # ---- what the user does

    async def _ping(self, asked: dict[str, Any]) -> dict[str, Any]:
        begun = asyncio.get_running_loop().time()
        answer = await self._call(_text(asked, "client"), "samp.app.ping", {}, _PING_TIME)
        return {"seconds": asyncio.get_running_loop().time() - begun, "status": answer.get("samp.status")}

    async def _disconnect(self, asked: dict[str, Any]) -> dict[str, Any]:
        client = _text(asked, "client")
        if client not in self._hub.clients:
            return {"error": "that client has left already"}
        reason = _text(asked, "reason").strip() or "disconnected by the user"
        self._hub.engine.disconnect(client, f"{reason} (on the hub's page)")
        return {}

    async def _send(self, asked: dict[str, Any]) -> dict[str, Any]:
        recipient, mtype = _text(asked, "to"), _text(asked, "mtype")
        params = asked.get("params")
        if not isinstance(params, dict):
            raise web.HTTPBadRequest(text="params must be a map\n")
        if asked.get("call") and recipient:
            return {"answer": beginning(await self._call(recipient, mtype, params, _CALL_TIME))}
        message: ValueMap = {"samp.mtype": mtype, "samp.params": encode_map(params, "params")}
        engine = self._hub.engine
        if recipient:
            await engine.operate(engine.hub_id, "notify", [recipient, message])
            return {"told": [recipient]}
        return {"told": await engine.operate(engine.hub_id, "notifyAll", [message])}

    async def _stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        # Not awaited: the answer to this very request has to go out before.
        self._stopping = asyncio.get_running_loop().create_task(
            self._hub.shutdown(), name="asyncsamp-page-stop"
        )
        return {}

    async def _link(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"link": self.new_link()}

    async def _answer_question(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = ConsentAnswer(asked.get("answer"))
        except ValueError:
            raise web.HTTPBadRequest(text="the answer must be allow, allow always or deny\n") from None
        if self._consent is None or not self._consent.answer(_text(asked, "number"), answer):
            return {"error": "that question was answered already, or taken back"}
        return {}

    async def _revoke(self, asked: dict[str, Any]) -> dict[str, Any]:
        subject = _subject(asked)
        try:
            if self._store is None or not await self._store.revoke(subject):
                return {"error": f"nothing was decided about {str(subject)[:300]}"}
        except OSError as error:
            return {"error": f"what was decided cannot be written: {error.strerror}"}
        return {"permissions": self._permissions()}

    async def _permit(self, asked: dict[str, Any]) -> dict[str, Any]:
        allowed = asked.get("allowed")
        try:
            permission = Permission(asked.get("permission"))
        except ValueError:
            raise web.HTTPBadRequest(text="there is no such permission\n") from None
        if self._store is None or not (allowed is None or isinstance(allowed, bool)):
            raise web.HTTPBadRequest(text="allowed must be true, false or null\n")
        try:
            await self._store.decide(_subject(asked), permission, allowed)
        except ValueError as error:
            return {"error": str(error)}
        except OSError as error:
            return {"error": f"what you decided cannot be written: {error.strerror}"}
        return {"permissions": self._permissions()}

    async def _call(self, client: str, mtype: str, params: dict[str, Any], seconds: str) -> ValueMap:
        engine = self._hub.engine
        message: Value = {"samp.mtype": mtype, "samp.params": encode_map(params, "params")}
        answer = await engine.operate(engine.hub_id, "callAndWait", [client, message, seconds])
        assert isinstance(answer, dict)
        return answer


async def _refuse_another_user(request: web.BaseRequest) -> None:
    transport = request.transport
    peer, ours = (transport and transport.get_extra_info(name) for name in ("peername", "sockname"))
    ends = Ends((peer[0], peer[1]), (ours[0], ours[1])) if peer and ours else None
    if await another_user(ends) is not None:
        raise web.HTTPForbidden(text="this hub belongs to another user of this machine\n")


async def _body(request: web.BaseRequest) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        body = json.loads(await request.read())
        if isinstance(body, dict):
            return body
    raise web.HTTPBadRequest(text="the body must be a JSON map\n")


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key, "")
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{key} must be a text\n")
    return value


def _subject(asked: dict[str, Any]) -> Subject:
    kind, name = asked.get("kind"), _text(asked, "name")
    if kind == "origin":
        return Subject("origin", name)
    if kind == "client":
        return Subject("client", name)
    raise web.HTTPBadRequest(text="kind must be origin or client\n")


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _read_files() -> dict[str, bytes]:
    folder = resources.files(__package__) / "files"
    return {path: (folder / name).read_bytes() for path, (name, _) in _FILES.items()}
