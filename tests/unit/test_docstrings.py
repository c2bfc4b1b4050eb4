"""What `help` says of all that is public: parameters, result, errors, and whether cancelling is safe."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .test_layers import MODULES, parsed

PUBLIC = (
    "",
    "browser",
    "compat",
    "data.share.api",
    "delivery",
    "discovery",
    "errors",
    "hub",
    "hub.page",
    "hub.profiles.reach.profile",
    "hub.profiles.standard",
    "hub.profiles.web",
    "interfaces",
    "limits",
    "lockfile",
    "mtypes",
    "notebook",
    "recording",
    "rpc",
    "sync",
    "testing",
    "tools",
    "values",
    "xmlrpc",
)
"""The packages, and the modules beside them, from which others take something."""

OF_LISTS = re.compile(r"^    ((?:\*{0,2}\w+(?:, )?)+): ", re.MULTILINE)
"""The names in a line of Args or Attributes."""


def of_ours(thing: Any) -> bool:
    return str(thing.__module__).startswith("asyncsamp")


def named(package: str) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(f"asyncsamp.{package}".rstrip("."))
    for name in module.__all__:
        thing = getattr(module, name)
        thing = inspect.unwrap(thing) if hasattr(thing, "cache_info") else thing
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and of_ours(thing):
            yield name, thing


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that are ours, the inherited too."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if isinstance(member, property):
            function = member.fget
        if not name.startswith("_") and inspect.isfunction(function) and of_ours(function):
            yield name, member if isinstance(member, property) else function


def everything(package: str) -> Iterator[tuple[str, Any]]:
    for name, thing in named(package):
        yield name, thing
        if inspect.isclass(thing):
            yield from ((f"{name}.{key}", member) for key, member in members(thing))


def in_sections(text: str, *sections: str) -> set[str]:
    """Return what is told of in Args and the like."""
    told = "\n".join(text.partition(f"{section}:\n")[2].partition("\n\n")[0] for section in sections)
    return {name.lstrip("*") for names in OF_LISTS.findall(told) for name in names.split(", ")}


def missing(thing: Any) -> list[str]:
    """Return what the docstring of a function, a class or a property leaves out."""
    if isinstance(thing, property):
        return outside(thing.__doc__) if thing.__doc__ else ["a docstring"]
    return missing_of_class(thing) if inspect.isclass(thing) else missing_of_function(thing)


def missing_of_function(function: Callable[..., Any]) -> list[str]:
    """Return what the docstring leaves out. That a first line says what is returned is enough."""
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    told = in_sections(text, "Args") | {"self", "cls"}
    lacks = [name for name in signature.parameters if name not in told and not name.startswith("_")]
    returns = signature.return_annotation not in ("None", "Self", "NoReturn")
    if (
        returns
        and not text.startswith("Return")
        and not re.search(r"^(Returns|Yields):$", text, re.MULTILINE)
    ):
        lacks.append("Returns")
    if inspect.iscoroutinefunction(function) and "ancel" not in text:
        lacks.append("whether cancelling is safe")
    return [*lacks, *outside(text)] if text else ["a docstring"]


def missing_of_class(cls: type) -> list[str]:
    """Return what the docstring leaves out of what the constructor takes, where users call that."""
    text = inspect.getdoc(cls) or ""
    if not text:
        return ["a docstring"]
    if issubclass(cls, enum.Enum) or getattr(cls, "_is_protocol", False) or "; made by `" in text:
        return outside(text)
    plain = dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")
    if not plain and "__init__" not in vars(cls):  # what it inherits is told of there
        return outside(text)
    told = in_sections(text, "Args", "Attributes") | {
        "message" if cls.__module__.endswith("mtypes.common") else ""
    }
    if plain:  # what it has stands in its text, or below each field
        told |= set(re.findall(r"`(\w+)`", text)) | documented_fields(cls)
    names = [name for name in inspect.signature(cls).parameters if name not in told and name[0] != "_"]
    return [*names, *outside(text)]


def documented_fields(cls: type) -> set[str]:
    """Return the fields below which a docstring of their own stands."""
    tree = parsed(cls.__module__.removeprefix("asyncsamp").removeprefix("."))
    body = next(n.body for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    found = set()
    for field, below in itertools.pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str())):
                found.add(name)
    return found


def outside(text: str) -> list[str]:
    """Return whether errors are told of in other words than in a section."""
    return ["Raises as a section"] if re.search(r"Raises? (?!nothing|what)[`\w]", text) else []


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package or "asyncsamp")
def test_docstrings_say_all(package: str) -> None:
    found = {name: missing(thing) for name, thing in everything(package)}
    assert found
    assert {name: lacks for name, lacks in found.items() if lacks} == {}


def test_no_package_is_left_out() -> None:
    """A package whose modules users import by its own name offers what they need there."""
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    offering = {
        name
        for name in packages
        if hasattr(importlib.import_module(f"asyncsamp.{name}".rstrip(".")), "__all__")
    }
    assert offering <= set(PUBLIC)


def test_what_is_left_out_is_found() -> None:
    async def ask(place: str, *, timeout: float) -> str:
        """Ask. Raises OSError.

        Args:
            place: Where.
        """
        return f"{place}{timeout}"

    class Asker:
        """Asks `place`.

        Args:
            place: Where.
        """

        def __init__(self, place: str, timeout: float) -> None: ...

    assert missing(ask) == ["timeout", "Returns", "whether cancelling is safe", "Raises as a section"]
    assert missing(Asker) == ["timeout"]
