"""The hub's traffic for a client that asks for it: lines of JSON, all that have come since it last asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from .._util.sizing import estimate_size
from ..rpc import is_large
from ..values import ValueMap
from .observer import ClientEvent, HubEvent, MessageEvent

__all__ = ["Tap"]

_GATHER = 0.05
"""Seconds that a batch waits for more: at ten thousand messages a second it then holds five hundred."""

_BATCH = 4 * 1024 * 1024
"""Characters of one batch, about; it is made and sent in one go."""

_WAIT = 20.0
"""Seconds after which a client is answered though nothing has happened, less than it waits for any answer."""

_PATIENCE = 60.0
"""Seconds without a question after which nothing is kept any more: the client hangs, or has died."""

# Piece by piece: json.dumps would hold the loop up from its thread, too, 65 ms for 700,000 rows.
_CODER = json.JSONEncoder()


class _Large(NamedTuple):
    """An event that is coded in a thread when it is told."""

    told: dict[str, Any]
    weight: int

    def line(self) -> str:
        return "".join(_CODER.iterencode(self.told))


class Tap:
    """What has happened in a hub since its client last asked.

    It never holds up a message: of a client that does not ask, the newest events are dropped and counted.

    Args:
        observe: Where the events come from; `HubEngine.observe`.
        room: Characters that may wait.
    """

    def __init__(
        self, observe: Callable[[Callable[[HubEvent], None]], Callable[[], None]], room: int
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self._room = room
        self._waiting: deque[str | _Large] = deque()
        self._weight = 0
        self._missed = 0
        self._broadcast: tuple[ValueMap | None, int] = (None, 0)
        self._something = asyncio.Event()
        self._asking = 0
        self._asked = self._clock()
        self._end = observe(self._take)

    @property
    def awake(self) -> bool:
        """Whether its client asks, or has asked not long ago."""
        return self._asking > 0 or self._clock() - self._asked < _PATIENCE

    def close(self) -> None:
        """Stop watching, and answer whoever is asking."""
        self._end()
        self._something.set()

    async def batch(self) -> ValueMap:
        """Return what waits, as `lines` of JSON and the number of events that were `missed`.

        Waits until there is something, but not for ever. Cancelling is safe: nothing is lost.
        """
        self._asking += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WAIT):
                    await self._something.wait()
                await asyncio.sleep(_GATHER)
        finally:
            self._asking -= 1
            self._asked = self._clock()
        while self._waiting and isinstance(large := self._waiting[0], _Large):
            line = await asyncio.to_thread(large.line)
            if self._waiting and self._waiting[0] is large:
                self._waiting[0] = line
                self._weight += len(line) - large.weight
        lines = self._take_lines()
        missed, self._missed = self._missed, 0
        if not self._waiting:
            self._something.clear()
        return {"lines": "\n".join(lines), "missed": str(missed)}

    def _take_lines(self) -> list[str]:
        """Take the next batch out, as far as it is coded."""
        lines: list[str] = []
        size = 0
        while self._waiting and size < _BATCH and isinstance(line := self._waiting[0], str):
            lines.append(line)
            size += len(line)
            self._waiting.popleft()
        self._weight -= size
        return lines

    def _take(self, event: HubEvent) -> None:
        if isinstance(event, ClientEvent):
            self._put({"client": event.client, "what": event.what, "name": event.name})
        elif event.what == "sent":
            self._sent(event)
        elif event.what != "delivered":
            told = {**_about(event), "seconds": round(event.seconds, 6)}
            if event.what == "answered":
                self._put({**told, "response": event.content}, event.content)
            else:
                self._put({**told, "error": event.error})

    def _sent(self, event: MessageEvent) -> None:
        """Take a message. To each further recipient of a broadcast it is the very same one."""
        content, first = self._broadcast
        if event.content is content:
            self._put({**_about(event), "same": first})
        else:
            self._broadcast = (event.content, event.number)
            told = {**_about(event), "time": round(time.time(), 6), "message": event.content}
            self._put(told, event.content)

    def _put(self, told: dict[str, Any], content: ValueMap | None = None) -> None:
        if not self.awake:
            self._waiting.clear()
            self._weight = 0
            self._missed += 1
            return
        line = _Large(told, estimate_size(content)) if content and is_large(content) else json.dumps(told)
        weight = len(line) if isinstance(line, str) else line.weight
        if self._weight + weight > self._room:
            self._missed += 1
            return
        self._weight += weight
        self._waiting.append(line)
        self._something.set()


def _about(event: MessageEvent) -> dict[str, Any]:
    return {
        "what": event.what,
        "number": event.number,
        "from": event.sender,
        "to": event.recipient,
        "mtype": event.mtype,
        "call": event.msg_id,
    }
