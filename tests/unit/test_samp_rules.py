"""Every rule that is cited stands in docs/samp-rules.md, once, and with its section."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "samp-rules.md"
CHAPTERS = ("DATA", "MSG", "MTYPE", "META", "HUB", "CLIENT", "STD", "WEB", "TOL", "OPEN")
ID = re.compile(rf"\b(?:{'|'.join(CHAPTERS)})-[0-9]+\b")
DEFINED = re.compile(rf"^(?:\| |- )({ID.pattern})(?: \||:| \()", re.MULTILINE)


def defined() -> list[str]:
    return DEFINED.findall(RULES.read_text(encoding="utf-8"))


def cited(folder: str) -> dict[str, list[str]]:
    """Return the ids that the Python files below `folder` cite, each with the files."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for rule in set(ID.findall(path.read_text(encoding="utf-8"))):
            found.setdefault(rule, []).append(str(path.relative_to(ROOT)))
    return found


def test_each_rule_stands_there_once() -> None:
    assert [rule for rule, count in Counter(defined()).items() if count > 1] == []
    assert len(defined()) > 200


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_every_rule_that_is_cited_stands_there(folder: str) -> None:
    rules = cited(folder)
    assert rules
    assert {rule: files for rule, files in rules.items() if rule not in defined()} == {}


def test_every_rule_of_a_table_with_sections_has_one() -> None:
    text = RULES.read_text(encoding="utf-8")
    rows = re.findall(r"^\| \S+-[0-9]+ \| ([^|]*) \| (must|should|may|fact|ours)†? \|", text, re.MULTILINE)
    assert len(rows) > 100
    assert all(re.fullmatch(r"[2-6](\.[0-9]+)*", section) for section, _ in rows)


def test_references_within_the_page_lead_somewhere() -> None:
    assert set(ID.findall(RULES.read_text(encoding="utf-8"))) <= set(defined())
