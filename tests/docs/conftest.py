"""The site, built once for all tests of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.installed import require_module

from .pages import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `scripts/docs` builds it: a warning fails."""
    require_module("sphinx", "sphinx")
    require_module("furo", "furo")
    target = tmp_path_factory.mktemp("site") / "html"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    built = subprocess.run(
        [ROOT / "scripts" / "docs", target], env=env, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return target
