"""The rules of every test with a loop hold here, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..pictures import keep_picture


@pytest.fixture
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give where to draw a picture, named after the module; `scripts/pictures` keeps it."""
    path = tmp_path / f"{request.path.stem.removeprefix('test_')}.png"
    yield path
    keep_picture(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Give where to draw several pictures, by name; `scripts/pictures` keeps them."""
    made: list[Path] = []

    def place(name: str) -> Path:
        made.append(tmp_path / f"{name}.png")
        return made[-1]

    yield place
    for path in made:
        keep_picture(path)
