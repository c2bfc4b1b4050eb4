"""Whose transfer may begin: nobody takes the places of others, and nothing is kept of who has none."""

from __future__ import annotations

from asyncsamp.hub.profiles.reach.turns import Turn, Turns


def taken(turns: Turns, *names: str) -> list[Turn]:
    found = [turns.take(name) for name in names]
    assert None not in found
    return [turn for turn in found if turn is not None]


async def test_each_has_some_and_the_rest_wait_in_their_order() -> None:
    turns = Turns(each=2, each_waits=2, every=10, all_wait=10)
    first, second, third, fourth = taken(turns, *4 * ["a"])
    assert [turn.begun.done() for turn in (first, second, third, fourth)] == [True, True, False, False]
    assert turns.take("a") is None
    (other,) = taken(turns, "b")
    assert other.begun.done()
    turns.give_back(second)
    assert (third.begun.done(), fourth.begun.done()) == (True, False)
    turns.give_back(fourth)  # it has given up
    turns.give_back(first)
    for turn in (third, other):
        turns.give_back(turn)
    assert len(turns) == 0


async def test_all_together_have_no_more_than_there_is() -> None:
    turns = Turns(each=2, each_waits=2, every=3, all_wait=2)
    begun = taken(turns, "a", "a", "b")
    waiting = taken(turns, "c", "d")
    assert not any(turn.begun.done() for turn in waiting)
    assert turns.take("e") is None
    turns.give_back(begun[0])
    assert [turn.begun.done() for turn in waiting] == [True, False]
    for turn in (*begun[1:], *waiting):
        turns.give_back(turn)
    assert len(turns) == 0


async def test_who_asks_in_vain_is_not_kept() -> None:
    turns = Turns(each=1, each_waits=0, every=1, all_wait=0)
    (turn,) = taken(turns, "a")
    assert [turns.take(f"hub {number}") for number in range(100)] == [None] * 100
    assert len(turns) == 1
    turns.give_back(turn)
    assert len(turns) == 0
