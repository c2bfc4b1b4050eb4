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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .._util.foreign_text import quoted
from .._util.private_files import replace_private, sweep
from ..errors import StateError

__all__ = ["StateFile", "StateKeeper", "damage"]

log = logging.getLogger("asyncsamp.hub")

State: TypeAlias = dict[str, Any]

_FORMAT = 1

MAX_STATE = 256 * 1024 * 1024
"""Bytes of a state file that are read, and so written. A client takes about 2 kB."""

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


# Piece by piece: json.dumps would hold all other threads up until it is done, 0.2 s for 400,000 entries.
_CODER = json.JSONEncoder(separators=(",", ":"))


def damage(state: State) -> str:
    """Return what is wrong with a state that was read; "" if a hub can come back with it."""
    standard, hub = state.get("standard"), state.get("hub")
    if not isinstance(standard, dict) or not isinstance(hub, dict):
        return "it lacks the clients"
    port, secret = standard.get("port"), standard.get("secret")
    if type(port) is not int or not 0 < port < 65536:
        return f"{quoted(str(port))} is not a valid port"
    if not isinstance(secret, str) or not secret:
        return "the secret is not a text"
    for clients, is_right in ((standard.get("clients"), _is_reached), (hub.get("clients"), _is_record)):
        if not isinstance(clients, dict):
            return "the clients are not a map"
        for client, entry in clients.items():
            if not is_right(entry):
                return f"what it says of the client {quoted(client)} has wrong types"
    return ""


def _is_reached(entry: object) -> bool:
    if not isinstance(entry, list) or len(entry) != 2:
        return False
    key, callback = entry
    return isinstance(key, str) and (callback is None or isinstance(callback, str))


def _is_record(entry: object) -> bool:
    if not isinstance(entry, dict) or type(entry.get("callable")) is not bool:
        return False
    return all(
        isinstance(entry.get(name), dict) and _is_value(entry[name]) for name in ("metadata", "subscriptions")
    )


def _is_value(value: object) -> bool:
    """Return whether it is what SAMP knows: texts, and lists and maps of them."""
    if isinstance(value, dict):
        return all(map(_is_value, value.values()))
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_value, value)))


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members) + "}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class StateFile:
    """The file itself. Its methods may be cancelled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, tuple[Any, ...]] = {}  # by client: what it declared, and that as JSON

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
        sweep(self.path.parent)
        try:
            with os.fdopen(os.open(self.path, _READ_FLAGS), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise StateError(str(self.path), "it is not a regular file")
                if hasattr(os, "getuid") and status.st_uid != os.getuid():
                    # Another user's file could let that user's clients in.
                    raise StateError(str(self.path), "it belongs to another user")
                if os.name != "nt" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise StateError(
                        str(self.path),
                        f"other users can write to it (mode {stat.S_IMODE(status.st_mode):04o})",
                        "remove it, or if nobody has changed it: chmod 600",
                    )
                data = file.read(MAX_STATE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(str(self.path), f"it cannot be read: {error.strerror}") from error
        if len(data) > MAX_STATE:
            raise StateError(str(self.path), "it is too large for the state of a hub")
        return data

    def _write(self, state: State) -> None:
        data = self._encode({"format": _FORMAT, **state}).encode("ascii")
        if len(data) > MAX_STATE:
            reason = f"it would have more than {MAX_STATE // 2**20} MiB"
            raise StateError(str(self.path), reason, "look for a client with very large metadata")
        try:
            replace_private(self.path, data)
        except OSError as error:
            raise StateError(str(self.path), f"it cannot be written: {error.strerror}") from error

    def _encode(self, state: State) -> str:
        """Return the state as JSON. Of the clients only those are encoded that have changed."""
        hub = state.get("hub", {})
        records: Mapping[str, Any] = hub.get("clients", {})
        self._texts = {client: self._text(client, record) for client, record in records.items()}
        clients = _object((client, text[-1]) for client, text in self._texts.items())
        told = {name: _json(value) for name, value in hub.items() if name != "clients"}
        told["clients"] = clients
        members = {name: _json(value) for name, value in state.items() if name != "hub"}
        return _object((members | ({"hub": _object(told.items())} if hub else {})).items())

    def _text(self, client: str, record: Mapping[str, Any]) -> tuple[Any, ...]:
        # What a client declares is replaced as a whole, so that the same object says the same.
        values = tuple(record.values())
        known = self._texts.get(client)
        if known is not None and all(one is other for one, other in zip(known[:-1], values, strict=True)):
            return known
        return *values, "".join(_CODER.iterencode(record))


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
        """Stop saving; a write under way is let end."""
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
        try:
            await self._write_whole()
        except Exception as error:  # also where the system gives no thread: who waits for it must go on
            if not self._failing:  # said once; the hub goes on without
                unexpected = error if not isinstance(error, StateError) else None
                text = "the hub cannot save its state, and would not come back after a crash: %s"
                log.error(text, error, exc_info=unexpected)
            self._failing = True
        else:
            self._failing = False

    async def _write_whole(self) -> None:
        # Shielded, since a thread cannot be stopped: a write must not outlive close().
        write = asyncio.ensure_future(self._file.write(self._snapshot()))
        try:
            await asyncio.shield(write)
        except asyncio.CancelledError:
            await asyncio.gather(write, return_exceptions=True)
            raise

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
