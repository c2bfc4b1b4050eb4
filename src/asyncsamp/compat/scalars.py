"""Numbers in messages: sent as SAMP's strings, and given back as numbers to programs that use this package.

A message with numbers says beside its parameters, in a key of its own, what they were. No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import LocalProtocolError
from ..values import ValueMap, encode_map

__all__ = ["outgoing", "restored"]

_TYPED = "org.asyncsamp.params"


def outgoing(message: Mapping[str, Any]) -> ValueMap:
    """Return the message as SAMP has it. Raises `LocalProtocolError` for what it cannot say."""
    encoded = encode_map(message, "message")
    params = message.get("samp.params")
    if isinstance(params, Mapping) and params != encoded.get("samp.params"):
        try:
            encoded[_TYPED] = json.dumps(params)
        except (TypeError, ValueError):
            return encoded  # what JSON does not know, numpy's numbers among it, arrives as strings
    return encoded


def restored(message: ValueMap) -> dict[str, Any]:
    """Return a message that came, with its numbers as they were; they must be what its strings say."""
    taken: dict[str, Any] = dict(message)
    typed = taken.pop(_TYPED, None)
    if isinstance(typed, str):
        try:
            params = json.loads(typed)
            if encode_map(params) == taken.get("samp.params"):
                taken["samp.params"] = params
        except (ValueError, RecursionError, LocalProtocolError):
            return taken
    return taken
