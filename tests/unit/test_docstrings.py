"""What `help` says of the methods of Client and Hub: parameters, result, and whether cancelling is safe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncsamp import Client, Hub


def methods(cls: type) -> Iterator[Any]:
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            yield pytest.param(method, id=f"{cls.__name__}.{name}")


def missing(method: Callable[..., Any]) -> list[str]:
    """Return what the docstring leaves out. That a first line says what is returned is enough."""
    text = inspect.getdoc(method) or ""
    signature = inspect.signature(method)
    named = [name for name in signature.parameters if name != "self"]
    arguments = text.partition("Args:\n")[2].partition("\n\n")[0]
    lacks = [name for name in named if not re.search(rf"^    \*{{0,2}}{name}: ", arguments, re.MULTILINE)]
    returns = signature.return_annotation not in ("None", "Self", "NoReturn")
    if returns and not text.startswith("Return") and "\nReturns:\n" not in text:
        lacks.append("Returns")
    if inspect.iscoroutinefunction(method) and "ancel" not in text:
        lacks.append("whether cancelling is safe")
    return lacks if text else ["a docstring"]


@pytest.mark.parametrize("method", [*methods(Client), *methods(Hub)])
def test_a_docstring_says_all(method: Callable[..., Any]) -> None:
    assert missing(method) == []


def test_what_is_left_out_is_found() -> None:
    async def ask(place: str, *, timeout: float) -> str:
        """Ask.

        Args:
            place: Where.
        """
        return f"{place}{timeout}"

    assert missing(ask) == ["timeout", "Returns", "whether cancelling is safe"]
