"""A test that is skipped says what to install, and what it says is what CI installs."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..installed import require_file, require_module, require_program, require_root

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci" / "run"


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of a function of that name in the tests, and where it is."""
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path == Path(__file__) or f"{name}(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            if name in (getattr(node.func, part, "") for part in ("id", "attr")):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def texts(node: ast.Call) -> list[str]:
    """Return the texts among the arguments of a call, those in a table of texts included."""
    found = [
        value.value
        for argument in node.args
        for value in ast.walk(argument)
        if isinstance(value, ast.Constant)
    ]
    return [value for value in found if isinstance(value, str)]


def test_only_what_comes_with_python_is_skipped_without_saying_what_to_install() -> None:
    for where, node in calls("importorskip"):
        assert texts(node)[0] in sys.stdlib_module_names, f"{where}: use require_module"
        assert any(keyword.arg == "reason" for keyword in node.keywords), f"{where} gives no reason"


def test_what_the_machine_lacks_is_never_skipped_in_ci() -> None:
    """Only what was not asked for is skipped, and what another system does not have."""
    for where, node in calls("skip"):
        if not where.startswith("tests/installed.py:"):
            assert any("--long" in text for text in texts(node)), f"{where}: use skip_or_fail"
    for where, node in calls("skipif"):
        assert "uid" not in ast.unparse(node.args[0]), f"{where}: use the fixture as_root"


def test_packages_of_pypi_are_those_of_our_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    known = {re.split(r"[^\w-]", each)[0].casefold() for each in extras}
    found = 0
    for where, node in calls("require_module"):
        for requirement in texts(node):
            if re.fullmatch(r"[\w-]+([<>=]=?[\d.]+)?", requirement):
                found += 1
                assert re.split(r"[<>=]", requirement)[0].casefold() in known, f"{where}: {requirement}"
    assert found > 3


@pytest.mark.skipif(not CI.exists(), reason="what CI does is in a checkout only: git clone")
def test_packages_of_debian_are_those_that_ci_installs() -> None:
    words = set(re.findall(r"[\w.+-]+", CI.read_text(encoding="utf-8")))
    for name in ("require_program", "require_file"):
        for where, node in calls(name):
            package = texts(node)[-1].split(";")[0] if texts(node) else ""
            assert not package or package in words, f"{where}: {package}"


def test_what_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=r"^nothing.x is not installed: pip install 'some>=1'$"):
        require_module("nothing.x", "some>=1")
    debian = "is not installed: apt-get install -y --no-install-recommends some$"
    with pytest.raises(pytest.skip.Exception, match=f"^no-such-program {debian}"):
        require_program("no-such-program", "some")
    with pytest.raises(pytest.skip.Exception, match=f"^/no/such/file {debian}"):
        require_file(Path("/no/such/file"), "some")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="some"):
        require_module("nothing", "some")


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000, raising=False)
    reason = "^only root can do this: run the tests as root$"
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=reason):
        require_root()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=reason):
        require_root()
    monkeypatch.setattr(os, "getuid", lambda: 0, raising=False)
    require_root()
