"""The tutorial's page, its program and its notebook say the same; the notebook runs.

The program runs with the real tools in tests/interop/desktop/test_tutorial.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from astropy.table import Table

from asyncsamp import Client
from tests.aio.hub_process import hub_process
from tests.programs import cells, run_cells

from .audience import audience
from .pages import DOCS, ROOT, blocks

PAGE = DOCS / "tutorial" / "index.md"
PROGRAM = ROOT / "examples" / "tutorial.py"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"


def shown(test: str) -> list[str]:
    """The blocks of the page that `test` runs."""
    return [block.code.strip() for block in blocks(PAGE) if block.mark == f"run by: {test}"]


def test_the_page_shows_the_program() -> None:
    steps = re.split(r"^# step \d: .*\n", PROGRAM.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert shown("tests/interop/desktop/test_tutorial.py") == [step.strip() for step in steps]


def test_the_page_shows_the_notebook() -> None:
    assert shown("tests/docs/test_tutorial.py") == cells(NOTEBOOK)


def test_each_step_has_a_picture() -> None:
    steps = re.split(r"^## \d\. ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(steps) == len(cells(NOTEBOOK))
    assert all("](../images/tutorial-" in step for step in steps)


@pytest.mark.timeout(180)
async def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lockfile = tmp_path / "hub.samp"
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{lockfile.as_uri()}")
    async with hub_process(lockfile), audience(lockfile):
        names = await run_cells(cells(NOTEBOOK))
    assert isinstance(names["members"], Table)
    assert len(names["members"]) == 2
    assert isinstance(names["client"], Client)
    assert not names["client"].registered
    assert "Aladin looks at" in capsys.readouterr().out
