"""Every bound is a positive number, of which help() says the reason."""

from __future__ import annotations

import inspect
import pydoc
import re
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from asyncsamp.limits import Limits

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_positive_number(name: str) -> None:
    assert getattr(Limits(), name) > 0


def test_help_says_of_each_what_it_means() -> None:
    documented = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)$", inspect.getdoc(Limits) or "", re.MULTILINE)
    assert [name for name, _ in documented] == NAMES
    assert all(text.endswith(".") for _, text in documented)
    assert all(f"{name}: " in pydoc.render_doc(Limits) for name in NAMES)


def test_they_are_given_by_name_and_never_change() -> None:
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[call-arg]
    one = Limits(outbox=7)
    with pytest.raises(FrozenInstanceError):
        one.outbox = 8  # type: ignore[misc]
    assert replace(one, stream=3) == Limits(outbox=7, stream=3)
    assert Limits() == Limits()
