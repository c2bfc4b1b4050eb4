"""What a hub must know to come back after a crash, kept in a file of the user's own.

The file holds private keys and the secret, so it is as private as the lockfile (STD-57). It
is JSON, written whole and put in place in one step: whenever the hub is killed, what is
there is complete.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from .._util.private_files import replace_private
from ..errors import StateError

__all__ = ["StateFile", "StateKeeper"]

log = logging.getLogger("asyncsamp.hub")

State: TypeAlias = dict[str, Any]

_FORMAT = 1

MAX_STATE = 256 * 1024 * 1024
"""Bytes of a state file that are read. A client takes about 2 kB."""

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


class StateFile:
    """The file itself. Its methods may be cancelled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def read(self) -> State | None:
        """Return what was saved, None if there is no file.

        Raises `StateError` if it cannot be read, is not the user's own, or is not a state of a hub.
        """
        data = await asyncio.to_thread(self._read)
        if data is None:
            return None
        try:
            state = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise StateError(str(self.path), "it is not what a hub has written") from error
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise StateError(str(self.path), "it is not what a hub of this version has written")
        return state

    async def write(self, state: State) -> None:
        """Save `state` in place of what was there. Raises `StateError`."""
        await asyncio.to_thread(self._write, state)

    async def remove(self) -> None:
        """Remove the file, if it is there. Raises `StateError`."""
        try:
            await asyncio.to_thread(self.path.unlink, missing_ok=True)
        except OSError as error:
            raise StateError(str(self.path), f"it cannot be removed: {error.strerror}") from error

    def _read(self) -> bytes | None:
        try:
            with os.fdopen(os.open(self.path, _READ_FLAGS), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise StateError(str(self.path), "it is not a regular file")
                if hasattr(os, "getuid") and status.st_uid != os.getuid():
                    # Another user's file could let that user's clients in.
                    raise StateError(str(self.path), "it belongs to another user")
                data = file.read(MAX_STATE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(str(self.path), f"it cannot be read: {error.strerror}") from error
        if len(data) > MAX_STATE:
            raise StateError(str(self.path), "it is too large for the state of a hub")
        return data

    def _write(self, state: State) -> None:
        data = json.dumps({"format": _FORMAT, **state}, separators=(",", ":")).encode("ascii")
        try:
            replace_private(self.path, data)
        except OSError as error:
            raise StateError(str(self.path), f"it cannot be written: {error.strerror}") from error


class StateKeeper:
    """Saves the state after each change: at once, and under load again after `interval` seconds.

    There is a task only while there is something to save.
    """

    def __init__(self, file: StateFile, snapshot: Callable[[], State], interval: float) -> None:
        self._file = file
        self._snapshot = snapshot
        self._interval = interval
        self._changes = 0
        self._saved = 0
        self._urgent = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def changed(self) -> None:
        """Note that there is something to save."""
        self._changes += 1
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._save(), name="asyncsamp-state")

    async def saved(self) -> None:
        """Return once every change so far is in the file, or could not be written. Cancelling is safe."""
        if self._saved >= self._changes or self._task is None:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._changes, future))
        self._urgent.set()
        await future

    async def close(self) -> None:
        """Save no more; a write under way is let end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._release(self._changes)

    async def _save(self) -> None:
        while self._saved < self._changes:
            self._urgent.clear()
            changes = self._changes
            await self._write()
            self._saved = changes
            self._release(changes)
            await self._pause()
        self._task = None

    async def _write(self) -> None:
        # Shielded, since a thread cannot be stopped: a write must not outlive close().
        write = asyncio.ensure_future(self._file.write(self._snapshot()))
        try:
            await asyncio.shield(write)
        except asyncio.CancelledError:
            await asyncio.gather(write, return_exceptions=True)
            raise
        except StateError as error:
            if not self._failing:  # said once; the hub goes on without
                log.error("the hub would not survive a crash now: %s", error)
            self._failing = True
        else:
            self._failing = False

    async def _pause(self) -> None:
        """Let changes gather for a while, unless somebody waits for the next write."""
        try:
            async with asyncio.timeout(self._interval):
                await self._urgent.wait()
        except TimeoutError:
            pass

    def _release(self, changes: int) -> None:
        for wanted, future in self._waiters:
            if wanted <= changes and not future.done():
                future.set_result(None)
        self._waiters = [waiter for waiter in self._waiters if waiter[0] > changes]
