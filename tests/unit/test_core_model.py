"""Any sequence of operations, beside a model of the hub that is too simple to be wrong."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asyncsamp.delivery import (
    DeliverCall,
    DeliverNotification,
    DeliverResponse,
    Effect,
    FinishWait,
    Forget,
)
from asyncsamp.errors import FaultError
from asyncsamp.hub.core import HubCore
from asyncsamp.mtypes import matches
from asyncsamp.values import Value, ValueMap

from ..effort import examples

MAX_PENDING = 3
WHO = st.integers(0, 12)
MTYPES = st.sampled_from(["a", "a.b", "a.b.c", "z"])
KEYS = st.sets(st.sampled_from(["*", "a", "a.*", "a.b", "a.b.*", "samp.hub.event.*", "samp.hub.disconnect"]))


@dataclass
class Modelled:
    callable: bool = False
    subscriptions: set[str] = field(default_factory=set)


class CoreMachine(RuleBasedStateMachine):
    """Clients and calls are chosen by number, mostly among those that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.core = HubCore(
            client_ids=(f"c{number}" for number in itertools.count(1)),
            msg_ids=(f"m{number}" for number in itertools.count(1)),
            max_clients=6,
            max_pending_calls=MAX_PENDING,
        )
        self.clients: dict[str, Modelled] = {"hub": Modelled(callable=True)}
        self.open: dict[str, tuple[str, str, str | None]] = {}
        self.answered: set[str] = set()
        self.numbers = itertools.count(1)
        self.closing = False
        self.gone = ["c999"]
        self.old_calls = ["m999"]

    @initialize()
    def three_are_there(self) -> None:
        for _ in range(3):
            self.register()
        for client in ("c1", "c2", "c3"):
            self.core.set_callable(client, True)
            self.clients[client].callable = True
            self.core.declare_subscriptions(client, {"*": {}})
            self.clients[client].subscriptions = {"*"}
        self.taken()

    def client(self, number: int) -> str:
        there = [client for client in self.clients if client != "hub"]
        return self.gone[-1] if number == 0 or not there else there[number % len(there)]

    def some_call(self, number: int) -> str:
        there = list(self.open)
        return self.old_calls[-1] if number == 0 or not there else there[number % len(there)]

    # ---- what the model expects

    def hears(self, client: str, mtype: str) -> bool:
        other = self.clients[client]
        return other.callable and any(matches(key, mtype) for key in other.subscriptions)

    def hearers(self, sender: str, mtype: str) -> set[str]:
        return {
            client
            for client in self.clients
            if client != sender and self.hears(client, mtype) and client not in self.core.congested
        }

    def may_send(self, sender: str, recipient: str, mtype: str) -> bool:
        if sender not in self.clients or recipient not in self.clients:
            return False
        return self.hears(recipient, mtype) and recipient not in self.core.congested

    def may_call(self, sender: str) -> bool:
        return sender in self.clients and not self.closing and sender not in self.core.congested

    def message(self, mtype: str) -> ValueMap:
        return {"samp.mtype": mtype, "samp.params": {"number": str(next(self.numbers))}}

    def taken(self) -> list[Effect]:
        return self.core.take_effects()

    def expect_event(self, effects: list[Effect], name: str, **params: Value) -> None:
        """The hub's event goes to all who subscribe, once each, and is all there is."""
        mtype = f"samp.hub.event.{name}"
        assert {effect[0] for effect in effects} == self.hearers("hub", mtype)
        assert len(effects) == len({effect[0] for effect in effects})
        message: ValueMap = {"samp.mtype": mtype, "samp.params": params}
        for effect in effects:
            assert effect[1:] == ("hub", message)
            assert isinstance(effect, DeliverNotification)

    def expect_answers(self, effects: list[Effect], msg_ids: list[str]) -> None:
        """Each call of `msg_ids` ends now, in this order; that is all there is."""
        waiting = list(effects)
        for msg_id in msg_ids:
            caller, recipient, tag = self.open.pop(msg_id)
            assert msg_id not in self.answered
            self.old_calls.append(msg_id)
            self.answered.add(msg_id)
            if tag is None:
                effect = waiting.pop(0)
                assert isinstance(effect, FinishWait)
                assert effect.msg_id == msg_id
            elif caller in self.clients and self.clients[caller].callable:
                effect = waiting.pop(0)
                assert isinstance(effect, DeliverResponse)
                assert effect[:3] == (caller, recipient, tag)
        assert waiting == []

    def oldest_if_too_many(self, caller: str) -> list[str]:
        mine = [msg_id for msg_id, call in self.open.items() if call[0] == caller]
        return mine[: max(0, len(mine) - MAX_PENDING + 1)]

    def expect_call(
        self, effects: list[Effect], msg_id: str, call: tuple[str, str, str | None], message: ValueMap
    ) -> None:
        caller, recipient, _ = call
        assert msg_id not in self.open
        self.expect_answers(effects[:-1], self.oldest_if_too_many(caller))
        assert effects[-1] == DeliverCall(recipient, caller, msg_id, message)
        self.open[msg_id] = call

    # ---- what may happen

    @rule()
    def register(self) -> None:
        full = len(self.clients) > 6
        try:
            client = self.core.register()
        except FaultError:
            assert full or self.closing
            return
        assert not full
        assert not self.closing
        assert client not in self.clients
        self.clients[client] = Modelled()
        self.expect_event(self.taken(), "register", id=client)

    @rule(who=WHO, callable_=st.sampled_from([True, True, False]))
    def set_callable(self, who: int, callable_: bool) -> None:
        client = self.client(who)
        with contextlib.suppress(FaultError):
            self.core.set_callable(client, callable_)
            self.clients[client].callable = callable_

    @rule(who=WHO, keys=KEYS)
    def declare_subscriptions(self, who: int, keys: set[str]) -> None:
        client = self.client(who)
        declared: ValueMap = {key: {} for key in sorted(keys)}
        try:
            self.core.declare_subscriptions(client, declared)
        except FaultError:
            assert client not in self.clients
            return
        self.clients[client].subscriptions = keys
        self.expect_event(self.taken(), "subscriptions", id=client, subscriptions=declared)

    @rule(who=WHO)
    def declare_metadata(self, who: int) -> None:
        client = self.client(who)
        with contextlib.suppress(FaultError):
            self.core.declare_metadata(client, {"samp.name": client})
            self.expect_event(self.taken(), "metadata", id=client, metadata={"samp.name": client})

    @rule(who=WHO, whom=WHO, mtype=MTYPES)
    def notify(self, who: int, whom: int, mtype: str) -> None:
        sender, recipient = self.client(who), self.client(whom) if whom < 12 else "hub"
        message = self.message(mtype)
        allowed = self.may_send(sender, recipient, mtype)
        try:
            self.core.notify(sender, recipient, message)
        except FaultError:
            assert not allowed
            return
        assert allowed
        assert self.taken() == [DeliverNotification(recipient, sender, message)]

    @rule(who=WHO, mtype=MTYPES)
    def notify_all(self, who: int, mtype: str) -> None:
        sender = self.client(who)
        message = self.message(mtype)
        try:
            told = self.core.notify_all(sender, message)
        except FaultError:
            assert sender not in self.clients
            return
        assert set(map(str, told)) == self.hearers(sender, mtype)
        assert self.taken() == [DeliverNotification(str(one), sender, message) for one in told]

    @rule(who=WHO, whom=WHO, mtype=MTYPES, sync=st.booleans())
    def call(self, who: int, whom: int, mtype: str, sync: bool) -> None:
        sender, recipient = self.client(who), self.client(whom)
        message = self.message(mtype)
        allowed = self.may_send(sender, recipient, mtype) and not self.closing
        allowed = allowed and (sync or self.may_call(sender))
        tag = None if sync else f"t{next(self.numbers)}"
        try:
            if tag is None:
                msg_id = self.core.call_and_wait(sender, recipient, message)
            else:
                msg_id = self.core.call(sender, recipient, tag, message)
        except FaultError:
            assert not allowed
            return
        assert allowed
        self.expect_call(self.taken(), msg_id, (sender, recipient, tag), message)

    @rule(who=WHO, mtype=MTYPES)
    def call_all(self, who: int, mtype: str) -> None:
        sender = self.client(who)
        message = self.message(mtype)
        tag = f"t{next(self.numbers)}"
        try:
            msg_ids = self.core.call_all(sender, tag, message)
        except FaultError:
            assert not self.may_call(sender)
            return
        assert set(msg_ids) == self.hearers(sender, mtype)
        effects = self.taken()
        for recipient, msg_id in msg_ids.items():
            place = next(i for i, e in enumerate(effects) if isinstance(e, DeliverCall)) + 1
            self.expect_call(effects[:place], str(msg_id), (sender, recipient, tag), message)
            effects = effects[place:]
        assert effects == []

    @rule(who=WHO, which=WHO, honest=st.booleans())
    def reply(self, who: int, which: int, honest: bool) -> None:
        msg_id = self.some_call(which)
        awaited = self.open.get(msg_id)
        client = awaited[1] if honest and awaited is not None else self.client(who)
        allowed = awaited is not None and awaited[1] == client and client in self.clients
        try:
            self.core.reply(client, msg_id, {"samp.status": "samp.ok", "samp.result": {}})
        except FaultError:
            assert not allowed
            return
        assert allowed
        self.expect_answers(self.taken(), [msg_id])

    @rule(which=WHO)
    def refuse(self, which: int) -> None:
        msg_id = self.some_call(which)
        self.core.refuse(msg_id, "no")
        self.expect_answers(self.taken(), [msg_id] if msg_id in self.open else [])

    @rule(which=WHO)
    def abandon(self, which: int) -> None:
        msg_id = self.some_call(which)
        self.core.abandon(msg_id)
        assert self.taken() == []
        self.open.pop(msg_id, None)

    @rule(who=WHO, how=st.sampled_from(["unregister", "disconnect", "lose"]))
    def leave(self, who: int, how: str) -> None:
        client = self.client(who)
        told = client in self.clients and self.hears(client, "samp.hub.disconnect")
        try:
            if how == "unregister":
                self.core.unregister(client)
            else:
                getattr(self.core, how)(client, "why")
        except FaultError:
            assert client not in self.clients
            return
        effects = self.taken()
        if how == "disconnect" and told:
            assert effects.pop(0)[:2] == (client, "hub")
        place = effects.index(Forget(client, last_words=how == "disconnect"))
        del self.clients[client]
        self.gone.append(client)
        mine = [msg_id for msg_id, call in self.open.items() if call[0] == client]
        silent = [msg_id for msg_id in mine if self.open[msg_id][2] is not None]
        for msg_id in silent:
            del self.open[msg_id]
        ended = [msg_id for msg_id in mine if msg_id in self.open]
        ended += [msg_id for msg_id, call in self.open.items() if call[1] == client and msg_id not in ended]
        self.expect_answers(effects[:place], ended)
        self.expect_event(effects[place + 1 :], "unregister", id=client)

    @rule(who=WHO, full=st.sampled_from([True, False, False]))
    def congest_or_relieve(self, who: int, full: bool) -> None:
        client = self.client(who)
        if full and client in self.clients:
            self.core.congest(client)
        else:
            self.core.relieve(client)
            news = self.taken()  # what is in it is tested beside
            assert {(effect[0], effect[1]) for effect in news} <= {(client, "hub")}
            assert not news or self.clients[client].callable

    @precondition(lambda self: not self.closing and len(self.old_calls) > 2)
    @rule()
    def shut_down(self) -> None:
        self.closing = True
        self.core.shut_down()
        self.expect_event(self.taken(), "shutdown")

    @precondition(lambda self: self.closing)
    @rule()
    def end_waits(self) -> None:
        self.core.end_waits()
        waits = [msg_id for msg_id, call in self.open.items() if call[2] is None]
        self.expect_answers(self.taken(), waits)

    # ---- what holds at any time

    @invariant()
    def pending_calls_are_those_of_the_model(self) -> None:
        assert {msg_id: tuple(pending) for msg_id, pending in self.core._pending.items()} == self.open

    @invariant()
    def no_call_is_an_orphan(self) -> None:
        for caller, recipient, _ in self.open.values():
            assert caller in self.clients
            assert recipient in self.clients

    @invariant()
    def each_client_knows_what_it_owes_and_awaits(self) -> None:
        for client, record in self.core._clients.items():
            assert list(record.owes) == [msg_id for msg_id, call in self.open.items() if call[1] == client]
            assert list(record.awaits) == [msg_id for msg_id, call in self.open.items() if call[0] == client]
            assert len(record.awaits) <= MAX_PENDING

    @invariant()
    def the_index_of_subscribers_is_that_of_the_subscriptions(self) -> None:
        index: dict[str, set[str]] = {}
        for client, modelled in self.clients.items():
            for key in modelled.subscriptions:
                index.setdefault(key, set()).add(client)
        assert {key: set(clients) for key, clients in self.core._subscribers.items()} == index

    @invariant()
    def who_is_registered_is_known(self) -> None:
        assert set(self.core._clients) == set(self.clients)
        assert self.core.congested <= set(self.clients)
        assert self.core.take_effects() == []


TestCore = CoreMachine.TestCase
TestCore.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
