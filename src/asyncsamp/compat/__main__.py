"""`python -m asyncsamp.compat SCRIPT.py`, or `-m MODULE`: run a program for astropy.samp or pyvo.samp."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .installing import install

_USAGE = """usage: python -m asyncsamp.compat SCRIPT.py [ARGUMENT ...]
       python -m asyncsamp.compat -m MODULE [ARGUMENT ...]"""


def main() -> int:
    """Run the program with its own arguments; return 2 if none is named."""
    del sys.argv[0]
    module = sys.argv[:1] == ["-m"]
    if module:
        del sys.argv[0]
    if not sys.argv:
        print(_USAGE, file=sys.stderr)
        return 2
    install()
    if module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
