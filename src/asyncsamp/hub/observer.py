"""What happens in a hub, for those who watch it: who comes and goes, and what becomes of each message.

Nothing is kept or made while nobody watches. A watcher is not a client of the hub, and is told by reference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .._util.foreign_text import plain_line
from ..delivery import DeliverCall, DeliverNotification, DeliverResponse, Delivery
from ..errors import FaultError
from ..values import Content, RawMap, ValueMap
from .core import CallEnded, ClientChange, Observed

__all__ = ["ClientEvent", "HubEvent", "MessageEvent", "Observers", "describe_event"]

log = logging.getLogger("asyncsamp.hub")

_SHOWN = 200
"""Characters of a message or a response that stand in a line of the log."""


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """Something has changed with a client.

    Attributes:
        what: "registered", "metadata", "subscriptions" or "callable", "congested" and "relieved" for one
            that does not take its messages and takes them again, and "unregistered".
        client: The public id of the client.
        name: Its name, if it has said one.
    """

    what: Literal[
        "registered", "metadata", "subscriptions", "callable", "congested", "relieved", "unregistered"
    ]
    client: str
    name: str


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """Something has become of a message.

    Attributes:
        what: "sent" when the hub has taken it in; "delivered" or "failed" when its recipient has taken it,
            or could not; for a call also "answered", "failed" or "abandoned", when nobody waits any more.
        number: Which message it is: the events of one message to one recipient have the same number.
        sender: The public id of who sent it.
        recipient: The public id of whom it is for.
        mtype: Its mtype.
        msg_id: The hub's id of a call; empty for a notification.
        content: The message; the response when it is "answered". Not to be changed: it is the hub's own.
        seconds: The time since it was sent.
        error: Why it failed; else empty.
    """

    what: Literal["sent", "delivered", "failed", "answered", "abandoned"]
    number: int
    sender: str
    recipient: str
    mtype: str
    msg_id: str
    content: ValueMap
    seconds: float
    error: str = ""


HubEvent: TypeAlias = ClientEvent | MessageEvent


class _UnderWay(NamedTuple):
    number: int
    since: float
    delivery: DeliverCall | DeliverNotification


class Observers:
    """Those who watch, and what must be known to tell them of a message from its beginning to its end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.callbacks: list[Callable[[HubEvent], None]] = []
        self.count = 0  # messages while somebody watched
        self._thorough = 0  # callbacks that want to hear of every message
        self._samplers: list[Callable[[], bool]] = []  # of those callbacks that need not hear of all
        self.of_clients: list[Callable[[str, str], None]] = []
        self._clock = clock
        self.calls: dict[str, _UnderWay] = {}  # msg-id -> the call, until it has ended
        self.notifications: dict[int, _UnderWay] = {}  # by the identity of the delivery, which is kept here

    def add(
        self, callback: Callable[[HubEvent], None], sample: Callable[[], bool] | None = None
    ) -> Callable[[], None]:
        """Tell `callback` what happens from now on; returns what ends it.

        As long as all who watch give a `sample`, messages that none of them wants are only counted: that is a
        tenth of the work.
        """
        self.callbacks.append(callback)
        if sample is None:
            self._thorough += 1
        else:
            self._samplers.append(sample)

        def remove() -> None:
            if callback in self.callbacks:
                self.callbacks.remove(callback)
                if sample is None:
                    self._thorough -= 1
                else:
                    self._samplers.remove(sample)
            if not self.callbacks:
                self.calls.clear()
                self.notifications.clear()

        return remove

    def add_for_clients(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Tell `callback` what happens to which client, and nothing of messages; returns what ends it."""
        self.of_clients.append(callback)

        def remove() -> None:
            if callback in self.of_clients:
                self.of_clients.remove(callback)

        return remove

    @property
    def any(self) -> bool:
        """Whether anybody watches."""
        return bool(self.callbacks or self.of_clients)

    def observed(self, seen: Observed) -> None:
        """The core has changed."""
        if isinstance(seen, ClientChange):
            for callback in tuple(self.of_clients):
                _guarded(callback, seen.what, seen.client)
            self._tell(ClientEvent(seen.what, seen.client, seen.name))
            return
        call = self.calls.pop(seen.msg_id, None)
        if call is not None:
            self._tell_end(call, seen)
        else:
            self._is_wanted()

    def posted(self, delivery: Delivery) -> None:
        """A message is in the outbox of its recipient. A response is told as the end of its call."""
        if isinstance(delivery, DeliverResponse):
            return
        self.count += 1
        if not self._is_wanted():
            return
        entry = _UnderWay(self.count, self._clock(), delivery)
        if isinstance(delivery, DeliverCall):
            self.calls[delivery.msg_id] = entry
        else:
            self.notifications[id(delivery)] = entry
        self._tell_of(entry, "sent")

    def delivered(self, delivery: Delivery) -> None:
        """Its recipient has taken a message."""
        entry = self._find(delivery)
        if entry is not None:
            self._tell_of(entry, "delivered")

    def refused(self, delivery: Delivery, reason: str) -> None:
        """Its recipient has not taken a message. A call ends by it, and is told as ended."""
        entry = None if isinstance(delivery, DeliverCall) else self._find(delivery)
        if entry is not None:
            self._tell_of(entry, "failed", error=reason)

    def forgotten(self, client: str) -> None:
        """What waited for `client` is dropped."""
        left = [entry for entry in self.notifications.values() if entry.delivery.recipient == client]
        for entry in left:
            del self.notifications[id(entry.delivery)]
            self._tell_of(entry, "failed", error="its recipient has left")

    def _is_wanted(self) -> bool:
        """Whether a message is told; all samplers are asked, since each one counts."""
        wanted = self._thorough > 0
        for sample in self._samplers:
            wanted = sample() or wanted
        return wanted

    def _find(self, delivery: Delivery) -> _UnderWay | None:
        if isinstance(delivery, DeliverCall):
            return self.calls.get(delivery.msg_id)
        return self.notifications.pop(id(delivery), None)

    def _tell_end(self, call: _UnderWay, ended: CallEnded) -> None:
        if ended.outcome is None:
            self._tell_of(call, "abandoned")
        elif isinstance(ended.outcome, FaultError):
            self._tell_of(call, "failed", error=ended.outcome.text)
        else:
            self._tell_of(call, "answered", content=ended.outcome)

    def _tell_of(
        self,
        entry: _UnderWay,
        what: Literal["sent", "delivered", "failed", "answered", "abandoned"],
        *,
        content: Content | None = None,
        error: str = "",
    ) -> None:
        delivery = entry.delivery
        message = _decoded(delivery.message)
        self._tell(
            MessageEvent(
                what,
                entry.number,
                delivery.sender,
                delivery.recipient,
                str(message["samp.mtype"]),
                delivery.msg_id if isinstance(delivery, DeliverCall) else "",
                message if content is None else _decoded(content),
                self._clock() - entry.since,
                error,
            )
        )

    def _tell(self, event: HubEvent) -> None:
        for callback in tuple(self.callbacks):
            _guarded(callback, event)


def _guarded(callback: Callable[..., None], *told: object) -> None:
    try:
        callback(*told)
    except Exception:
        log.exception("a watcher of the hub failed at an event")


def _decoded(content: Content) -> ValueMap:
    """Return the values, here and now: while somebody watches, what is large comes in decoded."""
    return content.values() if isinstance(content, RawMap) else content


def describe_event(event: MessageEvent, who: Callable[[str], str]) -> str:
    """Return a line for the log: who, to whom, what, and what became of it, by `who` in words.

    Values are cut, and cannot act on a terminal.
    """
    kind = f"call {event.msg_id}" if event.msg_id else "notification"
    head = f"{who(event.sender)} -> {who(event.recipient)}: {event.mtype}, {kind}, {event.what}"
    content = event.content.get("samp.params") if event.what == "sent" else event.content
    if event.what == "sent":
        return f"{head}: {plain_line(_begun(content), _SHOWN)}"
    told = f" after {event.seconds * 1000:.1f} ms"
    if event.what == "answered":
        return f"{head}{told}: {plain_line(_begun(content), _SHOWN)}"
    return f"{head}{told}" + (f": {plain_line(event.error, _SHOWN)}" if event.error else "")


def _begun(value: object, room: int = 2 * _SHOWN) -> str:
    """Return the beginning of a value as text, without making a text of all of it."""
    if isinstance(value, str):
        return repr(value[:room])
    pieces: list[str] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        piece = _begun(item, room)
        pieces.append(f"{key}: {piece}" if isinstance(value, dict) else piece)
        room -= len(pieces[-1])
        if room <= 0:
            break
    text = ", ".join(pieces)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"
