"""docs/security.md names tests for all it claims: they exist, and none of the thirteen failures lacks one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py[\w:]*)`", TEXT)))


@cache
def names(path: str) -> frozenset[str]:
    """Return what a test file defines: functions, classes, and `Class::method`."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef))
            found.update(f"{node.name}::{method.name}" for method in methods)
    return frozenset(found)


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("test", NAMED)
def test_each_test_that_is_named_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert (ROOT / path).is_file()
    assert not name or name in names(path)


@pytest.mark.parametrize("heading", ["Threats and faults", "What other hubs were seen to do"])
def test_each_row_names_a_test(heading: str) -> None:
    for row in rows(heading):
        assert any("`tests/" in cell for cell in row), row


def test_all_thirteen_failures_are_there() -> None:
    assert [row[0] for row in rows("What other hubs were seen to do")] == [str(n) for n in range(1, 14)]


def test_the_long_runs_are_written_down() -> None:
    section = TEXT.split("\n## Long runs\n")[1]
    for words in (r"[\d,]+ inputs", "no failure", "p99"):
        assert re.search(words, section), words
