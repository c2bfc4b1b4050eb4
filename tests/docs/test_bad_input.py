"""A page that is wrong fails the build: each wrong thing is put into a copy, and its test says no to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .pages import ROOT

pytestmark = pytest.mark.timeout(300)

FORM = "tests/unit/test_docs.py"
NEW = "docs/new.md"


def without(pattern: str) -> Callable[[str], str]:
    """Take away the lines that the pattern matches."""
    return lambda text: re.sub(rf"^.*{pattern}.*\n", "", text, flags=re.MULTILINE)


def with_more(more: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{more}\n"


WRONG: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a public name without a page": (
        "docs/reference/api/hub.md",
        without(r"asyncsamp\.Hub$"),
        "test_each_public_name_is_in_the_api",
    ),
    "a name that a page imports, without a page": (
        "docs/reference/api/hub.md",
        without(r"asyncsamp\.hub\.page\.HubPage$"),
        "test_each_name_that_a_page_or_an_example_imports_is_in_the_api",
    ),
    "an mtype without a row": (
        "docs/reference/mtypes.md",
        without("`coord.pointAt.sky`"),
        "test_each_mtype_has_a_row_with_its_parameters",
    ),
    "an option without a row": (
        "docs/reference/hub-command.md",
        without("`--state"),
        "test_each_option_of_the_hub_has_a_row",
    ),
    "a limit without a row": (
        "docs/reference/limits.md",
        without("`max_clients`"),
        "test_each_limit_has_a_row",
    ),
    "a limit with another default": (
        "docs/reference/limits.md",
        lambda text: text.replace("| 5000 messages |", "| 5001 messages |"),
        "test_the_row_of_a_limit_has_its_default",
    ),
    "an error without a remedy": (
        "docs/reference/errors.md",
        lambda text: re.sub(r"(`ToolError` \| [^|]+ \|)[^|]+", r"\1 ", text),
        "test_each_error_has_a_row_with_cause_and_remedy",
    ),
    "a fault code without a row": (
        "docs/reference/errors.md",
        without("`SHUTTING_DOWN`"),
        "test_each_fault_code_has_a_row",
    ),
    "a dead link": (NEW, with_more("[a page](nowhere.md)"), "test_every_link_leads_somewhere[new.md]"),
    "a dead anchor": (
        "docs/how-to/qt-and-tk.md",
        with_more("[a heading](why-not.md#nowhere)"),
        "test_every_link_leads_somewhere[how-to/qt-and-tk.md]",
    ),
    "a picture without a text": (
        NEW,
        with_more("![](images/ds9.png)"),
        "test_every_picture_has_a_text_and_is_there[new.md]",
    ),
    "code that nobody runs": (
        NEW,
        with_more("```java\nint one = 1;\n```"),
        "test_every_block_is_run_or_says_why_not[new.md]",
    ),
    "a page over 300 lines": (NEW, with_more("A line.\n" * 301), "test_a_page_is_short[new.md]"),
    "a page that no other leads to": (NEW, str, "test_every_page_is_in_a_table_of_contents"),
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to be made wrong."""
    copy = tmp_path_factory.mktemp("wrong")
    ignore = shutil.ignore_patterns("node_modules", "__pycache__", "_build", ".ipykernel6")
    for name in ("benchmarks", "docs", "examples", "src", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def failed(root: Path, *which: str) -> set[str]:
    """Run tests of the copy. Returns those that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *which]
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    told = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False).stdout
    assert re.search(r"^\d+ (failed|passed)", told, re.MULTILINE), told
    return set(re.findall(r"^FAILED [^:]+::(\S+)", told, re.MULTILINE))


def test_whatever_is_wrong_with_a_page_fails(copied: Path) -> None:
    (copied / NEW).write_text("# New\n", encoding="utf-8")
    for what, (name, spoil, _) in WRONG.items():
        path = copied / name
        text = path.read_text(encoding="utf-8")
        path.write_text(spoil(text), encoding="utf-8")
        assert name == NEW or path.read_text(encoding="utf-8") != text, what
    assert failed(copied, FORM) == {test for _, _, test in WRONG.values()}


def test_a_block_of_code_that_does_not_run_fails(copied: Path) -> None:
    (copied / "docs" / "broken.md").write_text(
        "# Broken\n\n```python\nfrom asyncsamp import Nobody\n```\n", encoding="utf-8"
    )
    assert failed(copied, "tests/docs/test_blocks.py", "-k", "broken") == {
        "test_the_programs_of_a_page_run[docs/broken.md]"
    }
