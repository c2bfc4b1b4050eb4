"""docs/migration.md has every public name and option of astropy.samp and pyvo.samp, as they are installed."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import asyncsamp
from asyncsamp import Client, Hub, compat

from .installed import require_module

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+) \|$", PAGE, re.MULTILINE))

OF_EVERY_EXCEPTION = set(dir(Exception))
OF_ASTROPY = {"Conf"}
"""Classes whose members are astropy's, not SAMP's."""


def samp(package: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that its own is deprecated
        require_module(f"{package}.samp", {"astropy": "astropy<9"}.get(package, package))
        module: ModuleType = importlib.import_module(f"{package}.samp")
    return module


def names(module: ModuleType) -> Iterator[str]:
    """Yield the public names, members of classes (`A.b`) and options (`A(b=)`)."""
    for name in dir(module):
        thing = getattr(module, name)
        if name.startswith("_") or inspect.ismodule(thing):
            continue
        yield name
        if name in OF_ASTROPY:
            continue
        if inspect.isclass(thing):
            yield from (f"{name}.{member}" for member in members(thing))
        if callable(thing):
            yield from (f"{name}({option}=)" for option in options(thing))


def members(kind: type) -> Iterator[str]:
    yield from (name for name in dir(kind) if not name.startswith("_") and name not in OF_EVERY_EXCEPTION)


def options(thing: Any) -> Iterator[str]:
    try:
        signature = inspect.signature(thing)
    except ValueError:  # an exception without a constructor of its own
        return
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            yield parameter.name


NOT_SAMP = {"safe_xmlrpc_loads", "conf"}
"""Functions for other modules of astropy, whose parameters are nobody's."""


@pytest.mark.parametrize("package", ["astropy", "pyvo"])
def test_every_name_and_option_is_on_the_page(package: str) -> None:
    found = set(names(samp(package)))
    assert len(found) > 120
    assert sorted(name for name in found if name not in ROWS and name.split("(")[0] not in NOT_SAMP) == []


def test_every_flag_of_samp_hub_is_on_the_page() -> None:
    source = Path(str(samp("astropy").__file__)).with_name("hub_script.py").read_text()
    flags = set(re.findall(r'"(--?[A-Za-z][a-z-]*)"', source))
    assert {"--label", "--no-web-profile"} <= flags
    assert sorted(flag for flag in flags if f"samp_hub {flag}" not in ROWS) == []


@pytest.mark.parametrize("package", ["astropy", "pyvo"])
def test_the_settings_are_on_the_page(package: str) -> None:
    settings = set(samp(package).conf.keys())
    assert settings
    assert sorted(name for name in settings if f"conf.{name}" not in ROWS) == []


def test_nothing_on_the_page_is_made_up() -> None:
    there = {name for package in ("astropy", "pyvo") for name in names(samp(package))}
    extra = {row for row in ROWS if not row.startswith(("samp_hub ", "conf."))}
    assert sorted(extra - there) == []


def test_what_it_names_here_is_there() -> None:
    answers = " ".join(ROWS.values())
    for method in re.findall(r"\bclient\.(\w+)", answers):
        assert hasattr(Client, method), method
    for method in re.findall(r"\bhub\.(\w+)", answers):
        assert hasattr(Hub, method) or method == "engine", method
    for name in re.findall(
        r"`(\w+Error)`|\b(WebProfile|ConsentAnswer|Limits|Response|Client|Hub)\b", answers
    ):
        assert hasattr(asyncsamp, name[0] or name[1])


def test_before_and_after_is_shown() -> None:
    assert PAGE.count("```text") >= 4


@pytest.mark.parametrize("package", ["astropy", "pyvo"])
def test_the_drop_in_has_every_name_and_option(package: str) -> None:
    ours = set(names(compat))
    theirs = {name for name in names(samp(package)) if name.split("(")[0] not in NOT_SAMP}
    assert sorted(theirs - ours) == []
