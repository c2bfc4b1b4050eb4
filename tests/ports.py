"""Ports that a test may have twice."""

from __future__ import annotations

import random
import socket

__all__ = ["lasting_port"]

_FIRST, _LAST = 22_000, 32_000
"""Below those that the system gives to whoever asks for any port, or connects."""


def lasting_port() -> int:
    """Return a port that nobody has, for a server that is stopped and started again at the same one.

    A port that the system has chosen might be given to somebody else between the two.
    """
    while True:
        port = random.SystemRandom().randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
