"""The hub without any I/O: clients, subscriptions, and who owes whom an answer (SAMP 1.3 §2.4, §3.11).

Every method takes public ids, does one hub operation wholly or not at all, and answers by
its return value or a `FaultError`. What must go out is left for the engine, which calls `take_effects`.

No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from .._util.foreign_text import plain_line, quoted
from .._util.sizing import measure_size
from ..delivery import DeliverCall, DeliverNotification, DeliverResponse, Effect, FinishWait, Forget
from ..errors import (
    FaultCode,
    FaultError,
)
from ..interfaces import MaySend
from ..mtypes import is_subscription, keys_for
from ..values import Content, Response, Value, ValueMap
from .validation import bad_parameters, check_message, check_mtype

__all__ = ["CallEnded", "ClientChange", "ClientStanding", "HubCore", "Observed"]


_OF_THE_HUB = ("samp.hub.event.", "samp.hub.disconnect")
"""How the mtypes begin that only a hub sends."""


_NAME_LENGTH = 60
"""Characters of a client's name that stand in errors and in the log."""

_What: TypeAlias = Literal[
    "registered", "metadata", "subscriptions", "callable", "congested", "relieved", "unregistered"
]

_Declared: TypeAlias = Literal["metadata", "subscriptions"]

_ALWAYS_TAKEN = 32 * 1024
"""About how many bytes a client may declare though the others have declared all that there is room for."""

_EVENTS: dict[str, _What] = {
    "register": "registered",
    "metadata": "metadata",
    "subscriptions": "subscriptions",
    "unregister": "unregistered",
}


@dataclass(slots=True)
class _Client:
    may_send: MaySend | None = None
    receives: bool = True  # what other clients say, as the user has decided
    callable: bool = False
    origin: str | None = None
    metadata: ValueMap = field(default_factory=dict)
    subscriptions: dict[str, ValueMap] = field(default_factory=dict)
    sizes: dict[_Declared, int] = field(default_factory=dict)
    # Dicts for their order: the oldest open call is ended first.
    owes: dict[str, None] = field(default_factory=dict)
    awaits: dict[str, None] = field(default_factory=dict)


class ClientStanding(NamedTuple):
    """How a client stands in the hub.

    Attributes:
        public_id: Its public id.
        name: Its samp.name on one line, for people; "" if it has none.
        metadata: What it has declared of itself.
        subscriptions: What it takes, with the annotations.
        callable: Whether messages can be delivered to it.
        congested: Whether it does not take its messages, so that further ones are refused.
        owes: How many calls it has not answered.
        origin: The web origin of a page, as its browser says; None for every other client.
    """

    public_id: str
    name: str
    metadata: ValueMap
    subscriptions: ValueMap
    callable: bool
    congested: bool
    owes: int
    origin: str | None = None


class ClientChange(NamedTuple):
    """Something has changed with a client; see `observer.ClientEvent`."""

    what: _What
    client: str
    name: str


class CallEnded(NamedTuple):
    """The call `msg_id` has ended; without an outcome, nobody waits for it any more."""

    msg_id: str
    outcome: Content | FaultError | None


Observed: TypeAlias = ClientChange | CallEnded


class _Pending(NamedTuple):
    caller: str
    recipient: str
    msg_tag: str | None  # None: a callAndWait


class HubCore:
    """The state of a hub and its operations.

    `client_ids` and `msg_ids` yield ids that are never used twice (HUB-41, MSG-26).
    """

    def __init__(
        self,
        *,
        client_ids: Iterator[str],
        msg_ids: Iterator[str],
        hub_id: str = "hub",
        max_clients: int = 2_000,
        max_pending_calls: int = 10_000,
        max_declared: int = 4 * 1024 * 1024,
        max_declared_all: int = 128 * 1024 * 1024,
    ) -> None:
        self.hub_id = hub_id
        self._effects: list[Effect] = []
        self.observed: list[Observed] | None = None  # what `take_observed` returns; None: nobody watches
        # who is congested -> whom the hub events were about that it did not get, and which
        self._missed: dict[str, dict[str, set[str]]] = {}
        self._client_ids = client_ids
        self._msg_ids = msg_ids
        self._max_clients = max_clients
        self._max_pending_calls = max_pending_calls
        self._max_declared = max_declared
        self._max_declared_all = max_declared_all
        self._declared = 0  # about how many bytes, by all
        self._clients: dict[str, _Client] = {hub_id: _Client(callable=True)}
        # subscription key -> who declared it; what makes a broadcast cost its recipients only
        self._subscribers: dict[str, dict[str, ValueMap]] = {}
        self._pending: dict[str, _Pending] = {}
        self._closing = False

    def take_effects(self) -> list[Effect]:
        """Return what must go out since the last time, in order."""
        effects, self._effects = self._effects, []
        return effects

    # ---- for who watches

    def watch(self, watched: bool) -> None:
        """Note what happens for `take_observed` from now on, or stop."""
        self.observed = (self.observed or []) if watched else None

    def take_observed(self) -> list[Observed]:
        """Return what has happened since the last time, in order."""
        observed = self.observed
        if not observed:
            return []
        self.observed = []
        return observed

    def describe(self, client: str) -> ClientStanding | None:
        """Return how `client` stands; None if it is not registered."""
        record = self._clients.get(client)
        if record is None:
            return None
        return ClientStanding(
            client,
            self.name_of(client),
            record.metadata,
            dict(record.subscriptions),
            record.callable,
            client in self._missed,
            len(record.owes),
            record.origin,
        )

    def owing(self) -> dict[str, int]:
        """Return who owes answers, and how many."""
        return {client: len(record.owes) for client, record in self._clients.items() if record.owes}

    def owed(self, client: str, most: int = 1_000) -> dict[str, int]:
        """Return to whom `client` owes how many answers, as of its `most` oldest open calls."""
        record = self._clients.get(client)
        if record is None:
            return {}
        return dict(Counter(self._pending[msg_id].caller for msg_id in islice(record.owes, most)))

    def name_of(self, client: str) -> str:
        """Return the name of `client` for people to read; empty if it has said none."""
        record = self._clients.get(client)
        name = None if record is None else record.metadata.get("samp.name")
        return plain_line(name, _NAME_LENGTH) if isinstance(name, str) else ""

    def label(self, client: str) -> str:
        """Return how errors call `client`: by its name, if it has said one, and its id."""
        name = self.name_of(client)
        return f"{name} ({client})" if name else f"client {client!r}"

    def _note(self, what: _What, client: str) -> None:
        if self.observed is not None:
            self.observed.append(ClientChange(what, client, self.name_of(client)))

    # ---- who is here

    def register(
        self, may_send: MaySend | None = None, origin: str | None = None, *, returning: bool = False
    ) -> str:
        """Admit a client and return its public id (HUB-3, HUB-20).

        A client is `returning` that was registered before the hub was restarted: there is always room for it.

        Raises `FaultError` while the hub closes or when it is full.
        """
        if self._closing:
            raise FaultError("the hub is shutting down", code=FaultCode.SHUTTING_DOWN)
        if len(self._clients) > self._max_clients and not returning:
            text = f"the hub takes no more than {self._max_clients} clients"
            raise FaultError(text, code=FaultCode.REGISTRATION_REFUSED)
        client = next(self._client_ids)
        self._clients[client] = _Client(may_send, origin=origin)
        self._announce("register", client)
        return client

    def set_callable(self, client: str, callable_: bool) -> None:
        """Say whether `client` can be called (CLIENT-2); earlier subscriptions count from now (TOL-8)."""
        self._record(client).callable = callable_
        self._note("callable", client)

    def permit(self, client: str, may_send: MaySend | None, receives: bool) -> None:
        """Say what `client` may send from now on, and whether others may send it anything."""
        record = self._record(client)
        record.may_send, record.receives = may_send, receives

    def may_receive(self, client: str) -> bool:
        """Whether others may send `client` anything; also if it has left."""
        record = self._clients.get(client)
        return record is None or record.receives

    def is_registered(self, client: str) -> bool:
        """Whether `client` is the public id of a registered client."""
        return client in self._clients

    def owes_reply(self, client: str) -> bool:
        """Whether `client` has a call that it has not answered."""
        record = self._clients.get(client)
        return record is not None and bool(record.owes)

    def unregister(self, client: str) -> None:
        """Remove `client`; its open calls end, those it owed an answer to get an error (HUB-7, HUB-60)."""
        self._record(client)
        self._remove(client, "unregistered", last_words=False)

    def disconnect(self, client: str, reason: str) -> None:
        """Remove `client` by force: told so first if it subscribes to it (MTYPE-25, HUB-63)."""
        self._record(client)
        self._tell(client, "samp.hub.disconnect", {"reason": reason})
        self._remove(client, reason, last_words=True)

    def lose(self, client: str, reason: str) -> None:
        """Remove `client`, which cannot be reached any more (HUB-8)."""
        self._record(client)
        self._remove(client, reason, last_words=False)

    def get_registered_clients(self, caller: str) -> list[Value]:
        """Return all public ids but the caller's, the hub's too (HUB-26)."""
        self._record(caller)
        return [client for client in self._clients if client != caller]

    # ---- what they say of themselves

    def declare_metadata(self, client: str, metadata: ValueMap) -> None:
        """Replace the metadata of `client` (META-2, HUB-4). Raises `FaultError` if they are too large."""
        record = self._record(client)
        self._weigh(record, "metadata", metadata)
        record.metadata = metadata
        self._announce("metadata", client, metadata=metadata)

    def get_metadata(self, caller: str, client: str) -> ValueMap:
        """Return what `client` declared, `{}` if nothing (META-12, HUB-23)."""
        self._record(caller)
        return self._other(client).metadata

    def declare_subscriptions(self, client: str, subscriptions: ValueMap) -> None:
        """Replace the subscriptions of `client` (HUB-5, HUB-24).

        An annotation that is not a map is read as `{}`; an illegal key is a fault (MTYPE-10), and so are
        subscriptions that are too large.
        """
        record = self._record(client)
        declared: dict[str, ValueMap] = {}
        for key, annotation in subscriptions.items():
            if not is_subscription(key):
                raise bad_parameters(f"{quoted(key)} is neither a valid mtype nor a wildcard subscription")
            declared[key] = annotation if isinstance(annotation, dict) else {}
        self._weigh(record, "subscriptions", declared)
        self._withdraw_subscriptions(client, record)
        record.subscriptions = declared
        for key, annotation in declared.items():
            self._subscribers.setdefault(key, {})[client] = annotation
        self._announce("subscriptions", client, subscriptions=dict(declared))

    def get_subscriptions(self, caller: str, client: str) -> ValueMap:
        """Return the subscriptions of `client`, `{}` if it declared none (HUB-25)."""
        self._record(caller)
        return dict(self._other(client).subscriptions)

    def get_subscribed_clients(self, caller: str, mtype: str) -> ValueMap:
        """Return who can be sent `mtype` by the caller, each with its annotation (HUB-27)."""
        record = self._record(caller)
        check_mtype(mtype)
        return dict(self._recipients(caller, record, mtype))

    # ---- messages

    def notify(self, caller: str, recipient: str, message: Content) -> None:
        """Send a notification to one client (HUB-28, MSG-31)."""
        message, _ = self._directed(caller, recipient, message)
        self._effects.append(DeliverNotification(recipient, caller, message))

    def notify_all(self, caller: str, message: Content) -> list[Value]:
        """Send a notification to all who subscribe, but the caller; return to whom (HUB-29, MSG-32)."""
        message, recipients = self._broadcast(caller, message)
        for recipient in recipients:
            self._effects.append(DeliverNotification(recipient, caller, message))
        return list(recipients)

    def call(self, caller: str, recipient: str, msg_tag: str, message: Content) -> str:
        """Send a call to one client and return its msg-id; the response follows (HUB-30)."""
        message, record = self._directed(caller, recipient, message)
        self._check_may_call(caller)
        return self._open_call(caller, record, recipient, msg_tag, message)

    def call_all(self, caller: str, msg_tag: str, message: Content) -> ValueMap:
        """Send a call to all who subscribe, but the caller; return the msg-id of each (HUB-31, MSG-27)."""
        message, recipients = self._broadcast(caller, message)
        self._check_may_call(caller)
        record = self._clients[caller]
        return {
            recipient: self._open_call(caller, record, recipient, msg_tag, message)
            for recipient in recipients
        }

    def call_and_wait(self, caller: str, recipient: str, message: Content) -> str:
        """Open a synchronous call and return its msg-id; `FinishWait` follows (HUB-32)."""
        message, record = self._directed(caller, recipient, message)
        self._check_open()
        return self._open_call(caller, record, recipient, None, message)

    def reply(self, caller: str, msg_id: str, response: Content) -> None:
        """Answer a call: only its recipient may, and once (HUB-33, MSG-37, MSG-39)."""
        self._record(caller)
        pending = self._pending.get(msg_id)
        if pending is None or pending.recipient != caller:
            raise FaultError(
                f"no open call {quoted(msg_id)} awaits an answer from this client: "
                "it was answered already, or timed out, or its sender has left, or it never was",
                code=FaultCode.UNKNOWN_MESSAGE,
            )
        self._close_call(msg_id, pending)
        self._answer(msg_id, pending, response)

    def refuse(self, msg_id: str, reason: str) -> None:
        """End the call `msg_id`, which could not be delivered, with an error; nothing if it has ended."""
        pending = self._pending.get(msg_id)
        if pending is not None:
            self._close_call(msg_id, pending)
            self._answer_error(msg_id, pending, reason)

    def abandon(self, msg_id: str) -> None:
        """Forget the call `msg_id`: its caller does not wait any longer (MSG-30)."""
        pending = self._pending.get(msg_id)
        if pending is not None:
            self._close_call(msg_id, pending)
            self._note_end(msg_id, None)

    # ---- who does not take its messages

    @property
    def congested(self) -> frozenset[str]:
        """Who does not take its messages."""
        return frozenset(self._missed)

    def is_congested(self, client: str) -> bool:
        """Whether `client` does not take its messages."""
        return client in self._missed

    def congest(self, client: str) -> None:
        """Refuse messages to `client` from now on, until `relieve` (HUB-45)."""
        self._missed.setdefault(client, {})
        self._note("congested", client)

    def relieve(self, client: str) -> None:
        """Accept messages to `client` again, and tell it who came, changed and left meanwhile."""
        self._note("relieved", client)
        for about, events in self._missed.pop(client, {}).items():
            other = self._clients.get(about)
            if other is None:
                self._tell(client, "samp.hub.event.unregister", {"id": about})
                continue
            news: list[tuple[str, ValueMap]] = [
                ("register", {}),
                ("metadata", {"metadata": other.metadata}),
                ("subscriptions", {"subscriptions": dict(other.subscriptions)}),
            ]
            for event, params in news:
                if event in events:
                    self._tell(client, f"samp.hub.event.{event}", {"id": about, **params})

    # ---- coming back after a crash

    def snapshot(self) -> dict[str, Any]:
        """Return who is registered with what, and the open asynchronous calls, as JSON can hold it."""
        return {
            "clients": {
                client: {
                    "callable": record.callable,
                    "metadata": record.metadata,
                    "subscriptions": record.subscriptions,
                }
                for client, record in self._clients.items()
                if client != self.hub_id
            },
            "calls": [list(pending) for pending in self._pending.values() if pending.msg_tag is not None],
        }

    def announce_unregistered(self, client: str) -> None:
        """Tell everybody that `client`, known before the crash, is no longer registered."""
        self._announce("unregister", client)

    def answer_lost(self, caller: str, recipient: str, msg_tag: str, reason: str) -> None:
        """Answer a call that was open before the crash with an error, if its caller is there."""
        record = self._clients.get(caller)
        if record is not None and record.callable:
            response = Response.failure(f"client {recipient!r}: {reason}").to_map()
            self._effects.append(DeliverResponse(caller, recipient, msg_tag, response))

    # ---- the end

    def shut_down(self) -> None:
        """Refuse new clients and new calls, and tell everybody that the hub stops (HUB-9, HUB-62)."""
        if not self._closing:
            self._closing = True
            self._announce("shutdown")

    def end_waits(self) -> None:
        """End every callAndWait with a fault (HUB-62)."""
        for msg_id, pending in list(self._pending.items()):
            if pending.msg_tag is None:
                self._close_call(msg_id, pending)
                self._fault(msg_id, "the hub is shutting down", FaultCode.SHUTTING_DOWN)

    # ---- inside

    def _record(self, caller: str) -> _Client:
        try:
            return self._clients[caller]
        except KeyError:
            text = "the caller is not registered, or not any more; register again"
            raise FaultError(text, code=FaultCode.NOT_REGISTERED) from None

    def _other(self, client: str) -> _Client:
        try:
            return self._clients[client]
        except KeyError:
            text = f"no client {quoted(client)} is registered"
            raise FaultError(text, code=FaultCode.UNKNOWN_CLIENT) from None

    def _check_open(self) -> None:
        if self._closing:
            raise FaultError("the hub is shutting down", code=FaultCode.SHUTTING_DOWN)

    def _check_may_call(self, caller: str) -> None:
        """A client that takes nothing any more may ask for nothing more, else its outbox had no bound."""
        self._check_open()
        if caller in self._missed:
            raise FaultError(
                "this client does not take its messages, so it cannot be sent a response; take them first",
                code=FaultCode.LIMIT_REACHED,
            )

    def _check_may_say(self, caller: str, mtype: str) -> None:
        """What only a hub may say would make clients forget others, or leave (MTYPE-20..25)."""
        if caller != self.hub_id and mtype.startswith(_OF_THE_HUB):
            raise FaultError(f"only the hub sends {quoted(mtype)}", code=FaultCode.NOT_ALLOWED)

    def _directed(self, caller: str, recipient: str, message: Content) -> tuple[Content, _Client]:
        record = self._record(caller)
        mtype, message = check_message(message)
        self._check_may_say(caller, mtype)
        other = self._other(recipient)
        if not other.callable:
            text = f"{self.label(recipient)} cannot be called: it has set no callback"
            raise FaultError(text, code=FaultCode.NOT_SUBSCRIBED)
        subscriptions = other.subscriptions
        key = next((key for key in keys_for(mtype) if key in subscriptions), None)
        if key is None:
            text = f"{self.label(recipient)} does not subscribe to {mtype!r}"
            raise FaultError(text, code=FaultCode.NOT_SUBSCRIBED)
        if not other.receives and caller != self.hub_id:
            text = f"the user of the hub lets {self.label(recipient)} receive no messages"
            raise FaultError(text, code=FaultCode.NOT_ALLOWED)
        if record.may_send is not None and not record.may_send(mtype, subscriptions[key]):
            raise FaultError(
                f"this client may not send {mtype!r} to {self.label(recipient)}", code=FaultCode.NOT_ALLOWED
            )
        if recipient in self._missed:
            raise FaultError(
                f"{self.label(recipient)} does not take its messages, and no more can be kept for it",
                code=FaultCode.LIMIT_REACHED,
            )
        return message, record

    def _broadcast(self, caller: str, message: Content) -> tuple[Content, list[str]]:
        record = self._record(caller)
        mtype, message = check_message(message)
        self._check_may_say(caller, mtype)
        recipients = self._recipients(caller, record, mtype)
        return message, [recipient for recipient in recipients if recipient not in self._missed]

    def _recipients(self, caller: str, record: _Client, mtype: str) -> dict[str, ValueMap]:
        found: dict[str, ValueMap] = {}
        of_hub = caller == self.hub_id
        for key in keys_for(mtype):
            subscribers = self._subscribers.get(key)
            if not subscribers:
                continue
            for client, annotation in subscribers.items():
                if client not in found and client != caller:
                    other = self._clients[client]
                    if other.callable and (of_hub or other.receives):
                        found[client] = annotation
        if record.may_send is None:
            return found
        return {client: found[client] for client in found if record.may_send(mtype, found[client])}

    def _open_call(
        self, caller: str, record: _Client, recipient: str, msg_tag: str | None, message: Content
    ) -> str:
        if len(record.awaits) >= self._max_pending_calls:
            self.refuse(next(iter(record.awaits)), "given up, since its sender has too many open calls")
        msg_id = next(self._msg_ids)
        # The slot is there before the delivery goes out: DS9's reply outruns its answer to receiveCall.
        self._pending[msg_id] = _Pending(caller, recipient, msg_tag)
        record.awaits[msg_id] = None
        self._clients[recipient].owes[msg_id] = None
        self._effects.append(DeliverCall(recipient, caller, msg_id, message))
        return msg_id

    def _weigh(self, record: _Client, what: _Declared, declared: Mapping[str, Value]) -> None:
        """Note how much memory takes what a client declares; raise `FaultError` if it is too much."""
        before = record.sizes.get(what, 0)
        kept = sum(record.sizes.values()) - before  # of the same client
        size = measure_size(dict(declared), self._max_declared)
        if kept + size > self._max_declared:
            raise _too_large("a client's metadata and subscriptions", self._max_declared)
        others = self._declared - kept - before
        if size > before and kept + size > _ALWAYS_TAKEN and others + kept + size > self._max_declared_all:
            raise _too_large(f"the {what}, and those of the other clients,", self._max_declared_all)
        record.sizes[what] = size
        self._declared += size - before

    def _close_call(self, msg_id: str, pending: _Pending) -> None:
        del self._pending[msg_id]
        del self._clients[pending.caller].awaits[msg_id]
        del self._clients[pending.recipient].owes[msg_id]

    def _note_end(self, msg_id: str, outcome: Content | FaultError | None) -> None:
        if self.observed is not None:
            self.observed.append(CallEnded(msg_id, outcome))

    def _answer(self, msg_id: str, pending: _Pending, response: Content) -> None:
        self._note_end(msg_id, response)
        self._respond(msg_id, pending, response)

    def _respond(self, msg_id: str, pending: _Pending, response: Content) -> None:
        if pending.msg_tag is None:
            self._effects.append(FinishWait(msg_id, response))
        elif self._clients[pending.caller].callable:
            self._effects.append(
                DeliverResponse(pending.caller, pending.recipient, pending.msg_tag, response)
            )

    def _answer_error(self, msg_id: str, pending: _Pending, reason: str) -> None:
        text = f"{self.label(pending.recipient)}: {reason}"
        if pending.msg_tag is None:
            self._fault(msg_id, text, FaultCode.RECIPIENT_LOST)
        else:
            self._note_end(msg_id, FaultError(text, code=FaultCode.RECIPIENT_LOST))
            self._respond(msg_id, pending, Response.failure(text).to_map())

    def _fault(self, msg_id: str, text: str, code: FaultCode) -> None:
        fault = FaultError(text, code=code)
        self._note_end(msg_id, fault)
        self._effects.append(FinishWait(msg_id, fault))

    def _remove(self, client: str, reason: str, *, last_words: bool) -> None:
        record = self._clients[client]
        self._missed.pop(client, None)
        self._withdraw_subscriptions(client, record)
        for msg_id in list(record.awaits):  # with a call to itself, which is then not owed any more
            pending = self._pending[msg_id]
            self._close_call(msg_id, pending)
            if pending.msg_tag is None:
                self._fault(msg_id, "this client is not registered any more", FaultCode.NOT_REGISTERED)
            else:
                self._note_end(msg_id, None)
        for msg_id in list(record.owes):
            pending = self._pending[msg_id]
            self._close_call(msg_id, pending)
            self._answer_error(msg_id, pending, f"left before it answered ({reason})")
        self._note("unregistered", client)
        self._declared -= sum(record.sizes.values())
        del self._clients[client]
        self._effects.append(Forget(client, last_words))
        self._announce("unregister", client)

    def _withdraw_subscriptions(self, client: str, record: _Client) -> None:
        for key in record.subscriptions:
            subscribers = self._subscribers[key]
            del subscribers[client]
            if not subscribers:
                del self._subscribers[key]

    def _announce(self, event: str, client: str | None = None, **params: Value) -> None:
        mtype = f"samp.hub.event.{event}"
        if client is not None and client in self._clients:  # what left has been noted before
            self._note(_EVENTS[event], client)
        recipients = self._recipients(self.hub_id, self._clients[self.hub_id], mtype)
        if not recipients:
            return
        about: ValueMap = {} if client is None else {"id": client}
        message: ValueMap = {"samp.mtype": mtype, "samp.params": {**about, **params}}
        for recipient in recipients:
            missed = self._missed.get(recipient)
            if missed is None:
                self._effects.append(DeliverNotification(recipient, self.hub_id, message))
            elif client is not None:
                _note_missed(missed, client, event)

    def _tell(self, client: str, mtype: str, params: ValueMap) -> None:
        record = self._clients[client]
        if record.callable and any(key in record.subscriptions for key in keys_for(mtype)):
            message: ValueMap = {"samp.mtype": mtype, "samp.params": params}
            self._effects.append(DeliverNotification(client, self.hub_id, message))


def _too_large(what: str, most: int) -> FaultError:
    text = f"{what} take more than {most / 1e6:g} MB of memory; declare less, such as a URL in place of data"
    return FaultError(text, code=FaultCode.LIMIT_REACHED)


def _note_missed(missed: dict[str, set[str]], about: str, event: str) -> None:
    """Note an event that a congested client does not get; who came and left meanwhile is left out."""
    events = missed.setdefault(about, set())
    events.add(event)
    if event == "unregister" and "register" in events:
        del missed[about]
