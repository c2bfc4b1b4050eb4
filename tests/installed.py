"""What a test needs of the machine; without it the test is skipped and says what to install."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

__all__ = ["require_file", "require_module", "require_program"]


def require_program(program: str, package: str) -> str:
    """Return the path of an installed program, or skip the test; in CI it must be there."""
    found = shutil.which(program)
    if found is None:
        _missing(program, f"apt-get install -y --no-install-recommends {package}")
    return str(found)


def require_file(path: Path, package: str) -> Path:
    """Like `require_program`, for a file of a Debian package."""
    if not path.exists():
        _missing(str(path), f"apt-get install -y --no-install-recommends {package}")
    return path


def require_module(module: str, package: str) -> None:
    """Like `require_program`, for a module of a Python package of PyPI."""
    top, _, below = module.partition(".")
    spec = importlib.util.find_spec(top)
    # Importing the top package, as find_spec would for what is below it, costs a second for astropy.
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    if not any(Path(folder, *below.split(".")).exists() for folder in folders):
        _missing(module, f"pip install '{package}'")


def _missing(what: str, command: str) -> None:
    text = f"{what} is not installed: {command}"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(text)
    pytest.skip(text)
