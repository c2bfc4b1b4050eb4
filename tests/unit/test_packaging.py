"""What is written of the package in several files agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import asyncsamp

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_each_file_has_the_version() -> None:
    version = re.escape(asyncsamp.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert re.search(rf'set version = "{version}"', (ROOT / "recipe" / "meta.yaml").read_text())


def test_the_recipe_needs_what_the_package_and_its_command_need() -> None:
    needed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["cli"]
    recipe = (ROOT / "recipe" / "meta.yaml").read_text()
    run = recipe.split("  run:\n")[1].split("\ntest:")[0]
    assert sorted(
        name + bound for name, bound in re.findall(r"- (\S+) (>=[\d.]+)$", run, re.MULTILINE)
    ) == sorted(needed)
    for name, function in PROJECT["scripts"].items():
        assert f"- {name} = {function}\n" in recipe
