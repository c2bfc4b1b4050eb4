"""How a dataclass stands for an mtype: its fields are the message's parameters."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from ..errors import LocalProtocolError, RemoteProtocolError
from ..values import Message, Value, ValueMap, as_float, as_int, encode_map
from .grammar import check_mtype

__all__ = ["TypedMessage", "mtype_of", "param"]


def param(name: str, default: Any = MISSING) -> Any:
    """Return a dataclass field whose parameter is spelled `name`, unlike the field."""
    return field(default=default, metadata={"samp": name})


@dataclass(frozen=True, kw_only=True)
class TypedMessage:
    """A message whose parameters have types: the base of the dataclasses in `asyncsamp.mtypes`.

    A field is a parameter: `table_id` is spelled "table-id", unless `param` says otherwise.
    It is a `str`, an `int`, a `float` (both by DATA-8 and DATA-9), a `list[int]`, a
    `dict[str, str]`, or one of these or None, which leaves the parameter out.

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
        """Return the parameters as they go over the wire. Raises as `encode_map` does."""
        given = {name: getattr(self, item.name) for item, name, _ in _parameters(type(self))}
        return encode_map({name: value for name, value in given.items() if value is not None})

    @classmethod
    def from_params(cls, params: Mapping[str, Value], message: Message | None = None) -> Self:
        """Read parameters; those that are not known are left aside (MTYPE-13).

        Raises `RemoteProtocolError` that names the parameter which is missing or no number.
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
        """Read the parameters of `message`; as `from_params`."""
        return cls.from_params(message.params, message)


def mtype_of(kind: str | type[TypedMessage] | TypedMessage) -> str:
    """Return the mtype that a string, a class or a message stands for. Raises `LocalProtocolError`."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, TypedMessage) or (isinstance(kind, type) and issubclass(kind, TypedMessage)):
        return check_mtype(kind.mtype)
    raise LocalProtocolError(f"{kind!r} is no mtype: expected a string or a class of asyncsamp.mtypes")


_Decoder = Callable[[Value], Any]


_Parameters = tuple[tuple[Field[Any], str, _Decoder], ...]

_known: dict[type[TypedMessage], _Parameters] = {}


def _parameters(cls: type[TypedMessage]) -> _Parameters:
    """Return field, parameter name and decoder of each parameter; worked out once for each class."""
    if cls in _known:
        return _known[cls]
    hints = get_type_hints(cls)
    found = _known[cls] = tuple(
        (item, item.metadata.get("samp", item.name.replace("_", "-")), _decoder(hints[item.name]))
        for item in fields(cls)
        if item.name != "message"
    )
    return found


def _decoder(hint: Any) -> _Decoder:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    decoders: dict[Any, _Decoder] = {
        str: _text,
        int: as_int,
        float: as_float,
        list[int]: _integers,
        list[str]: _texts,
        dict[str, str]: _mapping,
    }
    return decoders.get(hint, _as_it_is)


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


def _integers(value: Value) -> list[int]:
    return [as_int(item) for item in _list(value)]


def _texts(value: Value) -> list[str]:
    return [_text(item) for item in _list(value)]


def _list(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise ValueError("expected a list")


def _mapping(value: Value) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: _text(item) for key, item in value.items()}
    raise ValueError("expected a map")
