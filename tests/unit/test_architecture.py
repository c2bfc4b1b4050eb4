"""Each file that the documents for developers name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import asyncsamp

PACKAGE = Path(asyncsamp.__file__).parent
REPOSITORY = Path(__file__).parents[2]
FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|md))`|\]\(([\w./-]+)\)")


def named(document: str) -> set[str]:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    return {in_code or in_link for in_code, in_link in FILE.findall(text)}


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_each_file_that_it_names_exists(document: str) -> None:
    files = named(document)
    assert files
    roots = (PACKAGE, PACKAGE.parent, REPOSITORY)
    assert {file for file in files if not any((root / file).exists() for root in roots)} == set()
