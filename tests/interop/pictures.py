"""The pictures of docs/, which the tests make with the real programs: `scripts/pictures`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["keep_picture"]

PICTURES = "ASYNCSAMP_PICTURES"
"""Environment variable: the folder to which the pictures go, such as docs/images."""


def keep_picture(path: Path) -> None:
    """Copy a picture to where `PICTURES` says, under its own name; without that, do nothing."""
    folder = os.environ.get(PICTURES)
    if folder and path.exists():
        shutil.copy(path, folder)
