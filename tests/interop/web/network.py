"""A loopback network of the test's own, so that port 21012 is free whatever runs on the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ...installed import require_program, skip_or_fail
from ..peers.process import process

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
            skip_or_fail(
                f"port {PORT} is taken; a network of its own needs root and: apt-get install -y iproute2"
            )


@contextlib.asynccontextmanager
async def far_network(home: Path) -> AsyncIterator[tuple[list[str], str]]:
    """Make a second machine's network, with one cable to this one and a loopback of its own.

    Gives what a command begins with that runs there, and that machine's address.
    """
    for program, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        require_program(program, package)
    command = ["unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"]
    async with process(command, name="far network", home=home) as far:
        await far.line("ready")
        inside = ["nsenter", "-t", str(far.pid), "-n"]
        for step in (
            ["ip", "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", str(far.pid)],
            ["ip", "address", "add", "10.21.0.1/30", "dev", "far"],
            ["ip", "link", "set", "far", "up"],
            [*inside, "ip", "address", "add", "10.21.0.2/30", "dev", "near"],
            [*inside, "ip", "link", "set", "near", "up"],
        ):
            async with process(step, name=" ".join(step), home=home) as running:
                await running.succeed(30)
        yield inside, "10.21.0.2"
