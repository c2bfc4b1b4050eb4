"""A question on the desktop: a notification with buttons, by the program notify-send where there is one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from ..._util.threads import in_daemon_thread, to_its_end

__all__ = ["ask"]

_PATIENCE = 3.0
"""Seconds that the desktop has to show what notify-send hands over."""

_OPTIONS = ("--app-name=SAMP hub", "--icon=dialog-question", "--expire-time=60000")
"""A question stands for so many milliseconds."""


async def ask(title: str, text: str, choices: Mapping[str, str], shown: Callable[[], None]) -> str:
    """Show a question, and wait for a button.

    Cancelling is safe, and takes the question from the desktop.

    Args:
        title: What is asked.
        text: The rest, for a desktop that may read markup in it: the caller makes it harmless.
        choices: What a button says, by the answer that it stands for.
        shown: Called when the desktop shows the question, with buttons or without.

    Returns:
        The answer; "" if there is none: it was closed, this desktop has no buttons, or there is no desktop.
    """
    program = await asyncio.to_thread(_program)
    if program is None:
        return ""
    buttons = [f"--action={answer}={label}" for answer, label in choices.items()]
    answer = await _follow([program, *_OPTIONS, "--print-id", *buttons, "--", title, text], shown)
    # Before version 0.8, notify-send knows no buttons, and refuses the options.
    if answer is None and await in_daemon_thread(partial(_show, [program, *_OPTIONS, "--", title, text])):
        shown()
    return answer if answer and answer in choices else ""


def _program() -> str | None:
    """Return notify-send, if there is a desktop to reach; it would start a bus of its own."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    reachable = os.environ.get("DBUS_SESSION_BUS_ADDRESS") or (folder and Path(folder, "bus").exists())
    return shutil.which("notify-send") if reachable else None


async def _follow(command: Sequence[str], shown: Callable[[], None]) -> str | None:
    """Return the button that the user presses, "" if none; None if the desktop does not show the question.

    A question stands for a minute: its threads are its own, for the loop's few have other work.
    """
    try:
        running = await to_its_end(partial(_start, command), _end, own=True)
    except (OSError, ValueError):
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            number = await in_daemon_thread(partial(_line, running))
        if number in ("", "0"):  # 0: nobody on this bus shows notifications
            return None
        shown()
        return await in_daemon_thread(partial(_line, running))
    except TimeoutError:
        return None
    finally:
        await to_its_end(partial(_end, running), own=True)


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    output: IO[bytes]


def _start(command: Sequence[str]) -> _Running:
    """Start notify-send on a terminal: into a pipe it would write nothing before it ends."""
    ours, its = os.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 (no shell, and "--" before what others say)
            command, stdin=subprocess.DEVNULL, stdout=its, stderr=subprocess.DEVNULL, process_group=0
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    return _Running(process, os.fdopen(ours, "rb"))


def _line(running: _Running) -> str:
    """Return the next line, "" at the end."""
    try:
        return running.output.readline().decode(errors="replace").strip()
    except OSError:  # how a terminal ends
        return ""


def _end(running: _Running) -> None:
    """Let notify-send take the question back, which it does on SIGINT alone; a script may have started it."""
    process = running.process
    if process.poll() is None:
        _signal(process, signal.SIGINT)
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()
    running.output.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        os.killpg(process.pid, number)


def _show(command: Sequence[str]) -> bool:
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603 (as above)
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return False
    return done.returncode == 0
