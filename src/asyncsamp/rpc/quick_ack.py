"""Acknowledging at once what is not whole, so that its sender goes on without delay.

Who writes the head and the body of an HTTP message separately, as Python's http.server does, waits by
Nagle's algorithm with the second until the first is acknowledged; and the system that got the first waits
about 40 ms with the acknowledgement, in case that there is something to send along. Linux can be told not to
wait, this time; elsewhere such a connection is not kept, since on a new one the system does not wait.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

__all__ = ["CAN_HASTEN", "hasten"]

_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)

CAN_HASTEN: Final = _QUICK_ACK is not None
"""Whether the system can be told."""


def hasten(transport: asyncio.BaseTransport) -> None:
    """Acknowledge what has come, now; nothing where the system cannot be told."""
    sock = transport.get_extra_info("socket")
    if _QUICK_ACK is None or sock is None:
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
    except OSError:
        return  # no TCP, or closed meanwhile: the wait is only longer
