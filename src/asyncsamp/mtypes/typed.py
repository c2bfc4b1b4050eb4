"""How a dataclass stands for an mtype: its fields are the message's parameters. No I/O."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from ..errors import LocalProtocolError, RemoteProtocolError
from ..values import Message, Value, ValueMap, as_bool, as_float, as_int, encode_map
from .grammar import check_mtype

__all__ = ["TypedMessage", "mtype_of", "param"]


def param(name: str, default: Any = MISSING) -> Any:
    """Return a dataclass field whose parameter is spelled `name`, unlike the field.

    Args:
        name: How the parameter is spelled.
        default: Its value where it is not given; without one it must be.
    """
    return field(default=default, metadata={"samp": name})


@dataclass(frozen=True, kw_only=True)
class TypedMessage:
    """A message whose parameters have types: the base of the dataclasses in `asyncsamp.mtypes`.

    A field is a parameter: `table_id` is spelled "table-id", unless `param` says otherwise.
    It is a `str`, an `int`, a `float`, a `bool` (by DATA-8, DATA-9, DATA-10), a list of one
    of these, a `dict[str, str]`, or one of all these or None, which leaves the parameter out.
    An `Any`, `list`, `dict` or `dict[str, Any]` stays the SAMP value that it is. A class with
    other types raises TypeError when it is first used.

    `message` is the message that it came in, with sender and msg-id; None for one that is
    to be sent. For an mtype of your own:

        @dataclass(frozen=True, kw_only=True)
        class CubeSlice(TypedMessage):
            mtype = "x-mine.cube.slice"
            channel: int
    """

    mtype: ClassVar[str] = ""
    message: Message | None = field(default=None, repr=False, compare=False)

    def to_params(self) -> ValueMap:
        """Return the parameters as they go over the wire.

        Raises:
            LocalProtocolError: If a value is not one that SAMP allows.
        """
        given = {name: getattr(self, item.name) for item, name, _ in _parameters(type(self))}
        return encode_map({name: value for name, value in given.items() if value is not None})

    @classmethod
    def from_params(cls, params: Mapping[str, Value], message: Message | None = None) -> Self:
        """Return the message that has these parameters; those that are not known are left aside (MTYPE-13).

        Args:
            params: The parameters, as they came.
            message: What becomes `message` of the result.

        Raises:
            RemoteProtocolError: With the name of the parameter that is missing or of another type.
        """
        read: dict[str, Any] = {"message": message}
        for item, name, decode in _parameters(cls):
            if name in params:
                read[item.name] = _decoded(cls.mtype, name, params[name], decode)
            elif item.default is MISSING and item.default_factory is MISSING:
                raise RemoteProtocolError(f"{cls.mtype}: the parameter {name!r} is missing")
        try:
            return cls(**read)
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from None

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """Return the message of this class that `message` is.

        Args:
            message: A message that came.

        Raises:
            RemoteProtocolError: As `from_params`.
        """
        return cls.from_params(message.params, message)


def mtype_of(kind: str | type[TypedMessage] | TypedMessage) -> str:
    """Return the mtype that a string, a class or a message stands for.

    Args:
        kind: An mtype, a class of `asyncsamp.mtypes`, or an instance of one.

    Raises:
        LocalProtocolError: For anything else.
        TypeError: For a class with a field that no parameter can be.
    """
    if isinstance(kind, str):
        return kind
    if isinstance(kind, TypedMessage) or (isinstance(kind, type) and issubclass(kind, TypedMessage)):
        _parameters(kind if isinstance(kind, type) else type(kind))
        return check_mtype(kind.mtype)
    raise LocalProtocolError(
        f"{kind!r} is not a valid mtype: expected a string or a class of asyncsamp.mtypes"
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a message, for forms.

    Attributes:
        name: How it is spelled.
        kind: "text", "integer", "number", "boolean", "list", "map" or "any".
        required: Whether it must be given.
    """

    name: str
    kind: str
    required: bool


def parameters(cls: type[TypedMessage]) -> list[Parameter]:
    """Return the parameters of an mtype, in the order of its fields.

    Raises:
        TypeError: For a class with a field that no parameter can be.
    """
    return [
        Parameter(name, _KINDS[decode], item.default is MISSING and item.default_factory is MISSING)
        for item, name, decode in _parameters(cls)
    ]


_Decoder = Callable[[Value], Any]


_Parameters = tuple[tuple[Field[Any], str, _Decoder], ...]

_known: dict[type[TypedMessage], _Parameters] = {}


def _parameters(cls: type[TypedMessage]) -> _Parameters:
    """Return field, parameter name and decoder of each parameter; worked out once for each class."""
    if cls in _known:
        return _known[cls]
    hints = get_type_hints(cls)
    found = _known[cls] = tuple(
        (item, item.metadata.get("samp", item.name.replace("_", "-")), _decoder(cls, item, hints[item.name]))
        for item in fields(cls)
        if item.name != "message"
    )
    return found


def _decoder(cls: type[TypedMessage], item: Field[Any], hint: Any) -> _Decoder:
    of_union = get_origin(hint) in (Union, types.UnionType)
    parts = [part for part in get_args(hint) if part is not type(None)] if of_union else [hint]
    # By comparison: not every hint has a hash.
    decode = next((decoder for known, decoder in _DECODERS if len(parts) == 1 and known == parts[0]), None)
    if decode is None:
        raise TypeError(f"{cls.__name__}.{item.name}: no parameter of a message can be a {hint}")
    return decode


def _decoded(mtype: str, name: str, value: Value, decode: _Decoder) -> Any:
    try:
        return decode(value)
    except (ValueError, RemoteProtocolError) as error:
        raise RemoteProtocolError(f"{mtype}: the parameter {name!r}: {error}") from None


def _as_it_is(value: Value) -> Value:
    return value


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected a string, not a {'list' if isinstance(value, list) else 'map'}")


def _list_of(decode: _Decoder) -> _Decoder:
    def decode_all(value: Value) -> list[Any]:
        if isinstance(value, list):
            return [decode(item) for item in value]
        raise ValueError("expected a list")

    return decode_all


def _mapping(value: Value) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: _text(item) for key, item in value.items()}
    raise ValueError("expected a map")


_DECODERS: tuple[tuple[Any, _Decoder], ...] = (
    (str, _text),
    (int, as_int),
    (float, as_float),
    (bool, as_bool),
    (list[str], _list_of(_text)),
    (list[int], _list_of(as_int)),
    (list[float], _list_of(as_float)),
    (list[bool], _list_of(as_bool)),
    (dict[str, str], _mapping),
    *((hint, _as_it_is) for hint in (Any, list, list[Any], dict, dict[str, Any])),
)
"""What a field may be, and how it is read."""

_KINDS: dict[_Decoder, str] = {
    _text: "text",
    as_int: "integer",
    as_float: "number",
    as_bool: "boolean",
    _mapping: "map",
    **{decode: "list" for hint, decode in _DECODERS if get_origin(hint) is list},
    _as_it_is: "any",
}
