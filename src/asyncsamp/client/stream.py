"""Messages as an async iterator."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .._util.sizing import estimate_size
from ..interfaces import Registration
from ..values import Message, Response
from .loop_check import CheckLoop, any_loop

__all__ = ["MessageStream"]

log = logging.getLogger("asyncsamp.client")

Answer = Callable[[Message, Response], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    message: Message
    to_answer: bool
    size: int
    registration: Registration | None


class MessageStream:
    """The messages of some mtypes, from the moment it is made; made by `Client.messages`.

        async with client.messages("coord.pointAt.sky") as pointings:
            async for message in pointings:
                ...

    It is bounded, by the number of messages that wait and by about how many bytes they take: when it is
    full the oldest notifications are dropped (counted in `dropped`, with one warning), and a call is
    answered with samp.error. One message is always kept, whatever its size. A call is
    answered samp.ok when it is taken from the stream, unless the stream was made with
    `answer=False`; then `Client.reply` is the reader's to call.

    Iteration ends when the stream or the client is closed. One reader at a time.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        max_bytes: int,
        *,
        check: Callable[[Message], None],
        answer: Answer,
        answers_itself: bool,
        with_name: Callable[[Message, Registration | None], Awaitable[Message]],
        on_enter: Callable[[], Awaitable[None]],
        on_close: Callable[[MessageStream], None],
        check_loop: CheckLoop = any_loop,
    ) -> None:
        self._name = name
        self._limit = limit
        self._max_bytes = max_bytes
        self._bytes = 0
        self._check_loop = check_loop
        self._check = check
        self._answer = answer
        self._answers_itself = answers_itself
        self._with_name = with_name
        self._on_enter = on_enter
        self._on_close = on_close
        self._queue: deque[_Item] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._read = False
        self._closed = False
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<MessageStream {self._name} {len(self._queue)} waiting, {self.dropped} dropped>"

    @property
    def mtypes(self) -> str:
        """What it takes, for people."""
        return self._name

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._queue)

    @property
    def closed(self) -> bool:
        """Whether no more messages come in."""
        return self._closed

    def check(self, message: Message) -> None:
        """Check that a message is one that the stream gives.

        Args:
            message: What has come.

        Raises:
            RemoteProtocolError: Its parameters are not what a class says that the stream was made for.
        """
        self._check(message)

    def put(self, message: Message, *, to_answer: bool, registration: Registration | None = None) -> None:
        """Take a message in, which has been checked.

        Args:
            message: What has come.
            to_answer: Whether a reply is this stream's business.
            registration: That for which it came: at the next hub the id of its sender is another's.
        """
        # Weighed only if it waits behind others: one message is kept whatever its size.
        size = estimate_size(message.params) if self._queue else 0
        full = len(self._queue) >= self._limit or self._bytes + size > self._max_bytes
        if full and not self._make_room(message, to_answer, size):
            return
        self._queue.append(_Item(message, to_answer, size, registration))
        self._bytes += size
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """End the stream: what waits can still be read, calls that wait are answered with samp.error."""
        if self._closed:
            return
        self._check_loop(f"close the stream {self._name}")
        self._closed = True
        self._on_close(self)
        for item in [item for item in self._queue if item.to_answer]:
            self._take(item)
            self._answer(
                item.message, Response.failure("the stream of messages was closed before it was read")
            )
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Return the next message. Cancelling is safe: no message is lost."""
        if self._read:
            raise RuntimeError(f"two readers of one stream ({self._name}); make a stream for each")
        self._check_loop(f"read the stream {self._name}")
        self._read = True
        try:
            message, to_answer = await self._next()
        finally:
            self._read = False
        if to_answer and self._answers_itself:
            self._answer(message, Response())
        return message

    async def _next(self) -> tuple[Message, bool]:
        """Take the first message from the queue, once the name of its sender is known."""
        while True:
            while not self._queue:
                if self._closed:
                    raise StopAsyncIteration
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            first = self._queue[0]
            named = await self._with_name(first.message, first.registration)
            # Meanwhile it may have been dropped for a newer one.
            if self._queue and self._queue[0] is first:
                self._take(first)
                return named, first.to_answer

    async def __aenter__(self) -> Self:
        try:
            await self._on_enter()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, item: _Item) -> None:
        self._queue.remove(item)
        self._bytes -= item.size

    def _make_room(self, message: Message, to_answer: bool, size: int) -> bool:
        """Drop the oldest notifications for a newer message; refuse what cannot be kept."""
        if len(self._queue) >= self._limit:
            full, refusal = f"{self._limit} messages", f"too many messages wait already ({self._limit})"
        else:
            full = f"{len(self._queue)} messages of about {_megabytes(self._bytes)}"
            refusal = f"what waits already takes too much memory ({full})"
        if not self.dropped:
            log.warning("the stream %s is full (%s); its reader is too slow", self._name, full)
        going = self._oldest(size)
        for item in going:
            self._take(item)
        self.dropped += len(going) or 1
        if not going and to_answer:
            self._answer(message, Response.failure(refusal))
        return bool(going)

    def _oldest(self, size: int) -> list[_Item]:
        """Return the notifications that must go so that `size` bytes more can wait; none if in vain."""
        places, room = self._limit - len(self._queue), self._max_bytes - self._bytes - size
        going: list[_Item] = []
        for item in self._queue:
            if places > 0 and room >= 0:
                break
            if not item.to_answer:
                going.append(item)
                places, room = places + 1, room + item.size
        fits = room >= 0 or len(going) == len(self._queue)
        return going if places > 0 and fits else []


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
