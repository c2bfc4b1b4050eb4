"""Every bound is a positive number with its reason beside it."""

from __future__ import annotations

import ast
import inspect
from dataclasses import FrozenInstanceError, fields, replace
from itertools import pairwise

import pytest

from asyncsamp import limits
from asyncsamp.limits import Limits

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_positive_number(name: str) -> None:
    assert getattr(Limits(), name) > 0


def test_each_has_its_reason_beside_it() -> None:
    (body,) = [
        node.body for node in ast.parse(inspect.getsource(limits)).body if isinstance(node, ast.ClassDef)
    ]
    reasons = {
        ast.unparse(number.target): reason.value.value
        for number, reason in pairwise(body)
        if isinstance(number, ast.AnnAssign)
        and isinstance(reason, ast.Expr)
        and isinstance(reason.value, ast.Constant)
    }
    assert list(reasons) == NAMES
    assert all(isinstance(reason, str) and reason.endswith(".") for reason in reasons.values())


def test_they_are_given_by_name_and_never_change() -> None:
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[call-arg]
    one = Limits(outbox=7)
    with pytest.raises(FrozenInstanceError):
        one.outbox = 8  # type: ignore[misc]
    assert replace(one, stream=3) == Limits(outbox=7, stream=3)
    assert Limits() == Limits()
