"""What a test needs of the machine; without it the test is skipped and says why. In CI it fails."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["require_file", "require_module", "require_program", "require_root", "skip_or_fail"]


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


def require_root() -> None:
    """Skip the test unless root runs it."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        skip_or_fail("only root can do this: run the tests as root")


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, which lacks something. In CI nothing may be missing, so there it fails."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def _missing(what: str, command: str) -> NoReturn:
    skip_or_fail(f"{what} is not installed: {command}")
