"""A hub of pyvo.samp or astropy.samp: `python python_hub.py pyvo.samp LOCKFILE`.

It ends with its standard input."""

from __future__ import annotations

import importlib
import sys
import warnings


def main() -> None:
    # The hub's own threads warn of what they swallow; the test judges by what reaches its client.
    warnings.simplefilter("ignore")
    samp = importlib.import_module(sys.argv[1])
    samp.conf.use_internet = False
    hub = samp.SAMPHubServer(addr="127.0.0.1", lockfile=sys.argv[2], web_profile=False)
    hub.start()
    print("ready", flush=True)
    sys.stdin.read()
    hub.stop()


if __name__ == "__main__":
    main()
