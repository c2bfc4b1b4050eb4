"""Messages that go to a peer together: a frame costs both hubs and the server as much as what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ....values import Content
from .wire import MOST_TOGETHER, dump_messages

__all__ = ["BYTES_TOGETHER", "Gathering"]

_TIME = 0.005
"""Seconds after a frame within which notifications wait for others. Nobody waits for an answer to them."""

BYTES_TOGETHER = 64 * 1024
"""Bytes of messages that go together at most. A longer message goes alone."""


@dataclass(slots=True)
class _Gathered:
    """A message of one sender; its further recipients at the peer join it until it goes."""

    sender: str
    message: Content
    body: bytes
    recipients: dict[str, str | None] = field(default_factory=dict)  # with the id of the call


class Gathering:
    """Keeps messages to one peer for a moment, in their order, and sends them in one frame.

    What comes alone goes in the same turn of the loop, and so does a call, with all that is before it.

    Args:
        send: Sends a frame: its kind, its body, and how many messages it has.
    """

    def __init__(self, send: Callable[[str, bytes, int], None]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Gathered] = []
        self._bytes = 0
        self._recipients = 0
        self._sent = 0.0
        self._timer: asyncio.Handle | None = None
        self._at_once = False  # it is the end of this turn that the timer waits for

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sender: str, message: Content, body: bytes, remote: str, msg_id: str | None) -> None:
        """Add a message.

        Args:
            sender: Our client.
            message: What it sends; the very same one to several clients of the peer goes once.
            body: The message as `wire.dump_message` has it.
            remote: The client of the peer.
            msg_id: Of a call; None for a notification.
        """
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.message is not message or last.sender != sender or remote in last.recipients:
            if self._waiting and (
                self._recipients >= MOST_TOGETHER or self._bytes + len(body) > BYTES_TOGETHER
            ):
                self.flush()
            last = _Gathered(sender, message, body)
            self._waiting.append(last)
            self._bytes += len(body)
        last.recipients[remote] = msg_id
        self._recipients += 1
        self._flush_soon(wait=msg_id is None and self._bytes <= BYTES_TOGETHER)

    def flush(self) -> None:
        """Send what waits."""
        waiting = self._waiting
        self.drop()
        if waiting:
            self._sent = self._loop.time()
            kind, body = dump_messages([(one.sender, [*one.recipients.items()], one.body) for one in waiting])
            self._send(kind, body, len(waiting))

    def drop(self) -> None:
        """Forget what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._at_once = False
        self._waiting = []
        self._bytes = self._recipients = 0

    def _flush_soon(self, *, wait: bool) -> None:
        if self._at_once or (wait and self._timer is not None):
            return
        left = self._sent + _TIME - self._loop.time() if wait else 0.0
        if self._timer is not None:
            self._timer.cancel()
        self._at_once = left <= 0
        self._timer = (
            self._loop.call_soon(self.flush) if left <= 0 else self._loop.call_later(left, self.flush)
        )
