"""pyvo's hub as a program: `python -m benchmarks.pyvo_hub LOCKFILE` runs until it is killed."""

from __future__ import annotations

import logging
import sys
import threading

from pyvo.samp import SAMPHubServer, conf


def main() -> None:
    """Serve until killed."""
    logging.disable(logging.WARNING)
    conf.use_internet = False
    hub = SAMPHubServer(lockfile=sys.argv[1], web_profile=False)
    hub.start(wait=False)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
