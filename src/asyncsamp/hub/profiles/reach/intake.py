"""The frames of one peer, in their order, into the hub."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import Any, Literal

from ...._util.garbage import uncollected
from ...._util.threads import values_of
from ....errors import FaultCode, FaultError, RemoteProtocolError
from ....rpc import is_large
from ....rpc.offload import LARGE
from ....values import Content, Response, ValueMap, mtype_in
from .calls import OpenCalls
from .context import Context, is_large_message
from .exports import OF_THE_HUB
from .gathering import BYTES_TOGETHER
from .kept import Kept, Load
from .link import Body, Incoming
from .proxies import Proxies, Proxy
from .wire import (
    MOST_TOGETHER,
    ClientIs,
    ClientLeft,
    Frame,
    Go,
    Item,
    Messages,
    Pause,
    Reply,
    Several,
    Sync,
    load_item,
)

__all__ = ["Intake"]

log = logging.getLogger("asyncsamp.reach")

_AT_ONCE = 16 * 1024
_TOGETHER = BYTES_TOGETHER + 32 * 1024
"""Bytes of a frame, of one message and of several, in which names and URLs are looked for at once; some texts
take microseconds for each byte."""


class _Outcome(Enum):
    FULL = "its recipient does not take its messages"


class Intake:
    """Takes what a peer's stream says, one item after another; a task runs only while one has to wait.

    A recipient that does not take its messages holds up nobody else: its messages are kept here, and the peer
    is asked to pause for that one.

    Args:
        context: Of the room.
        member: Whose hub the peer is.
        incoming: The peer's stream.
        proxies: Its clients.
        calls: Its calls that are open here.
        tell: Sends an item to the peer.
        tell_again: Sends again what the peer has not acknowledged.
        shown: Whether the peer has been shown one of our clients.
        said: Called with `Sync`, before it is taken in, and with `Pause` and `Go`.
        taken: Called when something has been taken in that had to wait.
        broken: Called with the reason if the peer does not keep to the protocol.
    """

    def __init__(
        self,
        context: Context,
        member: str,
        incoming: Incoming,
        proxies: Proxies,
        calls: OpenCalls,
        *,
        tell: Callable[[Item], None],
        tell_again: Callable[[], None],
        shown: Callable[[str], bool],
        said: Callable[[Sync | Pause | Go], None],
        taken: Callable[[], None],
        broken: Callable[[str], None],
    ) -> None:
        self._context = context
        self._member = member
        self._incoming = incoming
        self._proxies = proxies
        self._calls = calls
        self._tell = tell
        self._tell_again = tell_again
        self._shown = shown
        self._said = said
        self._taken = taken
        self._broken = broken
        self._queue: deque[Frame] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._leaving: dict[str, None] = {}  # have left, but something of them is kept
        limits = context.engine.limits
        self._most_frames = 2 * limits.reach_window
        self._most_bytes = 2 * limits.reach_window_bytes + 3 * limits.max_body
        self._kept = Kept(3 * limits.reach_window, limits.reach_window_bytes + 3 * limits.max_body)
        self._under_way = limits.reach_window + MOST_TOGETHER  # at most, when a peer is asked to pause

    def put(self, frame: Frame) -> None:
        """Take an admitted frame, at once if nothing before it waits."""
        if self._task is not None:
            self._queue.append(frame)
            self._bytes += len(frame.body)
            if len(self._queue) > self._most_frames or self._bytes > self._most_bytes:
                self._broken("it sends more than it may before it is acknowledged")
            return
        waiting = self._guarded(frame)
        if waiting is not None:
            name = f"asyncsamp-reach-intake-{self._incoming.stream}"
            self._task = asyncio.get_running_loop().create_task(self._go_on(frame, waiting), name=name)
            # A task that is cancelled before its first turn awaits nothing.
            self._task.add_done_callback(lambda _: waiting.close())

    def close(self) -> None:
        """Take nothing any more; what waits is dropped."""
        self._queue.clear()
        self._kept.clear()
        if self._task is not None:
            self._task.cancel()

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that takes, if one is needed just now."""
        return self._task

    def relieved(self, client: str) -> None:
        """One of our clients takes its messages again, or has left."""
        if client not in self._kept:
            return
        while (first := self._kept.first(client)) is not None:
            if self._send(first.proxy, client, first.msg_id, first.message) is _Outcome.FULL:
                return
            if client not in self._kept:  # a refusal was one too many: the peer has been given up
                return
            self._kept.drop_first(client)
        self._kept.end(client)
        self._tell(Go(client))
        for remote in list(self._leaving):
            if not self._kept.has_of(remote):
                del self._leaving[remote]
                self._proxies.leave(remote)

    # ---- inside

    async def _go_on(self, frame: Frame, waiting: Coroutine[Any, Any, None]) -> None:
        """Take what has come meanwhile, too. It ends when nothing waits any more."""
        try:
            await self._finish(frame, waiting)
            while self._queue:
                frame = self._queue.popleft()
                self._bytes -= len(frame.body)
                further = self._guarded(frame)
                if further is not None:
                    await self._finish(frame, further)
        finally:
            self._task = None

    async def _finish(self, frame: Frame, waiting: Coroutine[Any, Any, None]) -> None:
        try:
            await waiting
        except RemoteProtocolError as error:
            self._broken(str(error))
        except FaultError as error:
            log.debug("a frame was not carried out: %s", error.text)
        except Exception:
            log.exception("a frame of another hub could not be taken in")
        self._incoming.take(frame.stream, frame.number)
        self._taken()

    def _guarded(self, frame: Frame) -> Coroutine[Any, Any, None] | None:
        try:
            waiting = self._begin(frame)
        except RemoteProtocolError as error:
            self._broken(str(error))
            return None
        if waiting is None:
            self._incoming.take(frame.stream, frame.number)
        return waiting

    def _begin(self, frame: Frame) -> Coroutine[Any, Any, None] | None:
        body = self._incoming.join(frame)
        if body is None:
            return None
        again = self._incoming.was_taken(frame.stream, frame.number)
        size = len(body.body)
        if size > LARGE:
            return self._large(body, again)
        item = load_item(body.kind, body.body)
        apart = size > (_TOGETHER if isinstance(item, Several) else _AT_ONCE)
        return self._repeated(item) if again else self._take(item, Load(size), apart)

    async def _large(self, body: Body, again: bool) -> None:
        item = await asyncio.to_thread(_load_large, body)
        waiting = self._repeated(item) if again else self._take(item, Load(len(body.body)), True)
        if waiting is not None:
            await waiting

    def _repeated(self, item: Item) -> Coroutine[Any, Any, None] | None:
        """Take what had been taken before the peer was given up: who is there, but no message twice."""
        if not isinstance(item, Messages | Several):
            return None if isinstance(item, Reply) else self._take(item, Load(0), False)
        for each in [item] if isinstance(item, Messages) else item.messages:
            for client, msg_id in each.recipients:
                self._refuse(
                    each.sender, client, msg_id, "it was under way when the two hubs lost each other"
                )
        return None

    async def _search(self, messages: list[Messages], load: Load) -> None:
        """Take in what is better searched in a thread: a short body may have many values."""
        for item in messages:
            values = await values_of(item.message)
            received = await self._context.received(self._member, values, apart=True)
            await _all(self._message(item, load, received))

    async def _search_reply(self, item: Reply) -> None:
        received = await self._context.received(self._member, item.response, apart=True)
        waiting = self._reply(item, received)
        if waiting is not None:
            await waiting

    def _take(self, item: Item, load: Load, apart: bool) -> Coroutine[Any, Any, None] | None:
        """Take an item in; with `apart` what it holds is searched in a thread."""
        match item:
            case Messages():
                return self._messages([item], load, apart)
            case Several(messages):
                return self._messages(messages, load, apart)
            case Reply(response=response):
                return self._search_reply(item) if apart or is_large(response) else self._reply(item)
            case ClientIs(client):
                self._leaving.pop(client.client, None)
                return self._proxies.show(client)
            case ClientLeft(client=remote):
                return self._left(remote)
            case Sync(clients=clients):
                self._said(item)
                self._leaving.clear()
                return self._proxies.sync(clients)
            case Pause() | Go():
                self._said(item)
                return None

    def _left(self, remote: str) -> Coroutine[Any, Any, None] | None:
        """Remove a client of the peer, once those who do not take their messages have taken its last ones."""
        if self._kept.has_of(remote):
            self._leaving[remote] = None
            return None
        return self._proxies.remove(remote)

    def _messages(
        self, messages: list[Messages], load: Load, apart: bool
    ) -> Coroutine[Any, Any, None] | None:
        most = self._context.engine.limits.max_clients + MOST_TOGETHER
        if sum(len(item.recipients) for item in messages) > most:
            raise RemoteProtocolError("messages to more clients than this hub takes in")
        if apart or any(is_large_message(item.message) for item in messages):
            return self._search(messages, load)
        waiting = [held for item in messages for held in self._message(item, load, None)]
        return _all(waiting) if waiting else None

    def _message(self, item: Messages, load: Load, received: ValueMap | None) -> list[Awaitable[object]]:
        """Hand a message to the hub; return what must be awaited."""
        if len(item.recipients) > self._context.engine.limits.max_clients:
            raise RemoteProtocolError("a message to more clients than this hub takes in")
        mtype = mtype_in(item.message)
        proxy = self._proxies.by_remote.get(item.sender)
        if proxy is None or not isinstance(mtype, str) or mtype.startswith(OF_THE_HUB):
            for client, msg_id in item.recipients:
                self._refuse(item.sender, client, msg_id, "its sender may not send it to this hub")
            return []
        message = self._context.message(self._member, item.message) if received is None else received
        return [
            held
            for client, msg_id in item.recipients
            if isinstance(held := self._deliver(proxy, client, msg_id, message, load), Awaitable)
        ]

    def _deliver(
        self, proxy: Proxy, client: str, msg_id: str | None, message: Content, load: Load
    ) -> Awaitable[object] | None:
        if not self._shown(client):
            self._refuse(proxy.remote, client, msg_id, "there is no such client, or not any more")
            return None
        took = client not in self._kept
        if took:
            sent = self._send(proxy, client, msg_id, message)
            if sent is not _Outcome.FULL:
                return sent
            self._kept.begin(client)
        if self._kept.has_room(client):
            self._kept.put(client, proxy, msg_id, message, load)
            if self._kept.count(client) == self._under_way:  # that it should pause may not have come there
                self._tell_again()
        else:  # the peer goes on though it was asked to pause
            self._refuse(proxy.remote, client, msg_id, "it does not take its messages")
        if took:
            self._tell(Pause(client))
        return None

    def _send(
        self, proxy: Proxy, client: str, msg_id: str | None, message: Content
    ) -> Awaitable[object] | Literal[_Outcome.FULL] | None:
        """Hand a message to the hub; return what must be awaited, or that its recipient is full.

        Nobody is held here for a recipient that is slow: all who speak to this hub would be.
        """
        try:
            if msg_id is None:
                return _waiting(
                    self._context.engine.begin(proxy.client, "notify", [client, message], hold=False)
                )
            begun = self._context.engine.begin(proxy.client, "call", [client, msg_id, message], hold=False)
        except FaultError as error:
            if error.code == FaultCode.LIMIT_REACHED and self._is_full(client):
                return _Outcome.FULL
            self._refuse(proxy.remote, client, msg_id, error.text)
            return None
        if isinstance(begun, str):
            self._calls.opened(begun, msg_id)
            return None
        return self._opened(begun, msg_id)

    def _is_full(self, client: str) -> bool:
        """Whether it is `client` that takes nothing, and not who calls it."""
        standing = self._context.engine.describe(client)
        return standing is not None and standing.congested

    async def _opened(self, begun: object, msg_id: str) -> None:
        own = await begun if isinstance(begun, Awaitable) else begun
        self._calls.opened(str(own), msg_id)

    def _reply(self, item: Reply, received: ValueMap | None = None) -> Coroutine[Any, Any, None] | None:
        proxy = self._proxies.by_remote.get(item.responder)
        if proxy is None:
            return None
        response = self._context.incoming(self._member, item.response) if received is None else received
        try:
            begun = self._context.engine.begin(proxy.client, "reply", [item.msg_id, response], hold=False)
        except FaultError as error:  # its caller has given up
            log.debug("a reply was not passed on: %s", error.text)
            return None
        held = _waiting(begun)
        return None if held is None else _all([held])

    def _refuse(self, sender: str, client: str, msg_id: str | None, reason: str) -> None:
        """Answer a call that cannot be delivered; a notification is lost, as SAMP allows."""
        if msg_id is not None:
            self._tell(Reply(client, sender, msg_id, Response.failure(reason).to_map()))


def _load_large(body: Body) -> Item:
    """Blocks. With the collector on, nine tenths of the time for many lists would go to it."""
    with uncollected():
        return load_item(body.kind, body.body)


def _waiting(begun: object) -> Awaitable[object] | None:
    return begun if isinstance(begun, Awaitable) else None


async def _all(waiting: list[Awaitable[object]]) -> None:
    try:
        for each in waiting:
            await each
    finally:
        for each in waiting:
            if asyncio.iscoroutine(each):
                each.close()  # what was not come to
