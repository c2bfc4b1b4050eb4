"""What the written classes stand on: the inner asynchronous object, its handlers, forks and the end."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, overload

from ..client.stream import MessageStream as AsyncMessageStream
from ..client.validation import check_patterns
from ..data.client import Client as AsyncClient
from ..errors import NotRegisteredError
from ..hub.hub import Hub as AsyncHub
from ..limits import Limits
from ..mtypes import TypedMessage
from ..values import Message
from .handlers import Answer, Dispatcher, as_async, check_handler
from .portal import Portal, portal
from .stream import MessageStream, Patient, Stream

__all__ = ["AsyncClient", "AsyncHub", "BaseClient", "BaseHub", "ForkedError", "around"]

T = TypeVar("T")
H = TypeVar("H", bound=Callable[[Message], Answer])
M = TypeVar("M", bound=TypedMessage)
C = TypeVar("C", bound="BaseClient")
T_co = TypeVar("T_co", covariant=True)


class Closable(Protocol[T_co]):
    """A stream of the asynchronous client that is closed by a plain call."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> T_co: ...

    def close(self) -> None: ...


class ForkedError(NotRegisteredError):
    """The client, or hub, was made by the process of which this one is a fork.

    Attributes:
        pid: The process that has it.

    Args:
        name: The name of the client, or what the hub is called.
        pid: The process that has it.
    """

    def __init__(self, name: str, pid: int) -> None:
        self.pid = pid
        Exception.__init__(
            self,
            f"{name} belongs to process {pid}, of which this process is a fork: its registration, handlers "
            "and streams are there; make a new one in this process",
        )


class _Leaver:
    """Ends an inner client or hub at the end of the program, without keeping the outer one alive."""

    def __init__(self, end: Callable[[], Coroutine[Any, Any, object]], *, last: bool) -> None:
        self._end = end
        self.leaves_last = last

    async def leave(self) -> None:
        await self._end()


class _Base:
    """One inner object, and the loop in which it lives."""

    def __init__(self, name: str, end: Callable[[], Coroutine[Any, Any, object]], *, last: bool) -> None:
        self._name = name
        self._portal: Portal = portal()
        self._leaver = _Leaver(end, last=last)
        self._portal.close_at_exit(self._leaver)
        weakref.finalize(self, _end_later, self._portal, self._leaver).atexit = False

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if os.getpid() != self._portal.pid:
            work.close()
            raise ForkedError(self._name, self._portal.pid)
        return self._portal.run(work)

    def _call(self, function: Callable[..., T], /, *args: Any, **options: Any) -> T:
        async def work() -> T:
            return function(*args, **options)

        return self._run(work())


class BaseClient(_Base):
    """What is not written by rule: what takes functions of the user's, and streams."""

    def __init__(self, inner: AsyncClient, dispatcher: Dispatcher | None) -> None:
        super().__init__(f"the client {inner.name!r}", inner.unregister, last=False)
        self._inner = inner
        self._dispatcher = dispatcher

    def __repr__(self) -> str:
        return repr(self._inner).replace("<Client", "<sync.Client", 1)

    def __enter__(self) -> Self:
        self._run(self._inner.register())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._inner.unregister())

    @property
    def name(self) -> str:
        """What others call the client (samp.name)."""
        return self._inner.name

    @property
    def limits(self) -> Limits:
        """Timeouts and sizes, as they were given."""
        return self._inner.limits

    @overload
    def on(self, *mtypes: str, annotation: Mapping[str, object] | None = None) -> Callable[[H], H]: ...

    @overload
    def on(
        self, mtype: type[M], /, *, annotation: Mapping[str, object] | None = None
    ) -> Callable[[Callable[[M], Answer]], Callable[[M], Answer]]: ...

    def on(
        self, *mtypes: str | type[TypedMessage], annotation: Mapping[str, object] | None = None
    ) -> Callable[[Any], Any]:
        """Decorate a plain function so that it handles messages of `mtypes`, wildcards included.

        It gets a `Message`, or, for a class of `asyncsamp.mtypes`, an instance of that class. It runs in
        a thread of its own, or where the client's `dispatcher` puts it, and may use the client. What it
        returns (a mapping, a `Response` or None) is the answer to a call; an exception is answered with
        samp.error. It replaces an earlier handler of the same mtype, before or after registering. Of
        several patterns that match, the most specific has the message. Messages that come at the same
        time are handled at the same time.

        Args:
            mtypes: What to handle: names, patterns such as `coord.*`, or one class of `asyncsamp.mtypes`.
            annotation: What goes into the subscription (MTYPE-6).

        Returns:
            The decorator.

        Raises:
            TypeError: The handler is an `async def`, or does not take one argument.
            LocalProtocolError: An mtype is not valid.
        """
        check_patterns(mtypes)  # here, since who gives the handler among them makes no second call

        def decorate(handler: Any) -> Any:
            check_handler(handler)
            taker = as_async(handler, self._dispatcher)
            # Both overloads in one, which no type says.
            on: Callable[..., Callable[[Any], Any]] = self._inner.on
            self._call(lambda: on(*mtypes, annotation=annotation)(taker))
            self._run(self._inner.settled())
            return handler

        return decorate

    def on_leaving(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once, in a thread, when the client leaves and can still answer calls.

        Args:
            callback: What to call, without arguments.
        """

        async def leaving() -> None:
            await asyncio.to_thread(callback)

        self._call(self._inner.on_leaving, leaving)

    # ---- inside

    def _messages(
        self, make: Callable[[AsyncClient], AsyncMessageStream], timeout: float | None
    ) -> MessageStream:
        return MessageStream(self._portal, self._run(self._begin(make)), timeout, self._inner)

    def _received(self, make: Callable[[AsyncClient], Closable[T]], timeout: float | None) -> Stream[T]:
        inner = self._run(self._begin(make))

        async def close() -> None:
            inner.close()

        return Stream(self._portal, inner, close, timeout)

    def _generated(self, make: Callable[[AsyncClient], AsyncGenerator[T, None]]) -> Stream[T]:
        inner = Patient(self._call(make, self._inner))
        return Stream(self._portal, inner, inner.aclose, None)

    async def _begin(self, make: Callable[[AsyncClient], T]) -> T:
        """Make a stream; return when the hub knows of it, so that nothing sent afterwards is missed."""
        stream = make(self._inner)
        await self._inner.settled()
        return stream


def around(kind: type[C], inner: AsyncClient, dispatcher: Dispatcher | None) -> C:
    """Return the client of which `inner`, which lives in the portal's loop, does the work."""
    client = kind.__new__(kind)
    BaseClient.__init__(client, inner, dispatcher)
    return client


class BaseHub(_Base):
    """What is not written by rule: `with`."""

    def __init__(self, inner: AsyncHub) -> None:
        super().__init__("the hub", inner.shutdown, last=True)
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner).replace("<Hub", "<sync.Hub", 1)

    def __enter__(self) -> Self:
        self._run(self._inner.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._inner.shutdown())

    def _received(self, make: Callable[[AsyncHub], Closable[T]], timeout: float | None) -> Stream[T]:
        inner = self._call(make, self._inner)

        async def close() -> None:
            inner.close()

        return Stream(self._portal, inner, close, timeout)


def _end_later(portal: Portal, leaver: _Leaver) -> None:
    portal.spawn(leaver.leave())
