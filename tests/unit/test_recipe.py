"""The recipe has the form that conda-forge's linter asks of a `meta.yaml`, but for who maintains it.

Each test is a rule of conda-smithy, as far as it concerns a package of pure Python from PyPI.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
LINES = TEXT.splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SECTIONS = ["package", "source", "build", "requirements", "test", "app", "outputs", "about", "extra"]
"""In this order."""

KEYS = {
    "package": {"name", "version"},
    "source": {"url", "sha256"},
    "build": {"noarch", "number", "script", "entry_points"},
    "requirements": {"host", "run"},
    "test": {"imports", "commands", "requires"},
    "about": {
        "home",
        "dev_url",
        "doc_url",
        "license",
        "license_family",
        "license_file",
        "summary",
        "description",
    },
    "extra": {"recipe-maintainers"},
}
"""Those of conda-build that a recipe such as this one needs."""

BACKENDS = {"hatchling", "flit-core", "setuptools", "poetry-core", "pdm-backend"}


def rendered(**values: str) -> dict[str, Any]:
    """The recipe, with what Jinja puts into it; a name that nobody has set is an error."""
    text = Environment(undefined=StrictUndefined, autoescape=False).from_string(TEXT)
    loaded: dict[str, Any] = yaml.safe_load(text.render(PYTHON="python", **values))
    return loaded


RECIPE = rendered()


def specs() -> list[str]:
    needed = [spec for part in RECIPE["requirements"].values() for spec in part]
    return [*needed, *RECIPE["test"]["requires"]]


def test_the_sections_are_known_and_in_order() -> None:
    assert list(RECIPE) == [section for section in SECTIONS if section in RECIPE]


@pytest.mark.parametrize("section", RECIPE)
def test_the_keys_of_a_section_are_known(section: str) -> None:
    assert set(RECIPE[section]) <= KEYS[section]


def test_it_says_what_it_is() -> None:
    about = RECIPE["about"]
    assert all(about.get(key) for key in ("home", "license", "summary", "license_file"))
    assert about["license"] == PROJECT["license"]
    assert "license" not in about["license"].lower()
    assert about["license_family"] == "BSD"
    assert (ROOT / about["license_file"]).is_file()


def test_its_addresses_are_those_of_the_project() -> None:
    about = RECIPE["about"]
    assert about["home"] == about["dev_url"] == PROJECT["urls"]["Source"]
    assert about["doc_url"] == PROJECT["urls"]["Documentation"]


def test_it_needs_what_the_package_and_its_command_need() -> None:
    needed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["cli"]
    assert sorted(spec.replace(" ", "") for spec in RECIPE["requirements"]["run"][1:]) == sorted(needed)
    assert RECIPE["build"]["entry_points"] == [f"{name} = {to}" for name, to in PROJECT["scripts"].items()]


def test_names_and_version_have_their_form() -> None:
    assert re.fullmatch(r"[a-z0-9_\-.]+", RECIPE["package"]["name"])
    assert re.fullmatch(r"\d+(\.\d+)*((a|b|rc|\.dev|\.post)\d+)?", str(RECIPE["package"]["version"]))


def test_who_maintains_it_is_a_list() -> None:
    maintainers = RECIPE["extra"]["recipe-maintainers"]
    assert isinstance(maintainers, list)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+(/[A-Za-z0-9-]+)?", each) for each in maintainers)
    assert maintainers


def test_the_source_has_a_checksum_and_is_of_pypi_org() -> None:
    source = RECIPE["source"]
    assert re.fullmatch(r"[0-9a-f]{64}", source["sha256"])
    name, version = RECIPE["package"]["name"], RECIPE["package"]["version"]
    assert source["url"] == f"https://pypi.org/packages/source/{name[0]}/{name}/{name}-{version}.tar.gz"


def test_it_is_built_once_for_all_systems_by_pip_with_its_backend() -> None:
    build, host = RECIPE["build"], RECIPE["requirements"]["host"]
    assert build["noarch"] == "python"
    assert build["number"] == 0
    assert build["script"].startswith("python -m pip install . ")
    assert {"--no-deps", "--no-build-isolation"} <= set(build["script"].split())
    assert "pip" in host
    assert BACKENDS & {spec.split()[0] for spec in host}


def test_python_s_lowest_version_is_named_where_conda_forge_puts_its_own() -> None:
    other = rendered()["requirements"], rendered()["test"]
    lowest = re.search(r'^{% set python_min = "([\d.]+)" %}$', TEXT, re.MULTILINE)
    assert lowest is not None
    assert PROJECT["requires-python"] == f">={lowest[1]}"
    assert f"python {lowest[1]}" in other[0]["host"]
    assert f"python >={lowest[1]}" in other[0]["run"]
    assert f"python {lowest[1]}" in other[1]["requires"]
    assert len(re.findall(r"- python .*{{ python_min }}", TEXT)) == 3


@pytest.mark.parametrize("spec", specs())
def test_a_requirement_has_one_space_before_its_bound_and_none_within(spec: str) -> None:
    assert re.fullmatch(r"[a-z0-9_\-.]+( (>=|==|<=|<|>|=|!=)?[^\s<>=]+(,(>=|<)[^\s<>=]+)*)?", spec)


def test_no_requirement_stands_twice_in_a_part() -> None:
    for part in RECIPE["requirements"].values():
        names = [spec.split()[0] for spec in part]
        assert sorted(set(names)) == sorted(names)


def test_it_has_tests() -> None:
    assert RECIPE["test"]["imports"] == [PROJECT["name"]]
    assert "pip check" in RECIPE["test"]["commands"]
    assert "pip" in RECIPE["test"]["requires"]


def test_jinja_is_written_as_usual() -> None:
    for line in LINES:
        if "{%" in line:
            assert re.fullmatch(r"\{% set \S+ = \S+ %\}", line)
        for name in re.findall(r"{{(.*?)}}", line):
            assert name == f" {name.strip()} ", line


def test_no_line_is_for_one_system_only() -> None:
    selector = re.compile(r"(.+?)\s*(#.*)?\[([^\[\]]+)\](?(2).*)$")
    assert [line for line in LINES if not line.lstrip().startswith("#") and selector.match(line)] == []


def test_the_file_ends_with_one_line_feed() -> None:
    assert TEXT.endswith("\n")
    assert not TEXT.endswith("\n\n")
