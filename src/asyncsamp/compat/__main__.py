"""`python -m asyncsamp.compat SCRIPT.py`: run a program written for astropy.samp or pyvo.samp."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .installing import install


def main() -> int:
    """Run the program with its own arguments; return 2 if none is named."""
    if len(sys.argv) < 2:
        print("usage: python -m asyncsamp.compat SCRIPT.py [ARGUMENT ...]", file=sys.stderr)
        return 2
    install()
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
