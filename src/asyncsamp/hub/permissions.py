"""What web origins and clients may do at the hub, as the user has decided for good.

One store for all who ask: the Web Profile asks about pages by their origin, the engine about other clients
by their name, and the hub's page shows and changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from .._util.private_files import make_folder, replace_private
from .._util.threads import to_its_end

__all__ = ["Decisions", "Permission", "Permissions", "Subject", "default_path", "rememberable"]

log = logging.getLogger("asyncsamp.hub")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[0-9a-z._~%:\[\]-]{1,255}")
_MAX_SIZE = 1024 * 1024
_MAX_NAME = 200
_MAX_SUBJECTS = 5_000

_FRESH = 1.0
"""Seconds for which a look at the file holds, where one is taken at each message."""

_OLD_NAME = "web-origins"
"""The file of earlier versions, beside the new one: an origin that may always register on each line."""


class Permission(Enum):
    """What a web page or a client may do.

    Attributes:
        REGISTER: Register without a question. Of web origins only.
        RECEIVE: Get messages of other clients. The hub's own events, and answers, go to everybody.
        SEND: Send messages that are harmless: tables, images, positions and the like.
        COMMAND: Send all other messages, which may run commands in a tool.
        READ: Have the hub read the files and URLs that others mentioned to it. Of web origins only: other
            programs read files on their own.
        UPLOAD: Leave files with the hub for others. Of web origins only.
    """

    REGISTER = "register"
    RECEIVE = "receive"
    SEND = "send"
    COMMAND = "command"
    READ = "read"
    UPLOAD = "upload"


_Kind: TypeAlias = Literal["origin", "client"]
_KINDS: tuple[_Kind, ...] = ("origin", "client")


class Subject(NamedTuple):
    """Whom a permission is of: a web origin, or the clients of a name.

    Attributes:
        kind: "origin" for a web origin, "client" for the clients of a name.
        name: The origin, or the name.
    """

    kind: _Kind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "origin" else f"client {self.name}"


Decisions: TypeAlias = dict[Subject, dict[Permission, bool]]

_DEFAULTS: dict[str, frozenset[Permission]] = {
    "origin": frozenset({Permission.RECEIVE, Permission.SEND, Permission.READ, Permission.UPLOAD}),
    "client": frozenset(Permission),
}


def rememberable(origin: str) -> bool:
    """Whether `origin` names a site. "null" is any file, and a program's claim is worth nothing."""
    return _ORIGIN.fullmatch(origin) is not None


def default_path() -> Path:
    """Return where this user's file is: in $XDG_CONFIG_HOME, ~/.config, or what the system has for it."""
    if os.name == "nt":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "asyncsamp" / "permissions.json"


class Permissions:
    """The user's decisions, in a file of mode 0600.

    What is not decided is as `may` says: a web page may do what is harmless, and is asked about for more; a
    client of the Standard Profile may do everything. The file is read anew from time to time, so that what
    another process takes back counts in a running hub. Names of clients are their own claims: a decision
    about a name keeps order, and does not keep out a program that lies.

    Args:
        path: The file; None keeps the decisions for this run only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._decided: Decisions = {}
        self._seen: tuple[int, ...] | None = None
        self._looked = float("-inf")
        self._turn = asyncio.Lock()
        self._observers: list[Callable[[], None]] = []

    @property
    def path(self) -> Path | None:
        """Where the decisions are kept."""
        return self._path

    @property
    def decisions(self) -> Decisions:
        """What is decided, as of the last look at the file. Not to be changed."""
        return self._decided

    def decided(self, subject: Subject, permission: Permission) -> bool | None:
        """Return what the user has decided, as of the last look at the file; None if nothing.

        Args:
            subject: Whom it is about.
            permission: What it is about.
        """
        return self._decided.get(subject, {}).get(permission)

    def may(self, subject: Subject, permission: Permission) -> bool:
        """Return whether `subject` may do that without a question, as of the last look at the file.

        Args:
            subject: A site, or clients by their name.
            permission: What is to be done.
        """
        decided = self.decided(subject, permission)
        return permission in _DEFAULTS[subject.kind] if decided is None else decided

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, in the loop, after each change.

        Args:
            callback: What to call.

        Returns:
            A function that ends it.
        """
        self._observers.append(callback)

        def remove() -> None:
            if callback in self._observers:
                self._observers.remove(callback)

        return remove

    async def refresh(self, *, now: bool = True) -> None:
        """Look at the file, if the last look is older than a second. Cancelling is safe.

        Args:
            now: Whether to look also when the last look is younger.
        """
        clock = asyncio.get_running_loop().time
        if self._path is None or (not now and clock() - self._looked < _FRESH):
            return
        async with self._turn:
            if now or clock() - self._looked >= _FRESH:
                self._take(*await asyncio.to_thread(self._read_if_new, self._seen))
                self._looked = clock()

    async def decide(self, subject: Subject, permission: Permission, allowed: bool | None) -> None:
        """Decide for good. Cancelling is safe; the decision may have been written.

        Args:
            subject: Whom it is about.
            permission: What it is about.
            allowed: Whether that is allowed; None goes back to the default.

        Raises:
            OSError: The file cannot be written; then nothing has changed.
            ValueError: `subject` is not a web site, or has no name.
        """
        if subject.kind == "origin" and not rememberable(subject.name):
            raise ValueError(f"{subject.name!r} is not a web origin that can be told from others")
        if not 0 < len(subject.name) <= _MAX_NAME and subject.kind == "client":
            raise ValueError(f"a client's name has 1 to {_MAX_NAME} characters")

        def change(decided: Decisions) -> bool:
            of_subject = decided.setdefault(subject, {})
            of_subject.pop(permission, None)
            if allowed is not None:
                of_subject[permission] = allowed
            return True

        await self._change_in_turn(change)

    async def revoke(self, subject: Subject) -> bool:
        """Forget all decisions about `subject`. Cancelling is safe; they may be forgotten.

        Args:
            subject: Whom they are about.

        Returns:
            Whether there was one.

        Raises:
            OSError: The file cannot be written.
        """
        return await self._change_in_turn(lambda decided: decided.pop(subject, None) is not None)

    # ---- without a loop

    def load(self) -> Decisions:
        """Read the file and return what is decided. Blocks.

        Returns:
            All decisions, by subject.
        """
        if self._path is None:
            return self._decided
        self._seen, self._decided = self._read_if_new(None)
        return self._decided

    def forget(self, subject: Subject) -> bool:
        """Forget all decisions about `subject`, as `revoke` does, but blocking.

        Args:
            subject: Whom they are about.

        Returns:
            Whether there was one.

        Raises:
            OSError: The file cannot be written.
        """
        changed, decided = self._change(lambda decided: decided.pop(subject, None) is not None)
        self._decided = decided
        return changed

    # ---- inside

    async def _change_in_turn(self, change: Callable[[Decisions], bool]) -> bool:
        async with self._turn:
            changed, decided = await to_its_end(partial(self._change, change))
            self._take(None, decided)
            return changed

    def _take(self, seen: tuple[int, ...] | None, decided: Decisions) -> None:
        self._seen = seen
        if decided == self._decided:
            return
        self._decided = decided
        for callback in tuple(self._observers):
            try:
                callback()
            except Exception:
                log.exception("a watcher of the permissions failed")

    def _change(self, change: Callable[[Decisions], bool]) -> tuple[bool, Decisions]:
        current = self._decided if self._path is None else self._read_if_new(None)[1]
        decided = {subject: dict(each) for subject, each in current.items()}
        changed = change(decided)
        decided = {subject: each for subject, each in decided.items() if each}
        if changed and self._path is not None:
            make_folder(self._path.parent, parents=True)
            _put_aside_if_damaged(self._path)
            replace_private(self._path, _written(decided))
            if self._path.name != _OLD_NAME:
                self._path.with_name(_OLD_NAME).unlink(missing_ok=True)  # its origins are in the new one
        return changed, decided

    def _read_if_new(self, seen: tuple[int, ...] | None) -> tuple[tuple[int, ...] | None, Decisions]:
        """Read the file unless it is as it was `seen`; return how it is now, and what is decided."""
        assert self._path is not None
        for path in (self._path, self._path.with_name(_OLD_NAME)):
            try:
                with path.open("rb") as file:
                    found = os.fstat(file.fileno())
                    now = (found.st_ino, found.st_mtime_ns, found.st_size)
                    if now == seen:
                        return seen, self._decided
                    return now, _read(file.read(_MAX_SIZE + 1), path)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("cannot read what web pages and clients may do: %s", error)
                return None, self._decided  # a no stays one, though it cannot be seen just now
        return None, {}


def _read(data: bytes, path: Path) -> Decisions:
    text = data.decode(errors="replace")
    if text.lstrip()[:1] != "{":  # of an earlier version
        return {
            Subject("origin", line): {Permission.REGISTER: True}
            for line in text.split()
            if rememberable(line)
        }
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        log.warning("%s is damaged and is ignored; repair or remove it (%s)", path, error)
        return {}
    decided: Decisions = {}
    for kind in _KINDS:
        members = whole.get(f"{kind}s")
        for name, each in members.items() if isinstance(members, dict) else ():
            subject = Subject(kind, name)
            if len(decided) < _MAX_SUBJECTS and _is_subject(subject) and (known := _known(each)):
                decided[subject] = known
    return decided


def _put_aside_if_damaged(path: Path) -> None:
    """Keep what the user wrote, and got wrong, as FILE.damaged."""
    with contextlib.suppress(FileNotFoundError):
        text = path.read_text(encoding="utf-8", errors="replace")
        if not text.lstrip().startswith("{"):
            return
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            path.replace(path.with_name(f"{path.name}.damaged"))


def _is_subject(subject: Subject) -> bool:
    if subject.kind == "origin":
        return rememberable(subject.name)
    return 0 < len(subject.name) <= _MAX_NAME


def _known(each: object) -> dict[Permission, bool]:
    if not isinstance(each, Mapping):
        return {}
    return {one: each[one.value] for one in Permission if isinstance(each.get(one.value), bool)}


def _written(decided: Decisions) -> bytes:
    whole: dict[str, Any] = {
        "about": "What web pages and clients may do at the SAMP hub; see --web-origins.",
        "origins": {},
        "clients": {},
    }
    for subject, each in decided.items():
        whole[f"{subject.kind}s"][subject.name] = {one.value: allowed for one, allowed in each.items()}
    return (json.dumps(whole, indent=2) + "\n").encode()
