"""`python -m asyncsamp.compat.hub_script`: a hub with the options of the command samp_hub.

The command of that name belongs to astropy; here it is asyncsamp-samp-hub.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from .. import __version__
from .errors import SAMPHubError
from .hub import SAMPHubServer

__all__ = ["hub_script"]

log = logging.getLogger("asyncsamp")


def hub_script(timeout: float = 0) -> None:
    """Run a hub, with the options of the command line, until Ctrl-C, SIGTERM or its timeout.

    Args:
        timeout: Seconds after which it is stopped; 0 means never.

    Raises:
        SystemExit: With 1 if the hub cannot be started, with 2 for wrong options.
    """
    options = vars(_parser().parse_args())
    level, output = options.pop("loglevel"), options.pop("logout")
    log.setLevel(level)
    with _log_to(output), contextlib.suppress(KeyboardInterrupt), _terminable():
        hub = SAMPHubServer(**options)
        end = threading.Timer(timeout, hub.stop)
        end.daemon = True
        try:
            hub.start()
            if timeout:
                end.start()
            hub.wait_stopped()
        except (SAMPHubError, OSError) as error:
            print(f"samp_hub: {error}", file=sys.stderr)
            sys.exit(1)
        finally:
            end.cancel()
            hub.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"samp_hub (asyncsamp {__version__})", description="Run a SAMP hub until it is interrupted."
    )
    add = parser.add_argument
    add("-k", "--secret", metavar="CODE", help="the secret; any if not given")
    add("-d", "--addr", metavar="ADDR", help="address to listen on (default: 127.0.0.1)")
    add("-p", "--port", type=int, default=0, metavar="PORT", help="port (default: any that is free)")
    add("-f", "--lockfile", metavar="FILE", help="where to publish the hub")
    add("-w", "--no-web-profile", dest="web_profile", action="store_false", help="take no web pages")
    add("-P", "--pool-size", type=int, default=20, metavar="SIZE", help="not used")
    add(
        "-t", "--timeout", type=int, default=0, metavar="SECONDS", help="stop after so long without a request"
    )
    add(
        "-c",
        "--client-timeout",
        type=int,
        default=0,
        metavar="SECONDS",
        help="remove a client after so long without a request",
    )
    levels = logging.getLevelNamesMapping()
    add("-L", "--log-level", dest="loglevel", choices=sorted(levels, key=levels.__getitem__), default="INFO")
    add("-O", "--log-output", dest="logout", default="", metavar="FILE", help="log to FILE")
    add("-l", "--label", default="", help="a name for this hub")
    add(
        "-m",
        "--multi",
        "--multiple",
        dest="mode",
        action="store_const",
        const="multiple",
        default="single",
        help="publish in ~/.samp-1, beside other hubs",
    )
    return parser


@contextlib.contextmanager
def _log_to(file: str) -> Iterator[None]:
    handler: Any = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the wait as Ctrl-C does, so that the lockfile does not stay."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    hub_script()
