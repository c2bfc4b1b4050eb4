"""What the hub checks in what a client sends, and the faults for it (SAMP 1.3 §3.8, MSG-1..3, MTYPE-1).

No I/O.
"""

from __future__ import annotations

from .._util.foreign_text import quoted
from ..errors import FaultCode, FaultError
from ..mtypes import is_mtype
from ..values import Content, RawMap

__all__ = ["MAX_MTYPE", "bad_parameters", "check_message", "check_mtype"]

MAX_MTYPE = 1000
"""Characters. Finding the recipients takes time that grows with the square of it; real ones have 30."""


def check_message(message: Content) -> tuple[str, Content]:
    """Return the mtype and the message to relay: whole, with samp.params if it lacked them (MSG-1..3).

    Raises `FaultError` if the mtype or the samp.params are not valid.
    """
    if isinstance(message, RawMap):
        check_mtype(message.mtype)
        return message.mtype, message
    mtype = message.get("samp.mtype")
    if not isinstance(mtype, str):
        raise bad_parameters("the message has no samp.mtype")
    check_mtype(mtype)
    if "samp.params" not in message:
        return mtype, {**message, "samp.params": {}}
    if not isinstance(message["samp.params"], dict):
        raise bad_parameters("samp.params is not a map")
    return mtype, message


def check_mtype(mtype: str) -> None:
    """Raise `FaultError` if `mtype` is not valid, or has a wildcard, which only subscriptions may have."""
    if len(mtype) > MAX_MTYPE:
        raise bad_parameters(f"{quoted(mtype)} is too long for an mtype: more than {MAX_MTYPE} characters")
    if not is_mtype(mtype):
        raise bad_parameters(f"{quoted(mtype)} is not a valid mtype (wildcards are for subscriptions only)")


def bad_parameters(text: str) -> FaultError:
    """Return the fault that says what is wrong with the parameters of an operation."""
    return FaultError(text, code=FaultCode.BAD_PARAMETERS)
