"""Packages that are not needed by everybody: imported when used, and named when they are missing."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import MissingExtraError

__all__ = ["check_installed", "need", "quiet"]

_filters = threading.Lock()


def need(module: str, extra: str = "astropy") -> Any:
    """Import `module` and return it. Raises `MissingExtraError`, which says what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise MissingExtraError(missing.partition(".")[0], extra) from error


def check_installed(module: str, extra: str = "astropy") -> None:
    """Raise `MissingExtraError` if the top-level `module` is not there. It imports nothing."""
    if find_spec(module) is None:
        raise MissingExtraError(module, extra)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out astropy's warnings about files that are not quite as they should be.

    Python's filters are one for all threads, so one after the other.
    """
    astropy = need("astropy.utils.exceptions")
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", astropy.AstropyWarning)
        yield
