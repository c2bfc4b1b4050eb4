"""What all parts of a joined room share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ....interfaces import Courier, Engine, MaySend
from ....values import Value, ValueMap
from .bus import Bus
from .subjects import Subjects

__all__ = ["Context", "Urls"]


class Urls(Protocol):
    """What is done with values that cross, for the URLs in them."""

    def outgoing(self, value: Value, *, trusted: bool) -> Value:
        """Return a value as other hubs get it; `trusted` is one of a client that is not a web page."""
        ...

    def incoming(self, value: Value, *, site: str) -> Value:
        """Return a value of another hub as clients of this one get it; `site` is "" for a trusted one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all parts of a joined room share.

    Attributes:
        engine: The hub.
        courier: Who reaches the clients of other hubs.
        bus: What carries frames.
        urls: What is done with values that cross.
        subjects: Of the room.
        label: Our name for people.
        named: Whether the server proves the names of members.
        trusts: Whether a member is trusted.
        may_send: What clients of members may send who are not trusted; None for everything.
        clock: The loop's.
    """

    engine: Engine
    courier: Courier
    bus: Bus
    urls: Urls
    subjects: Subjects
    label: str
    named: bool
    trusts: Callable[[str], bool]
    may_send: MaySend | None
    clock: Callable[[], float]

    def outgoing(self, client: str, value: ValueMap) -> ValueMap:
        """Return what one of our clients says as other hubs get it."""
        standing = self.engine.describe(client)
        sent = self.urls.outgoing(value, trusted=standing is not None and standing.origin is None)
        assert isinstance(sent, dict)
        return sent

    def incoming(self, member: str, value: ValueMap) -> ValueMap:
        """Return what a client of that member's hub says as ours get it."""
        got = self.urls.incoming(value, site="" if self.trusts(member) else f"room member {member}")
        assert isinstance(got, dict)
        return got
