"""Tools that run: their end is noted, or they would stay as zombies, and their output is bounded."""

from __future__ import annotations

import contextlib
import subprocess
import threading

from .output import Output

__all__ = ["RunningTools", "running"]

_INTERVAL = 2.0
"""Seconds between two looks. Waiting for the end of each would take a thread for each."""


class RunningTools:
    """The tools that this process has started, and the thread that looks after them while there are any.

    It may be used from any thread.
    """

    def __init__(self, interval: float = _INTERVAL) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._tools: dict[subprocess.Popen[bytes], Output] = {}
        self._thread: threading.Thread | None = None

    def look_after(self, process: subprocess.Popen[bytes], output: Output) -> None:
        """Take note of the end of a tool from now on, and bound and close its output.

        Args:
            process: The tool.
            output: Where it writes.
        """
        with self._lock:
            self._tools[process] = output
            if self._thread is None or not self._thread.is_alive():  # of a fork it is the parent's
                thread = threading.Thread(target=self._look, name="asyncsamp-tools", daemon=True)
                with contextlib.suppress(
                    RuntimeError
                ):  # the system gives none now; the next tool may get one
                    thread.start()
                    self._thread = thread

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                for process in list(self._tools):
                    self._look_at(process)
                if not self._tools:
                    self._thread = None
                    return
            pause.wait(self._interval)

    def _look_at(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):  # a disk that is full is not this thread's end
            self._tools[process].bound()
        if process.poll() is not None:
            self._tools.pop(process).close()


running = RunningTools()
"""Those of this process. That they are held here keeps Python from warning that they outlive it."""
