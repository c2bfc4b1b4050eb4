"""The hub without I/O: some registers, one operation, and the list of what must go out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from asyncsamp.delivery import (
    DeliverCall,
    DeliverNotification,
    DeliverResponse,
    Effect,
    FinishWait,
    Forget,
)
from asyncsamp.errors import (
    FaultCode,
    FaultError,
)
from asyncsamp.hub.core import HubCore
from asyncsamp.values import Value, ValueMap

LOAD: ValueMap = {"samp.mtype": "table.load.votable", "samp.params": {"url": "file:///t.vot"}}
OK: ValueMap = {"samp.status": "samp.ok", "samp.result": {"rows": "42"}}


def make_core(
    *,
    max_clients: int = 10,
    max_pending_calls: int = 10,
    max_declared: int = 1_000_000,
    max_declared_all: int = 10_000_000,
) -> HubCore:
    return HubCore(
        client_ids=(f"c{number}" for number in itertools.count(1)),
        msg_ids=(f"m{number}" for number in itertools.count(1)),
        max_clients=max_clients,
        max_pending_calls=max_pending_calls,
        max_declared=max_declared,
        max_declared_all=max_declared_all,
    )


def taken(core: HubCore) -> list[Effect]:
    """Return the effects as the engine takes them."""
    return core.take_effects()


def join(core: HubCore, *mtypes: str) -> str:
    """Register a callable client that subscribes to `mtypes`, and drop the effects of it."""
    client = core.register()
    core.set_callable(client, True)
    if mtypes:
        core.declare_subscriptions(client, {mtype: {} for mtype in mtypes})
    taken(core)
    return client


def event(name: str, recipients: Iterable[str], **params: Value) -> list[Effect]:
    """Return the hub event `name` as it goes to `recipients`."""
    message: ValueMap = {"samp.mtype": f"samp.hub.event.{name}", "samp.params": params}
    return [DeliverNotification(recipient, "hub", message) for recipient in recipients]


def failure(text: str) -> ValueMap:
    return {"samp.status": "samp.error", "samp.error": {"samp.errortxt": text}}


def outcome(effect: Effect) -> FaultError:
    """Return the fault with which a callAndWait ends."""
    assert isinstance(effect, FinishWait)
    assert isinstance(effect.outcome, FaultError)
    return effect.outcome


class TestRegistration:
    def test_each_client_gets_an_id_of_its_own_and_the_others_are_told(self) -> None:  # HUB-3, MTYPE-21
        core = make_core()
        first = join(core, "samp.hub.event.register")
        second = core.register()
        assert (first, second) == ("c1", "c2")
        assert taken(core) == event("register", ["c1"], id="c2")
        assert core.is_registered("c2")

    def test_an_id_is_never_used_again(self) -> None:  # HUB-41
        core = make_core()
        core.unregister(core.register())
        assert core.register() == "c2"

    def test_a_client_sees_no_register_event_of_its_own(self) -> None:  # MTYPE-27
        core = make_core()
        client = core.register()
        core.set_callable(client, True)
        core.declare_subscriptions(client, {"*": {}})
        assert not [e for e in taken(core) if "register" in str(e)]

    def test_a_full_hub_refuses_and_takes_the_next_when_one_has_left(self) -> None:
        core = make_core(max_clients=2)
        core.register()
        second = core.register()
        with pytest.raises(FaultError, match="takes no more than 2 clients") as error:
            core.register()
        assert error.value.code == FaultCode.REGISTRATION_REFUSED
        core.unregister(second)
        assert core.register() == "c3"

    def test_unregistering_forgets_the_client_and_tells_the_others_only(self) -> None:  # HUB-7, MTYPE-22
        core = make_core()
        one, two = join(core, "*"), join(core, "*")
        core.unregister(two)
        assert taken(core) == [Forget(two, last_words=False), *event("unregister", [one], id=two)]
        assert not core.is_registered(two)
        assert core.get_registered_clients(one) == ["hub"]

    def test_unregistering_twice_is_a_fault(self) -> None:  # HUB-64, TOL-10
        core = make_core()
        client = core.register()
        core.unregister(client)
        with pytest.raises(FaultError, match="not registered, or not any more; register again") as error:
            core.unregister(client)
        assert error.value.code == FaultCode.NOT_REGISTERED

    def test_a_client_removed_by_force_is_told_first(self) -> None:  # MTYPE-25, HUB-63
        core = make_core()
        one, two = join(core, "samp.hub.event.*"), join(core, "samp.hub.disconnect")
        core.disconnect(two, "idle for 5 s")
        news: ValueMap = {"samp.mtype": "samp.hub.disconnect", "samp.params": {"reason": "idle for 5 s"}}
        assert taken(core) == [
            DeliverNotification(two, "hub", news),
            Forget(two, last_words=True),
            *event("unregister", [one], id=two),
        ]

    @pytest.mark.parametrize("how", ["not subscribed", "not callable"])
    def test_one_who_cannot_hear_it_is_removed_without_a_word(self, how: str) -> None:  # HUB-63
        core = make_core()
        client = core.register()
        if how == "not subscribed":
            core.set_callable(client, True)
        else:
            core.declare_subscriptions(client, {"samp.hub.*": {}})
        core.disconnect(client, "enough")
        assert taken(core) == [Forget(client, last_words=True)]

    def test_a_lost_client_goes_with_what_waits_for_it(self) -> None:  # HUB-8
        core = make_core()
        one, two = join(core, "samp.hub.event.unregister"), join(core)
        core.lose(two, "gone")
        assert taken(core) == [Forget(two, last_words=False), *event("unregister", [one], id=two)]

    def test_the_registered_clients_are_all_others_and_the_hub(self) -> None:  # HUB-26, HUB-50
        core = make_core()
        one, two = core.register(), core.register()
        assert core.get_registered_clients(one) == ["hub", two]
        assert core.get_registered_clients("hub") == [one, two]


class TestMetadata:
    def test_it_is_stored_and_told_whole_to_the_subject_too(self) -> None:  # HUB-4, MTYPE-23, MTYPE-26
        core = make_core()
        client = join(core, "samp.hub.event.metadata")
        metadata: ValueMap = {"samp.name": "one", "x.deep": {"list": ["a", {}]}}
        core.declare_metadata(client, metadata)
        assert taken(core) == event("metadata", [client], id=client, metadata=metadata)
        assert core.get_metadata(client, client) == metadata

    def test_a_second_declaration_replaces_the_first(self) -> None:  # META-2, HUB-22
        core = make_core()
        client = core.register()
        core.declare_metadata(client, {"samp.name": "one", "author": "me"})
        core.declare_metadata(client, {"samp.name": "two"})
        assert core.get_metadata(client, client) == {"samp.name": "two"}

    def test_none_declared_is_an_empty_map(self) -> None:  # META-12, HUB-23
        core = make_core()
        assert core.get_metadata(core.register(), "hub") == {}

    def test_of_an_odd_shape_it_harms_nobody(self) -> None:
        core = make_core()
        one, two = core.register(), core.register()
        core.declare_metadata(one, {"samp.name": ["a", "list"], "": {}})
        assert core.get_metadata(two, one) == {"samp.name": ["a", "list"], "": {}}


class TestSizeOfDeclarations:
    def test_too_much_is_refused_and_what_was_declared_stays(self) -> None:
        core = make_core(max_declared=100_000)
        client = core.register()
        core.set_callable(client, True)
        core.declare_metadata(client, {"samp.name": "one", "x": "x" * 60_000})
        core.declare_subscriptions(client, {"a.b": {}})
        taken(core)
        text = (
            r"a client's metadata and subscriptions take more than 0\.1 MB of memory; declare less, such as "
        )
        large: list[ValueMap] = [{"x": "x" * 100_000}, {str(n): "" for n in range(1_000)}]
        for metadata in large:
            with pytest.raises(FaultError, match=text) as error:
                core.declare_metadata(client, metadata)
            assert error.value.code == FaultCode.LIMIT_REACHED
        with pytest.raises(FaultError, match=text):
            core.declare_subscriptions(client, {"a.c": {"x": "x" * 60_000}})
        assert taken(core) == []
        assert core.get_metadata(client, client)["samp.name"] == "one"
        assert core.get_subscriptions(client, client) == {"a.b": {}}
        assert core.get_subscribed_clients("hub", "a.b") == {client: {}}

    def test_all_together_take_no_more_than_that_but_each_may_say_its_name(self) -> None:
        core = make_core(max_declared=100_000, max_declared_all=250_000)
        clients = [core.register() for _ in range(4)]
        for client in clients[:2]:
            core.declare_metadata(client, {"x": "x" * 90_000})
        with pytest.raises(FaultError, match="and those of the other clients, take more than"):
            core.declare_metadata(clients[2], {"x": "x" * 90_000})
        for client in clients[2:]:
            core.declare_metadata(client, {"samp.name": "x" * 30_000})
        core.declare_metadata(clients[0], {"x": "less"})
        core.declare_metadata(clients[2], {"x": "x" * 90_000})

    def test_who_leaves_makes_room(self) -> None:
        core = make_core(max_declared=100_000, max_declared_all=100_000)
        for _ in range(20):
            client = core.register()
            core.declare_metadata(client, {"x": "x" * 60_000})
            core.declare_subscriptions(client, {"a.b": {"x": "x" * 30_000}})
            core.unregister(client)


class TestSubscriptions:
    def test_they_are_stored_and_told_to_the_subject_too(self) -> None:  # HUB-5, MTYPE-24, MTYPE-26
        core = make_core()
        client = join(core)
        core.declare_subscriptions(client, {"samp.hub.event.*": {}, "a.b": {"note": "1"}})
        stored: ValueMap = {"samp.hub.event.*": {}, "a.b": {"note": "1"}}
        assert taken(core) == event("subscriptions", [client], id=client, subscriptions=stored)
        assert core.get_subscriptions(client, client) == stored

    def test_a_second_declaration_replaces_the_first(self) -> None:  # HUB-24
        core = make_core()
        sender, client = join(core), join(core, "a.b", "c.d")
        core.declare_subscriptions(client, {"c.d": {}, "e.f": {}})
        assert core.get_subscribed_clients(sender, "a.b") == {}
        assert core.get_subscribed_clients(sender, "c.d") == {client: {}}
        assert core.get_subscribed_clients(sender, "e.f") == {client: {}}

    def test_an_annotation_that_is_no_map_is_read_as_empty(self) -> None:  # MTYPE-10, TOL-7
        core = make_core()
        client = core.register()
        core.declare_subscriptions(client, {"a.b": "1", "c.d": ["x"], "e.f": {"k": "v"}})
        assert core.get_subscriptions(client, client) == {"a.b": {}, "c.d": {}, "e.f": {"k": "v"}}

    @pytest.mark.parametrize("key", ["a.*.b", "a*", "", "a.", "*.a", "ä.b", "a b"])
    def test_an_illegal_key_is_a_fault_and_changes_nothing(self, key: str) -> None:  # MTYPE-2, MTYPE-10
        core = make_core()
        client = join(core, "a.b")
        with pytest.raises(FaultError, match="is neither a valid mtype nor a wildcard subscription") as error:
            core.declare_subscriptions(client, {"c.d": {}, key: {}})
        assert error.value.code == FaultCode.BAD_PARAMETERS
        assert core.get_subscriptions(client, client) == {"a.b": {}}
        assert taken(core) == []

    def test_declared_before_the_client_is_callable_they_count_once_it_is(self) -> None:  # TOL-8, CLIENT-2
        core = make_core()
        sender, client = core.register(), core.register()
        core.declare_subscriptions(client, {"table.load.votable": {}})
        assert core.get_subscriptions(sender, client) == {"table.load.votable": {}}
        assert core.get_subscribed_clients(sender, "table.load.votable") == {}
        assert core.notify_all(sender, LOAD) == []
        core.set_callable(client, True)
        assert core.get_subscribed_clients(sender, "table.load.votable") == {client: {}}
        core.set_callable(client, False)
        assert core.notify_all(sender, LOAD) == []

    def test_who_subscribes_is_told_without_the_caller_and_with_annotations(self) -> None:  # HUB-27
        core = make_core()
        sender, one, two = join(core, "*"), join(core), join(core, "a.*")
        core.declare_subscriptions(one, {"a.b": {"exact": "1"}, "a.*": {"exact": "0"}, "*": {}})
        assert core.get_subscribed_clients(sender, "a.b") == {one: {"exact": "1"}, two: {}}  # MTYPE-9
        assert core.get_subscribed_clients(sender, "a.c") == {one: {"exact": "0"}, two: {}}
        assert core.get_subscribed_clients(sender, "z") == {one: {}}

    def test_the_hub_is_listed_if_it_subscribes(self) -> None:  # HUB-27, HUB-51
        core = make_core()
        core.declare_subscriptions("hub", {"samp.app.ping": {}})
        assert core.get_subscribed_clients(core.register(), "samp.app.ping") == {"hub": {}}

    @pytest.mark.parametrize("mtype", ["a.*", "*", "", "a..b", "a" * 1001])
    def test_who_subscribes_to_what_is_no_mtype_is_a_fault(self, mtype: str) -> None:  # HUB-27, MTYPE-1
        core = make_core()
        with pytest.raises(FaultError) as error:
            core.get_subscribed_clients(core.register(), mtype)
        assert error.value.code == FaultCode.BAD_PARAMETERS

    def test_a_wildcard_takes_whole_atoms_only(self) -> None:  # MTYPE-3, MTYPE-5
        core = make_core()
        sender, client = join(core), join(core, "file.event.*")
        for mtype in ("file.event.load", "file.event.a.b"):
            assert core.get_subscribed_clients(sender, mtype) == {client: {}}
        for mtype in ("file.event", "file.eventual", "File.event.load"):
            assert core.get_subscribed_clients(sender, mtype) == {}


class TestNotify:
    def test_a_directed_one_goes_to_its_recipient(self) -> None:  # HUB-28, HUB-44
        core = make_core()
        one, two = join(core), join(core, "table.load.votable")
        core.notify(one, two, LOAD)
        assert taken(core) == [DeliverNotification(two, one, LOAD)]

    def test_one_may_be_sent_to_oneself(self) -> None:  # HUB-43
        core = make_core()
        one = join(core, "table.*")
        core.notify(one, one, LOAD)
        assert taken(core) == [DeliverNotification(one, one, LOAD)]

    def test_a_broadcast_goes_to_all_who_subscribe_but_the_sender(self) -> None:  # HUB-29, MSG-32, HUB-6
        core = make_core()
        one, two, three = join(core, "table.*"), join(core, "*"), join(core, "table.load.votable")
        join(core, "image.*")
        told = core.notify_all(one, LOAD)
        assert told == [three, two]
        assert taken(core) == [DeliverNotification(three, one, LOAD), DeliverNotification(two, one, LOAD)]

    def test_a_broadcast_to_nobody_is_no_error(self) -> None:  # MSG-32
        core = make_core()
        assert core.notify_all(core.register(), LOAD) == []

    def test_the_message_is_relayed_whole(self) -> None:  # MSG-3, HUB-44, TOL-9
        core = make_core()
        one, two = join(core), join(core, "*")
        message: ValueMap = {**LOAD, "host": "h", "x-samp.more": {"": " "}}
        core.notify(one, two, message)
        assert taken(core) == [DeliverNotification(two, one, message)]

    def test_missing_params_are_added_to_what_goes_out_only(self) -> None:  # MSG-2, TOL-6
        core = make_core()
        one, two = join(core), join(core, "a.b")
        message: ValueMap = {"samp.mtype": "a.b", "x": "y"}
        core.notify_all(one, message)
        assert taken(core) == [DeliverNotification(two, one, {**message, "samp.params": {}})]
        assert "samp.params" not in message

    @pytest.mark.parametrize(
        ("message", "says"),
        [
            ({}, "the message has no samp.mtype"),
            ({"samp.mtype": ["a"]}, "the message has no samp.mtype"),
            (
                {"samp.mtype": "a.*", "samp.params": {}},
                "'a.*' is not a valid mtype (wildcards are for subscriptions",
            ),
            ({"samp.mtype": "", "samp.params": {}}, "'' is not a valid mtype"),
            ({"samp.mtype": "a." * 500 + "b"}, "is too long for an mtype: more than 1000 characters"),
            ({"samp.mtype": "a.b", "samp.params": "x"}, "samp.params is not a map"),
        ],
    )
    @pytest.mark.parametrize("operation", ["notify", "notify_all", "call", "call_all", "call_and_wait"])
    def test_a_wrong_message_is_refused(self, operation: str, message: ValueMap, says: str) -> None:
        core = make_core()  # MSG-1, MTYPE-1
        one, two = join(core), join(core, "*")
        arguments: list[object] = [one, two, "tag", message]
        if operation.endswith("_all"):
            arguments.remove(two)
        if operation not in ("call", "call_all"):
            arguments.remove("tag")
        with pytest.raises(FaultError) as error:
            getattr(core, operation)(*arguments)
        assert says in error.value.text
        assert len(error.value.text) < 200
        assert error.value.code == FaultCode.BAD_PARAMETERS
        assert taken(core) == []


class TestDirected:
    """What refuses a directed message, alike for notify, call and callAndWait (MSG-31)."""

    @pytest.fixture(params=["notify", "call", "call_and_wait"])
    def operation(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def send(self, core: HubCore, operation: str, sender: str, recipient: str) -> None:
        tag = ["tag"] if operation == "call" else []
        getattr(core, operation)(sender, recipient, *tag, LOAD)

    def test_a_caller_that_is_not_registered(self, operation: str) -> None:  # HUB-40
        core = make_core()
        with pytest.raises(FaultError, match="not registered") as error:
            self.send(core, operation, "c9", join(core, "*"))
        assert error.value.code == FaultCode.NOT_REGISTERED

    def test_an_unknown_recipient(self, operation: str) -> None:
        core = make_core()
        with pytest.raises(FaultError, match="no client 'c9' is registered") as error:
            self.send(core, operation, core.register(), "c9")
        assert error.value.code == FaultCode.UNKNOWN_CLIENT

    def test_a_recipient_that_does_not_subscribe(self, operation: str) -> None:
        core = make_core()
        one, two = join(core), join(core, "table.load.fits", "table.load")
        with pytest.raises(FaultError, match="'c2' does not subscribe to 'table") as error:
            self.send(core, operation, one, two)
        assert error.value.code == FaultCode.NOT_SUBSCRIBED

    def test_a_recipient_that_cannot_be_called(self, operation: str) -> None:
        core = make_core()
        one, two = core.register(), core.register()
        declarations: list[ValueMap] = [{"*": {}}, {}]
        for declared in declarations:  # that it cannot be called is the better reason
            core.declare_subscriptions(two, declared)
            with pytest.raises(FaultError, match="'c2' cannot be called: it has set no callback") as error:
                self.send(core, operation, one, two)
            assert error.value.code == FaultCode.NOT_SUBSCRIBED

    def test_a_sender_that_may_not_send_it(self, operation: str) -> None:  # WEB-60, WEB-62
        core = make_core()
        asked: list[tuple[str, ValueMap]] = []

        def may_send(mtype: str, annotation: ValueMap) -> bool:
            asked.append((mtype, annotation))
            return annotation.get("x-samp.mostly-harmless") == "1"

        web, two, three = core.register(may_send), join(core, "*"), join(core)
        core.declare_subscriptions(three, {"table.*": {"x-samp.mostly-harmless": "1"}})
        with pytest.raises(FaultError, match="this client may not send 'table") as error:
            self.send(core, operation, web, two)
        assert error.value.code == FaultCode.NOT_ALLOWED
        assert asked == [("table.load.votable", {})]
        taken(core)
        self.send(core, operation, web, three)
        assert len(taken(core)) == 1

    def test_a_recipient_whose_outbox_is_full(self, operation: str) -> None:
        core = make_core()
        one, two = join(core), join(core, "*")
        core.congest(two)
        with pytest.raises(FaultError, match="'c2' does not take its messages") as error:
            self.send(core, operation, one, two)
        assert error.value.code == FaultCode.LIMIT_REACHED
        assert taken(core) == []


class TestBroadcast:
    def test_it_skips_who_cannot_take_it_and_reaches_the_others(self) -> None:  # HUB-45
        core = make_core()
        one, full, three = join(core), join(core, "*"), join(core, "*")
        core.congest(full)
        assert core.notify_all(one, LOAD) == [three]
        assert core.call_all(one, "t", LOAD) == {three: "m1"}
        assert taken(core) == [
            DeliverNotification(three, one, LOAD),
            DeliverCall(three, one, "m1", LOAD),
        ]

    def test_hub_events_skip_who_cannot_take_them(self) -> None:
        core = make_core()
        full, two = join(core, "*"), join(core, "*")
        core.congest(full)
        core.declare_metadata(two, {})
        assert taken(core) == event("metadata", [two], id=two, metadata={})

    def test_relieved_one_is_told_who_came_changed_and_left_meanwhile(self) -> None:
        core = make_core()
        full, changed, leaves = join(core, "*"), join(core), join(core)
        core.congest(full)
        core.declare_metadata(changed, {"samp.name": "old"})
        core.declare_metadata(changed, {"samp.name": "new"})
        core.declare_metadata(leaves, {"samp.name": "late"})
        core.unregister(leaves)
        comes, short = join(core, "a.b"), join(core)
        core.unregister(short)
        taken(core)
        core.relieve(full)
        assert taken(core) == [
            *event("metadata", [full], id=changed, metadata={"samp.name": "new"}),
            *event("unregister", [full], id=leaves),
            *event("register", [full], id=comes),
            *event("subscriptions", [full], id=comes, subscriptions={"a.b": {}}),
        ]
        core.relieve(full)
        assert taken(core) == []

    def test_relieved_one_is_told_only_what_it_subscribes_to(self) -> None:
        core = make_core()
        full = join(core, "samp.hub.event.register")
        core.congest(full)
        comes = join(core, "a.b")
        core.relieve(full)
        assert taken(core) == event("register", [full], id=comes)

    @pytest.mark.parametrize(
        "mtype", ["samp.hub.event.shutdown", "samp.hub.event.unregister", "samp.hub.disconnect"]
    )
    @pytest.mark.parametrize("way", ["notify", "notify_all", "call", "call_all", "call_and_wait"])
    def test_what_only_the_hub_says_is_refused(self, mtype: str, way: str) -> None:
        core = make_core()
        one, two = join(core), join(core, "*")
        said: ValueMap = {"samp.mtype": mtype, "samp.params": {"id": "c9"}}
        ways: dict[str, Callable[[], object]] = {
            "notify": lambda: core.notify(one, two, said),
            "notify_all": lambda: core.notify_all(one, said),
            "call": lambda: core.call(one, two, "t", said),
            "call_all": lambda: core.call_all(one, "t", said),
            "call_and_wait": lambda: core.call_and_wait(one, two, said),
        }
        with pytest.raises(FaultError, match=f"^only the hub sends '{mtype}'$") as error:
            ways[way]()
        assert error.value.code == FaultCode.NOT_ALLOWED
        assert taken(core) == []

    def test_it_skips_those_whom_the_sender_may_not_send_it(self) -> None:  # WEB-60, WEB-61
        core = make_core()
        web = core.register(lambda mtype, annotation: annotation == {"ok": "1"})
        join(core, "*")
        harmless = join(core)
        core.declare_subscriptions(harmless, {"*": {"ok": "1"}})
        assert core.get_subscribed_clients(web, "table.load.votable") == {harmless: {"ok": "1"}}
        assert core.notify_all(web, LOAD) == [harmless]
        assert list(core.call_all(web, "t", LOAD)) == [harmless]


class TestCall:
    def test_it_goes_out_and_its_response_comes_back_under_the_tag(self) -> None:  # HUB-30, MSG-24, MSG-25
        core = make_core()
        one, two = join(core), join(core, "*")
        tag = "any: tag, of mine"
        assert core.call(one, two, tag, LOAD) == "m1"
        assert taken(core) == [DeliverCall(two, one, "m1", LOAD)]
        assert core.owes_reply(two)
        core.reply(two, "m1", OK)
        assert taken(core) == [DeliverResponse(one, two, tag, OK)]
        assert not core.owes_reply(two)
        assert not core.owes_reply("c9")

    def test_two_calls_may_bear_one_tag(self) -> None:  # MSG-25, MSG-26
        core = make_core()
        one, two = join(core), join(core, "*")
        assert [core.call(one, two, "t", LOAD), core.call(one, two, "t", LOAD)] == ["m1", "m2"]
        taken(core)
        core.reply(two, "m2", OK)
        core.reply(two, "m1", {})
        assert taken(core) == [DeliverResponse(one, two, "t", OK), DeliverResponse(one, two, "t", {})]

    def test_a_broadcast_call_has_an_id_for_each_recipient(self) -> None:  # HUB-31, MSG-27, MSG-34
        core = make_core()
        one, two, three = join(core, "*"), join(core, "*"), join(core, "*")
        assert core.call_all(one, "t", LOAD) == {two: "m1", three: "m2"}
        assert taken(core) == [DeliverCall(two, one, "m1", LOAD), DeliverCall(three, one, "m2", LOAD)]
        core.reply(three, "m2", OK)
        assert taken(core) == [DeliverResponse(one, three, "t", OK)]

    def test_a_broadcast_call_to_nobody_is_no_error(self) -> None:  # HUB-31
        core = make_core()
        assert core.call_all(core.register(), "t", LOAD) == {}

    def test_a_synchronous_one_ends_with_the_response(self) -> None:  # HUB-32, MSG-22, MSG-28
        core = make_core()
        one, two = core.register(), join(core, "*")
        assert core.call_and_wait(one, two, LOAD) == "m1"
        assert taken(core) == [DeliverCall(two, one, "m1", LOAD)]
        core.reply(two, "m1", OK)
        assert taken(core) == [FinishWait("m1", OK)]

    def test_a_response_is_relayed_whole_and_as_it_is(self) -> None:  # MSG-11, MSG-12, TOL-6
        core = make_core()
        one, two = join(core), join(core, "*")
        odd: ValueMap = {"samp.status": "odd", "samp.result": "x", "more": {"": [""]}}
        incomplete: ValueMap = {}
        for response in (incomplete, odd):
            msg_id = core.call(one, two, "t", LOAD)
            taken(core)
            core.reply(two, msg_id, response)
            assert taken(core) == [DeliverResponse(one, two, "t", response)]

    def test_a_caller_without_a_callback_gets_no_response(self) -> None:  # CLIENT-2, HUB-30
        core = make_core()
        one, two = core.register(), join(core, "*")
        msg_id = core.call(one, two, "t", LOAD)
        taken(core)
        core.reply(two, msg_id, OK)
        assert taken(core) == []

    def test_one_may_call_oneself(self) -> None:  # HUB-43
        core = make_core()
        one = join(core, "*")
        msg_id = core.call(one, one, "t", LOAD)
        core.reply(one, msg_id, OK)
        assert taken(core) == [DeliverCall(one, one, "m1", LOAD), DeliverResponse(one, one, "t", OK)]

    @pytest.mark.parametrize("way", ["call", "call_all"])
    def test_who_takes_nothing_may_ask_for_nothing_more(self, way: str) -> None:
        core = make_core()
        one, two = join(core), join(core, "*")
        core.congest(one)
        with pytest.raises(FaultError, match="this client does not take its messages") as error:
            core.call(one, two, "t", LOAD) if way == "call" else core.call_all(one, "t", LOAD)
        assert error.value.code == FaultCode.LIMIT_REACHED
        assert taken(core) == []
        core.call_and_wait(one, two, LOAD)  # needs no room in its outbox

    @pytest.mark.parametrize("sync", [False, True])
    def test_the_oldest_is_ended_when_a_caller_has_too_many(self, sync: bool) -> None:
        core = make_core(max_pending_calls=2)
        one, two, three = join(core), join(core, "*"), join(core, "*")
        oldest = core.call_and_wait(one, two, LOAD) if sync else core.call(one, two, "t1", LOAD)
        core.call(three, two, "other", LOAD)  # each caller has a count of its own
        core.call(one, three, "t2", LOAD)
        taken(core)
        assert core.call(one, three, "t3", LOAD) == "m4"
        ended, new = taken(core)
        text = "client 'c2': given up, since its sender has too many open calls"
        if sync:
            assert outcome(ended).text == text
        else:
            assert ended == DeliverResponse(one, two, "t1", failure(text))
        assert new == DeliverCall(three, one, "m4", LOAD)
        with pytest.raises(FaultError, match="no open call 'm1'"):
            core.reply(two, oldest, OK)


class TestReply:
    def test_only_the_recipient_may(self) -> None:  # MSG-39
        core = make_core()
        one, two, three = join(core), join(core, "*"), join(core, "*")
        msg_id = core.call(one, two, "t", LOAD)
        taken(core)
        for other in (one, three):
            with pytest.raises(FaultError, match="no open call 'm1' awaits an answer from this client"):
                core.reply(other, msg_id, OK)
        assert taken(core) == []
        core.reply(two, msg_id, OK)
        assert taken(core) == [DeliverResponse(one, two, "t", OK)]

    @pytest.mark.parametrize("sync", [False, True])
    def test_only_once(self, sync: bool) -> None:  # MSG-37, HUB-33
        core = make_core()
        one, two = join(core), join(core, "*")
        msg_id = core.call_and_wait(one, two, LOAD) if sync else core.call(one, two, "t", LOAD)
        core.reply(two, msg_id, OK)
        taken(core)
        with pytest.raises(FaultError, match="it was answered already, or timed out") as error:
            core.reply(two, msg_id, OK)
        assert error.value.code == FaultCode.UNKNOWN_MESSAGE
        assert taken(core) == []

    @pytest.mark.parametrize("msg_id", ["", "m99", "x" * 500])
    def test_an_unknown_id_is_a_plain_fault(self, msg_id: str) -> None:  # HUB-33, TOL-10
        core = make_core()
        with pytest.raises(FaultError) as error:
            core.reply(join(core), msg_id, OK)
        assert error.value.code == FaultCode.UNKNOWN_MESSAGE
        assert len(error.value.text) < 300

    def test_of_one_who_is_not_registered(self) -> None:  # HUB-40
        core = make_core()
        with pytest.raises(FaultError) as error:
            core.reply("c9", "m1", OK)
        assert error.value.code == FaultCode.NOT_REGISTERED

    def test_after_a_timeout_it_is_refused(self) -> None:  # MSG-30
        core = make_core()
        one, two = join(core), join(core, "*")
        msg_id = core.call_and_wait(one, two, LOAD)
        core.abandon(msg_id)
        core.abandon(msg_id)  # harmless
        taken(core)
        with pytest.raises(FaultError, match="timed out"):
            core.reply(two, msg_id, OK)
        assert taken(core) == []
        assert not core.owes_reply(two)

    def test_after_the_caller_has_left_it_is_refused(self) -> None:  # HUB-61
        core = make_core()
        one, two = join(core), join(core, "*")
        msg_id = core.call(one, two, "t", LOAD)
        core.unregister(one)
        taken(core)
        with pytest.raises(FaultError, match="its sender has left"):
            core.reply(two, msg_id, OK)
        assert taken(core) == []
        assert not core.owes_reply(two)


class TestPending:
    """Nobody waits for an answer that cannot come (HUB-60)."""

    def test_a_call_that_was_refused_ends_with_an_error(self) -> None:
        core = make_core()
        one, two = join(core), join(core, "*")
        first, second = core.call(one, two, "t", LOAD), core.call_and_wait(one, two, LOAD)
        taken(core)
        core.refuse(first, "did not take the call: busy")
        core.refuse(second, "did not take the call: busy")
        core.refuse(first, "again")
        response, wait = taken(core)
        assert response == DeliverResponse(one, two, "t", failure("client 'c2': did not take the call: busy"))
        assert outcome(wait).code == FaultCode.RECIPIENT_LOST
        assert outcome(wait).text == "client 'c2': did not take the call: busy"

    @pytest.mark.parametrize("way", ["unregister", "disconnect", "lose"])
    def test_when_the_recipient_leaves_its_callers_are_told_in_order(self, way: str) -> None:
        core = make_core()
        one, two, three = join(core), join(core, "*"), core.register()
        core.call(one, two, "t1", LOAD)
        core.call(three, two, "unheard", LOAD)
        waits = core.call_and_wait(three, two, LOAD)
        core.call(one, two, "t2", LOAD)
        taken(core)
        if way == "unregister":
            core.unregister(two)
        else:
            getattr(core, way)(two, "why")
        why = "unregistered" if way == "unregister" else "why"
        text = f"client 'c2': left before it answered ({why})"
        effects = [effect for effect in taken(core) if not isinstance(effect, DeliverNotification)]
        assert effects[0] == DeliverResponse(one, two, "t1", failure(text))
        assert (outcome(effects[1]).text, effects[1][0]) == (text, waits)
        assert outcome(effects[1]).code == FaultCode.RECIPIENT_LOST
        assert effects[2] == DeliverResponse(one, two, "t2", failure(text))
        assert effects[3:] == [Forget(two, last_words=way == "disconnect")]

    def test_a_caller_that_leaves_ends_its_own_waits(self) -> None:
        core = make_core()
        one, two = join(core), join(core, "*")
        msg_id = core.call_and_wait(one, two, LOAD)
        core.call(one, two, "t", LOAD)
        taken(core)
        core.unregister(one)
        wait, forget, *_ = taken(core)
        assert wait[0] == msg_id
        assert outcome(wait).code == FaultCode.NOT_REGISTERED
        assert forget == Forget(one, last_words=False)
        assert not core.owes_reply(two)

    @pytest.mark.parametrize("sync", [False, True])
    def test_one_who_called_himself_may_leave(self, sync: bool) -> None:
        core = make_core()
        one, two = join(core, "*"), join(core)
        msg_id = core.call_and_wait(one, one, LOAD) if sync else core.call(one, one, "t", LOAD)
        core.call(two, one, "t", LOAD)
        taken(core)
        core.unregister(one)
        effects = taken(core)
        assert [e for e in effects if isinstance(e, FinishWait) and e.msg_id == msg_id] == effects[
            : int(sync)
        ]
        assert effects[-2] == DeliverResponse(
            two, one, "t", failure("client 'c1': left before it answered (unregistered)")
        )
        assert effects[-1] == Forget(one, last_words=False)

    def test_congestion_ends_with_the_client(self) -> None:
        core = make_core()
        client = join(core)
        core.congest(client)
        core.unregister(client)
        assert core.congested == set()


class TestShutdown:
    def test_everybody_who_subscribes_is_told_once(self) -> None:  # HUB-9, MTYPE-20
        core = make_core()
        one = join(core, "samp.hub.event.shutdown")
        join(core, "a.b")
        core.shut_down()
        core.shut_down()
        assert taken(core) == event("shutdown", [one])

    def test_it_refuses_registrations_and_calls_but_lets_clients_leave(self) -> None:  # HUB-62, HUB-64
        core = make_core()
        one, two = join(core), join(core, "*")
        open_call = core.call(one, two, "t", LOAD)
        core.shut_down()
        taken(core)
        with pytest.raises(FaultError, match="the hub is shutting down") as refused:
            core.register()
        assert refused.value.code == FaultCode.SHUTTING_DOWN
        for call in (
            lambda: core.call(one, two, "t", LOAD),
            lambda: core.call_all(one, "t", LOAD),
            lambda: core.call_and_wait(one, two, LOAD),
        ):
            with pytest.raises(FaultError, match="the hub is shutting down") as error:
                call()
            assert error.value.code == FaultCode.SHUTTING_DOWN
        core.reply(two, open_call, OK)
        core.unregister(two)
        assert taken(core) == [DeliverResponse(one, two, "t", OK), Forget(two, last_words=False)]

    def test_it_ends_the_waits_and_nothing_else(self) -> None:  # HUB-62
        core = make_core()
        one, two = join(core), join(core, "*")
        waits, calls = core.call_and_wait(one, two, LOAD), core.call(one, two, "t", LOAD)
        taken(core)
        core.end_waits()
        (ended,) = taken(core)
        assert ended[0] == waits
        assert outcome(ended).code == FaultCode.SHUTTING_DOWN
        core.reply(two, calls, OK)
        assert taken(core) == [DeliverResponse(one, two, "t", OK)]


class TestComingBack:
    """What a hub must know after a crash."""

    def test_the_snapshot_has_clients_and_open_calls_but_no_waits(self) -> None:
        core = make_core()
        one, two = join(core, "*"), core.register()
        core.declare_metadata(two, {"samp.name": "two"})
        core.call(two, one, "t", LOAD)
        core.call_and_wait(two, one, LOAD)
        assert core.snapshot() == {
            "clients": {
                one: {"callable": True, "metadata": {}, "subscriptions": {"*": {}}},
                two: {"callable": False, "metadata": {"samp.name": "two"}, "subscriptions": {}},
            },
            "calls": [[two, one, "t"]],
        }

    def test_those_who_do_not_come_back_are_announced(self) -> None:
        core = make_core()
        one = join(core, "samp.hub.event.unregister")
        core.announce_unregistered("c9")
        assert taken(core) == event("unregister", [one], id="c9")

    def test_a_call_that_was_open_is_answered_if_its_caller_can_hear_it(self) -> None:  # HUB-60
        core = make_core()
        one, two = join(core), core.register()
        taken(core)
        for caller in (one, two, "c9"):
            core.answer_lost(caller, "c8", "t", "the hub was restarted")
        lost = failure("client 'c8': the hub was restarted")
        assert taken(core) == [DeliverResponse(one, "c8", "t", lost)]


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("set_callable", [True]),
        ("unregister", []),
        ("disconnect", ["reason"]),
        ("lose", ["reason"]),
        ("get_registered_clients", []),
        ("declare_metadata", [{}]),
        ("get_metadata", ["hub"]),
        ("declare_subscriptions", [{}]),
        ("get_subscriptions", ["hub"]),
        ("get_subscribed_clients", ["a.b"]),
        ("notify", ["hub", LOAD]),
        ("notify_all", [LOAD]),
        ("call", ["hub", "t", LOAD]),
        ("call_all", ["t", LOAD]),
        ("call_and_wait", ["hub", LOAD]),
        ("reply", ["m1", {}]),
    ],
)
def test_every_operation_of_a_client_that_is_not_registered_is_a_fault(
    operation: str, arguments: list[object]
) -> None:  # HUB-40
    core = make_core()
    for caller in ("c9", core.register()):
        if core.is_registered(caller):
            core.unregister(caller)
            taken(core)
        with pytest.raises(FaultError) as error:
            getattr(core, operation)(caller, *arguments)
        assert error.value.code == FaultCode.NOT_REGISTERED
        assert taken(core) == []


@pytest.mark.parametrize("operation", ["get_metadata", "get_subscriptions"])
def test_asking_about_an_unknown_client_is_a_fault(operation: str) -> None:  # HUB-23, HUB-25
    core = make_core()
    with pytest.raises(FaultError, match="no client 'c9' is registered") as error:
        getattr(core, operation)(core.register(), "c9")
    assert error.value.code == FaultCode.UNKNOWN_CLIENT
    with pytest.raises(FaultError, match=r"no client 'x{77}\.\.\.' is registered") as error:
        getattr(core, operation)(core.register(), "x" * 1_000_000)
    assert error.value.code == FaultCode.UNKNOWN_CLIENT
