"""The running hub without HTTP: fake couriers on one side, operations on the other."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from asyncsamp.delivery import DeliverCall, Delivery, DeliveryError
from asyncsamp.errors import FaultCode, FaultError
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.observer import MessageEvent
from asyncsamp.limits import Limits
from asyncsamp.values import Value, ValueMap

from ..connections import turns_until
from ..couriers import FakeCourier, number_of

LIMITS = Limits(
    refused_pause=0.001,
    refused_connections=3,
    vigil_interval=0.005,
    shutdown_patience=60,
    max_wait=30,
)
HASTY = replace(LIMITS, shutdown_patience=0.05)
"""For who waits for the end of that patience; a busy machine may take longer to deliver."""
SMALL = replace(LIMITS, outbox=3, delivery_patience=60)
OK: ValueMap = {"samp.status": "samp.ok", "samp.result": {}}
GONE = DeliveryError("nobody listens", gone=True)
SULKS = DeliveryError("it does not want to")


def message(number: int = 0) -> ValueMap:
    return {"samp.mtype": "test.note", "samp.params": {"number": str(number)}}


class Member:
    """A registered client and its courier."""

    def __init__(self, engine: HubEngine, *mtypes: str, courier: FakeCourier | None = None) -> None:
        self.engine = engine
        self.courier = FakeCourier() if courier is None else courier
        self.id = engine.register(self.courier)
        engine.set_callable(self.id, True)
        self.mtypes = mtypes

    async def does(self, operation: str, *params: Value) -> Value:
        return await self.engine.operate(self.id, operation, params)

    def notes(self, recipient: Member, number: int) -> asyncio.Future[Value]:
        return asyncio.ensure_future(self.does("notify", recipient.id, message(number)))

    def waits(self, recipient: Member, timeout: str = "5") -> asyncio.Task[Value]:
        return asyncio.ensure_future(self.does("callAndWait", recipient.id, message(), timeout))


async def join(engine: HubEngine, *mtypes: str) -> Member:
    member = Member(engine)
    await member.does("declareSubscriptions", {mtype: {} for mtype in mtypes})
    return member


@pytest.fixture
async def engine() -> AsyncIterator[HubEngine]:
    engine = HubEngine(LIMITS, {"samp.name": "Hub"})
    yield engine
    await shut_down(engine)


async def shut_down(engine: HubEngine) -> None:
    """End it; what the couriers hold they take first."""
    for client in engine.clients:
        courier = engine.courier_of(client)
        if isinstance(courier, FakeCourier):
            courier.let_go()
    await engine.shut_down()


async def fault(work: asyncio.Future[Value]) -> FaultError:
    with pytest.raises(FaultError) as error:
        await asyncio.wait_for(work, 30)
    return error.value


def nothing_is_kept(engine: HubEngine) -> bool:
    return not engine._waits and not engine._core._pending


class Quick(FakeCourier):
    """Takes deliveries at once as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: list[int] = []
        self.quick = True

    def deliver_at_once(self, delivery: Delivery) -> bool:
        """Take one delivery, if that is wanted."""
        if self.quick:
            self.taken.append(delivery)
            self.at_once.append(number_of(delivery))
        return self.quick


async def test_a_courier_that_need_not_wait_keeps_the_order(engine: HubEngine) -> None:
    told: list[str] = []
    engine.observe(lambda event: told.append(event.what) if isinstance(event, MessageEvent) else None)
    two, courier = await join(engine), Quick()
    one = Member(engine, courier=courier)
    await one.does("declareSubscriptions", {"test.note": {}})
    await two.notes(one, 0)
    assert (courier.at_once, courier.attempts, told) == ([0], [], ["sent", "delivered"])
    courier.quick, courier.hold = False, lambda delivery: number_of(delivery) == 1
    await two.notes(one, 1)
    await courier.until(lambda: courier.under_way)
    courier.quick = True
    held = asyncio.ensure_future(two.notes(one, 2))  # one before it is under way
    await turns_until(lambda: len(told) == 4)
    assert courier.at_once == [0]
    courier.let_go()
    await courier.until(lambda: len(courier.taken) == 3)
    await held
    await two.notes(one, 3)
    assert (courier.numbers, courier.at_once) == ([0, 1, 2, 3], [0, 3])


async def test_a_courier_that_fails_at_once_harms_no_other_recipient(
    engine: HubEngine, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Quick):
        def deliver_at_once(self, delivery: Delivery) -> bool:
            raise ZeroDivisionError("at once")

    odd, near, sender = Member(engine, courier=Failing()), await join(engine), await join(engine)
    for member in (odd, near):
        await member.does("declareSubscriptions", {"test.note": {}})
    assert await sender.does("notifyAll", message(7)) == [odd.id, near.id]
    for member in (odd, near):
        await member.courier.until(lambda: len(member.courier.taken) == 1)  # noqa: B023 - awaited here
    assert "at once" in caplog.text


class TestMembers:
    async def test_the_hub_is_a_client_but_not_one_of_its_clients(self, engine: HubEngine) -> None:
        one = await join(engine)  # HUB-50
        assert engine.hub_id == "hub"
        assert engine.clients == [one.id]
        assert await one.does("getRegisteredClients") == ["hub"]
        assert await one.does("getMetadata", "hub") == {"samp.name": "Hub"}

    async def test_ids_are_never_used_again(self, engine: HubEngine) -> None:  # HUB-41, HUB-42
        ids = []
        for _ in range(3):
            member = await join(engine)
            ids.append(member.id)
            await member.does("unregister")
        assert ids == ["c1", "c2", "c3"]

    async def test_coming_and_going_is_told_in_order(self, engine: HubEngine) -> None:  # HUB-3..7
        one = await join(engine, "samp.hub.event.*")
        two = await join(engine, "a.b")
        await two.does("declareMetadata", {"samp.name": "two"})
        await two.does("unregister")
        events = ["subscriptions", "register", "subscriptions", "metadata", "unregister"]
        await one.courier.until(lambda: len(one.courier.taken) == 5)
        assert one.courier.mtypes == [f"samp.hub.event.{event}" for event in events]
        assert {effect[1] for effect in one.courier.taken} == {"hub"}

    async def test_who_leaves_is_forgotten_once_and_altogether(self, engine: HubEngine) -> None:  # HUB-21
        one = await join(engine, "test.note")
        two = await join(engine)
        one.courier.hold = lambda delivery: True
        for number in range(2):
            await two.notes(one, number)
        await one.courier.until(lambda: one.courier.under_way)
        await one.does("unregister")
        assert one.courier.forgotten == [one.id]
        assert engine.clients == [two.id]
        assert list(engine.last_active) == [two.id]
        assert "hub" in engine._deliveries._outboxes
        assert one.id not in engine._deliveries._outboxes
        await one.courier.until(lambda: not one.courier.under_way)
        assert one.courier.taken == []
        assert (await fault(asyncio.ensure_future(one.does("getRegisteredClients")))).code == (
            FaultCode.NOT_REGISTERED
        )

    async def test_each_operation_counts_as_activity(self, engine: HubEngine) -> None:
        one = await join(engine)
        for operation, params in (("getRegisteredClients", []), ("getMetadata", ["nobody"])):
            engine.last_active[one.id] = engine.last_operation = -1.0
            await asyncio.wait([asyncio.ensure_future(one.does(operation, *params))])
            assert engine.last_active[one.id] == engine.last_operation > 0
        engine.last_active[one.id] = -1.0
        engine.set_callable(one.id, True)
        assert engine.last_active[one.id] > 0
        await asyncio.gather(engine.operate("c99", "unregister", []), return_exceptions=True)
        assert "c99" not in engine.last_active

    async def test_too_many_at_once_are_refused(self, caplog: pytest.LogCaptureFixture) -> None:
        engine = HubEngine(replace(LIMITS, registration_burst=2, registrations_per_second=0), {})
        courier = FakeCourier()
        engine.register(courier)
        engine.register(courier)
        with pytest.raises(FaultError, match="too many clients have registered in a short time") as error:
            engine.register(courier)
        assert error.value.code == FaultCode.LIMIT_REACHED
        assert "too many clients register at once" in caplog.text
        assert engine.clients == ["c1", "c2"]
        await engine.shut_down()

    async def test_a_full_hub_refuses(self) -> None:
        engine = HubEngine(replace(LIMITS, max_clients=1), {})
        engine.register(FakeCourier())
        with pytest.raises(FaultError, match="no more than 1 clients") as error:
            engine.register(FakeCourier())
        assert error.value.code == FaultCode.REGISTRATION_REFUSED
        assert engine.clients == ["c1"]
        await engine.shut_down()


class TestOperations:
    @pytest.mark.parametrize(
        ("operation", "params", "code"),
        [
            ("fly", [], FaultCode.UNKNOWN_METHOD),
            ("getMetadata", [], FaultCode.BAD_PARAMETERS),
            ("getMetadata", [{}], FaultCode.BAD_PARAMETERS),
            ("getMetadata", ["c9"], FaultCode.UNKNOWN_CLIENT),
            ("notify", ["c1", {}], FaultCode.BAD_PARAMETERS),
            ("callAndWait", ["c1", message()], FaultCode.BAD_PARAMETERS),
            ("callAndWait", ["c1", "message", "5"], FaultCode.BAD_PARAMETERS),
            ("callAndWait", ["c9", message(), "5"], FaultCode.UNKNOWN_CLIENT),
            ("callAndWait", ["c1", message(), "5"], FaultCode.NOT_SUBSCRIBED),
        ],
    )
    async def test_what_is_wrong_is_a_fault(
        self, engine: HubEngine, operation: str, params: list[Value], code: FaultCode
    ) -> None:
        one = await join(engine)
        assert (await fault(asyncio.ensure_future(one.does(operation, *params)))).code == code
        assert nothing_is_kept(engine)

    async def test_void_operations_return_an_empty_string(self, engine: HubEngine) -> None:  # STD-6
        one, two = await join(engine), await join(engine, "*")
        for operation, params in (
            ("declareMetadata", [{}]),
            ("declareSubscriptions", [{}]),
            ("notify", [two.id, message()]),
            ("unregister", []),
        ):
            assert await one.does(operation, *params) == ""

    async def test_a_sender_does_not_wait_for_the_recipient(self, engine: HubEngine) -> None:  # MSG-38
        one, two = await join(engine), await join(engine, "*")
        two.courier.hold = lambda delivery: True
        assert await one.does("notify", two.id, message()) == ""
        assert str(await one.does("call", two.id, "t", message())).startswith("m")
        assert two.courier.taken == []

    async def test_a_thousand_messages_arrive_once_each_in_order(self) -> None:  # MSG-36
        engine = HubEngine(Limits(), {})
        one, two = await join(engine), await join(engine, "test.note")
        for number in range(1000):
            await one.does("notify", two.id, message(number))
        await two.courier.until(lambda: len(two.courier.taken) == 1000)
        assert two.courier.numbers == list(range(1000))
        await engine.shut_down()

    async def test_one_who_hangs_delays_nobody_else(self, engine: HubEngine) -> None:  # MSG-38, TOL-11
        one, two, three = await join(engine), await join(engine, "*"), await join(engine, "*")
        two.courier.hold = lambda delivery: True
        assert await one.does("notifyAll", message(1)) == [two.id, three.id]
        await three.courier.until(lambda: 1 in three.courier.numbers)
        assert 1 not in two.courier.numbers

    async def test_a_message_outlives_its_sender(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "test.note")
        await one.does("notify", two.id, message(7))
        await one.does("unregister")
        await two.courier.until(lambda: two.courier.numbers == [7])


class TestCalls:
    async def test_a_response_comes_back_under_its_tag(self, engine: HubEngine) -> None:  # MSG-24
        one, two = await join(engine), await join(engine, "*")
        msg_id = await one.does("call", two.id, "my tag", message())
        await two.courier.until(lambda: two.courier.calls)
        assert two.courier.calls[0].msg_id == msg_id
        await two.does("reply", str(msg_id), OK)
        await one.courier.until(lambda: one.courier.responses)
        assert one.courier.responses[0] == (one.id, two.id, "my tag", OK)

    async def test_ids_of_messages_cannot_be_guessed_and_suit_every_client(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "*")  # MSG-26, TOL-22
        ids = [str(await one.does("call", two.id, "t", message())) for _ in range(2)]
        assert ids[0].split("-")[1] != ids[1].split("-")[1]
        assert all(text.replace("-", "").isalnum() for text in ids)

    async def test_a_wait_ends_with_the_response(self, engine: HubEngine) -> None:  # HUB-32, MSG-28
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two)
        await two.courier.until(lambda: two.courier.calls)
        await two.does("reply", two.courier.calls[0].msg_id, OK)
        assert await waiting == OK
        assert nothing_is_kept(engine)

    async def test_a_reply_may_outrun_the_answer_to_the_delivery(self, engine: HubEngine) -> None:
        """DS9 replies from within receiveCall, and answers that afterwards (CLIENT-5)."""
        one, two = await join(engine), await join(engine, "test.note")

        def hold(delivery: Delivery) -> bool:
            if isinstance(delivery, DeliverCall):
                replying.append(asyncio.ensure_future(two.does("reply", delivery.msg_id, OK)))
            return True

        replying: list[asyncio.Future[Value]] = []
        two.courier.hold = hold
        assert await asyncio.wait_for(one.waits(two), 30) == OK
        assert two.courier.under_way == 1
        assert await replying[0] == ""
        two.courier.let_go()
        await two.courier.until(lambda: not two.courier.under_way)

    async def test_a_timeout_is_a_fault_and_frees_the_memory(self, engine: HubEngine) -> None:  # MSG-28
        one, two = await join(engine), await join(engine, "*")
        error = await fault(one.waits(two, "0.01"))
        assert error.code == FaultCode.TIMEOUT
        assert error.text == "client 'c2' did not answer within 0.01 s"
        assert nothing_is_kept(engine)
        late = asyncio.ensure_future(two.does("reply", two.courier.calls[0].msg_id, OK))  # MSG-30
        assert (await fault(late)).code == FaultCode.UNKNOWN_MESSAGE

    @pytest.mark.parametrize("timeout", ["0", "-1", "-inf", "inf", "1e400", "99999999", " 50 ", "+40."])
    async def test_no_limit_or_a_long_one_is_the_ceiling(self, timeout: str) -> None:  # MSG-29
        engine = HubEngine(replace(LIMITS, max_wait=0.01), {})
        one, two = await join(engine), await join(engine, "*")
        assert (await fault(one.waits(two, timeout))).code == FaultCode.TIMEOUT
        await engine.shut_down()

    @pytest.mark.parametrize("timeout", ["", "nan", "soon", "5 s", "0x5", "x" * 500])
    async def test_a_timeout_that_is_no_number_is_a_fault(self, engine: HubEngine, timeout: str) -> None:
        one, two = await join(engine), await join(engine, "*")
        error = await fault(one.waits(two, timeout))
        assert error.code == FaultCode.BAD_PARAMETERS
        assert "is not a number of seconds" in error.text
        assert len(error.text) < 120
        assert nothing_is_kept(engine)
        assert two.courier.calls == []

    async def test_a_caller_who_gives_up_frees_the_memory_at_once(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two)
        await two.courier.until(lambda: two.courier.calls)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert nothing_is_kept(engine)

    async def test_a_fault_that_comes_as_the_caller_gives_up_is_dropped(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two)
        await two.courier.until(lambda: two.courier.calls)
        await two.does("unregister")
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert nothing_is_kept(engine)
        assert not [record for record in caplog.records if record.name == "asyncio"]

    async def test_a_reply_that_comes_as_the_caller_gives_up_is_dropped(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two)
        await two.courier.until(lambda: two.courier.calls)
        waiting.cancel()
        assert await two.does("reply", two.courier.calls[0].msg_id, OK) == ""
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert nothing_is_kept(engine)

    async def test_who_leaves_while_waiting_gets_a_fault(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two)
        await two.courier.until(lambda: two.courier.calls)
        await one.does("unregister")
        assert (await fault(waiting)).code == FaultCode.NOT_REGISTERED
        assert nothing_is_kept(engine)

    async def test_when_the_recipient_leaves_all_its_callers_know(self, engine: HubEngine) -> None:  # HUB-60
        one, two = await join(engine), await join(engine, "*")
        waiting = one.waits(two, "0")
        await one.does("call", two.id, "t", message())
        await two.courier.until(lambda: len(two.courier.calls) == 2)
        await two.does("unregister")
        assert (await fault(waiting)).code == FaultCode.RECIPIENT_LOST
        await one.courier.until(lambda: one.courier.responses)
        assert one.courier.responses[0].response["samp.status"] == "samp.error"
        assert nothing_is_kept(engine)


class TestFailedDeliveries:
    async def test_a_refused_connection_is_tried_again(self, engine: HubEngine) -> None:  # HUB-46
        one, two = await join(engine), await join(engine, "test.note")
        refusals = iter([GONE, GONE, None, None])
        two.courier.refuse = lambda delivery: next(refusals)
        await asyncio.gather(one.notes(two, 1), one.notes(two, 2))
        await two.courier.until(lambda: two.courier.numbers == [1, 2])
        assert [number_of(delivery) for delivery in two.courier.attempts] == [1, 1, 1, 2]
        assert engine.clients == [one.id, two.id]

    async def test_after_repeated_refusals_the_client_is_removed(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:  # HUB-8, HUB-46, HUB-60
        one, two = await join(engine, "samp.hub.event.unregister"), await join(engine, "*")
        two.courier.refuse = lambda delivery: GONE
        error = await fault(one.waits(two, "0"))
        assert error.code == FaultCode.RECIPIENT_LOST
        assert error.text == "client 'c2': left before it answered (nobody listens)"
        assert len(two.courier.attempts) == LIMITS.refused_connections
        assert engine.clients == [one.id]
        assert two.courier.forgotten == [two.id]
        await one.courier.until(lambda: one.courier.mtypes == ["samp.hub.event.unregister"])
        assert "client c2 is gone: nobody listens" in caplog.text

    async def test_any_other_failure_ends_a_call_at_once_and_is_not_tried_again(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:  # HUB-60, HUB-46
        one, two = await join(engine), await join(engine, "test.note")
        two.courier.refuse = lambda delivery: SULKS
        error = await fault(one.waits(two, "0"))
        assert error.code == FaultCode.RECIPIENT_LOST
        assert error.text == "client 'c2': did not take the call: it does not want to"
        await one.does("call", two.id, "t", message())
        await one.courier.until(lambda: one.courier.responses)
        assert len(two.courier.attempts) == 2
        assert two.id in engine.clients
        assert "client c2 did not take a message: it does not want to" in caplog.text

    async def test_a_notification_that_fails_is_logged_and_the_next_one_goes(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = await join(engine), await join(engine, "test.note")
        two.courier.refuse = lambda delivery: SULKS if number_of(delivery) == 1 else None
        await asyncio.gather(one.notes(two, 1), one.notes(two, 2))
        await two.courier.until(lambda: two.courier.numbers == [2])
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert [record.message for record in warnings] == [
            "client c2 did not take a message: it does not want to"
        ]

    async def test_a_courier_that_breaks_is_logged_and_breaks_nothing_else(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = await join(engine), await join(engine, "test.note")
        two.courier.refuse = lambda delivery: KeyError("oops") if isinstance(delivery, DeliverCall) else None
        error = await fault(one.waits(two, "0"))
        assert error.text == "client 'c2': did not take the call: the hub failed to deliver it"
        await one.notes(two, 5)
        await two.courier.until(lambda: two.courier.numbers == [5])
        assert "KeyError: 'oops'" in caplog.text

    async def test_a_failure_after_the_client_has_left_is_nobodys_business(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = await join(engine), await join(engine, "samp.hub.disconnect", "test.note")
        two.courier.hold = lambda delivery: True
        two.courier.refuse = lambda delivery: SULKS
        await one.notes(two, 1)
        await two.courier.until(lambda: two.courier.under_way)
        engine.disconnect(two.id, "enough")
        two.courier.let_go()
        await two.courier.until(lambda: two.courier.forgotten)
        assert "did not take" not in caplog.text

    async def test_a_client_that_dies_after_it_took_a_call_is_noticed(self, engine: HubEngine) -> None:
        one, two = await join(engine, "samp.hub.event.unregister"), await join(engine, "test.note")
        waiting = one.waits(two, "0")  # HUB-60
        await two.courier.until(lambda: two.courier.calls)
        await two.courier.until(lambda: two.courier.checked)
        assert not waiting.done()
        two.courier.alive = lambda: False
        error = await fault(waiting)
        assert error.code == FaultCode.RECIPIENT_LOST
        assert "nobody listens any more where it should" in error.text
        await one.courier.until(lambda: one.courier.mtypes)

    async def test_who_has_a_delivery_under_way_is_alive_and_not_asked(self, engine: HubEngine) -> None:
        one, two, three = await join(engine), await join(engine, "test.note"), await join(engine, "test.note")
        two.courier.hold = lambda delivery: isinstance(delivery, DeliverCall)
        waiting = one.waits(two, "0")
        await two.courier.until(lambda: two.courier.under_way)
        await one.does("call", three.id, "t", message())
        await three.courier.until(lambda: len(three.courier.checked) > 2)
        assert two.courier.checked == []
        two.courier.let_go()
        await two.courier.until(lambda: two.courier.checked)
        waiting.cancel()

    async def test_who_leaves_while_it_is_looked_at_is_not_looked_for(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "test.note")
        await one.does("call", two.id, "t", message())

        def alive() -> bool:
            leaving.append(asyncio.ensure_future(two.does("unregister")))
            return False

        leaving: list[asyncio.Future[Value]] = []
        two.courier.alive = alive
        await two.courier.until(lambda: two.courier.forgotten)
        await asyncio.gather(*leaving, return_exceptions=True)
        await turns_until(
            lambda: not [t for t in asyncio.all_tasks() if t.get_name() == "asyncsamp-liveness"]
        )
        assert two.courier.forgotten == [two.id]
        assert len(two.courier.checked) == 1

    async def test_who_is_removed_while_it_is_looked_at_is_not_removed_again(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine, "test.note")
        await one.does("call", two.id, "t", message())

        def alive() -> bool:
            if len(two.courier.checked) == LIMITS.refused_connections:
                engine.disconnect(two.id, "enough")
            return False

        two.courier.alive = alive
        await two.courier.until(lambda: two.courier.forgotten)
        await turns_until(
            lambda: not [t for t in asyncio.all_tasks() if t.get_name() == "asyncsamp-liveness"]
        )
        assert two.courier.forgotten == [two.id]


class TestCongestion:
    @pytest.fixture
    async def engine(self) -> AsyncIterator[HubEngine]:
        engine = HubEngine(SMALL, {})
        yield engine
        await shut_down(engine)

    async def test_a_full_outbox_refuses_and_takes_again_when_half_empty(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two, three = await join(engine), await join(engine, "test.note"), await join(engine, "test.note")
        two.courier.hold = lambda delivery: True
        for number in range(4):  # one under way, three wait
            await one.does("notify", two.id, message(number))
            await two.courier.until(lambda: two.courier.under_way)
        error = await fault(one.notes(two, 4))
        assert error.code == FaultCode.LIMIT_REACHED
        assert error.text == "client 'c2' does not take its messages, and no more can be kept for it"
        assert await one.does("notifyAll", message(5)) == [three.id]  # HUB-45
        await three.courier.until(lambda: three.courier.numbers == [5])
        warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert warnings == ["client c2 does not take its messages: 3 wait, further ones are refused"]
        own = asyncio.ensure_future(two.does("call", three.id, "t", message()))
        assert "this client does not take its messages" in (await fault(own)).text
        two.courier.let_go()
        await two.courier.until(lambda: len(two.courier.taken) == 4)
        assert "client c2 takes its messages again" in caplog.text
        assert await one.does("notifyAll", message(6)) == [two.id, three.id]
        await two.courier.until(lambda: two.courier.numbers == [0, 1, 2, 3, 6])

    async def test_one_that_is_removed_hears_its_last_words_all_the_same(
        self, engine: HubEngine, caplog: pytest.LogCaptureFixture
    ) -> None:  # HUB-63
        one, two = await join(engine), await join(engine, "test.note", "samp.hub.disconnect")
        two.courier.hold = lambda delivery: True
        for number in range(4):
            await one.does("notify", two.id, message(number))
            await two.courier.until(lambda: two.courier.under_way)
        engine.disconnect(two.id, "enough")
        two.courier.let_go()
        await two.courier.until(lambda: two.courier.forgotten)
        assert two.courier.mtypes == ["test.note"] * 4 + ["samp.hub.disconnect"]
        assert "failed" not in caplog.text
        assert engine._core.congested == set()

    async def test_hub_events_are_told_later_and_keep_their_order(self, engine: HubEngine) -> None:
        one = await join(engine, "samp.hub.event.metadata")
        two = await join(engine)
        one.courier.hold = lambda delivery: True
        for number in range(8):
            await two.does("declareMetadata", {"number": str(number)})
            await one.courier.until(lambda: one.courier.under_way)
        one.courier.let_go()
        await one.courier.until(lambda: len(one.courier.taken) == 5)
        await two.does("declareMetadata", {"number": "last"})
        await one.courier.until(lambda: len(one.courier.taken) == 6)
        told = [re.findall("'number': '(.*?)'", str(delivery)) for delivery in one.courier.taken]
        assert told == [["0"], ["1"], ["2"], ["3"], ["7"], ["last"]]

    async def test_it_is_full_by_weight_too(self) -> None:
        engine = HubEngine(replace(LIMITS, outbox_weight=50_000), {})
        one, two = await join(engine), await join(engine, "a")
        two.courier.hold = lambda delivery: True
        heavy: ValueMap = {"samp.mtype": "a", "samp.params": {"x": "x" * 30_000}}
        for _ in range(3):
            await one.does("notify", two.id, heavy)
            await two.courier.until(lambda: two.courier.under_way)
        error = await fault(asyncio.ensure_future(one.does("notify", two.id, heavy)))
        assert error.code == FaultCode.LIMIT_REACHED
        await shut_down(engine)

    async def test_a_broadcast_is_weighed_once(
        self, engine: HubEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weighed: list[object] = []

        def estimate_size(value: Value) -> int:
            weighed.append(value)
            return 1

        monkeypatch.setattr("asyncsamp.hub.deliveries.estimate_size", estimate_size)
        one = await join(engine)
        crowd = [await join(engine, "test.note") for _ in range(5)]
        for member in crowd:
            member.courier.hold = lambda delivery: True
        await one.does("notifyAll", message(1))
        assert weighed == []  # they go out at once
        await crowd[-1].courier.until(lambda: crowd[-1].courier.under_way)
        await one.does("notifyAll", message(2))
        assert len(weighed) == 1


class TestDisconnect:
    async def test_the_news_is_delivered_before_the_client_is_forgotten(self, engine: HubEngine) -> None:
        one, two = await join(engine, "samp.hub.event.unregister"), await join(engine, "samp.hub.*")
        two.courier.hold = lambda delivery: True  # HUB-63, MTYPE-25
        engine.disconnect(two.id, "enough")
        await one.courier.until(lambda: one.courier.mtypes == ["samp.hub.event.unregister"])
        assert engine.clients == [one.id]
        assert two.courier.forgotten == []
        two.courier.let_go()
        await two.courier.until(lambda: two.courier.forgotten)
        assert two.courier.mtypes[-1] == "samp.hub.disconnect"
        await turns_until(lambda: not engine._deliveries._farewells)

    async def test_one_that_does_not_take_the_news_is_forgotten_all_the_same(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine = HubEngine(HASTY, {})
        two = await join(engine, "samp.hub.disconnect")
        two.courier.hold = lambda delivery: True
        engine.disconnect(two.id, "enough")
        await two.courier.until(lambda: two.courier.forgotten)
        await two.courier.until(lambda: not two.courier.under_way)
        assert two.courier.forgotten == [two.id]
        assert "client c1 could not be told in time that it was disconnected" in caplog.text
        await engine.shut_down()

    async def test_one_that_need_not_be_told_is_forgotten_at_once(self, engine: HubEngine) -> None:
        two = await join(engine)
        engine.disconnect(two.id, "enough")
        assert two.courier.forgotten == [two.id]

    async def test_one_that_is_not_there_is_no_error(self, engine: HubEngine) -> None:
        engine.disconnect("c99", "enough")
        assert engine.clients == []


class TestShutdown:
    async def test_everybody_is_told_and_then_forgotten(self) -> None:  # HUB-9, HUB-62
        engine = HubEngine(LIMITS, {})
        one, two = await join(engine, "samp.hub.event.shutdown"), await join(engine)
        await engine.shut_down()
        assert one.courier.mtypes == ["samp.hub.event.shutdown"]
        assert two.courier.taken == []
        assert (one.courier.forgotten, two.courier.forgotten) == ([one.id], [two.id])

    async def test_without_telling_nobody_hears_of_it(self) -> None:
        engine = HubEngine(LIMITS, {})
        one = await join(engine, "samp.hub.event.shutdown")
        await engine.shut_down(tell=False)
        assert one.courier.taken == []
        assert one.courier.forgotten == [one.id]

    async def test_who_waits_has_a_fault_at_once(self) -> None:  # HUB-62
        engine = HubEngine(LIMITS, {})
        one, two = await join(engine), await join(engine, "test.note")
        waiting = one.waits(two, "0")
        await two.courier.until(lambda: two.courier.calls)
        two.courier.hold = lambda delivery: True
        await one.notes(two, 1)
        await two.courier.until(lambda: two.courier.under_way)
        closing = asyncio.ensure_future(engine.shut_down())
        assert (await fault(waiting)).code == FaultCode.SHUTTING_DOWN
        assert not closing.done()
        two.courier.let_go()
        await asyncio.wait_for(closing, 30)

    async def test_a_client_that_hangs_does_not_hold_it_up(self) -> None:
        engine = HubEngine(replace(LIMITS, shutdown_patience=1), {})  # the other is told in less
        one, two = await join(engine, "*"), await join(engine, "*")
        one.courier.hold = lambda delivery: True
        await two.notes(one, 1)
        await two.does("call", one.id, "t", message())
        await asyncio.wait_for(engine.shut_down(), 30)
        assert two.courier.mtypes[-1] == "samp.hub.event.shutdown"
        assert one.courier.under_way == 0

    async def test_nor_does_a_courier_that_cannot_be_cancelled(self) -> None:
        engine = HubEngine(HASTY, {})
        one = await join(engine, "*")
        stubborn = asyncio.Event()

        class Stubborn(FakeCourier):
            async def deliver(self, delivery: Delivery) -> None:
                while not stubborn.is_set():
                    try:
                        await stubborn.wait()
                    except asyncio.CancelledError:
                        self.attempts.append(delivery)

        courier = Stubborn()
        client = engine.register(courier)
        engine.set_callable(client, True)
        await engine.operate(client, "declareSubscriptions", [{"*": {}}])
        await one.does("notify", client, message())
        await asyncio.wait_for(engine.shut_down(), 30)
        assert courier.forgotten == [client]
        stubborn.set()
        await turns_until(lambda: not [t for t in asyncio.all_tasks() if "outbox" in t.get_name()])

    async def test_a_farewell_under_way_is_ended(self) -> None:
        engine = HubEngine(HASTY, {})
        one = await join(engine, "samp.hub.disconnect")
        one.courier.hold = lambda delivery: True
        engine.disconnect(one.id, "enough")
        await asyncio.wait_for(engine.shut_down(), 30)
        assert one.courier.forgotten == [one.id]
        assert one.courier.under_way == 0

    async def test_the_tasks_of_the_end_bear_names(self) -> None:
        engine = HubEngine(LIMITS, {})
        one = await join(engine, "samp.hub.event.shutdown")
        one.courier.hold = lambda delivery: True
        closing = asyncio.ensure_future(engine.shut_down())
        await one.courier.until(lambda: one.courier.under_way)
        assert "asyncsamp-drain-c1" in {task.get_name() for task in asyncio.all_tasks()}
        one.courier.let_go()
        await closing

    async def test_afterwards_nothing_is_delivered_or_watched_any_more(self) -> None:  # HUB-62, HUB-64
        engine = HubEngine(LIMITS, {})
        one, two = await join(engine, "*"), await join(engine, "*")
        await engine.shut_down()
        before = len(one.courier.attempts)
        await two.does("notify", one.id, message())
        attempts: list[tuple[str, list[Value]]] = [
            ("call", [one.id, "t", message()]),
            ("callAll", ["t", message()]),
        ]
        for operation, params in attempts:
            error = await fault(asyncio.ensure_future(two.does(operation, *params)))
            assert error.code == FaultCode.SHUTTING_DOWN
        assert (await fault(two.waits(one))).code == FaultCode.SHUTTING_DOWN
        with pytest.raises(FaultError, match="shutting down") as closing:
            engine.register(FakeCourier())
        assert closing.value.code == FaultCode.SHUTTING_DOWN
        assert len(one.courier.attempts) == before

    async def test_not_subscribed_is_a_fault_of_its_own(self, engine: HubEngine) -> None:
        one, two = await join(engine), await join(engine)
        with pytest.raises(FaultError) as error:
            await one.does("notify", two.id, message())
        assert error.value.code == FaultCode.NOT_SUBSCRIBED
