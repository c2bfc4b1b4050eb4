"""What a wait that is over says: who is there, and how they send what was waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._util.foreign_text import plain_line
from ..client.messaging import MessagingClient
from ..client.tracker import LONGEST_NAME, shown
from ..errors import SampError

__all__ = ["HIGHLIGHT", "POSITION", "SELECTION", "Awaited", "thing", "what_next"]

_PATIENCE = 1.0
"""Seconds for the hub to say who is there, after a wait that is over."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What is waited for, in words.

    Attributes:
        missing: That it did not come.
        how: How somebody is made to send it; "{me}" stands for the name of the client that waits.
        ways: The same for programs that are known, by their samp.name in lower case.
    """

    missing: str
    how: str
    ways: Mapping[str, str] = field(default_factory=dict)


SELECTION = Awaited(
    "no selection came",
    "select rows of the table there",
    {
        "topcat": "choose rows in the Table Browser, press the first button there, then Transmit Subset",
        "aladin": "drag the mouse over the sources with the tool 'select'",
        "saoimageds9": "choose several rows in the window of the catalogue",
    },
)

HIGHLIGHT = Awaited(
    "no row came",
    "choose a row of the table there",
    {
        "topcat": "switch on 'Send row index' in the window Activation Actions, then click a row",
        "saoimageds9": "click a row in the window of the catalogue",
    },
)

POSITION = Awaited("no position came", "have a position sent from there")


def thing(name: str) -> Awaited:
    """Return how a wait for one thing is spoken of.

    Args:
        name: What it is: "table".
    """
    return Awaited(f"no {name} came", "send it to {me} from there")


async def what_next(client: MessagingClient, awaited: Awaited) -> str:
    """Return who could have sent it, and what the user can do, for the end of a text.

    It takes a second at most. Cancelling is safe.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            others = await client.get_clients()
            hub = client.hub_id
    except (SampError, TimeoutError):
        return "the hub does not say who is there"
    there = [other for other in others if other.public_id != hub]
    if not there:
        return "nobody else is there: start the tool that is to send it"
    ways = {other.name: awaited.ways.get(other.name.casefold(), "") for other in there}
    known = [f"in {plain_line(name, LONGEST_NAME)} {way}" for name, way in ways.items() if way]
    how = "; ".join(known) or awaited.how.format(me=repr(client.name))
    return f"there are: {shown(there)}; {how}, or give a larger timeout"
