"""The synchronous classes are those that scripts/make_sync.py writes, and have every name of the others."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import asyncsamp
from asyncsamp import sync

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_sync.py"
CLASSES = [(asyncsamp.Client, sync.Client), (asyncsamp.Hub, sync.Hub)]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sync", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_what_is_there_is_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "make_sync", ModuleType("make_sync"))
    for path, code in script().made().items():
        assert path.read_text(encoding="utf-8") == code, f"run python {SCRIPT.name}: {path.name} is old"


@pytest.mark.parametrize(("there", "here"), CLASSES)
def test_every_method_has_the_same_name_and_parameters(there: type, here: type) -> None:
    assert public(there) <= public(here)
    for name in public(there):
        theirs, ours = getattr(there, name), getattr(here, name)
        if not callable(theirs):
            continue
        wanted = list(inspect.signature(theirs).parameters)
        given = list(inspect.signature(ours).parameters)
        assert [one for one in given if one in wanted] == wanted, name
        assert set(given) - set(wanted) <= {"timeout"}, name


@pytest.mark.parametrize(("there", "here"), CLASSES)
def test_constructors_take_the_same_options(there: type, here: type) -> None:
    wanted = set(inspect.signature(there).parameters)
    assert set(inspect.signature(here).parameters) - wanted <= {"dispatcher"}
    assert wanted <= set(inspect.signature(here).parameters)


@pytest.mark.parametrize("here", [sync.Client, sync.Hub, sync.Stream, sync.MessageStream])
def test_help_is_complete_and_awaits_nothing(here: type) -> None:
    for name in public(here):
        thing = getattr(here, name)
        if isinstance(thing, property) or callable(thing):
            said = inspect.getdoc(thing)
            assert said, name
            assert not {"await", "async with", "async for"} & set(said.split()), name
