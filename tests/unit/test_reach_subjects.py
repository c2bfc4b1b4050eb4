"""Subjects of a room: a member publishes what is its own, and hears what is for all or for itself."""

from __future__ import annotations

import pytest

from asyncsamp.hub.profiles.reach.subjects import (
    Subjects,
    is_hub,
    member_of,
    peer_of,
    permissions,
    speaker_of,
)

ALICE, BOB, MALLORY = "alice.0123abcd", "bob.89ef0123", "mallory.00000000"


def fits(pattern: str, subject: str) -> bool:
    """Whether a subject, which may have wildcards itself, is covered by a pattern, as the server has it."""
    wanted, given = pattern.split("."), subject.split(".")
    for number, token in enumerate(wanted):
        if token == ">":
            return len(given) > number
        if number >= len(given) or (token != "*" and token != given[number]):
            return False
    return len(wanted) == len(given)


def said_by(hub: str, peer: str) -> list[str]:
    """Return all subjects to which a hub publishes."""
    own = Subjects("m31", hub)
    answer = Subjects("m31", peer).answer_of(hub, "0a")
    return [own.here, own.bye, own.frames(peer), own.ask(peer), answer]


def heard_by(hub: str, peer: str) -> list[str]:
    own = Subjects("m31", hub)
    places = [own.all_here, own.all_bye, own.all_frames, own.all_refused, own.all_asked]
    return [*places, own.answer_of(peer, "0a")]


def test_a_member_may_do_what_its_hub_does() -> None:
    publish, subscribe = permissions("m31", "alice")
    for subject in said_by(ALICE, BOB):
        assert any(fits(pattern, subject) for pattern in publish)
    for subject in heard_by(ALICE, BOB):
        assert any(fits(pattern, subject) for pattern in subscribe), subject


@pytest.mark.parametrize("room", ["m31", "m33"])
def test_and_nothing_that_is_anothers(room: str) -> None:
    publish, subscribe = permissions(room, "mallory")
    forged = [*said_by(ALICE, BOB), *said_by(ALICE, MALLORY), Subjects("m31", BOB).refused(ALICE)]
    assert not [subject for subject in forged for pattern in publish if fits(pattern, subject)]
    private = [*said_by(ALICE, BOB)[2:], Subjects("m31", BOB).refused(ALICE)]
    assert not [subject for subject in private for pattern in subscribe if fits(pattern, subject)]


def test_what_a_hub_hears_is_what_the_other_says() -> None:
    alice, bob = Subjects("m31", ALICE), Subjects("m31", BOB)
    assert fits(bob.all_frames, alice.frames(BOB))
    assert fits(bob.all_asked, alice.ask(BOB))
    assert fits(bob.all_here, alice.here)
    assert fits(bob.all_bye, alice.bye)
    assert fits(alice.all_refused, alice.refused(BOB))
    assert not fits(bob.all_frames, alice.frames(MALLORY))
    assert peer_of(alice.refused(BOB)) == BOB
    assert {speaker_of(subject) for subject in said_by(ALICE, BOB)} == {ALICE}
    assert member_of(ALICE) == "alice"


def test_an_answer_goes_to_who_waits_for_it_at_the_place_of_who_speaks() -> None:
    alice, bob = Subjects("m31", ALICE), Subjects("m31", BOB)
    place = alice.answer_of(BOB, "0a")
    assert bob.is_answer_to(ALICE, place)
    assert not bob.is_answer_to(MALLORY, place)
    assert not alice.is_answer_to(ALICE, place)
    for wrong in (place + ".x", place[:-2] + "*", place[:-2] + ">", place[:-2], "", "samp.m31.bob.here"):
        assert not bob.is_answer_to(ALICE, wrong)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        (ALICE, True),
        ("a-b_1.00000000", True),
        ("alice", False),
        ("alice.inbox", False),
        ("*.0123abcd", False),
    ],
)
def test_what_a_hub_may_be_called(name: str, good: bool) -> None:
    assert is_hub(name) is good
