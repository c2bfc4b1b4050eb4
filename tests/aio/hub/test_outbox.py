"""One client's queue: order, patience, bounds on what is under way, and its end (MSG-36)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from asyncsamp.delivery import Delivery
from asyncsamp.hub.outbox import Outbox
from asyncsamp.limits import Limits

from ..connections import turns_until
from ..couriers import FakeCourier, note, number_of

LIMITS = Limits(delivery_patience=0.01, deliveries_in_flight=3, outbox=4, outbox_weight=1000)
PATIENT = Limits(delivery_patience=60)


@pytest.fixture
async def courier() -> FakeCourier:
    return FakeCourier()


@pytest.fixture
async def box(courier: FakeCourier) -> AsyncIterator[Outbox]:
    """An outbox of little patience."""
    box = Outbox("c1", courier.deliver, LIMITS)
    yield box
    await asyncio.gather(*box.close(), return_exceptions=True)


def patient(courier: FakeCourier) -> Outbox:
    return Outbox("c1", courier.deliver, PATIENT)


async def test_all_is_delivered_in_order(courier: FakeCourier) -> None:
    box = patient(courier)
    for number in range(100):
        box.put(note(number))
    assert box.busy
    await box.drained()
    assert courier.numbers == list(range(100))
    assert courier.most_under_way == 1
    assert not box.busy
    assert len(box) == 0


async def test_senders_are_held_while_more_wait_than_is_said(courier: FakeCourier) -> None:
    courier.hold = lambda delivery: True
    for low_water in (1, 5):
        box = Outbox("c1", courier.deliver, PATIENT, low_water)
        for number in range(low_water):
            box.put(note(number))
            assert not box.outrun
        box.put(note(low_water))
        assert box.outrun
        held = [box.hold(answer) for answer in ("one", "two")]
        box.close()  # whatever ends it, nobody is left held
        assert await asyncio.gather(*held) == ["one", "two"]
        assert not box.outrun


async def test_a_sender_is_not_held_for_one_that_is_slow(courier: FakeCourier) -> None:
    courier.hold = lambda delivery: True
    box = patient(courier)
    for number in range(5):
        box.put(note(number))
    assert await asyncio.wait_for(box.hold("sent"), 10) == "sent"
    assert not box.outrun
    await asyncio.gather(*box.close(), return_exceptions=True)


async def test_what_comes_while_one_is_under_way_waits_for_it(courier: FakeCourier) -> None:
    box = patient(courier)
    courier.hold = lambda delivery: number_of(delivery) == 0
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    box.put(note(1))
    await turns_until(lambda: len(box) == 1)
    assert courier.attempts == [note(0)]
    courier.let_go()
    await box.drained()
    assert courier.numbers == [0, 1]


async def test_an_idle_outbox_has_no_task_and_no_timer(courier: FakeCourier) -> None:
    box = patient(courier)
    before = asyncio.all_tasks()
    courier.hold = lambda delivery: number_of(delivery) == 0
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    box.put(note(1))  # sets the timer of patience
    assert box._timer is not None
    courier.let_go()
    await box.drained()
    assert asyncio.all_tasks() == before
    assert box._timer is None


async def test_the_task_is_named_after_the_client(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: True
    box.put(note(0))
    assert "asyncsamp-outbox-c1" in {task.get_name() for task in asyncio.all_tasks()}


async def test_one_that_hangs_holds_up_the_next_only_for_a_while(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: number_of(delivery) in (0, 2)
    for number in range(5):
        box.put(note(number))
    await courier.until(lambda: courier.numbers == [1, 3, 4])
    assert [number_of(delivery) for delivery in courier.attempts] == [0, 1, 2, 3, 4]
    assert box.busy
    courier.let_go()
    await box.drained()
    assert courier.numbers == [1, 3, 4, 0, 2]


async def test_nothing_passes_what_has_not_been_read(courier: FakeCourier) -> None:
    """However long that takes; the next ones are in order then, and wait for one another again."""
    asked = 0

    def has_unread(client: str) -> bool:
        nonlocal asked
        asked += 1
        return client == "c1" and unread

    box, unread = Outbox("c1", courier.deliver, LIMITS, has_unread=has_unread), True
    courier.hold = lambda delivery: number_of(delivery) == 0
    for number in range(3):
        box.put(note(number))
    await turns_until(lambda: asked >= 3)
    before = asked
    box.put(note(3))
    assert (asked, courier.attempts) == (
        before,
        [note(0)],
    )  # one question for each time that patience is over
    unread = False
    await courier.until(lambda: courier.numbers == [1, 2, 3])
    courier.let_go()
    await box.drained()
    assert courier.numbers == [1, 2, 3, 0]


async def test_no_more_are_under_way_than_allowed(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: True
    for number in range(10):
        box.put(note(number))
    await courier.until(lambda: courier.under_way == 3)
    await turns_until(lambda: box._timer is None)  # patience is over with the third as well
    assert len(box) == 7
    courier.let_go()
    await box.drained()
    assert courier.most_under_way == 3
    assert sorted(courier.numbers) == list(range(10))
    assert courier.numbers[3:] == list(range(3, 10))  # in order again


async def test_progress_renews_the_patience(courier: FakeCourier) -> None:
    """The timer set for the first delivery must not make a second worker while others go through."""
    box = patient(courier)
    courier.hold = lambda delivery: number_of(delivery) < 2
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    box.put(note(1))
    assert box._timer is not None
    courier.let_go(0)
    await courier.until(lambda: courier.numbers == [0] and courier.under_way)
    box.put(note(2))
    box._timer.cancel()
    box._patience_over()  # as if it rang now, when the second delivery has just begun
    assert len(box) == 1
    assert box._timer is not None
    courier.let_go()
    await box.drained()
    assert courier.numbers == [0, 1, 2]
    assert courier.most_under_way == 1


async def test_a_worker_that_frees_a_place_starts_the_next(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: number_of(delivery) in (0, 1, 2)
    for number in range(3):
        box.put(note(number))
    await courier.until(lambda: courier.under_way == 3)
    box.put(note(3))
    assert courier.under_way == 3
    courier.let_go()
    await courier.until(lambda: 3 in courier.numbers)


async def test_it_tells_when_it_is_full_and_when_roomy(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: True
    for number in range(LIMITS.deliveries_in_flight):
        box.put(note(number))
    await courier.until(lambda: courier.under_way == 3)
    assert not box.full
    for number in range(2):
        box.put(note(number))
    assert not box.full
    assert box.roomy
    box.put(note(2))
    assert not box.roomy
    box.put(note(3))
    assert box.full
    courier.let_go()
    await box.drained()
    assert not box.full
    assert box.roomy


async def test_it_is_full_by_weight_too(courier: FakeCourier, box: Outbox) -> None:
    courier.hold = lambda delivery: True
    box.put(note(0), 100_000)  # at once under way, so it does not wait
    await courier.until(lambda: courier.under_way == 1)
    assert not box.full
    box.put(note(1), 600)
    assert (box.full, box.roomy) == (False, False)
    box.put(note(2), 400)
    assert box.full
    courier.let_go()
    await box.drained()
    assert (box.full, box.roomy) == (False, True)


async def test_several_may_wait_for_it_to_be_empty_and_one_may_give_up(courier: FakeCourier) -> None:
    box = patient(courier)
    courier.hold = lambda delivery: True
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    waiting = [asyncio.ensure_future(box.drained()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting[1:2])
    courier.let_go()
    await asyncio.gather(waiting[0], waiting[2])
    assert waiting[1].cancelled()
    await box.drained()


async def test_to_wait_for_an_empty_one_takes_no_time(courier: FakeCourier) -> None:
    await patient(courier).drained()


async def test_who_waits_is_not_misled_by_what_comes_at_the_last_moment(courier: FakeCourier) -> None:
    box = patient(courier)
    courier.hold = lambda delivery: True
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    waiting = asyncio.ensure_future(box.drained())
    await asyncio.sleep(0)
    courier.let_go(0)
    await courier.until(lambda: courier.numbers == [0])
    box.put(note(1))
    await courier.until(lambda: courier.under_way)
    assert not waiting.done()
    courier.let_go()
    await waiting
    assert courier.numbers == [0, 1]


async def test_closed_it_drops_what_waits_and_cancels_what_is_under_way(courier: FakeCourier) -> None:
    box = patient(courier)
    courier.hold = lambda delivery: True
    for number in range(3):
        box.put(note(number))
    await courier.until(lambda: courier.under_way)
    waiting = asyncio.ensure_future(box.drained())
    await asyncio.sleep(0)
    ended = box.close()
    assert len(ended) == 1
    await asyncio.wait(ended)
    assert ended[0].cancelled()
    await waiting
    assert not box.busy
    assert courier.taken == []
    assert box._timer is None


async def test_closed_it_takes_nothing_more_and_starts_nothing(courier: FakeCourier) -> None:
    box = patient(courier)
    courier.hold = lambda delivery: True
    box.put(note(0))
    await courier.until(lambda: courier.under_way)
    ended = box.close()
    box.put(note(1))
    await asyncio.wait(ended)
    box.put(note(2))
    assert not box.busy
    assert courier.attempts == [note(0)]
    assert box.close() == []


async def test_a_worker_may_close_the_box_it_works_for() -> None:
    """So it is when a delivery finds that its client is gone."""
    taken: list[Delivery] = []
    ended: list[asyncio.Task[None]] = []

    async def deliver(delivery: Delivery) -> None:
        taken.append(delivery)
        ended.extend(ours.close())

    ours = Outbox("c1", deliver, PATIENT)
    ours.put(note(0))
    ours.put(note(1))
    await ours.drained()
    assert taken == [note(0)]
    assert len(ended) == 1
