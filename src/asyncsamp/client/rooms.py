"""The rooms of the hub, as it says in its metadata. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._util.foreign_text import listed, plain_line
from ..interfaces import ROOMS
from ..values import Value

__all__ = ["Room", "rooms_of", "what_is_missing"]

_LONGEST = 40
"""Characters of a name that a text shows."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room in which the hub is.

    Attributes:
        name: Its name.
        connected: Whether the hub has a connection to its server.
        hubs: The labels of the other hubs that are in it.
    """

    name: str
    connected: bool
    hubs: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a person reads of it."""
        name = plain_line(self.name, _LONGEST)
        if not self.connected:
            return f"the hub is in the room {name}, and has no connection to its server"
        hubs = listed(plain_line(hub, _LONGEST) for hub in self.hubs)
        return f"the hub is in the room {name}, and connected; other hubs there: {hubs or 'none'}"


def rooms_of(metadata: Mapping[str, Value]) -> list[Room]:
    """Return the rooms that the metadata of a hub tell of; what is not as ours write it is left out.

    Args:
        metadata: Of the hub.
    """
    said = metadata.get(ROOMS)
    found = []
    for stands in said if isinstance(said, list) else ():
        name = stands.get("name") if isinstance(stands, dict) else None
        if isinstance(stands, dict) and isinstance(name, str):
            hubs = stands.get("hubs")
            labels = tuple(hub for hub in hubs if isinstance(hub, str)) if isinstance(hubs, list) else ()
            found.append(Room(name, stands.get("connected") == "1", labels))
    return found


def what_is_missing(rooms: Iterable[Room]) -> str:
    """Return why no client of another hub can be there, for the end of a text; "" if one can.

    Args:
        rooms: Those of the hub.
    """
    texts = []
    for room in rooms:
        name = plain_line(room.name, _LONGEST)
        if not room.connected:
            texts.append(f"; the room {name} has no connection to its server just now")
        elif not room.hubs:
            texts.append(f"; the room {name} has no other hub just now")
    return "".join(texts)
