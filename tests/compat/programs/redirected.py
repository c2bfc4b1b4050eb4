"""A pytest plugin: astropy.samp and pyvo.samp are ours, and their own tests are found beside them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from asyncsamp import compat

compat.install()
for package in ("astropy", "pyvo"):
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "samp" / "tests"
    name = f"{package}.samp.tests"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
