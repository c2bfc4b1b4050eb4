"""Which of our clients are shown to other hubs, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from itertools import islice

from ....interfaces import AT_ANOTHER_HUB, Engine, Standing
from ....values import Value, ValueMap
from ...mtype_limits import MTypeLimits
from .wire import RemoteClient

__all__ = ["MEMBER", "NAME", "OF_A_BRIDGE", "OF_REACH", "OF_THE_HUB", "Exports"]

log = logging.getLogger("asyncsamp.reach")

OF_REACH = "org.asyncsamp.reach."
"""How the metadata keys begin by which a client of another hub is known as such."""

NAME, MEMBER = (OF_REACH + word for word in ("name", "member"))
"""The name of such a client at its own hub, and the account of that hub."""

OF_A_BRIDGE = "bridge.proxy.source"
"""What JSAMP's bridge puts into the metadata of clients that are elsewhere."""

OF_THE_HUB = "samp.hub."
"""How the mtypes begin that are a hub's own business: none crosses."""

_FEW = 20
_SHORT = 1_000
"""What is still shown of a client that says very much of itself: so many texts, of so many characters."""

_MANY = 4_000
"""Values of one client's metadata that are searched for URLs: two milliseconds."""

_LARGE = f"its metadata have more than {_MANY} values"


class Exports:
    """Our clients as other hubs may see them.

    Clients of other hubs are told by who reaches them, which is known before they are announced: with a list
    of ids two hubs would give each other proxies of proxies without end.

    Args:
        engine: The hub.
        is_remote: Whether a courier reaches clients of other hubs.
        share: The names of those who are shown; empty for all.
        limits: What is shown of subscriptions to a hub that is not trusted; None for all.
        outgoing: What is done with the metadata of a client before they leave.
    """

    def __init__(
        self,
        engine: Engine,
        is_remote: Callable[[object], bool],
        *,
        share: Collection[str] = (),
        limits: MTypeLimits | None,
        outgoing: Callable[[str, ValueMap], ValueMap],
    ) -> None:
        self._engine = engine
        self._last: dict[str, Standing] = {}
        self._is_remote = is_remote
        self._share = frozenset(name.casefold() for name in share)
        self._limits = limits
        self._outgoing = outgoing
        self._searched: dict[str, tuple[ValueMap, ValueMap]] = {}  # as declared, and as sent
        self._told: set[str] = set()  # clients of which the user knows that they are shown in short

    def all(self) -> list[str]:
        """Return the public ids of all clients that are shown and have declared something."""
        return [client for client in self._engine.clients if self.shows(client) and self._declared(client)]

    def is_own(self, client: str) -> bool:
        """Whether `client` is one of this hub's own, or was until just now."""
        return client != self._engine.hub_id and not self._is_remote(self._engine.courier_of(client))

    def note(self, client: str) -> None:
        """Remember how `client` stands, for when it has left and something of it is still to cross."""
        standing = self._engine.describe(client)
        if standing is not None and self.is_own(client):
            self._last[client] = standing

    def forget_left(self, needed: Callable[[str], bool]) -> None:
        """Forget the clients that have left, but for those that are `needed`."""
        for client in [client for client in self._last if self._engine.describe(client) is None]:
            if not needed(client):
                del self._last[client]
                self._searched.pop(client, None)
                self._told.discard(client)

    def _standing(self, client: str, left: bool) -> Standing | None:
        return self._last.get(client) if left else self._engine.describe(client)

    def shows(self, client: str, *, left: bool = False) -> bool:
        """Whether `client` is shown, or was when it `left`: one of our own, and of those that are shared."""
        if not self.is_own(client):
            return False
        standing = self._standing(client, left)
        if standing is None or _is_elsewhere(standing):
            return False
        name = standing.metadata.get("samp.name")
        return not self._share or (isinstance(name, str) and name.casefold() in self._share)

    def view(
        self, client: str, *, trusted: bool, speaks: bool = False, left: bool = False
    ) -> RemoteClient | None:
        """Return `client` as it is shown to a hub, or was when it `left`; None if it is not.

        One that has declared nothing yet may be a bridge's, for a client that is elsewhere. It is shown when
        it has, or when it `speaks`.
        """
        standing = self._standing(client, left)
        if standing is None or not self.shows(client, left=left):
            return None
        if not speaks and not _declares(standing):
            return None
        return RemoteClient(client, self._metadata(client, standing), self._subscriptions(standing, trusted))

    def _metadata(self, client: str, standing: Standing) -> ValueMap:
        """Return what it says of itself as other hubs get it: searched once for all of them."""
        declared = standing.metadata
        searched = self._searched.get(client)
        if searched is None or searched[0] is not declared:
            shown = dict(declared)
            if _has_more(shown, _MANY):
                self._tell_in_short(client)
                shown = _in_short(shown)
            searched = self._searched[client] = declared, self._outgoing(client, shown)
        return searched[1]

    def _tell_in_short(self, client: str) -> None:
        if client not in self._told:
            self._told.add(client)
            log.warning("other hubs are shown only the name and the like of client %s: %s", client, _LARGE)

    def _subscriptions(self, standing: Standing, trusted: bool) -> ValueMap:
        if not standing.callable:
            return {}
        kept = {key: value for key, value in standing.subscriptions.items() if not key.startswith(OF_THE_HUB)}
        return kept if trusted or self._limits is None else self._limits.visible(kept)

    def _declared(self, client: str) -> bool:
        standing = self._engine.describe(client)
        return standing is not None and _declares(standing)


def _declares(standing: Standing) -> bool:
    return bool(standing.metadata or standing.subscriptions)


def _has_more(metadata: ValueMap, most: int) -> bool:
    """Whether there are more than so many values, at any depth."""
    waiting: list[Value] = [metadata]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, str):
            most -= len(value)
            if most < 0:
                return True
            waiting += value if isinstance(value, list) else value.values()
    return False


def _in_short(metadata: ValueMap) -> ValueMap:
    short = (
        (key, value)
        for key, value in metadata.items()
        if key.startswith("samp.") and isinstance(value, str) and len(value) <= _SHORT
    )
    return dict(islice(short, _FEW))


def _is_elsewhere(standing: Standing) -> bool:
    return OF_A_BRIDGE in standing.metadata or AT_ANOTHER_HUB in standing.metadata
