"""The codec, called so that the loop stays live: what is large goes through a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from .. import xmlrpc
from ..values import RawMap, Value
from ..xmlrpc import Encoded, Fault

__all__ = [
    "LARGE",
    "MAX_BODY",
    "dump_call",
    "dump_response",
    "encode_value",
    "is_large",
    "load_call",
    "load_relayed",
    "load_response",
]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one request or answer, unless told otherwise. A row list of a million rows takes 40 MB."""

LARGE = 256 * 1024
"""Bytes from which on coding holds up the loop, for about 10 ms; the way through a thread costs 0.1 ms."""

_OVERHEAD = 64
"""Bytes of tags around one item of a list or map, about."""


async def load_call(body: bytes) -> tuple[str, list[Value]]:
    """Like `xmlrpc.load_call`."""
    if len(body) > LARGE:
        return await asyncio.to_thread(xmlrpc.load_call, body)
    return xmlrpc.load_call(body)


async def load_relayed(body: bytes) -> tuple[str, list[Value | RawMap]]:
    """Like `xmlrpc.load_call`, but what is only relayed passes as it came, where it can."""
    relayed = await asyncio.to_thread(xmlrpc.read_relayed, body)
    if relayed is not None:
        return relayed
    method, params = await load_call(body)
    return method, [*params]


async def load_response(body: bytes) -> Value | Fault:
    """Like `xmlrpc.load_response`."""
    if len(body) > LARGE:
        return await asyncio.to_thread(xmlrpc.load_response, body)
    return xmlrpc.load_response(body)


async def dump_call(method: str, params: Sequence[Value | Encoded | RawMap]) -> bytes:
    """Return what `xmlrpc.dump_call` does, in a thread if it is large. Cancelling is safe.

    Args:
        method: The name of the method.
        params: Its parameters, which must not be changed meanwhile.
    """
    if _is_large(params):
        return await asyncio.to_thread(xmlrpc.dump_call, method, params)
    return xmlrpc.dump_call(method, params)


async def dump_response(value: Value | Encoded | RawMap) -> bytes:
    """Like `xmlrpc.dump_response`. The value must not be changed meanwhile."""
    if not isinstance(value, str) and _is_large((value,)):
        return await asyncio.to_thread(xmlrpc.dump_response, value)
    return xmlrpc.dump_response(value)


async def encode_value(value: Value) -> Encoded:
    """Return what `xmlrpc.encode_value` does, in a thread if it is large. Cancelling is safe.

    Args:
        value: What to encode; it must not be changed meanwhile.
    """
    if _is_large((value,)):
        return await asyncio.to_thread(xmlrpc.encode_value, value)
    return xmlrpc.encode_value(value)


def is_large(value: Value | Encoded | RawMap) -> bool:
    """Return whether work on all of `value` is better done in a thread.

    Args:
        value: The value.
    """
    if isinstance(value, str):
        return len(value) > LARGE - _OVERHEAD
    return _is_large((value,))


def _is_large(values: Sequence[Value | Encoded | RawMap]) -> bool:
    """Whether the XML of `values` exceeds `LARGE`, about; looks at no more than it must to tell.

    What is XML already costs nothing.
    """
    budget = LARGE
    waiting: list[Iterable[Value | Encoded | RawMap]] = [values]
    while waiting:
        for value in waiting.pop():
            budget -= _OVERHEAD
            if isinstance(value, str):
                budget -= len(value)
            elif isinstance(value, list):
                waiting.append(value)
            elif isinstance(value, dict):
                waiting.append(value.values())
            if budget < 0:
                return True
    return False
