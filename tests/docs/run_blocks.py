"""Run the programs of a page one after the other, each as `python FILE` would: `python -m ... FILE...`."""

from __future__ import annotations

import gc
import runpy
import sys
import warnings
from pathlib import Path

__all__: list[str] = []


def main(files: list[str]) -> None:
    """Run them; astropy.samp says that it is deprecated, all other warnings are errors."""
    for file in files:
        print(f"--- {file}", flush=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if ".samp import" in Path(file).read_text(encoding="utf-8"):
                warnings.simplefilter("default")
            runpy.run_path(file, run_name="__main__")
            gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
