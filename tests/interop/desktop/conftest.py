"""The rules of every test with a loop hold here, too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
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


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Give where to draw several pictures, by name; they are kept where `PICTURES` says."""
    made: list[Path] = []

    def place(name: str) -> Path:
        made.append(tmp_path / f"{name}.png")
        return made[-1]

    yield place
    folder = os.environ.get(PICTURES)
    for path in made:
        if folder and path.exists():
            shutil.copy(path, folder)
