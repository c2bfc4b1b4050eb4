"""The rules of every test with a loop hold here, too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PICTURES = "ASYNCSAMP_PICTURES"
"""Environment variable: the folder to which the pictures of the tools go, such as docs/images."""


@pytest.fixture
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give where to draw a picture, named after the module; it is kept where `PICTURES` says."""
    name = f"{request.path.stem.removeprefix('test_')}.png"
    path = tmp_path / name
    yield path
    folder = os.environ.get(PICTURES)
    if folder and path.exists():
        shutil.copy(path, Path(folder) / name)
