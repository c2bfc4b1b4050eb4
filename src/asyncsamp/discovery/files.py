"""The blocking half of discovery: what is done to the file itself (STD-57, STD-62..64). Not for the loop."""

from __future__ import annotations

import errno
import hmac
import logging
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .._util.private_files import beside, create_private, make_folder, sweep
from ..errors import LockfileError
from ..lockfile import Lockfile, parse_lockfile
from .location import VARIABLE

__all__ = [
    "ELSEWHERE",
    "MAX_LOCKFILE",
    "ForeignFileError",
    "Identity",
    "look",
    "parse",
    "prepare_folder",
    "put",
    "read_file",
    "same_secret",
    "take_away",
]

log = logging.getLogger("asyncsamp.hub")

MAX_LOCKFILE = 65_536
"""Bytes of a lockfile that are read. Real ones have less than a thousand."""

ELSEWHERE = f"give another file with {VARIABLE}=std-lockurl:file:///... or --lockfile"

# Without O_NONBLOCK a named pipe would hold the thread for ever.
_READ_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL)


# What every hub writes at the head of a line; the rest of a damaged lockfile may be missing.
_OF_A_LOCKFILE = re.compile(rb"[ \t]*(?:# ?SAMP\b|samp\.(?:secret|hub\.xmlrpc\.url|profile\.version)[ \t]*=)")
_LINE = re.compile(rb"[ \t]*(?:#.*|[A-Za-z0-9._-]+[ \t]*=.*)?")
_EOL = re.compile(rb"\r\n|\r|\n")


class ForeignFileError(LockfileError):
    """The file is not a lockfile, not even a damaged one: it is the user's, and is not replaced."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, f"{reason}, so it is left as it is; move it away, or {ELSEWHERE}")


class Identity(NamedTuple):
    """Tells whether the file at a path is the one that was looked at; a rename leaves it as it is."""

    device: int
    inode: int
    modified: int
    size: int


def read_file(path: Path) -> bytes:
    """Return the first `MAX_LOCKFILE` + 1 bytes of a regular file.

    Raises `FileNotFoundError`, `NotADirectoryError` or `LockfileError`.
    """
    try:
        with os.fdopen(os.open(path, _READ_FLAGS), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LockfileError(str(path), "it is not a regular file")
            return file.read(MAX_LOCKFILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise LockfileError(str(path), f"it cannot be read: {error.strerror}") from error


def parse(data: bytes, place: str) -> Lockfile:
    """Return what the bytes of a lockfile say. Raises `LockfileError`."""
    if len(data) > MAX_LOCKFILE:
        raise LockfileError(
            place, f"it is longer than {MAX_LOCKFILE} bytes; is it the lockfile of a SAMP hub?"
        )
    return parse_lockfile(data.decode("utf-8", "replace"), place)


def look(path: Path) -> tuple[Identity | None, Lockfile | LockfileError | None]:
    """Return which file is there, None if none, and what it says; of a link, where it leads.

    A damaged lockfile says why it cannot be used, and what is not a lockfile or cannot be read, by a
    `ForeignFileError`; a link to nothing says None. Raises `LockfileError` for a folder, a pipe and the
    like.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        raise LockfileError(str(path), f"it is not a regular file; remove it, or {ELSEWHERE}")
    identity = _identity(status)
    try:
        data = read_file(path)
    except (FileNotFoundError, NotADirectoryError):  # it may also have gone meanwhile, which is seen later
        return identity, None
    except LockfileError as error:
        # Of a link only the link is replaced, so what it leads to may be anything.
        return identity, error if stat.S_ISLNK(status.st_mode) else ForeignFileError(str(path), error.reason)
    try:
        return identity, parse(data, str(path))
    except LockfileError as error:
        foreign = ForeignFileError(str(path), "it is not a SAMP lockfile")
        return identity, error if _is_damaged_lockfile(data) else foreign


def put(path: Path, data: bytes, stale: Identity | None) -> bool:
    """Put `data` in the place of the stale file. Return False if what is there changed meanwhile.

    Raises `LockfileError`; whatever happens, no other file is left.
    """
    temporary = beside(path)
    try:
        create_private(temporary, data)
        if stale is not None and not _claim(path, stale):
            return False
        return _link(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def take_away(path: Path, ours: Lockfile) -> bool:
    """Remove the file if it holds our secret; return whether it did. Raises `OSError` if it cannot."""
    try:
        identity = _identity(path.lstat())
        if not same_secret(parse(read_file(path), str(path)), ours):
            return False
        return _claim(path, identity)
    except (FileNotFoundError, NotADirectoryError, LockfileError):
        return False


def prepare_folder(path: Path) -> None:
    """See that the folder is there, and warn if others could replace the file.

    A missing folder below the user's home is made, private. What a killed hub has left there is removed.
    Raises `LockfileError`.
    """
    folder = path.parent
    try:
        make_folder(folder)
        sweep(folder)
        mode = folder.stat().st_mode
    except OSError as error:
        raise _cannot_write(path, error) from error
    others = mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others and not mode & stat.S_ISVTX and os.name != "nt":
        log.warning(
            "other users can write to %s, so they could replace the lockfile there; chmod go-w it, or %s",
            folder,
            ELSEWHERE,
        )


def same_secret(one: Lockfile, other: Lockfile) -> bool:
    """Return whether both are of the same hub."""
    return hmac.compare_digest(one.secret.encode(), other.secret.encode())


def _is_damaged_lockfile(data: bytes) -> bool:
    """Return whether a hub may have written `data`, all or in part: a crash can leave it empty or cut."""
    lines = _EOL.split(data.strip(b"\0 \t\r\n"))
    if lines == [b""]:
        return True
    cut = len(data) > MAX_LOCKFILE or not all(_LINE.fullmatch(line) for line in lines[:-1])
    return not cut and any(_OF_A_LOCKFILE.match(line) for line in lines)


def _link(temporary: Path, path: Path) -> bool:
    """Give the file its name in one step. Return False if the name is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links. A rename takes the place of what is there, except on Windows.
        if os.path.lexists(path):
            return False
        temporary.rename(path)
    return True


def _claim(path: Path, stale: Identity) -> bool:
    """Remove the file if it is still that one. Return False if another is there, which is kept.

    Comparing and then removing would at times remove what came between; but of several that
    rename a file only one gets it, and can look again at what it has got.
    """
    aside = beside(path)
    try:
        if _identity(path.lstat()) != stale:
            return False
        path.rename(aside)
    except FileNotFoundError:
        return True
    if _identity(aside.lstat()) == stale:
        aside.unlink()
        return True
    _link(aside, path)
    with suppress(FileNotFoundError):
        aside.unlink()
    return False


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _cannot_write(path: Path, error: OSError) -> LockfileError:
    if error.errno in _FULL:
        advice = f"make room there, or {ELSEWHERE}"
    elif error.errno in _FORBIDDEN:
        advice = f"make {path.parent} and the file your own and writable, or {ELSEWHERE}"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR):
        advice = f"create the folder {path.parent}, or {ELSEWHERE}"
    else:
        advice = ELSEWHERE
    return LockfileError(str(path), f"it cannot be written ({error.strerror}); {advice}")
