"""The hub as a client of itself: it answers samp.app.ping and queries by metadata (HUB-50..52, MTYPE-40)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .._util.threads import values_of
from ..delivery import DeliverCall, Delivery
from ..errors import FaultError
from ..values import Response, Value, ValueMap
from .core import HubCore

__all__ = ["HubClient"]


class HubClient:
    """The courier that serves the hub's own public id."""

    def __init__(self, core: HubCore, apply: Callable[[], None]) -> None:
        self._core = core
        self._apply = apply
        self._answers: dict[str, Callable[[ValueMap], Response]] = {
            "samp.app.ping": lambda params: Response(),
            "samp.query.by-meta": self._query_by_meta,
            "x-samp.query.by-meta": self._query_by_meta,
        }

    def declare(self, metadata: ValueMap) -> None:
        """Declare the hub's metadata and subscriptions."""
        hub = self._core.hub_id
        self._core.declare_metadata(hub, metadata)
        self._core.declare_subscriptions(hub, {mtype: {} for mtype in self._answers})
        self._apply()

    def say(self, key: str, value: Value) -> None:
        """Put `key` into the hub's metadata, or take it out if `value` is empty; it tells of changes only."""
        hub = self._core.hub_id
        now = self._core.get_metadata(hub, hub)
        said = {name: item for name, item in now.items() if name != key} | ({key: value} if value else {})
        if said != now:
            with contextlib.suppress(FaultError):  # the clients have declared all that there is room for
                self._core.declare_metadata(hub, said)
            self._apply()

    async def deliver(self, delivery: Delivery) -> None:
        """Answer a call; a notification needs nothing done."""
        if not isinstance(delivery, DeliverCall):
            return
        response = self._respond(await values_of(delivery.message))
        try:
            self._core.reply(self._core.hub_id, delivery.msg_id, response.to_map())
        except FaultError:
            return  # the caller left meanwhile
        self._apply()

    async def is_alive(self, client: str) -> bool:
        """Whether the hub is there, which it is as long as it can be asked."""
        return True

    def has_unread(self, client: str) -> bool:
        """False: what the hub is told it takes at once."""
        return False

    def forget(self, client: str) -> None:
        """The hub forgets itself only as a whole."""

    def _respond(self, message: ValueMap) -> Response:
        params = message["samp.params"]
        assert isinstance(params, dict)
        return self._answers[str(message["samp.mtype"])](params)

    def _query_by_meta(self, params: ValueMap) -> Response:
        key, wanted = params.get("key"), params.get("value")
        if not isinstance(key, str) or wanted is None:
            return Response.failure("the parameters key and value are needed: a metadata key, and its value")
        hub = self._core.hub_id
        everyone = [hub, *self._core.get_registered_clients(hub)]
        found: list[Value] = [
            client for client in everyone if self._core.get_metadata(hub, str(client)).get(key) == wanted
        ]
        return Response(result={"ids": found})
