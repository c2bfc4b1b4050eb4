"""How many hubs are met at once, and how many afterwards."""

from __future__ import annotations

from asyncsamp.hub.profiles.reach.meetings import Meetings


def met(meetings: Meetings, member: str, now: float) -> int:
    """Return how many hubs of a member are met of 1,000 that come at once."""
    return sum(meetings.may_meet(member, now) for _ in range(1_000))


def test_all_of_a_room_are_met_at_once_and_all_of_it_again() -> None:
    meetings = Meetings(100, named=False)
    assert met(meetings, "anybody", 5.0) == 200
    assert met(meetings, "anybody", 10.0) == 10
    assert met(meetings, "anybody", 1_000.0) == 200


def test_without_accounts_another_name_helps_nobody() -> None:
    meetings = Meetings(100, named=False)
    assert met(meetings, "alice", 5.0) == 200
    assert met(meetings, "bob", 5.0) == 0


def test_where_names_are_proven_nobody_takes_from_another() -> None:
    meetings = Meetings(100, named=True)
    assert met(meetings, "mallory", 5.0) == 200
    assert met(meetings, "bob", 5.0) == 200
    assert met(meetings, "mallory", 5.0) == 0


def test_names_without_end_are_not_kept() -> None:
    meetings = Meetings(100, named=True)
    for number in range(5_000):
        assert meetings.may_meet(f"m{number}", 5.0)
    assert len(meetings._rates) == 1_000
