"""Streams of what others send, made of messages: loaded, checked, and answered only then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .._util.complaints import Complaints
from ..client.loop_check import running_in
from ..client.messaging import MessagingClient
from ..client.stream import MessageStream
from ..client.validation import within
from ..errors import DataError, RemoteProtocolError, SampError, WaitTimeoutError, WrongLoopError
from ..values import Message, Response
from .hints import Awaited, what_next

__all__ = ["ECHO", "Feed", "Received"]

log = logging.getLogger("asyncsamp.client")

T = TypeVar("T")

ECHO = object()
"""What a stream takes for the sender's sake, and does not give to its reader."""

_AT_ONCE = 4
"""Messages that are worked on at once: a slow URL must not hold up the next table for long."""

_LIMIT = 64
"""Items that wait in one stream; the sender of one more is told that it is full."""


def _no_size(item: object) -> int:
    return 0


class Received(Generic[T]):
    """Items as an async iterator, from the moment it is made; made by `Client.tables` and its like.

    It ends when it is closed or when the client unregisters. `async with` closes it, and
    raises on entering what `Client.settled` does; a stream that is simply forgotten ends by
    itself. Waiting on it can be cancelled, no item is lost.
    """

    def __init__(
        self, feed: Feed[T], accept: Callable[[T, Message], Any], what: str, awaited: Awaited
    ) -> None:
        self._feed = feed
        self._awaited = awaited
        self._loop = asyncio.get_running_loop()
        self._accept = accept
        self._what = what
        self._queue: deque[tuple[Any, int]] = deque()  # each with about how many bytes it takes
        self._bytes = 0
        self._coming = 0  # bytes of what was accepted, and is put in once its sender is answered
        self._arrived = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._queue)} waiting"
        return f"<Received {self._what}, {state}>"

    def accept(self, item: T, message: Message) -> Any:
        """Return what the reader is to get, None if it is not for this stream.

        Args:
            item: What was loaded.
            message: The message that brought it.

        Raises:
            DataError: The sender is to be told that it cannot be used.
        """
        if len(self._queue) >= _LIMIT:
            raise DataError(f"{_LIMIT} items wait already for somebody to read them")
        waiting, size = self._bytes + self._coming, self._feed.size(item)
        if waiting and waiting + size > self._feed.max_bytes:
            raise DataError(
                f"{len(self._queue)} items of about {waiting / 1e6:.0f} MB wait already for somebody to "
                "read them"
            )
        taken = self._accept(item, message)
        if taken is not None:
            self._coming += size
        return taken

    def refused(self, size: int) -> None:
        """Take note that what `accept` has taken does not come: its sender could not be answered.

        Args:
            size: About how many bytes it takes.
        """
        self._coming -= size

    def put(self, taken: Any, size: int) -> None:
        """Give something to the reader.

        Args:
            taken: What `accept` returned.
            size: About how many bytes it takes.
        """
        self._coming -= size
        if not self._closed and taken is not ECHO:
            self._queue.append((taken, size))
            self._bytes += size
            self._arrived.set()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream; what waits can still be read.

        Args:
            error: What is raised to the reader after that; None ends the iteration.
        """
        if not self._closed:
            self._closed = True
            self._error = error
            self._arrived.set()
            self._feed.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._closed and not running_in(self._loop):
            raise WrongLoopError(self._feed.name, "give its " + self._what, ended=not self._loop.is_running())
        while not self._queue:
            if self._closed:
                raise self._error or StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        taken, size = self._queue.popleft()
        self._bytes -= size
        return taken

    async def next(self, timeout: float | None = None) -> Any:
        """Return the next item, and wait for it. Cancelling is safe.

        Args:
            timeout: Seconds to wait; None waits until the stream ends.

        Raises:
            WaitTimeoutError: None came in that time; it says who is there and how they send it, for which it
                takes a second more at most.
            EOFError: The stream has ended.
        """
        try:
            return await within(timeout, self.__anext__, self._awaited.missing)
        except StopAsyncIteration:
            raise EOFError("the stream has ended: it was closed, or the client has unregistered") from None
        except WaitTimeoutError as error:
            raise WaitTimeoutError(
                error.what, error.timeout, await self._feed.advice(self._awaited)
            ) from None

    async def __aenter__(self) -> Self:
        try:
            await self._feed.settled()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Feed(Generic[T]):
    """Takes messages of some mtypes for all streams that want what they bring.

    `load` makes an item of a message; it may take long. The sender is answered samp.ok once a
    stream has the item, samp.error with a plain text if it could not be loaded or nobody wants it.
    """

    def __init__(
        self,
        client: MessagingClient,
        mtypes: tuple[str, ...],
        load: Callable[[Message], Awaitable[T]],
        unwanted: str,
        at_once: int = _AT_ONCE,
        size: Callable[[T], int] = _no_size,
    ) -> None:
        self.size = size
        self.max_bytes = client.limits.stream_bytes
        self._client = client
        self._mtypes = mtypes
        self._load = load
        self._unwanted = unwanted
        self._complaints = Complaints(log)
        self._streams: weakref.WeakSet[Received[T]] = weakref.WeakSet()
        self._messages: MessageStream | None = None
        self._runner: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(at_once)

    def open(self, accept: Callable[[T, Message], Any], what: str, awaited: Awaited) -> Received[T]:
        """Return a new stream of what `accept` makes of the items; None says that it is not for it."""
        stream = Received(self, accept, what, awaited)
        loop = asyncio.get_running_loop()
        weakref.finalize(stream, _forgotten, loop, weakref.ref(self)).atexit = False
        self._streams.add(stream)
        if self._runner is None or self._runner.done():
            messages = self._messages = self._client.messages(*self._mtypes, answer=False)
            self._runner = loop.create_task(self._run(messages), name=f"asyncsamp-feed-{self._mtypes[0]}")
        return stream

    @property
    def name(self) -> str:
        """The name of the client."""
        return self._client.name

    async def settled(self) -> None:
        """Return once the hub knows that we take the mtypes. Raises as `Client.settled` does."""
        await self._client.settled()

    async def advice(self, awaited: Awaited) -> str:
        """Return who is there, and how they send what was waited for."""
        return await what_next(self._client, awaited)

    def leave(self, stream: Received[T]) -> None:
        """A stream has ended."""
        self._streams.discard(stream)
        self.tidy()

    def tidy(self) -> None:
        """Take no more messages when no stream is left."""
        if not self._streams and self._runner is not None and self._messages is not None:
            self._messages.close()  # a runner that has not begun yet closes nothing
            self._runner.cancel()
            self._runner = None

    async def close(self) -> None:
        """End every stream and what is being loaded; the senders are told, within `Limits.close_timeout`."""
        runner = self._runner
        for stream in list(self._streams):
            stream.close()
        if runner is not None:
            runner.cancel()
            await asyncio.wait({runner}, timeout=self._client.limits.close_timeout)

    async def _run(self, messages: MessageStream) -> None:
        """Take what comes, until the client leaves."""
        # Not by `async with`: a hub that has not heard of the stream is told by the session, later.
        try:
            async with asyncio.TaskGroup() as group:
                while (message := await self._next(messages)) is not None:
                    loading = group.create_task(self._take(message), name=f"asyncsamp-load-{message.mtype}")
                    loading.add_done_callback(lambda _: self._places.release())
        except Exception as error:
            log.exception("messages of %s are not received any more", self._mtypes[0])
            self._end(error)
        else:
            self._end(None)
        finally:
            messages.close()

    async def _next(self, messages: MessageStream) -> Message | None:
        """Return the next message, once there is a place for it; None at the end.

        Until then it waits in `messages`, which is bounded.
        """
        await self._places.acquire()
        try:
            return await anext(messages)
        except BaseException as end:
            self._places.release()
            if isinstance(end, StopAsyncIteration):
                return None
            raise

    def _end(self, error: Exception | None) -> None:
        self._runner = None  # which ends by itself
        for stream in list(self._streams):
            stream.close(error)

    async def _take(self, message: Message) -> None:
        """Load, answer, and only then hand over: who has got his table may leave at once."""
        try:
            taken, size, response = await self._judge(message)
            try:
                await self._reply(message, response)
            except BaseException:
                for stream, _ in taken:
                    stream.refused(size)
                raise
            for stream, thing in taken:
                stream.put(thing, size)
        except asyncio.CancelledError:
            await self._reply(message, Response.failure(self._unwanted))
            raise

    async def _judge(self, message: Message) -> tuple[list[tuple[Received[T], Any]], int, Response]:
        """Return who gets what, about how many bytes that takes, and what to tell the sender."""
        try:
            item = await self._load(message)
        except (DataError, RemoteProtocolError) as error:
            return [], 0, self._refusal(message, error)
        except Exception as error:
            self._complaints.exception("%s from %s could not be taken", message.mtype, message.sender)
            return [], 0, Response.failure(f"{type(error).__name__}: {error}")
        taken: list[tuple[Received[T], Any]] = []
        refused: DataError | None = None
        for stream in list(self._streams):
            try:
                thing = stream.accept(item, message)
            except DataError as error:
                refused = error
            else:
                taken += [] if thing is None else [(stream, thing)]
        if taken:
            return taken, self.size(item), Response()
        unwanted = Response.failure(self._unwanted)
        return [], 0, unwanted if refused is None else self._refusal(message, refused)

    def _refusal(self, message: Message, error: SampError) -> Response:
        self._complaints.warning("%s from %s was refused: %s", message.mtype, message.sender, error)
        return Response.failure(str(error))

    async def _reply(self, message: Message, response: Response) -> None:
        if message.msg_id is None or not self._client.registered:
            return
        try:
            await self._client.reply(message, response)
        except SampError as error:
            # The sender has left, or a handler of the user's has answered already.
            log.info("a reply was refused: %s", error)


def _forgotten(loop: asyncio.AbstractEventLoop, feed: weakref.ref[Feed[Any]]) -> None:
    """A stream was dropped without being closed, perhaps in another thread, perhaps at the very end."""
    found = feed()
    if found is not None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(found.tidy)
