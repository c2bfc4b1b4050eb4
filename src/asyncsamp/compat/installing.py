"""Ours in the place of astropy.samp and pyvo.samp, for programs that nobody may edit."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from types import ModuleType

from .errors import SAMPWarning

__all__ = ["install"]

_PACKAGES = ("astropy", "pyvo")
_SUBMODULES = (
    "client",
    "constants",
    "errors",
    "hub",
    "hub_proxy",
    "hub_script",
    "integrated_client",
    "lockfile_helpers",
    "standard_profile",
    "utils",
    "vo_helpers",
    "web_profile",
)


def install() -> None:
    """Let `import astropy.samp` and `import pyvo.samp` give this package, installed or not.

    Call it before programs import those. Names that were imported from them already stay what they
    were; then a `SAMPWarning` says so. A second call does nothing.
    """
    ours = importlib.import_module("asyncsamp.compat")
    wanted = [f"{package}.samp" for package in _PACKAGES]
    late = [name for name in wanted if sys.modules.get(name) not in (None, ours)]
    for package in _PACKAGES:
        vars(_parent(package))["samp"] = ours  # what `from astropy import samp` takes
        sys.modules[f"{package}.samp"] = ours
        for name in _SUBMODULES:
            sys.modules[f"{package}.samp.{name}"] = importlib.import_module(f"asyncsamp.compat.{name}")
    if late:
        warnings.warn(
            f"{' and '.join(late)} had been imported before install(): names that were taken from there "
            "are still the old ones; call install() first",
            SAMPWarning,
            stacklevel=2,
        )


def _parent(package: str) -> ModuleType:
    """Return the package, an empty one if it is not installed."""
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        made = ModuleType(package)
        made.__path__ = []
        sys.modules[package] = made
    return importlib.import_module(package)
