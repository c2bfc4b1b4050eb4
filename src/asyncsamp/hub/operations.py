"""The table of hub operations: standard name, parameters, method of the core (SAMP 1.3 §3.11).

Every profile binds its calls by this table, so arity and types are checked in one place.

No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from .._util.foreign_text import quoted
from ..errors import FaultCode, FaultError
from ..values import RawMap, Value
from .core import HubCore
from .validation import bad_parameters

__all__ = ["OPERATIONS", "Operation", "find_operation"]

_TYPE_NAMES: dict[type, str] = {str: "string", list: "list", dict: "map"}


class Operation(NamedTuple):
    """One hub operation. `run` is None for callAndWait, which the engine does.

    `kept` says whether it changes what a hub must know to come back after a crash: "before" for what its
    client relies on once it is answered, "soon" for open calls, since each message would wait for the disk.
    """

    name: str
    params: tuple[tuple[str, type], ...]
    run: Callable[..., Any] | None
    kept: Literal["", "before", "soon"] = ""

    def bind(self, params: Sequence[Value | RawMap]) -> Sequence[Value | RawMap]:
        """Return `params` if they are as many and of the types that the operation takes.

        Raises `FaultError` with BAD_PARAMETERS, naming the parameter (STD-3, STD-34).
        """
        if len(params) != len(self.params):
            wanted = ", ".join(name for name, _ in self.params) or "none"
            raise bad_parameters(
                f"{self.name} takes {len(self.params)} parameters ({wanted}), not {len(params)}"
            )
        for value, (name, kind) in zip(params, self.params, strict=True):
            if type(value) is not kind and not (kind is dict and type(value) is RawMap):
                got = _TYPE_NAMES.get(type(value), "type that SAMP does not have")
                raise bad_parameters(f"{self.name}: {name} must be a {_TYPE_NAMES[kind]}, not a {got}")
        return params


_TABLE = (
    Operation("unregister", (), HubCore.unregister, "before"),
    Operation("declareMetadata", (("metadata", dict),), HubCore.declare_metadata, "before"),
    Operation("getMetadata", (("client-id", str),), HubCore.get_metadata),
    Operation("declareSubscriptions", (("subscriptions", dict),), HubCore.declare_subscriptions, "before"),
    Operation("getSubscriptions", (("client-id", str),), HubCore.get_subscriptions),
    Operation("getRegisteredClients", (), HubCore.get_registered_clients),
    Operation("getSubscribedClients", (("mtype", str),), HubCore.get_subscribed_clients),
    Operation("notify", (("recipient-id", str), ("message", dict)), HubCore.notify),
    Operation("notifyAll", (("message", dict),), HubCore.notify_all),
    Operation("call", (("recipient-id", str), ("msg-tag", str), ("message", dict)), HubCore.call, "soon"),
    Operation("callAll", (("msg-tag", str), ("message", dict)), HubCore.call_all, "soon"),
    Operation("callAndWait", (("recipient-id", str), ("message", dict), ("timeout", str)), None),
    Operation("reply", (("msg-id", str), ("response", dict)), HubCore.reply, "soon"),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _TABLE}


def find_operation(name: str) -> Operation:
    """Return the operation of that standard name.

    Raises `FaultError` (UNKNOWN_METHOD) if there is none.
    """
    try:
        return OPERATIONS[name]
    except KeyError:
        raise FaultError(f"the hub has no operation {quoted(name)}", code=FaultCode.UNKNOWN_METHOD) from None
