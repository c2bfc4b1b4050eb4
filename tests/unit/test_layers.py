"""The house: arrows run one way, and what says that it does no I/O does none (see ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import asyncsamp

ROOT = Path(asyncsamp.__file__).parent

NO_IO = {"aiohttp", "asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "threading", "time"}
DEPENDENCIES = {"aiohttp", "defusedxml", "yarl"}
"""yarl is the type of aiohttp's URLs, and comes with it."""

OPTIONAL = {
    "browser.notebook_server": {"jupyter_core"},
    "browser.widget": {"IPython", "anywidget", "traitlets"},
    "hub.__main__": {"uvloop"},
    "hub.profiles.reach.bus": {"nats", "nkeys"},
    "reach.rooms": {"nkeys"},
    "tools.registry": {"platformdirs"},
}
"""What a module may import if it is installed, and do without."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str, *, at_once: bool = False) -> Iterator[str]:
    """Yield what `module` imports: ".x.y" for our own modules, "x" for others.

    With `at_once` only what is imported when the module itself is.
    """
    tree = parsed(module)
    nodes = tree.body if at_once else list(ast.walk(tree))
    package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = [part for part in package if part][: len(package) - node.level + 1]
            yield from (own_import(above, node.module, alias.name) for alias in node.names)


def own_import(above: list[str], module: str | None, name: str) -> str:
    """Return ".x.y" for `from <above>.<module> import <name>`, where the name may be a module itself."""
    parts = above + (module.split(".") if module else [])
    if ".".join([*parts, name]) in MODULES:
        parts = [*parts, name]
    assert ".".join(parts) in MODULES, f"no module {'.'.join(parts)}"
    return "." + ".".join(parts)


def test_the_walk_finds_what_is_there() -> None:
    assert {"", "errors", "hub", "hub.core", "hub.__main__", "rpc.client"} <= set(MODULES)
    assert ".errors" in imports("hub.core")
    assert ".xmlrpc" in imports("rpc.endpoint")  # by "from .. import xmlrpc"
    assert {"asyncio", ".hub.core", ".interfaces"} <= set(imports("hub.engine"))
    assert "uvloop" in imports("hub.__main__")
    assert "uvloop" not in imports("hub.__main__", at_once=True)


def children(package: str) -> set[str]:
    """Return the modules and packages right below `package`."""
    prefix = f"{package}." if package else ""
    return {
        prefix + name[len(prefix) :].partition(".")[0]
        for name in MODULES
        if name != package and name.startswith(prefix)
    }


PACKAGES = sorted({module for module in MODULES if MODULES[module].name == "__init__.py"})


@pytest.mark.parametrize("package", PACKAGES)
def test_no_cycle_within_a_package(package: str) -> None:
    """What stands side by side, modules and packages alike, needs each other in one direction only.

    Every import counts: those within functions, and those for types only. Raises `graphlib.CycleError`.
    """
    side_by_side = children(package)

    def child(name: str) -> str | None:
        return next((each for each in side_by_side if name == each or name.startswith(f"{each}.")), None)

    graph = {
        each: {
            found
            for module in MODULES
            if child(module) == each
            for name in imports(module)
            if name.startswith(".") and (found := child(name[1:])) not in (None, each)
        }
        for each in side_by_side
    }
    assert set(TopologicalSorter(graph).static_order()) == side_by_side


def is_pure(module: str) -> bool:
    return "No I/O" in (ast.get_docstring(parsed(module)) or "")


def test_some_modules_say_that_they_do_no_io() -> None:
    assert {"hub.core", "xmlrpc.codec", "client.router", "lockfile"} <= {m for m in MODULES if is_pure(m)}


@pytest.mark.parametrize("module", [module for module in MODULES if is_pure(module)])
def test_what_says_that_it_does_no_io_does_none(module: str) -> None:
    assert not set(imports(module)) & NO_IO
    for name in imports(module):
        assert not name.startswith(".") or is_pure(name[1:]), f"{module} imports {name[1:]}"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_needed_but_the_two_dependencies(module: str) -> None:
    foreign = {name for name in imports(module) if not name.startswith(".")} - sys.stdlib_module_names
    if module.partition(".")[0] == "cli":  # which only __main__ imports, with the extra `cli`
        foreign -= {"click", "rich"}
    if module == "testing":  # a plug-in of pytest
        foreign -= {"pytest"}
    assert foreign - DEPENDENCIES <= OPTIONAL.get(module, set())
    assert not set(imports(module, at_once=True)) & OPTIONAL.get(module, set())


def test_every_module_can_be_imported_without_a_warning() -> None:
    names = [f"asyncsamp.{module}".rstrip(".") for module in reversed(MODULES)]
    script = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    subprocess.run([sys.executable, "-W", "error", "-c", script, *names], check=True, timeout=50)
