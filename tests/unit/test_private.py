"""What begins with `_` stays in its package: nothing private of ours or of a dependency is read elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_layers import MODULES, ROOT, parsed


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_util"


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


def read(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each private attribute that is read, or imported from another package."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if private(name):
                yield node.lineno, name
            case ast.ImportFrom(names=names, level=level) if level != 1:
                yield from ((node.lineno, alias.name) for alias in names if private(alias.name))


def foreign(module: str) -> list[str]:
    """Return the private names that a module takes from elsewhere than its own package."""
    own = {name for other in MODULES if package(other) == package(module) for name in defined(parsed(other))}
    return [f"line {line}: {name}" for line, name in read(parsed(module)) if name not in own]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_private_of_another_package_is_read(module: str) -> None:
    assert foreign(module) == []


def test_what_is_private_is_found() -> None:
    tree = ast.parse("from ..rpc import _secret\nhandler._keepalive\nself._mine = self._theirs")
    assert [name for _, name in read(tree)] == ["_secret", "_keepalive", "_mine", "_theirs"]
    assert list(defined(tree)) == ["_mine"]
    assert ROOT in package("client.session").parents
