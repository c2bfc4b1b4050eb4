"""SAMP's three types, scalar coding, and the message and response maps (SAMP 1.3 §3.3, §3.4, §3.8, §3.9).

No I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, TypeAlias

from .errors import LocalProtocolError, RemoteProtocolError, SampError, who

__all__ = [
    "ERROR",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "OK",
    "WARNING",
    "Content",
    "Message",
    "RawMap",
    "ReplyError",
    "Response",
    "Value",
    "ValueMap",
    "as_bool",
    "as_float",
    "as_int",
    "copy_map",
    "copy_value",
    "encode",
    "encode_map",
    "is_text",
]

Value: TypeAlias = "str | list[Value] | dict[str, Value]"
"""A SAMP value: a string, a list or a map, nested at will (DATA-1)."""

ValueMap: TypeAlias = "dict[str, Value]"


class RawMap:
    """A map in the bytes in which it came: checked, and decoded only where somebody needs its values.

    What a hub relays is mostly read by its recipient alone.

    Attributes:
        xml: Its `<value>`, in a form that every program of SAMP can read.
        mtype: What it says as samp.mtype; empty for a response.

    Args:
        xml: Its `<value>`, in a form that every program of SAMP can read.
        mtype: What it says as samp.mtype; empty for a response.
        load: What decodes it.
    """

    __slots__ = ("_load", "_values", "mtype", "xml")

    def __init__(self, xml: bytes, mtype: str, load: Callable[[bytes], Value]) -> None:
        self.xml = xml
        self.mtype = mtype
        self._load = load
        self._values: ValueMap | None = None

    def __repr__(self) -> str:
        return f"<RawMap {self.mtype} of {len(self.xml)} bytes>"

    def __getitem__(self, key: str) -> Value:
        return self.values()[key]

    def values(self) -> ValueMap:
        """Return what it holds, which must not be changed; decoded once. May be called in any thread."""
        if self._values is None:
            values = self._load(self.xml)
            assert isinstance(values, dict)
            self._values = values
        return self._values


Content: TypeAlias = "ValueMap | RawMap"
"""A message or a response on its way through a hub."""


def mtype_in(message: Content) -> Value | None:
    """Return what a message says as samp.mtype; None if it says nothing."""
    return message.mtype if isinstance(message, RawMap) else message.get("samp.mtype")


MAX_DEPTH = 64
"""How deep a value may nest. The standard gives no bound (DATA-4); real messages use four levels."""

MAX_DIGITS = 4000
"""How many digits `as_int` reads. Python refuses 4,300 and more, as the time grows with their square."""

OK = "samp.ok"
WARNING = "samp.warning"
ERROR = "samp.error"

# ASCII classes on purpose: \d, int() and float() take Unicode digits, underscores and blanks.
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NUMBERS = (int, float, Real)
_NOT_SAMP = re.compile(r"[^\x09\x0a\x0d\x20-\x7f]")


def encode(value: object, where: str = "value") -> Value:
    """Return `value` as a SAMP value that shares nothing with it.

    Args:
        value: Strings stay; int, float and bool become the standard's scalar forms (DATA-8..10), so
            do numpy's; lists, tuples and mappings with string keys are encoded inside.
        where: What an error calls the value.

    Raises:
        LocalProtocolError: With the path to the offender, for anything else: None, bytes, NaN,
            infinity, a character that SAMP does not allow (DATA-2), or a nesting deeper than
            `MAX_DEPTH`.
    """
    return _encode(value, where, MAX_DEPTH)


def encode_map(value: Mapping[str, object], where: str = "params") -> ValueMap:
    """Like `encode`, for a value that must be a map, and at most `MAX_DEPTH` - 1 levels deep.

    The map of the message or response around it is the last level.

    Args:
        value: What becomes a map; its keys must be strings.
        where: What an error calls the value.

    Returns:
        The map in SAMP's three types.

    Raises:
        LocalProtocolError: As `encode`, and for what is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise LocalProtocolError(f"{where} must be a mapping of names to values, not {type(value).__name__}")
    return _encode_mapping(value, where, MAX_DEPTH - 1)


def _encode(value: object, where: str, depth: int) -> Value:
    if isinstance(value, str):
        return _check_string(value, where)
    # Before the containers, and the plain types first: asking an abstract class costs most of the time.
    if isinstance(value, _NUMBERS):
        return _encode_number(value, where)
    if isinstance(value, list | tuple | Mapping):
        if depth == 0:
            raise LocalProtocolError(f"{where} is nested too deep; no more than {MAX_DEPTH} levels are sent")
        return _encode_container(value, where, depth)
    if _is_array_boolean(value):
        return "1" if value else "0"
    raise LocalProtocolError(
        f"{where} is of type {type(value).__name__}; SAMP knows strings, lists and maps "
        "(numbers and booleans are written as strings); leave out a key to say that there is no value"
    )


def _encode_container(
    value: list[object] | tuple[object, ...] | Mapping[str, object], where: str, depth: int
) -> Value:
    if isinstance(value, list | tuple):
        encoded = _encode_alike(value)
        if encoded is not None:
            return encoded
        return [_encode(item, f"{where}[{index}]", depth - 1) for index, item in enumerate(value)]
    return _encode_mapping(value, where, depth)


def _encode_alike(items: Sequence[Any]) -> list[Value] | None:
    """Return the items if all are plain texts, or all are plain integers: a row list has a million.

    None if they are not, or something is wrong with one, which is then looked for.
    """
    kinds = set(map(type, items))
    if kinds == {str}:
        return list(items) if is_text("".join(items)) else None
    if kinds == {int}:
        with suppress(ValueError):  # Python limits the digits of an int as text
            return list(map(str, items))
    return None


def _encode_mapping(value: Mapping[str, object], where: str, depth: int) -> ValueMap:
    encoded: ValueMap = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise LocalProtocolError(f"{where} has the key {key!r}; keys must be strings")
        _check_string(key, f"the key {key!r} of {where}")
        encoded[_plain(key)] = _encode(item, f"{where}[{key!r}]", depth - 1)
    return encoded


def _encode_number(value: float | Real, where: str) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    try:
        if isinstance(value, Integral):
            return str(int(value))
        number = float(value)
    except (OverflowError, ValueError):  # Python limits floats, and the digits of an int as text
        raise LocalProtocolError(f"{where} is too large a number to write") from None
    if not math.isfinite(number):
        raise LocalProtocolError(f"{where} is {number!r}; SAMP has no NaN and no infinity")
    return repr(number)


def _is_array_boolean(value: object) -> bool:
    # numpy registers its numbers with the numbers module, but not its boolean.
    return getattr(getattr(value, "dtype", None), "kind", "") == "b" and getattr(value, "shape", None) == ()


def _check_string(text: str, where: str) -> str:
    bad = _NOT_SAMP.search(text)
    if bad:
        raise LocalProtocolError(
            f"{where} has the character {bad.group()!r} at position {bad.start()}; "
            "SAMP strings hold only ASCII text, tab, line feed and carriage return"
        )
    return _plain(text)


def is_text(text: str) -> bool:
    """Return whether SAMP can say a text: ASCII, tab, line feed and carriage return (DATA-2).

    Args:
        text: The text.
    """
    return _NOT_SAMP.search(text) is None


def _plain(text: str) -> str:
    """Return the characters of `text`; str() asks a subclass, and a str enum answers its own name."""
    return text if type(text) is str else str.__str__(text)


def copy_value(value: Value) -> Value:
    """Return a deep copy of `value`.

    Args:
        value: The value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [copy_value(item) for item in value]
    return copy_map(value)


def copy_map(value: ValueMap) -> ValueMap:
    """Return a deep copy of a map.

    Args:
        value: The map.
    """
    return {key: item if isinstance(item, str) else copy_value(item) for key, item in value.items()}


def as_int(value: Value) -> int:
    """Return a SAMP int as a number (DATA-8).

    Args:
        value: What came.

    Raises:
        RemoteProtocolError: If `value` does not have that form.
    """
    if isinstance(value, str) and _INT.fullmatch(value) and len(value) <= MAX_DIGITS:
        return int(value)
    raise RemoteProtocolError(f"{_shown(value)} is not a SAMP int")


def as_float(value: Value) -> float:
    """Return a SAMP float as a number (DATA-9).

    Args:
        value: What came.

    Raises:
        RemoteProtocolError: If `value` does not have that form.
    """
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        return float(value)
    raise RemoteProtocolError(f"{_shown(value)} is not a SAMP float")


def as_bool(value: Value) -> bool:
    """Return a SAMP boolean as a bool: any integer but 0 is true (DATA-10).

    Args:
        value: What came.

    Raises:
        RemoteProtocolError: If `value` does not have that form.
    """
    if isinstance(value, str) and _INT.fullmatch(value):
        return value.strip("+-0") != ""
    raise RemoteProtocolError(f"{_shown(value)} is not a SAMP boolean")


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return "a list" if isinstance(value, list) else "a map"


def _as_map(value: Value | None) -> ValueMap:
    return value if isinstance(value, dict) else {}


def _as_text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a handler or a stream gets it (SAMP 1.3 §3.8).

    Attributes:
        mtype: What the message asks or tells, such as "coord.pointAt.sky".
        params: SAMP values by name: read numbers with `as_int`, `as_float`, `as_bool`.
        sender: The public id of the sender.
        msg_id: None for a notification, which cannot be answered (MSG-22).
        extra: The keys beside the standard ones (MSG-3).
        sender_name: The samp.name of the sender; "" if it has none, or the hub does not tell it.
    """

    mtype: str
    params: ValueMap = field(default_factory=dict)
    sender: str = ""
    msg_id: str | None = None
    extra: ValueMap = field(default_factory=dict)
    sender_name: str = field(default="", compare=False)

    @classmethod
    def from_map(
        cls, message: ValueMap, sender: str = "", msg_id: str | None = None, sender_name: str = ""
    ) -> Message:
        """Return the message that a map holds; without samp.params the parameters are empty (MSG-2).

        Args:
            message: The map, as the hub delivers it.
            sender: The public id of the sender.
            msg_id: What a reply must name; None for a notification.
            sender_name: The samp.name of the sender, "" if it is not known.

        Raises:
            RemoteProtocolError: If there is no samp.mtype.
        """
        mtype = message.get("samp.mtype")
        if not isinstance(mtype, str):
            raise RemoteProtocolError("a message without samp.mtype")
        extra = {key: item for key, item in message.items() if key not in ("samp.mtype", "samp.params")}
        return cls(mtype, _as_map(message.get("samp.params")), sender, msg_id, extra, sender_name)

    def to_map(self) -> ValueMap:
        """Return the message map that goes over the wire."""
        return {**self.extra, "samp.mtype": self.mtype, "samp.params": self.params}


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a call (SAMP 1.3 §3.9).

    Attributes:
        status: "samp.ok", "samp.warning", "samp.error", or a word of the sender's own (MSG-5).
        result: What was asked for, by name.
        error: samp.errortxt and what else tells of an error or a warning (MSG-10).
        extra: The keys beside the standard ones (MSG-3).
    """

    status: str = OK
    result: ValueMap = field(default_factory=dict)
    error: ValueMap = field(default_factory=dict)
    extra: ValueMap = field(default_factory=dict)

    @classmethod
    def warning(cls, result: Mapping[str, object], errortxt: str) -> Response:
        """Return a response that says: done, but with a reservation (MSG-7).

        Args:
            result: What a `Response.ok` has.
            errortxt: The reservation, for people.

        Raises:
            LocalProtocolError: If `result` or `errortxt` holds what SAMP does not allow.
        """
        text = _check_string(errortxt, "errortxt")
        return cls(WARNING, encode_map(result, "result"), {"samp.errortxt": text})

    @classmethod
    def failure(cls, errortxt: str, **more: str) -> Response:
        """Return a response that says: failed (MSG-8).

        Characters that SAMP does not allow are replaced, since an error must get through.

        Args:
            errortxt: What went wrong, in one line.
            more: usertxt, debugtxt and code (MSG-10).
        """
        error: ValueMap = {f"samp.{key}": _NOT_SAMP.sub("?", text) for key, text in more.items()}
        return cls(ERROR, {}, {"samp.errortxt": _NOT_SAMP.sub("?", errortxt), **error})

    @classmethod
    def from_map(cls, response: ValueMap) -> Response:
        """Return the response that a map holds, an incomplete one too (TOL-6).

        A text at top level is taken as the error's.

        Args:
            response: The map, as it came.
        """
        status = _as_text(response.get("samp.status")) or ERROR
        error = _as_map(response.get("samp.error"))
        known = ("samp.status", "samp.result", "samp.error")
        extra = {key: item for key, item in response.items() if key not in known}
        if "samp.errortxt" not in error and "samp.errortxt" in extra:
            error = {**error, "samp.errortxt": extra["samp.errortxt"]}
        return cls(status, _as_map(response.get("samp.result")), error, extra)

    def to_map(self) -> ValueMap:
        """Return the response map that goes over the wire, complete for its status (MSG-6..10)."""
        filled: ValueMap = {**self.extra, "samp.status": self.status}
        if self.status != ERROR or self.result:
            filled["samp.result"] = self.result
        if self.status != OK or self.error:
            filled["samp.error"] = {**self.error, "samp.errortxt": self.errortxt}
        return filled

    @property
    def ok(self) -> bool:
        """Whether the message was processed, perhaps with a warning (MSG-13)."""
        return self.status != ERROR

    @property
    def errortxt(self) -> str:
        """The short text of the error or warning; never empty when there is one."""
        text = _as_text(self.error.get("samp.errortxt"))
        return text or ("" if self.status == OK else "no reason given")


class ReplyError(SampError):
    """The recipient processed the message and answered samp.error (MSG-8).

    Attributes:
        recipient: The public id of the recipient.
        response: The whole `Response`, with its error map.
        name: The samp.name of the recipient, "" if it is not known.
        advice: What can be done about it, "" if that is not known.
    """

    def __init__(self, recipient: str, response: Response, name: str = "", *, advice: str = "") -> None:
        self.recipient = recipient
        self.response = response
        self.name = name
        self.advice = advice
        next_step = f"; {advice}" if advice else ""
        super().__init__(f"{who(recipient, name)} answered {response.status}: {response.errortxt}{next_step}")
