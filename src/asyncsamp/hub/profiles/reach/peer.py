"""Another hub of the room: what is sent to it, what comes from it, and whether it is there."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ...._util.threads import values_of
from ....delivery import DeliverCall, DeliverNotification, DeliverResponse, Delivery, DeliveryError
from ....values import Content, RawMap, mtype_in
from .calls import PROGRESS, OpenCalls
from .context import Context, is_large_message
from .exports import OF_THE_HUB, Exports
from .gathering import Gathering
from .intake import Intake
from .link import Incoming, Outgoing, Verdict
from .proxies import Proxies, Proxy
from .subjects import member_of
from .urls import may_be_marked
from .wire import (
    NO_STREAM,
    Ack,
    ClientIs,
    ClientLeft,
    Frame,
    Go,
    Item,
    Pause,
    RemoteClient,
    Reply,
    Sync,
    dump_ack,
    dump_item,
    dump_message,
)

__all__ = ["Encoded", "Peer", "Remembered"]

log = logging.getLogger("asyncsamp.reach")

_ACK_DELAY = 0.02
"""Seconds after a frame until it is acknowledged, with all that have come meanwhile."""

_FAST_PROBE = 0.25
"""Seconds between two probes of a peer for whom, the server says, nobody listens."""

_SHORT = 16 * 1024
"""Bytes of a message in which a URL is looked for at once: a millisecond."""

_AGAIN, _AGAIN_LATEST = 0.5, 8.0
"""Seconds at least before a stream whose beginning the peer has not seen is sent to it again; twice as long
each further time, up to so long: it costs us much, and who asks for it little."""


class Encoded:
    """The message that was encoded last: a broadcast to many hubs is encoded once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._message: Content | None = None
        self._body = b""
        self._marked: Content | None = None  # the last one in which there may be a URL

    def encode_at_once(self, message: Content) -> bytes | None:
        """Return a short message that crosses as it came; None for any other."""
        if self._message is not message:
            if message is self._marked or not isinstance(message, RawMap) or len(message.xml) > _SHORT:
                return None
            body = _dump_unmarked(message)
            if body is None:
                self._marked = message
                return None
            self._message, self._body = message, body
        return self._body

    async def encode(self, sender: str, message: Content) -> bytes:
        """Return `message` of our client `sender` as frames have it; waits only if it is large."""
        if self._message is not message:
            as_it_came = None
            if isinstance(message, RawMap) and message is not self._marked:
                as_it_came = await _as_it_came(message)
            self._body = as_it_came or await self._searched(sender, message)
            self._message = message
        return self._body

    async def _searched(self, sender: str, message: Content) -> bytes:
        values = await values_of(message)
        if is_large_message(message):
            return await asyncio.to_thread(dump_message, await self._context.sent(sender, values))
        return dump_message(self._context.outgoing(sender, values))


async def _as_it_came(message: RawMap) -> bytes | None:
    """Return a message as frames have it, without decoding it; None if there may be a URL in it."""
    if is_large_message(message):
        return await asyncio.to_thread(_dump_unmarked, message)
    return _dump_unmarked(message)


def _dump_unmarked(message: RawMap) -> bytes | None:
    return None if may_be_marked(message.xml) else dump_message(message)


class Remembered(NamedTuple):
    """What is kept of a peer that was given up: it may be met anew, and may not have noticed."""

    taken: Mapping[str, int]
    """How much was taken of its streams."""
    unwanted: frozenset[str]
    """Its clients that the user has removed here."""


class Peer:
    """Another hub of the room.

    Args:
        context: Of the room.
        exports: Our clients, as it sees them.
        hub: Its name on the bus.
        encoded: What encodes messages.
        room_for_one: Whether one more client of other hubs may be taken in.
        label: Makes of what it calls itself a label that no other hub here has.
        lose: Called with the peer, the reason, and whether it is never to be met again.
        named: Called when it has said what it is called, before its clients are taken in.
        met: Called when its clients have been taken in.
        heard_beat: Called when it has said that it is there, and nothing else.
        former: Streams of it that have ended.
        before: What is remembered of it from before it was given up.
    """

    def __init__(
        self,
        context: Context,
        exports: Exports,
        hub: str,
        *,
        encoded: Encoded,
        room_for_one: Callable[[], bool],
        label: Callable[[Peer, str], str],
        lose: Callable[[Peer, str, bool], None],
        named: Callable[[], None],
        met: Callable[[], None],
        heard_beat: Callable[[], None],
        former: Iterable[str] = (),
        before: Remembered | None = None,
    ) -> None:
        self._context = context
        self._exports = exports
        self.hub = hub
        self._to, self._refusals = context.subjects.frames(hub), context.subjects.refused(hub)
        self.member = member_of(hub)
        self.label = label(self, "")
        self._make_label = label
        self._encoded = encoded
        self._lose = lose
        self._named = named
        self._met = met
        self._heard_beat = heard_beat
        self._trusted = context.trusts(self.member)
        limits = context.engine.limits
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.gone = False
        self.heard = context.clock()
        self._refused_since: float | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._again = _AGAIN
        self._waits_since = self.heard  # for an acknowledgement of something new
        self._ack: asyncio.TimerHandle | None = None
        self._owes_greeting = False
        self._shown: set[str] = set()
        self._changed: dict[str, None] = {}
        self._leaving: dict[str, dict[Proxy, int]] = {}  # who has left, and how much is owed to whom
        self._gathering = Gathering(self._put)
        self._moved = asyncio.Event()
        self._outgoing = self._new_stream()
        # Written as JSON a text takes twice as much at most.
        most = 2 * limits.max_body + 64 * 1024
        before = before or Remembered({}, frozenset())
        self._incoming = Incoming(max_body=most, former=former, known=before.taken)
        self._calls = OpenCalls(limits.max_pending_calls)
        self.proxies = Proxies(context, hub, lambda: self.label, room_for_one, before.unwanted)
        self._intake = Intake(
            context,
            self.member,
            self._incoming,
            self.proxies,
            self._calls,
            tell=self._tell_or_break,
            tell_again=self._send_again,
            shown=self._shown.__contains__,
            said=self._said,
            taken=self._taken_in,
            broken=lambda reason: self._lose(self, reason, True),
        )

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that takes its frames in, if there is one just now."""
        return self._intake.task

    @property
    def messages_waiting(self) -> int:
        """How many messages for it were accepted, and are not acknowledged."""
        under_way = self._outgoing.messages_waiting + len(self._gathering)
        return under_way + sum(self._waiting(proxy) for proxy in self.proxies.by_remote.values())

    # ---- to the peer

    def greet(self) -> None:
        """Begin our stream: say who is here."""
        shown = self._exports.all()
        views = [self._view(client) for client in shown]
        self._shown.clear()
        self._shown.update(shown)
        self._changed.clear()
        self._tell(Sync(self._context.label, [view for view in views if view is not None]))

    def changed(self, client: str) -> None:
        """One of our clients is new, has changed or has left.

        One that has left is shown until what it has sent has passed: nobody takes messages of a stranger.
        """
        shown = client in self._shown or self._exports.shows(client, left=True)
        if shown and self._context.engine.describe(client) is None:
            owed = self._owed(client)
            if owed:
                self._changed.pop(client, None)
                self._leaving[client] = owed
                return
        self._changed[client] = None
        if self._outgoing.has_room:
            self._tell_changes()

    def relieved(self, client: str) -> None:
        """One of our clients takes its messages again, or has left."""
        self._intake.relieved(client)

    def deliver_at_once(self, proxy: Proxy, delivery: Delivery) -> bool:
        """Send a message for one of its clients, if it crosses as it came and nothing is to be waited for."""
        if isinstance(delivery, DeliverResponse) or proxy.turn.locked() or not self._is_open(proxy):
            return False
        if delivery.sender in self._leaving or mtype_in(delivery.message) == PROGRESS:
            return False
        body = self._encoded.encode_at_once(delivery.message)
        if body is None or self._why_not(delivery):
            return False
        self._send(proxy, delivery, delivery.message, body)
        return True

    async def deliver(self, proxy: Proxy, delivery: Delivery) -> None:
        """Send what is for one of its clients, in order, once there is room. Raises `DeliveryError`."""
        sender = delivery[1]
        proxy.passing.append(sender)
        try:
            await self._deliver(proxy, delivery)
        finally:
            proxy.passing.remove(sender)
            if sender in self._leaving:
                self._passed(sender, proxy)

    async def _deliver(self, proxy: Proxy, delivery: Delivery) -> None:
        if isinstance(delivery, DeliverResponse):
            async with proxy.turn:
                response = await self._response(proxy, delivery)
                await self._room(None)
                self._tell(response)
            return
        if not self._may_cross(delivery):
            return
        async with proxy.turn:
            message = await self._mapped(delivery)
            body = await self._encoded.encode(delivery.sender, message)
            await self._room(proxy)
            self._send(proxy, delivery, message, body)

    def _send(
        self, proxy: Proxy, delivery: DeliverCall | DeliverNotification, message: Content, body: bytes
    ) -> None:
        self._show_sender(delivery.sender)
        msg_id = delivery.msg_id if isinstance(delivery, DeliverCall) else None
        self._gathering.add(delivery.sender, message, body, proxy.remote, msg_id)

    def beat(self) -> None:
        """Say that we are here, and see whether the peer is. Called every `Limits.reach_beat`."""
        now = self._context.clock()
        if now - self.heard > self._limits.reach_patience:
            self._lose(self, f"nothing was heard of it for {self._limits.reach_patience:g} s", False)
            return
        for client in list(self._leaving):
            self._look_after(client)
        self._acknowledge()

    def refused(self, grace: bool) -> None:
        """The server says that nobody listens for the peer."""
        now = self._context.clock()
        if grace:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= self._limits.reach_refused:
            self._lose(self, "it has gone without a word", False)
            return
        if self._probe is None:
            self._probe = self._loop.call_later(_FAST_PROBE, self._probe_again)

    def back(self) -> None:
        """Our own way to the server has come back: send again what may be lost."""
        patience = self._limits.reach_patience - self._limits.reach_grace
        self.heard = max(self.heard, self._context.clock() - patience)
        self._refused_since = None
        self._send_again()
        if not self.gone:
            self._acknowledge()

    # ---- from the peer

    @property
    def has_greeted(self) -> bool:
        """Whether its stream has begun."""
        return bool(self._incoming.stream)

    @property
    def streams(self) -> list[str]:
        """Its streams that are known: none of them may begin again."""
        return self._incoming.streams

    @property
    def remembered(self) -> Remembered:
        """What is to be remembered for when it is met anew."""
        return Remembered(self._incoming.known, self.proxies.unwanted)

    def is_ended_by(self, came: Frame | Ack) -> bool:
        """Return whether what has come shows that the other hub has given this one up, and begun anew.

        It knows nothing of our stream then. One of which it has not acknowledged anything is sent to it again
        from its beginning; one of which it had is over, and so are the calls that were under way.
        """
        return (
            isinstance(came, Frame)
            and self._outgoing.acknowledged > 0
            and self._incoming.is_replaced_by(came)
        )

    def take(self, came: Frame | Ack) -> None:
        """Take what has come. Raises `RemoteProtocolError`."""
        self.heard = self._context.clock()
        self._refused_since = None
        if isinstance(came, Ack):
            self._take_ack(came)
            return
        verdict = self._incoming.admit(came)
        if verdict is Verdict.NEXT:
            self._owes_greeting = False
            self._intake.put(came)
        elif verdict is Verdict.UNKNOWN:
            self._owes_greeting = True
        self._soon()

    def flush(self) -> None:
        """Send what waits for further messages."""
        self._gathering.flush()

    def close(self, reason: str) -> None:
        """Have nothing more to do with it, and remove its clients."""
        self.gone = True
        self._gathering.drop()
        self._intake.close()
        for timer in (self._ack, self._probe):
            if timer is not None:
                timer.cancel()
        self._moved.set()
        self.proxies.remove_all(reason)

    # ---- inside

    def _new_stream(self) -> Outgoing:
        limits = self._limits
        return Outgoing(secrets.token_hex(4), frames=limits.reach_window, size=limits.reach_window_bytes)

    def _taken_in(self) -> None:
        self._met()
        self._soon()

    def _said(self, item: Sync | Pause | Go) -> None:
        if isinstance(item, Sync):
            self.label = self._make_label(self, item.label)
            self._named()
            for proxy in self.proxies.by_remote.values():
                proxy.paused = False
        else:
            proxy_of_it = self.proxies.by_remote.get(item.client)
            if proxy_of_it is not None:
                proxy_of_it.paused = isinstance(item, Pause)
        self._move()

    def _move(self) -> None:
        """Let those look again who wait for room or for a client."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _room(self, proxy: Proxy | None) -> None:
        """Wait until there is room in the window, and the client takes messages."""
        while not self.gone and not self._is_open(proxy):
            await self._moved.wait()
        if self.gone:
            raise DeliveryError(f"the hub {self.label} has left the room")

    def _is_open(self, proxy: Proxy | None) -> bool:
        has_room = self._outgoing.has_room_beside(len(self._gathering))
        return not self.gone and has_room and (proxy is None or not proxy.paused)

    def _may_cross(self, delivery: DeliverCall | DeliverNotification) -> bool:
        """Whether a message is one for others; a call that is not is refused."""
        reason = self._why_not(delivery)
        if reason and isinstance(delivery, DeliverCall):
            raise DeliveryError(reason)
        return not reason

    def _why_not(self, delivery: DeliverCall | DeliverNotification) -> str:
        """Return why a message is not one for others; empty if it is."""
        mtype = str(mtype_in(delivery.message))
        if delivery.sender == self._context.engine.hub_id or mtype.startswith(OF_THE_HUB):
            return "what a hub says stays in that hub"
        if not (delivery.sender in self._shown or self._is_shown(delivery.sender)):
            return "its sender is not shown to other hubs"
        return ""

    def _is_shown(self, sender: str) -> bool:
        return self._exports.shows(sender, left=sender in self._leaving)

    def _waiting(self, proxy: Proxy) -> int:
        """How much waits for one of its clients until there is room, without what only our hub says."""
        hub, waiting = self._context.engine.hub_id, self._context.engine.waiting
        passing = len(proxy.passing) - proxy.passing.count(hub)
        return passing + waiting(None, proxy.client) - waiting(hub, proxy.client)

    def is_leaving(self, client: str) -> bool:
        """Whether something of a client that has left is still to cross."""
        return client in self._leaving

    async def _mapped(self, delivery: DeliverCall | DeliverNotification) -> Content:
        """Return the message, with the peer's own id of a call whose progress it tells."""
        if mtype_in(delivery.message) != PROGRESS:
            return delivery.message
        return self._calls.renamed(await values_of(delivery.message))

    async def _response(self, proxy: Proxy, delivery: DeliverResponse) -> Reply:
        self._calls.answered(delivery.msg_tag)
        response = await self._context.sent(delivery.responder, await values_of(delivery.response))
        return Reply(delivery.responder, proxy.remote, delivery.msg_tag, response)

    def _show_sender(self, sender: str) -> None:
        if sender in self._changed or sender not in self._shown:
            self._tell_change(sender, speaks=True)

    def _owed(self, sender: str) -> dict[Proxy, int]:
        """Return to which clients of the peer something of `sender` has not passed, and how much."""
        waiting = self._context.engine.waiting
        counts = {
            proxy: waiting(sender, proxy.client) + proxy.passing.count(sender)
            for proxy in self.proxies.by_remote.values()
        }
        return {proxy: count for proxy, count in counts.items() if count}

    def _passed(self, sender: str, proxy: Proxy) -> None:
        """Something of who has left has passed, or was refused."""
        owed = self._leaving[sender]
        if proxy in owed:
            owed[proxy] -= 1
            if not owed[proxy]:
                del owed[proxy]
        if not owed:
            self._has_left(sender)

    def _look_after(self, sender: str) -> None:
        """Forget what is owed to clients that are gone: it does not pass any more."""
        owed = self._leaving[sender]
        for proxy in [proxy for proxy in owed if proxy.client not in self.proxies.by_client]:
            del owed[proxy]
        if not owed:
            self._has_left(sender)

    def _has_left(self, sender: str) -> None:
        del self._leaving[sender]
        if not self.gone:
            self.changed(sender)

    def _tell(self, item: Item) -> None:
        self._gathering.flush()
        self._put(*dump_item(item))

    def _tell_or_break(self, item: Item) -> None:
        """Tell what cannot wait, unless the peer lets it pile up."""
        if self._outgoing.waiting > 4 * self._limits.reach_window:
            self._lose(self, "it does not acknowledge what it is sent", True)
        elif not self.gone:
            self._tell(item)

    def _tell_changes(self) -> None:
        for client in list(self._changed):
            if not self._outgoing.has_room:
                return
            self._tell_change(client)

    def _tell_change(self, client: str, *, speaks: bool = False) -> None:
        self._changed.pop(client, None)
        speaks = speaks or client in self._shown
        left = client in self._leaving
        view = self._view(client, speaks=speaks, left=left)
        if view is not None:
            self._shown.add(client)
            self._tell(ClientIs(view))
        elif client in self._shown:
            self._shown.discard(client)
            self._tell(ClientLeft(client))

    def _view(self, client: str, *, speaks: bool = False, left: bool = False) -> RemoteClient | None:
        """Return one of our clients as the peer may see it. One that cannot be shown hides no other."""
        try:
            return self._exports.view(client, trusted=self._trusted, speaks=speaks, left=left)
        except Exception:
            log.exception("client %s cannot be shown to the hub %s", client, self.label)
            return None

    def _put(self, kind: str, body: bytes, messages: int = 0) -> None:
        if not self._outgoing.waiting:
            self._waits_since = self._context.clock()
        for payload in self._outgoing.put(kind, body, self._context.bus.max_payload, messages=messages):
            self._publish(payload)

    def _publish(self, payload: bytes) -> None:
        self._context.bus.publish(self._to, payload, self._refusals)

    def _acknowledge(self) -> None:
        """Say what has been taken of the peer's stream; as a heartbeat, too."""
        if self._ack is not None:
            self._ack.cancel()
            self._ack = None
        if self._owes_greeting or not self._incoming.stream:
            self._publish(dump_ack(NO_STREAM, 0))
        else:
            self._publish(dump_ack(self._incoming.stream, self._incoming.taken))

    def _soon(self) -> None:
        """Acknowledge in a moment what has been taken."""
        if self._ack is None and not self.gone:
            self._ack = self._loop.call_later(_ACK_DELAY, self._acknowledge)

    def _probe_again(self) -> None:
        self._probe = None
        if self._refused_since is not None:
            self._acknowledge()

    def _take_ack(self, ack: Ack) -> None:
        now = self._context.clock()
        if ack.stream == NO_STREAM:
            if self._outgoing.acknowledged:
                self._lose(self, "it has lost sight of this hub", False)
            elif now - self._waits_since > self._again:
                self._again = min(2 * self._again, _AGAIN_LATEST)
                self._send_again()
            return
        if ack.stream != self._outgoing.stream:
            return
        if self._outgoing.take_ack(ack.taken):
            self._waits_since = now
            self._tell_changes()
            self._move()
            return
        self._heard_beat()
        if self._outgoing.waiting and now - self._waits_since >= self._limits.reach_resend:
            self._send_again()

    def _send_again(self) -> None:
        """Send what is not acknowledged, or give the peer up: frames that were sent cannot be cut anew."""
        most = self._context.bus.max_payload
        if self._outgoing.longest > most:
            self._lose(self, f"the server takes {most} bytes at once now, and more were under way", False)
            return
        self._waits_since = self._context.clock()
        for payload in self._outgoing.unacknowledged():
            self._publish(payload)
