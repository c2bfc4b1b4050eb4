"""Values, scalar coding, messages and responses (DATA-1..10, MSG-1..13, TOL-6)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsamp.errors import LocalProtocolError, RemoteProtocolError
from asyncsamp.values import (
    MAX_DEPTH,
    MAX_DIGITS,
    Message,
    Response,
    Value,
    ValueMap,
    as_bool,
    as_float,
    as_int,
    copy_map,
    copy_value,
    encode,
    encode_map,
)

from ..effort import examples

quick = settings(max_examples=examples(100), deadline=None)

texts = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"], include_characters="\t\n\r"), max_size=8
)
values: st.SearchStrategy[Value] = st.recursive(
    texts,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
maps: st.SearchStrategy[ValueMap] = st.dictionaries(texts, values, max_size=4)


class ArrayInt:
    """Registered with the numbers module, as numpy's integers are."""

    def __int__(self) -> int:
        return 42


class ArrayFloat:
    def __float__(self) -> float:
        return 0.5


class Dtype:
    kind = "b"


class ArrayBool:
    """Not registered, as numpy's boolean is not."""

    dtype = Dtype()

    def __init__(self, truth: bool, shape: tuple[int, ...] = ()) -> None:
        self.truth = truth
        self.shape = shape

    def __bool__(self) -> bool:
        return self.truth


Integral.register(ArrayInt)
Real.register(ArrayFloat)


class Colour(str, Enum):  # noqa: UP042 - the kind whose str() is not its text
    RED = "red"


class Plain(StrEnum):
    BLUE = "blue"


class Level(IntEnum):
    HIGH = 3


class Headers(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        return {"a": 1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def nested(levels: int, of: Callable[[object], object] = lambda inner: [inner]) -> Any:
    value: object = "in"
    for _ in range(levels):
        value = of(value)
    return value


# ---------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("text", "text"),
        ("", ""),
        (" \t\r\n~\x7f", " \t\r\n~\x7f"),
        (5, "5"),
        (-(10**30), "-1" + "0" * 30),
        (True, "1"),
        (False, "0"),
        (1.5, "1.5"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (0.1, "0.1"),
        (Fraction(1, 4), "0.25"),
        (ArrayInt(), "42"),
        (ArrayFloat(), "0.5"),
        (ArrayBool(True), "1"),
        (ArrayBool(False), "0"),
        (Level.HIGH, "3"),
        (Colour.RED, "red"),
        (Plain.BLUE, "blue"),
        ([], []),
        ((1, "a", [True]), ["1", "a", ["1"]]),
        ({}, {}),
        ({"a": {"b": [2.0]}, "": ""}, {"a": {"b": ["2.0"]}, "": ""}),
        ({Colour.RED: Plain.BLUE}, {"red": "blue"}),
        (MappingProxyType({"a": 1}), {"a": "1"}),
        (Headers(), {"a": "1"}),
    ],
)
def test_encode(value: object, encoded: Value) -> None:
    result = encode(value)
    assert result == encoded
    assert type(result) is type(encoded)


def test_the_text_of_a_subclass_of_str_is_plain_text() -> None:
    assert type(encode(Colour.RED)) is str
    assert [type(key) for key in encode_map({Colour.RED: ""})] == [str]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            None,
            "value is of type NoneType; SAMP knows strings, lists and maps (numbers and booleans are "
            "written as strings); leave out a key to say that there is no value",
        ),
        ({"a": [b"x"]}, "value['a'][0] is of type bytes; SAMP knows strings, lists and maps"),
        ({"x"}, "value is of type set; SAMP knows"),
        (Decimal("1"), "value is of type Decimal; SAMP knows"),
        (1j, "value is of type complex; SAMP knows"),
        (ArrayBool(True, (1,)), "value is of type ArrayBool; SAMP knows"),
        (math.nan, "value is nan; SAMP has no NaN and no infinity"),
        ([1.0, -math.inf], "value[1] is -inf; SAMP has no NaN and no infinity"),
        (Fraction(10**400), "value is too large a number to write"),
        ([10**5000], "value[0] is too large a number to write"),
        (["a", "b\xe9"], "value[1] has the character '\xe9' at position 1; SAMP strings"),
        ([1, None], "value[1] is of type NoneType; SAMP knows"),
        ({1: "a"}, "value has the key 1; keys must be strings"),
        ({"a": {None: "a"}}, "value['a'] has the key None; keys must be strings"),
        (
            {"a": "caf\xe9"},
            "value['a'] has the character '\xe9' at position 3; SAMP strings hold only ASCII text, tab, "
            "line feed and carriage return",
        ),
        ("\x00", r"value has the character '\x00' at position 0; SAMP strings"),
        ({"\x1b": ""}, r"the key '\x1b' of value has the character '\x1b' at position 0; SAMP strings"),
        (
            nested(MAX_DEPTH + 1),
            f"value{'[0]' * MAX_DEPTH} is nested too deep; no more than 64 levels are sent",
        ),
    ],
)
def test_encode_refuses(value: object, text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode(value)
    assert str(caught.value).startswith(text)


def test_the_path_begins_with_what_the_caller_calls_the_value() -> None:
    with pytest.raises(LocalProtocolError, match=re.escape("metadata['a'] is of type NoneType")):
        encode_map({"a": None}, "metadata")
    with pytest.raises(LocalProtocolError, match=re.escape("params['a'] is of type NoneType")):
        encode_map({"a": None})


@pytest.mark.parametrize("value", [[], "a", None, 5])
def test_encode_map_wants_a_map(value: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_map(value)
    assert str(caught.value) == f"params must be a mapping of names to values, not {type(value).__name__}"


@pytest.mark.parametrize("of", [lambda inner: [inner], lambda inner: {"k": inner}, lambda inner: (inner,)])
def test_depth(of: Callable[[object], object]) -> None:
    encode(nested(MAX_DEPTH, of))
    with pytest.raises(LocalProtocolError, match="nested too deep"):
        encode(nested(MAX_DEPTH + 1, of))


def test_a_number_is_no_level() -> None:
    value: object = 5
    for _ in range(MAX_DEPTH):
        value = [value]
    encode(value)


def test_the_deepest_parameters_fit_into_a_message() -> None:
    params = encode_map(nested(MAX_DEPTH - 1, lambda inner: {"k": inner}))
    assert encode(Message("a.b", params).to_map())
    with pytest.raises(LocalProtocolError, match="nested too deep"):
        encode_map(nested(MAX_DEPTH, lambda inner: {"k": inner}))


def test_a_cycle_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(LocalProtocolError, match="nested too deep"):
        encode(cycle)


@quick
@given(values)
def test_a_samp_value_is_encoded_as_itself_and_shares_nothing(value: Value) -> None:
    for copied in (encode(value), copy_value(value)):
        assert copied == value
        for container in containers(copied):
            container.clear()
        assert copied == ("" if value == "" else type(value)() if not isinstance(value, str) else value)
    assert encode(value) == value


@quick
@given(maps)
def test_a_copied_map_is_equal_and_another(value: ValueMap) -> None:
    assert copy_map(value) == value
    assert encode_map(value) == value
    assert copy_map(value) is not value


def containers(value: Value) -> list[list[Value] | dict[str, Value]]:
    """Every list and map in `value`, the innermost first."""
    if isinstance(value, str):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [*(found for item in list(inner) for found in containers(item)), value]


# ---------------------------------------------------------------------------------------- decoding


@quick
@given(st.integers())
def test_every_int_comes_back(number: int) -> None:
    assert as_int(encode(number)) == number
    assert as_float(encode(number)) == float(number)
    assert as_bool(encode(number)) == bool(number)


@quick
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back(number: float) -> None:
    text = encode(number)
    assert isinstance(text, str)
    # The grammar of DATA-9.
    assert re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    assert math.copysign(1, as_float(text)) == math.copysign(1, number)
    assert as_float(text) == number


@pytest.mark.parametrize("truth", [True, False])
def test_every_bool_comes_back(truth: bool) -> None:
    assert as_bool(encode(truth)) is truth


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("+5", 5), ("-007", -7), ("9" * MAX_DIGITS, int("9" * MAX_DIGITS))]
)
def test_as_int(text: str, number: int) -> None:
    assert as_int(text) == number


@pytest.mark.parametrize(("text", "number"), [("1.", 1.0), (".5", 0.5), ("+1E+2", 100.0), ("-3", -3.0)])
def test_as_float(text: str, number: float) -> None:
    assert as_float(text) == number


@pytest.mark.parametrize(
    ("text", "truth"),
    [("1", True), ("0", False), ("-0", False), ("+00", False), ("-10", True), ("9" * 5000, True)],
)
def test_as_bool(text: str, truth: bool) -> None:
    assert as_bool(text) is truth


NO_NUMBERS = [
    "",
    " 1",
    "1 ",
    "1\n",
    "1_0",
    "\u0665",
    "0x1",
    "nan",
    "inf",
    "e5",
    ".",
    "+",
    "true",
    "1e",
    "--1",
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number(text: str) -> None:
    for read, kind in ((as_int, "int"), (as_float, "float"), (as_bool, "boolean")):
        with pytest.raises(RemoteProtocolError) as caught:
            read(text)
        assert str(caught.value) == f"{text!r} is not a SAMP {kind}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["1"], "a list"),
        ({"a": "1"}, "a map"),
        ("x" * 60, repr("x" * 60)),
        ("x" * 61, repr("x" * 57 + "...")),
    ],
)
def test_what_is_no_number_is_shown_shortly(value: Value, shown: str) -> None:
    for read, kind in ((as_int, "int"), (as_float, "float"), (as_bool, "boolean")):
        with pytest.raises(RemoteProtocolError) as caught:
            read(value)
        assert str(caught.value) == f"{shown} is not a SAMP {kind}"


def test_more_digits_than_python_reads_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="is not a SAMP int"):
        as_int("9" * (MAX_DIGITS + 1))


def test_a_fraction_is_no_int() -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape("'1.0' is not a SAMP int")):
        as_int("1.0")
    with pytest.raises(RemoteProtocolError, match=re.escape("'1.0' is not a SAMP boolean")):
        as_bool("1.0")


# ---------------------------------------------------------------------------------------- messages


def test_a_message_from_its_map() -> None:
    wire: ValueMap = {"samp.mtype": "a.b", "samp.params": {"x": "1"}, "x-samp.more": ["2"]}
    message = Message.from_map(wire, "c1", "m1")
    assert message == Message("a.b", {"x": "1"}, "c1", "m1", {"x-samp.more": ["2"]})
    assert message.to_map() == wire


@pytest.mark.parametrize("params", [{}, {"samp.params": "text"}, {"samp.params": ["1"]}])
def test_a_message_without_a_map_of_parameters_has_none(params: ValueMap) -> None:
    message = Message.from_map({"samp.mtype": "a.b", **params})
    assert message == Message("a.b")
    assert message.to_map() == {"samp.mtype": "a.b", "samp.params": {}}


@pytest.mark.parametrize("wire", [{}, {"samp.mtype": ["a.b"]}, {"mtype": "a.b"}])
def test_a_message_without_mtype_is_refused(wire: ValueMap) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^a message without samp\.mtype$"):
        Message.from_map(wire)


@quick
@given(maps, maps)
def test_a_message_survives_its_map(params: ValueMap, extra: ValueMap) -> None:
    message = Message("a.b", params, "c1", None, extra)
    assert Message.from_map(message.to_map(), "c1") == message


# ---------------------------------------------------------------------------------------- responses


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (Response(), {"samp.status": "samp.ok", "samp.result": {}}),
        (
            Response(result={"x": "1"}, extra={"x.y": "z"}),
            {"x.y": "z", "samp.status": "samp.ok", "samp.result": {"x": "1"}},
        ),
        (
            Response.warning({"n": 3}, "slow"),
            {
                "samp.status": "samp.warning",
                "samp.result": {"n": "3"},
                "samp.error": {"samp.errortxt": "slow"},
            },
        ),
        (
            Response.failure("no", usertxt="Sorry", code="7"),
            {
                "samp.status": "samp.error",
                "samp.error": {"samp.errortxt": "no", "samp.usertxt": "Sorry", "samp.code": "7"},
            },
        ),
        (
            Response("samp.error", {"x": "1"}),
            {
                "samp.status": "samp.error",
                "samp.result": {"x": "1"},
                "samp.error": {"samp.errortxt": "no reason given"},
            },
        ),
        (
            Response.failure(""),
            {"samp.status": "samp.error", "samp.error": {"samp.errortxt": "no reason given"}},
        ),
        (
            Response("own.word"),
            {
                "samp.status": "own.word",
                "samp.result": {},
                "samp.error": {"samp.errortxt": "no reason given"},
            },
        ),
        (
            Response(error={"samp.code": "1"}),
            {
                "samp.status": "samp.ok",
                "samp.result": {},
                "samp.error": {"samp.code": "1", "samp.errortxt": ""},
            },
        ),
    ],
)
def test_a_response_is_complete_on_the_wire(response: Response, wire: ValueMap) -> None:
    assert response.to_map() == wire


@pytest.mark.parametrize(
    ("wire", "response"),
    [
        ({"samp.status": "samp.ok", "samp.result": {"a": "1"}}, Response(result={"a": "1"})),
        ({"samp.status": "samp.ok"}, Response()),
        ({"samp.status": "samp.ok", "samp.result": "text"}, Response()),
        (
            {"samp.status": "samp.error", "samp.result": {}, "x": "y"},
            Response("samp.error", extra={"x": "y"}),
        ),
        (
            {"samp.status": "samp.error", "samp.errortxt": "no"},
            Response("samp.error", {}, {"samp.errortxt": "no"}, {"samp.errortxt": "no"}),
        ),
        (
            {"samp.status": "samp.error", "samp.error": {"samp.errortxt": "a"}, "samp.errortxt": "b"},
            Response("samp.error", {}, {"samp.errortxt": "a"}, {"samp.errortxt": "b"}),
        ),
        ({"samp.status": "own.word"}, Response("own.word")),
        ({}, Response("samp.error")),
        ({"samp.status": ["samp.ok"]}, Response("samp.error")),
        ({"samp.status": "", "samp.error": "text"}, Response("samp.error")),
    ],
)
def test_a_response_from_its_map(wire: ValueMap, response: Response) -> None:
    assert Response.from_map(wire) == response


@pytest.mark.parametrize(
    ("response", "ok", "errortxt"),
    [
        (Response(), True, ""),
        (Response.warning({}, "slow"), True, "slow"),
        (Response("samp.warning"), True, "no reason given"),
        (Response("own.word"), True, "no reason given"),
        (Response.failure("no"), False, "no"),
        (Response("samp.error"), False, "no reason given"),
        (Response("samp.error", error={"samp.errortxt": ["odd"]}), False, "no reason given"),
    ],
)
def test_what_a_response_says(response: Response, ok: bool, errortxt: str) -> None:
    assert response.ok is ok
    assert response.errortxt == errortxt


def test_a_failure_gets_through_with_any_text() -> None:
    assert Response.failure("caf\xe9\x00", debugtxt="\u2028").error == {
        "samp.errortxt": "caf??",
        "samp.debugtxt": "?",
    }


def test_a_warning_is_checked() -> None:
    with pytest.raises(LocalProtocolError, match="errortxt has the character"):
        Response.warning({}, "\xe9")
    with pytest.raises(LocalProtocolError, match=re.escape("result['a'] is of type NoneType")):
        Response.warning({"a": None}, "slow")


@quick
@given(maps, maps)
def test_a_response_survives_its_map(result: ValueMap, extra: ValueMap) -> None:
    response = Response(result=result, extra=extra)
    assert Response.from_map(response.to_map()) == response
