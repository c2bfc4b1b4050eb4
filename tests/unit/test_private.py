"""What begins with `_` stays in its package: nothing private of ours or of a dependency is read elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_layers import MODULES, ROOT, parsed

OWN = {"self", "cls"}
BY_NAME = {"delattr", "getattr", "hasattr", "setattr"}

EXCEPTIONS = {"data.formats.table_read": {"_votable"}}
"""astropy has no public way from a TABLE to the file around it, where its coordinate systems stand; without
this attribute a TABLE is sent without them."""


def private(name: str) -> bool:
    """Whether a name is nobody else's business; `_repr_html_` and its like are IPython's protocol."""
    return name.startswith("_") and not name.endswith("_") and name != "_util"


def package(module: str) -> Path:
    return MODULES[module].parent


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the private names that a module makes: functions, classes, variables, attributes of self."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield name


def read(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield line and name of each private attribute or import, and whether it is said of oneself.

    What a class says of itself, it or its base has defined; what is said of anything else must be of this
    very module: a name alone does not tell whose object it is.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=ast.Name(id=whose)) if private(name):
                yield node.lineno, name, whose in OWN
            case ast.Attribute(attr=name, value=ast.Call(func=ast.Name(id="super"))) if private(name):
                yield node.lineno, name, True
            case ast.Attribute(attr=name) if private(name):
                yield node.lineno, name, False
            case ast.Call(func=ast.Name(id=function), args=[_, ast.Constant(value=str(name)), *_]):
                if function in BY_NAME and private(name):
                    yield node.lineno, name, False
            case ast.ImportFrom(names=names, level=level) if level != 1:
                yield from ((node.lineno, alias.name, False) for alias in names if private(alias.name))


def foreign(module: str) -> list[str]:
    """Return the private names that a module takes from elsewhere."""
    here = set(defined(parsed(module)))
    here |= EXCEPTIONS.get(module, set())
    own = {name for other in MODULES if package(other) == package(module) for name in defined(parsed(other))}
    found = read(parsed(module))
    return [f"line {line}: {name}" for line, name, itself in found if name not in (own if itself else here)]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_private_of_another_package_is_read(module: str) -> None:
    assert foreign(module) == []


def test_what_is_private_is_found() -> None:
    text = "from ..rpc import _secret\nhandler._keepalive\nself._mine = self._theirs\nself._a._b\n"
    tree = ast.parse(text + "super()._base\ngetattr(loop, '_ready')\nshown._repr_html_()")
    assert {name for _, name, itself in read(tree) if itself} == {"_mine", "_theirs", "_a", "_base"}
    assert {name for _, name, itself in read(tree) if not itself} == {"_secret", "_keepalive", "_b", "_ready"}
    assert list(defined(tree)) == ["_mine"]
    assert ROOT in package("client.session").parents


def test_a_name_that_we_use_too_is_still_not_ours_in_anothers_object() -> None:
    assert "_loop" in set(defined(parsed("rpc.connection")))  # of our own
    tree = ast.parse("class A:\n    def f(self, transport):\n        return transport._loop")
    assert [(name, itself) for _, name, itself in read(tree)] == [("_loop", False)]
