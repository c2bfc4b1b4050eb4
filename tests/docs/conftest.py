"""The site, built once for all tests of it, whichever worker runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.installed import require_module
from tests.turns import turn

from .pages import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The site, built as `scripts/docs` builds it: a warning fails. Or the one that has been built so."""
    if built := os.environ.get("ASYNCSAMP_TEST_SITE"):
        return Path(built)
    require_module("sphinx", "sphinx")
    require_module("furo", "furo")
    ours = tmp_path_factory.getbasetemp()
    folder = ours / "site" if worker_id == "master" else ours.parent / "site"
    folder.mkdir(exist_ok=True)
    with turn(folder, alone=True):
        if not (folder / "built").exists():
            _build(folder / "html")
            (folder / "built").touch()
    return folder / "html"


def _build(target: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    built = subprocess.run(
        [ROOT / "scripts" / "docs", target], env=env, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
