"""What one open page is told of the hub: batches of changes, sampled when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ..core import ClientStanding
from ..hub import Hub
from ..observer import ClientEvent, HubEvent, MessageEvent
from .shown import client_shown, message_shown, owing_shown

__all__ = ["Feed"]

INTERVAL = 0.2
"""Seconds between two batches: what a person sees as live."""

MOST = 60
"""Messages that one batch begins to show. Of a faster hub a sample is shown, and the rest counted."""

_MOST_OWING = 100
"""Clients of which one batch tells to whom they owe answers; the next one tells of more."""

_MAX_OPEN = 5_000
"""Messages whose end is waited for."""


class Feed:
    """The changes that a page has not been sent. Nothing is done while nothing happens."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._changed: set[str] = set()
        self._owing: set[str] = set()  # who has been called, or has answered
        self._messages: list[MessageEvent] = []
        self._open: set[int] = set()
        self._begun = 0
        self._total = 0
        self._missed = 0
        self._extra: list[dict[str, Any]] = []
        self._something = asyncio.Event()
        self._end = hub.engine.observe(self._take)

    def close(self) -> None:
        """Watch no more."""
        self._end()

    def whole(self) -> list[dict[str, Any]]:
        """Return every client as it stands now."""
        return [self._shown(standing) for standing in self._hub.clients.values()]

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
        owing = [self._owing.pop() for _ in range(min(len(self._owing), _MOST_OWING))]
        told = {
            "clients": [self._shown(standing) for standing in standings.values()],
            "left": [client for client in changed if client not in standings],
            "owing": [
                owing_shown(standing, self._hub.engine.owed(client))
                for client, standing in self._describe(owing).items()
            ],
            "messages": [message_shown(event) for event in messages],
            "total": self._total,
            "missed": self._missed,
            "extra": extra,
        }
        self._begun = 0
        if self._owing:
            self._something.set()
        return told

    def _shown(self, standing: ClientStanding) -> dict[str, Any]:
        return client_shown(standing, self._hub.engine.owed(standing.public_id))

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
        if event.msg_id and event.what != "delivered":
            self._owing.add(event.recipient)
        if event.what == "sent":
            self._total += 1
            if self._begun >= MOST or len(self._open) >= _MAX_OPEN:
                self._missed += 1
                self._something.set()
                return
            self._begun += 1
            self._open.add(event.number)
            self._messages.append(event)
        elif event.number in self._open:
            if event.what != "delivered" or not event.msg_id:
                self._open.discard(event.number)
            self._messages.append(event)
        self._something.set()
