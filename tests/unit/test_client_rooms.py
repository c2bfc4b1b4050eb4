"""What the metadata of a hub say of its rooms is read as a stranger's."""

from __future__ import annotations

import pytest

from asyncsamp.client.rooms import Room, rooms_of, what_is_missing
from asyncsamp.interfaces import ROOMS
from asyncsamp.values import Value


def test_rooms_are_read() -> None:
    said: Value = [
        {"name": "m31", "connected": "1", "hubs": ["laptop", "desk"]},
        {"name": "mine", "connected": "0", "hubs": []},
    ]
    assert rooms_of({ROOMS: said}) == [Room("m31", True, ("laptop", "desk")), Room("mine", False, ())]


@pytest.mark.parametrize("said", ["", "m31", [], ["m31"], {"name": "m31"}, [["m31"]], [{}], [{"name": []}]])
def test_what_is_no_room_is_left_out(said: Value) -> None:
    assert rooms_of({ROOMS: said}) == []
    assert rooms_of({}) == []


def test_a_room_of_which_little_is_known_is_not_connected() -> None:
    assert rooms_of({ROOMS: [{"name": "m31", "hubs": "laptop"}]}) == [Room("m31", False, ())]
    said: Value = [{"name": "m31", "connected": "1", "hubs": [["laptop"], {}]}]
    assert rooms_of({ROOMS: said}) == [Room("m31", True, ())]


def test_names_stand_on_one_line_and_are_cut() -> None:
    shown = Room("m31\x1b[2J\n" + 100 * "m", True, ("a\nb",)).text
    assert shown.isprintable()
    assert len(shown) < 150
    assert "a b" in shown


@pytest.mark.parametrize(
    ("stands", "text"),
    [
        ({"connected": "1", "hubs": ["laptop"]}, ""),
        ({"connected": "1", "hubs": []}, "; the room m31 has no other hub just now"),
        ({"connected": "0", "hubs": []}, "; the room m31 has no connection to its server just now"),
        ({"connected": "0", "hubs": ["laptop"]}, "; the room m31 has no connection to its server just now"),
    ],
)
def test_it_is_told_why_nobody_else_can_be_there(stands: dict[str, Value], text: str) -> None:
    assert what_is_missing(rooms_of({ROOMS: [{"name": "m31", **stands}]})) == text
