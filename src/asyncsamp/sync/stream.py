"""What others send, as plain iterators."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..client.messaging import MessagingClient
from ..client.stream import MessageStream as AsyncMessageStream
from ..data.hints import Awaited, what_next
from ..data.streams import Received
from ..errors import WaitTimeoutError
from ..values import Message
from .portal import Portal

__all__ = ["MessageStream", "Patient", "Stream"]

T = TypeVar("T")

_END: Any = object()


class Stream(Generic[T]):
    """Items as an iterator, from the moment it is made; made by `Client.tables` and its like.

        for table in client.tables(timeout=60): ...

    It ends when it is closed, when the client unregisters, or once `timeout` seconds have passed
    without an item; without a timeout it waits for ever. Ctrl-C ends a wait at once, and no item is
    lost. Several threads may read one stream of tables, images or rows, and each item goes to one of
    them; a stream of messages has one reader at a time. `with` closes it.
    """

    def __init__(
        self,
        portal: Portal,
        inner: AsyncIterator[T],
        close: Callable[[], Awaitable[object]],
        timeout: float | None,
    ) -> None:
        self._portal = portal
        self._inner = inner
        self._timeout = timeout
        self._close = weakref.finalize(self, _close_later, portal, close)
        self._close.atexit = False
        self._closing = close

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._inner!r}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            item = self._portal.run(_next(self._inner, self._timeout))
        except TimeoutError:
            raise StopIteration from None
        if item is _END:
            raise StopIteration
        return item

    def next(self, timeout: float | None = None) -> T:
        """Return the next item, and wait for it.

        Args:
            timeout: Seconds to wait; that of the stream if None.

        Raises:
            WaitTimeoutError: Nothing came in time; of messages, tables, images and rows it says who is there
                and how they send them.
            EOFError: The stream has ended.
        """
        seconds = self._timeout if timeout is None else timeout
        if isinstance(self._inner, Received):
            item: T = self._portal.run(self._inner.next(seconds))
            return item
        try:
            item = self._portal.run(_next(self._inner, seconds))
        except TimeoutError:
            raise self._portal.run(self._nothing_came(seconds or 0.0)) from None
        if item is _END:
            raise EOFError("the stream has ended: it was closed, or the client has unregistered")
        return item

    async def _nothing_came(self, seconds: float) -> WaitTimeoutError:
        return WaitTimeoutError("nothing came", seconds)

    def close(self) -> None:
        """End the stream. What waits in it can still be read."""
        if self._close.detach() is not None:
            self._portal.run(_closed(self._closing))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Patient(Generic[T]):
    """The items of an async generator, each awaited by a task: to give up a wait does not end the generator.

    Args:
        inner: The generator.
    """

    def __init__(self, inner: AsyncGenerator[T, None]) -> None:
        self._inner = inner
        self._turn = asyncio.Lock()
        self._coming: asyncio.Task[T] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return repr(self._inner)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next item. Cancelling is safe: the next call goes on with the same wait."""
        async with self._turn:
            if self._coming is None:
                if self._closed:
                    raise StopAsyncIteration
                self._coming = asyncio.create_task(self._item(), name="asyncsamp-sync-item")
                self._coming.add_done_callback(_seen)
            task = self._coming
            await asyncio.wait({task})
            self._coming = None
        item = _END if task.cancelled() else task.result()
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """End the generator, and who waits for it."""
        self._closed = True
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
        await self._inner.aclose()

    async def _item(self) -> T:
        return await anext(self._inner, _END)


def _seen(task: asyncio.Task[Any]) -> None:
    """Take the error of a wait that nobody comes back to."""
    if not task.cancelled():
        task.exception()


class MessageStream(Stream[Message]):
    """Messages as an iterator; made by `Client.messages`.

    It holds `Limits.stream` messages, or as many as `limit` said; `dropped` counts the notifications
    that found no room.
    """

    def __init__(
        self, portal: Portal, inner: AsyncMessageStream, timeout: float | None, client: MessagingClient
    ) -> None:
        super().__init__(portal, inner, _plain(inner.close), timeout)
        self._messages = inner
        self._client = client

    async def _nothing_came(self, seconds: float) -> WaitTimeoutError:
        awaited = Awaited(f"no message of {self._messages.mtypes} came", "have one sent from there")
        return WaitTimeoutError(awaited.missing, seconds, await what_next(self._client, awaited))

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def closed(self) -> bool:
        """Whether no more messages come in."""
        return self._messages.closed

    @property
    def dropped(self) -> int:
        """How many notifications were dropped, since the reader was too slow."""
        return self._messages.dropped


def _plain(close: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def closing() -> None:
        close()

    return closing


async def _next(inner: AsyncIterator[T], timeout: float | None) -> T:
    # `StopAsyncIteration` does not pass a future, hence the mark.
    async with asyncio.timeout(timeout):
        return await anext(inner, _END)


async def _closed(close: Callable[[], Awaitable[object]]) -> None:
    await close()


def _close_later(portal: Portal, close: Callable[[], Awaitable[object]]) -> None:
    portal.spawn(_closed(close))
