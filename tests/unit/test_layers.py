"""The floors of the house: a module imports only from its own floor or a lower one (see ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import asyncsamp

ROOT = Path(asyncsamp.__file__).parent

FLOORS = (
    "errors values mtypes mtypes.* limits delivery interfaces data.results",
    "hub.core hub.checks hub.operations hub.rate hub.weighing client.html client.router lockfile plainxml"
    " xmlrpc weburls webmtypes data.rows data.positions data.metadata",
    "rpc rpc.* discovery discovery.* private_files threads farewell"
    " hub.engine hub.ids hub.itself hub.outbox hub.state hub.vigil"
    " client.arguments client.calls client.inbox client.others client.session client.stream"
    " data.contents data.extras data.fetching data.images data.items data.localfiles data.progress"
    " data.serving data.table_files data.tables",
    "profiles profiles.* client.connection client.callback client.line client.web",
    "hub.hub hub.idle hub.lookout client client.client"
    " data data.delivering data.desk data.feeds data.methods data.receiving data.recipients data.sending"
    " data.sharing data.sources",
    "asyncsamp notebook hub hub.__main__ hub.web_options",
)
"""Module names without the package's own; patterns may stand for several. Each module has one floor."""

SANS_IO = 2
"""The floors below the seam: what is there is tested without a loop."""

NO_IO = {"aiohttp", "asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "threading", "time"}
DEPENDENCIES = {"aiohttp", "defusedxml", "yarl"}
"""yarl is the type of aiohttp's URLs, and comes with it."""

OPTIONAL = {"hub.__main__": {"uvloop"}}
"""What a module may import if it is installed, and do without."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def floors_of(module: str) -> list[int]:
    return [
        floor
        for floor, patterns in enumerate(FLOORS)
        if any(fnmatchcase(module or "asyncsamp", pattern) for pattern in patterns.split())
    ]


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
    assert {"", "errors", "hub", "hub.core", "hub.__main__", "rpc.sender"} <= set(MODULES)
    assert ".errors" in imports("hub.core")
    assert ".xmlrpc" in imports("rpc.endpoint")  # by "from .. import xmlrpc"
    assert {"asyncio", ".hub.core", ".interfaces"} <= set(imports("hub.engine"))
    assert "uvloop" in imports("hub.__main__")
    assert "uvloop" not in imports("hub.__main__", at_once=True)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    assert len(floors_of(module)) == 1, f"list {module!r} on one floor in FLOORS, and in ARCHITECTURE.md"


def test_no_floor_lists_what_is_not_there() -> None:
    names = [module or "asyncsamp" for module in MODULES]
    for pattern in " ".join(FLOORS).split():
        assert any(fnmatchcase(name, pattern) for name in names), pattern


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_to_the_same_floor_or_down(module: str) -> None:
    floor = floors_of(module)[0]
    for imported in imports(module):
        if imported.startswith("."):
            assert floors_of(imported[1:])[0] <= floor, f"{module} imports {imported}, which is above it"


@pytest.mark.parametrize("module", [module for module in MODULES if floors_of(module)[0] < SANS_IO])
def test_below_the_seam_there_is_no_io(module: str) -> None:
    assert not set(imports(module)) & NO_IO


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_needed_but_the_two_dependencies(module: str) -> None:
    foreign = {name for name in imports(module) if not name.startswith(".")} - sys.stdlib_module_names
    assert foreign - DEPENDENCIES <= OPTIONAL.get(module, set())
    assert not set(imports(module, at_once=True)) & OPTIONAL.get(module, set())


def test_no_module_needs_itself() -> None:
    """A cycle raises `graphlib.CycleError`, which names it."""
    graph = {
        module: {name[1:] for name in imports(module, at_once=True) if name.startswith(".")}
        for module in MODULES
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_every_module_can_be_imported_without_a_warning() -> None:
    names = [f"asyncsamp.{module}".rstrip(".") for module in reversed(MODULES)]
    script = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    subprocess.run([sys.executable, "-W", "error", "-c", script, *names], check=True, timeout=20)
