"""What one open page is told of the hub: batches of changes, sampled when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from ..core import ClientStanding
from ..hub import Hub
from ..observer import ClientEvent, HubEvent, MessageEvent
from .shown import client_shown, message_shown, owing_shown

__all__ = ["Feed"]

INTERVAL = 0.2
"""Seconds between two batches: what a person sees as live."""

MOST = 60
"""Messages that one batch begins to show after a pause: a broadcast to many is seen whole."""

STEADY = 20
"""Messages that each batch may begin to show when they go on: 100 a second are more than anybody reads. Of a
faster hub a sample is shown, and the rest counted."""

_PART = 100
"""Clients of whom a page that is opened is told at once; between two parts the hub goes on."""

_MOST_OWING = 100
"""Clients of which one batch tells to whom they owe answers; the next one tells of more."""

_MAX_OPEN = 5_000
"""Messages whose end is waited for. Beyond, the oldest is given up."""


class Feed:
    """The changes that a page has not been sent. Nothing is done while nothing happens."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._clock = asyncio.get_running_loop().time
        self._changed: set[str] = set()
        self._owing: dict[str, int] = {}  # who owes how many answers, as the page knows
        self._messages: list[MessageEvent] = []
        self._open: dict[int, None] = {}  # a dict for its order
        self._room = MOST  # for messages to begin
        self._refilled = self._clock()
        self._shown_in_all = 0
        self._before = hub.engine.observed
        self._extra: list[dict[str, Any]] = []
        self._something = asyncio.Event()
        self._end = hub.engine.observe(self._take, self._sample)

    def close(self) -> None:
        """Stop watching."""
        self._end()

    def whole(self) -> Iterator[dict[str, Any]]:
        """Yield every client that is here now, in one part at least, as it stands when its part is taken.

        Whoever comes, changes or leaves meanwhile is in the next batch.
        """
        clients = list(self._hub.engine.clients)
        for end in range(_PART, len(clients) + _PART, _PART) or (0,):
            part = self._describe(clients[max(0, end - _PART) : end])
            yield {"clients": [self._shown(each) for each in part.values()], "more": end < len(clients)}

    def tell(self, what: dict[str, Any]) -> None:
        """Let the page be told something else beside."""
        self._extra.append(what)
        self._something.set()

    async def batch(self) -> dict[str, Any]:
        """Wait until there is something to tell, and return it. Cancelling is safe."""
        await self._something.wait()
        await asyncio.sleep(INTERVAL)
        self._something.clear()
        changed, self._changed = self._changed, set()
        messages, self._messages = self._messages, []
        extra, self._extra = self._extra, []
        standings = self._describe(changed)
        total = self._hub.engine.observed - self._before if self._hub.running else self._shown_in_all
        told = {
            "clients": [self._shown(standing) for standing in standings.values()],
            "left": [client for client in changed if client not in standings],
            "owing": self._owing_changes(),
            "messages": [message_shown(event) for event in messages],
            "total": total,
            "missed": total - self._shown_in_all,
            "extra": extra,
        }
        self._refill()
        return told

    def _refill(self) -> None:
        now = self._clock()
        self._room = min(MOST, self._room + round((now - self._refilled) / INTERVAL * STEADY))
        self._refilled = now

    def _owing_changes(self) -> list[dict[str, Any]]:
        """Return who owes more or fewer answers than the page knows; if they are many, the first of them."""
        if not self._hub.running:
            return []
        engine, known = self._hub.engine, self._owing
        now = engine.owing()
        changed = [client for client in now | known if now.get(client) != known.get(client)]
        if len(changed) > _MOST_OWING:
            self._something.set()
        for client in changed[:_MOST_OWING]:
            known[client] = now.get(client, 0)
            if not known[client]:
                del known[client]
        told = self._describe(changed[:_MOST_OWING])
        return [owing_shown(standing, engine.owed(client)) for client, standing in told.items()]

    def _shown(self, standing: ClientStanding) -> dict[str, Any]:
        owed = self._hub.engine.owed(standing.public_id) if standing.owes else {}
        return client_shown(standing, owed)

    def _describe(self, clients: Iterable[str]) -> dict[str, ClientStanding]:
        if not self._hub.running:
            return {}
        found = ((client, self._hub.engine.describe(client)) for client in clients)
        return {client: standing for client, standing in found if standing is not None}

    def _take(self, event: HubEvent) -> None:
        if isinstance(event, ClientEvent):
            self._changed.add(event.client)
            self._something.set()
            return
        if event.what == "sent":
            if self._room <= 0:
                return
            self._room -= 1
            self._shown_in_all += 1
            self._open[event.number] = None
            if len(self._open) > _MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._messages.append(event)
        elif event.number in self._open:
            if event.what != "delivered" or not event.msg_id:
                del self._open[event.number]
            self._messages.append(event)
        else:
            return
        self._something.set()

    def _sample(self) -> bool:
        if self._room <= 0:
            return False  # what took the room has seen to it that there is a batch
        self._something.set()
        return True
