"""The pytest plug-in, used as an author of an application uses it: in a project of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "examples" / "testing"


def test_an_application_is_tested_without_topcat(tmp_path: Path) -> None:
    """Nothing of our own tests' settings is at work there."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio"]
    env = {**os.environ, "HOME": str(tmp_path)}
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 passed" in ended.stdout
