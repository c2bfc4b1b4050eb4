"""A loopback network of the test's own, so that port 21012 is free whatever runs on the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

_CLONE_NEWNET = 0x40000000
PORT = 21012


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and what it starts, into a network namespace with nothing but loopback.

    Without the right to do that, the machine's own port 21012 has to be free.
    """
    if sys.platform != "linux" or shutil.which("ip") is None:
        _need_free_port()
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 - a namespace, not a file
        if libc.unshare(_CLONE_NEWNET) != 0:
            _need_free_port()
            yield
            return
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            if libc.setns(before.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _need_free_port() -> None:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", PORT))
        except OSError:
            text = f"port {PORT} is taken; a network of its own needs root and: apt-get install -y iproute2"
            if os.environ.get("CI", "").lower() in ("true", "1"):
                pytest.fail(text)
            pytest.skip(text)
