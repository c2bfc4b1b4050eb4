"""What users give to a client (mtypes, handlers, recipients), checked and made ready."""

from __future__ import annotations

import asyncio
import dis
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from .._util.complaints import Complaints
from .._util.likeness import nearest
from .._util.spelling import spelled
from ..errors import LocalProtocolError, RemoteProtocolError, WaitTimeoutError
from ..mtypes import TypedMessage, check_mtype, check_subscription, mtype_of
from ..values import Message, Response, ValueMap, encode_map, is_text
from .inbox import Handler
from .tracker import RemoteClient

__all__ = [
    "MType",
    "TypedHandler",
    "check_handler",
    "check_name",
    "check_patterns",
    "check_progress",
    "check_timeout",
    "describe",
    "may_wait",
    "message_map",
    "public_id",
    "reading",
    "taking",
    "warn_of_metadata",
    "warn_of_no_url",
    "within",
]

log = logging.getLogger("asyncsamp.client")

T = TypeVar("T")
M = TypeVar("M", bound=TypedMessage)

_STANDARD = (
    "samp.name",
    "samp.description.text",
    "samp.description.html",
    "samp.icon.url",
    "samp.documentation.url",
)
_USUAL = ("author.name", "author.email", "author.mail", "author.affiliation", "home.page")
_SHORTENED = {
    "description": "samp.description.text",
    "samp.description": "samp.description.text",
    "icon": "samp.icon.url",
    "samp.icon": "samp.icon.url",
    "documentation": "samp.documentation.url",
    "samp.documentation": "samp.documentation.url",
    "author": "author.name",
    "email": "author.email",
    "affiliation": "author.affiliation",
    "homepage": "home.page",
    "homepage.url": "home.page",
}
_MEANT = {key.removeprefix("samp."): key for key in _STANDARD} | _SHORTENED
"""Keys that nobody reads, and what was meant (META-3..9)."""

_URLS = ("samp.icon.url", "samp.documentation.url")
_URL = re.compile(r"(?:https?|file|ftp):/", re.IGNORECASE)

MType: TypeAlias = str | TypedMessage
"""An mtype, or a message of `asyncsamp.mtypes` with its parameters."""

TypedHandler: TypeAlias = Callable[[M], Awaitable[Mapping[str, object] | Response | None]]
"""An `async def` that takes an instance of a class of `asyncsamp.mtypes`."""


def message_map(mtype: MType, params: Mapping[str, object] | None) -> ValueMap:
    """Return the message to send. Raises `LocalProtocolError` if SAMP cannot say it."""
    if isinstance(mtype, TypedMessage):
        if params is not None:
            raise TypeError(f"{type(mtype).__name__} holds its parameters; give no others beside it")
        return {"samp.mtype": mtype_of(mtype), "samp.params": mtype.to_params()}
    if isinstance(mtype, Mapping):
        raise LocalProtocolError(
            "mtype and parameters are two arguments, and not one mapping: "
            "'coord.pointAt.sky', {'ra': 10.68, 'dec': 41.27}"
        )
    if isinstance(mtype, type) and issubclass(mtype, TypedMessage):
        raise LocalProtocolError(
            f"{mtype.__name__} is a class: give a message of it with its parameters, {mtype.__name__}(...)"
        )
    return {"samp.mtype": check_mtype(mtype), "samp.params": encode_map(params or {}, "params")}


def public_id(client: str | RemoteClient) -> str:
    """Return the public id of a recipient. Raises `LocalProtocolError` if it is not one."""
    if isinstance(client, RemoteClient):
        return client.public_id
    if isinstance(client, str):
        return client
    raise LocalProtocolError(f"{client!r} is neither a public id nor a client that find() gave")


def check_name(name: str) -> str:
    """Return the name of a client. Raises `LocalProtocolError` if SAMP cannot say it, or it is empty."""
    if not isinstance(name, str) or not name.strip():
        raise LocalProtocolError(
            f"{name!r} is not the name of a client: give one by which others find it, as in Client('my tool')"
        )
    if not is_text(name):
        meant = spelled(name)
        advice = "take another" if "?" in meant else f"take {meant!r}, for instance"
        raise LocalProtocolError(
            f"the client's name {name!r} cannot go out, since SAMP has only ASCII: {advice}"
        )
    return name


def describe(*, description: str, icon: str, documentation: str) -> dict[str, str]:
    """Return the standard metadata that are given, by their keys (META-4, META-6, META-7)."""
    given = {
        "samp.description.text": description,
        "samp.icon.url": icon,
        "samp.documentation.url": documentation,
    }
    return {key: value for key, value in given.items() if value}


def warn_of_metadata(metadata: Mapping[str, object]) -> None:
    """Log a warning for each key that looks like a standard one, but is not spelled like it."""
    for key in metadata:
        meant = _meant(key) if isinstance(key, str) else ""
        if meant and meant not in metadata:
            kind = "usual" if meant in _USUAL else "standard"
            log.warning("metadata: nobody reads %r; the %s key is %r", key, kind, meant)


def warn_of_no_url(metadata: Mapping[str, object]) -> None:
    """Log a warning for each standard key that should have a URL, and has something else."""
    for key in _URLS:
        value = metadata.get(key)
        if isinstance(value, str) and value and not _URL.match(value):
            log.warning(
                "metadata: %s is %r, which is not a URL, so nobody can show it: give one such as "
                "'https://example.org/...', or Path(FILE).absolute().as_uri() for a file of this machine",
                key,
                value,
            )


def _meant(key: str) -> str:
    """Return the usual key that somebody means by one which nobody reads; "" if none is like it."""
    usual, lower = (*_STANDARD, *_USUAL), key.casefold()
    if key in usual:
        return ""
    if lower in _MEANT or lower in usual:
        return _MEANT.get(lower, lower)
    family, _, rest = lower.partition(".")
    alike = {each.split(".")[1]: each for each in reversed(usual) if each.startswith(f"{family}.")}
    return alike.get(nearest(rest.partition(".")[0], alike), "") if rest else ""


def check_timeout(timeout: float) -> float:
    """Return `timeout` if it is a number of seconds. Raises `LocalProtocolError`."""
    try:
        good = timeout >= 0  # NaN is not
    except TypeError:
        good = False
    if not good:
        raise LocalProtocolError(f"the timeout {timeout!r} is not a number of seconds")
    return timeout


async def within(timeout: float | None, work: Callable[[], Awaitable[T]], what: str, advice: str = "") -> T:
    """Await `work`.

    Raises `WaitTimeoutError`, which says `what` did not come and what to do, after `timeout` seconds.
    """
    limit = asyncio.timeout(None if timeout is None else check_timeout(timeout))
    try:
        async with limit:
            return await work()
    except TimeoutError as error:
        if timeout is None or not limit.expired():
            raise
        raise WaitTimeoutError(what, timeout, advice) from error


def check_patterns(mtypes: tuple[str | type[TypedMessage], ...]) -> dict[str, str | type[TypedMessage]]:
    """Return what is subscribed to, as its pattern and as it was given. Raises `LocalProtocolError`."""
    if not mtypes:
        raise LocalProtocolError("no mtype is given; name those wanted, or '*' for all")
    for each in mtypes:
        if callable(each) and not isinstance(each, type):
            raise LocalProtocolError(
                f"{_name(each)} is not a valid mtype but a function: a handler comes after the mtypes, as in "
                "'@client.on(\"coord.pointAt.sky\")' above its def, or client.on(MTYPE)(handler)"
            )
    return {check_subscription(mtype_of(mtype)): mtype for mtype in mtypes}


def check_handler(handler: object) -> None:
    """Raise TypeError unless `handler` is a coroutine function, or an object that is called like one."""
    if not _is_coroutine_function(handler):
        name = _name(handler)
        meant = name if name.isidentifier() else "handle"  # a lambda's is not a name
        raise TypeError(
            f"the handler {name} must be a coroutine function: write 'async def {meant}(message):'"
        )


def check_progress(on_progress: object) -> None:
    """Raise TypeError for a coroutine function, which nobody would await."""
    if _is_coroutine_function(on_progress):
        name = _name(on_progress)
        raise TypeError(f"on_progress is called, not awaited: write 'def {name}(message):', without async")


def taking(kind: str | type[TypedMessage], handler: Callable[[Any], Any]) -> Handler:
    """Return a handler of messages that gives `handler` what it expects: the message, or a `kind`."""
    if isinstance(kind, str):
        return handler
    complaints = Complaints(log)

    async def handle(message: Message) -> Mapping[str, object] | Response | None:
        try:
            read = kind.from_message(message)
        except RemoteProtocolError as error:
            if message.msg_id is None:  # nobody is told but our own user
                complaints.warning("%s from %s was not taken: %s", message.mtype, message.sender, error)
            return Response.failure(str(error))
        answered: Mapping[str, object] | Response | None = await handler(read)
        return answered

    return handle


def reading(patterns: Mapping[str, str | type[TypedMessage]]) -> Callable[[Message], None]:
    """Return what raises `RemoteProtocolError` for a message that is not what one of the classes says."""
    kinds = {pattern: kind for pattern, kind in patterns.items() if not isinstance(kind, str)}

    def check(message: Message) -> None:
        kind = kinds.get(message.mtype)
        if kind is not None:
            kind.from_message(message)

    return check


def may_wait(handler: object) -> bool:
    """Whether the coroutine of a handler may be suspended: False only if there is no `await` in it.

    A coroutine is suspended by one instruction, in every version of CPython.
    """
    function = handler.__func__ if inspect.ismethod(handler) else handler
    if not inspect.isfunction(function) or not function.__code__.co_flags & inspect.CO_COROUTINE:
        return True  # what only says that it is one, such as a mock or a marked wrapper, may wait
    if "current_task" in function.__code__.co_names:
        return True
    return any(step.opname == "YIELD_VALUE" for step in dis.get_instructions(function.__code__))


def _is_coroutine_function(function: object) -> bool:
    called = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is wanted
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _name(function: object) -> str:
    return getattr(function, "__name__", None) or repr(function)
