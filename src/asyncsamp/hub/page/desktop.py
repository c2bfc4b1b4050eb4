"""A hint on the desktop that a question waits, by the program notify-send where there is one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["hint"]

_PATIENCE = 3.0
"""Seconds that the program has: it hands the hint over to the desktop, and does not wait for its user."""

_SHOWN_FOR = "60000"  # ms, as long as the question stands


async def hint(title: str, text: str) -> bool:
    """Show a hint, which cannot be answered; return whether the desktop took it.

    Cancelling is safe. `text` is for a desktop that may read markup in it: the caller makes it harmless.
    """
    return await asyncio.to_thread(_hint, title, text)


def _hint(title: str, text: str) -> bool:
    program = shutil.which("notify-send")
    if program is None or not _has_session():
        return False
    options = ["--app-name=SAMP hub", "--icon=dialog-question", f"--expire-time={_SHOWN_FOR}"]
    try:
        done = subprocess.run(  # noqa: S603 (no shell, and "--" before what others say)
            [program, *options, "--", title, text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return False
    return done.returncode == 0


def _has_session() -> bool:
    """Whether there is a desktop to reach; notify-send would start a bus of its own."""
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    folder = os.environ.get("XDG_RUNTIME_DIR")
    return bool(folder) and Path(str(folder), "bus").exists()
