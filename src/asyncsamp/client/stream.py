"""Messages as an async iterator."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from ..values import Message, Response

__all__ = ["MessageStream"]

log = logging.getLogger("asyncsamp.client")

Answer = Callable[[Message, Response], None]


class MessageStream:
    """The messages of some mtypes, from the moment it is made; made by `Client.messages`.

        async with client.messages("coord.pointAt.sky") as pointings:
            async for message in pointings:
                ...

    It is bounded: when it is full the oldest notification is dropped (counted in
    `dropped`, with one warning), and a call is answered with samp.error. A call is
    answered samp.ok when it is taken from the stream, unless the stream was made with
    `answer=False`; then `Client.reply` is the reader's to call.

    Iteration ends when the stream or the client is closed. One reader at a time.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        answer: Answer,
        answers_itself: bool,
        with_name: Callable[[Message], Awaitable[Message]],
        on_enter: Callable[[], Awaitable[None]],
        on_close: Callable[[MessageStream], None],
    ) -> None:
        self._name = name
        self._limit = limit
        self._answer = answer
        self._answers_itself = answers_itself
        self._with_name = with_name
        self._on_enter = on_enter
        self._on_close = on_close
        self._queue: deque[tuple[Message, bool]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._read = False
        self._closed = False
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<MessageStream {self._name} {len(self._queue)} waiting, {self.dropped} dropped>"

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._queue)

    @property
    def closed(self) -> bool:
        """Whether no more messages come in."""
        return self._closed

    def put(self, message: Message, *, to_answer: bool) -> None:
        """Take a message in.

        Args:
            message: What has come.
            to_answer: Whether a reply is this stream's business.
        """
        if len(self._queue) >= self._limit and not self._make_room(message, to_answer):
            return
        self._queue.append((message, to_answer))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """End the stream: what waits can still be read, calls that wait are answered with samp.error."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        left = list(self._queue)
        self._queue.clear()
        for message, to_answer in left:
            if to_answer:
                self._answer(
                    message, Response.failure("the stream of messages was closed before it was read")
                )
            else:
                self._queue.append((message, False))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Return the next message. Cancelling is safe: no message is lost."""
        if self._read:
            raise RuntimeError(f"two readers of one stream ({self._name}); make a stream for each")
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
            named = await self._with_name(first[0])
            # Meanwhile it may have been dropped for a newer one.
            if self._queue and self._queue[0] is first:
                self._queue.popleft()
                return named, first[1]

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

    def _make_room(self, message: Message, to_answer: bool) -> bool:
        """Drop the oldest notification for a newer one; refuse what cannot be kept."""
        if not self.dropped:
            log.warning(
                "the stream %s is full (%d messages); its reader is too slow", self._name, self._limit
            )
        self.dropped += 1
        oldest = next((item for item in self._queue if not item[1]), None)
        if oldest is not None:
            self._queue.remove(oldest)
            return True
        if to_answer:
            self._answer(message, Response.failure(f"too many messages wait already ({self._limit})"))
        return False
