"""What the hub says of its rooms to its own clients. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from ....interfaces import ROOMS, Engine
from ....values import Value, ValueMap

__all__ = ["say_left", "say_room"]


def say_room(engine: Engine, room: str, connected: bool, hubs: Iterable[str]) -> None:
    """Say how it stands with a room.

    Args:
        engine: The hub.
        room: The name of the room.
        connected: Whether there is a connection to its server.
        hubs: The labels of the other hubs that are in it.
    """
    labels: list[Value] = [*sorted(hubs)]
    stands: ValueMap = {"connected": str(int(connected)), "hubs": labels}
    engine.say_of_hub(ROOMS, _said(engine) | {room: stands})


def say_left(engine: Engine, room: str) -> None:
    """Say nothing of a room any more.

    Args:
        engine: The hub.
        room: The name of the room.
    """
    engine.say_of_hub(ROOMS, {name: stands for name, stands in _said(engine).items() if name != room})


def _said(engine: Engine) -> ValueMap:
    standing = engine.describe(engine.hub_id)
    said = standing.metadata.get(ROOMS) if standing is not None else None
    return said if isinstance(said, dict) else {}
