"""Plain functions as handlers: in a thread of their own, or where a dispatcher puts them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from ..values import Response

__all__ = ["Answer", "Dispatcher", "as_async", "check_handler"]

Answer: TypeAlias = Mapping[str, object] | Response | None
"""What a handler may return: the result of a call, a whole response, or nothing."""

Dispatcher: TypeAlias = Callable[[Callable[[], None]], object]
"""Takes a function and sees to it that it is called soon, in the thread of a GUI for instance."""


def check_handler(handler: object) -> None:
    """Raise TypeError unless `handler` is a plain function that takes one argument."""
    if not callable(handler):
        raise TypeError(f"the handler {handler!r} cannot be called: give a function that takes the message")
    name = getattr(handler, "__name__", None) or repr(handler)
    called = getattr(type(handler), "__call__", None)  # noqa: B004 - the method itself is wanted
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called):
        raise TypeError(
            f"the handler {name} is an 'async def', which asyncsamp.sync cannot run: write "
            f"'def {name}(message):', or use asyncsamp.Client, whose handlers are async"
        )
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise TypeError(f"the handler {name} must take one argument, the message: {error}") from None
    except ValueError:
        return  # a builtin does not tell what it takes


def _as_error(error: BaseException) -> RuntimeError:
    return RuntimeError(f"the handler ended with {type(error).__name__}")


def as_async(
    handler: Callable[[Any], Answer], dispatcher: Dispatcher | None
) -> Callable[[Any], Awaitable[Answer]]:
    """Return a coroutine function that has `handler` called in another thread, and awaits its end.

    A handler that waits when the client leaves is given up; a thread cannot be stopped, so it ends
    by itself, and its result is dropped.
    """

    async def handle(message: Any) -> Answer:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def settle(result: Answer, error: BaseException | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(result)
            else:
                answered.set_exception(error)

        def work() -> None:
            result: Answer = None
            failure: BaseException | None = None
            try:
                result = handler(message)
            except StopIteration as error:  # no future takes it
                failure = _as_error(error)
            except Exception as error:
                failure = error
            except BaseException as error:  # it would end the task that answers, without an answer
                failure = _as_error(error)
            with contextlib.suppress(RuntimeError):  # the loop has ended with the program
                loop.call_soon_threadsafe(settle, result, failure)

        if dispatcher is None:
            # Not a pool: handlers that wait for one another would fill it, and wait for ever.
            threading.Thread(target=work, name="asyncsamp-handler", daemon=True).start()
        else:
            dispatcher(work)
        return await answered

    return handle
