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

    Python's filters are one for all threads: they are set by the first who needs them and restored by the
    last. Nobody waits for anybody, so a file whose reading does not end holds up no other.
    """
    _filters.acquire()
    try:
        yield
    finally:
        _filters.release()


class _Filters:
    """Warnings of astropy are ignored while anybody holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def acquire(self) -> None:
        category = need("astropy.utils.exceptions").AstropyWarning
        with self._lock:
            self._holders += 1
            if self._saved is None:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore", category)

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None


_filters = _Filters()
