"""What a hub does with its lockfile: put it in place, look after it, take it away (STD-57..64)."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from .._util.hosts import address_of
from .._util.threads import to_its_end
from ..errors import HubNotFoundError, HubRunningError, LockfileError
from ..lockfile import Lockfile, render_lockfile
from ..rpc.client import RpcClient
from .files import ELSEWHERE, ForeignFileError, Identity, look, prepare_folder, put, same_secret, take_away
from .location import Location
from .reading import is_alive, read_lockfile
from .startup_lock import turn

__all__ = ["publish", "remove_if_dead", "still_ours", "withdraw"]

log = logging.getLogger("asyncsamp.hub")

ATTEMPTS = 10
"""How often to look again when the lockfile changed meanwhile. Each is another hub's start or end."""

GRACE = 0.5
"""Seconds given to what is not a lockfile to become one: JSAMP and astropy write theirs in steps."""


async def publish(
    location: Location, lockfile: Lockfile, sender: RpcClient, *, reclaim: bool = False
) -> None:
    """Put the hub's lockfile in place: its owner's alone from the first byte, and whole (STD-57, STD-62).

    To be called once the hub answers at `lockfile.url`, since clients and other hubs come at
    once. A lockfile that names no live hub, or is damaged, is replaced; a link is replaced
    itself and never written through. A file that is not a lockfile is left as it is, unless `reclaim`
    says that our own lockfile was there before. Of several hubs that start at once exactly one succeeds:
    they take turns by a lock on the folder, which leaves no file; where folders cannot be
    locked (Windows, some network file systems), taking away the old file and putting the new
    one there are each atomic, and the second only succeeds where there is none.

    When it fails or is cancelled, no file of ours is left.

    Args:
        location: Where to put it.
        lockfile: What it says.
        sender: Asks a hub that is named there already.
        reclaim: Whether our own lockfile was there before.

    Raises:
        HubRunningError: The present lockfile names a live hub.
        LocalProtocolError: `lockfile` cannot be written as text.
        LockfileError: The file cannot be put there, or would take the place of one that is not a lockfile.
    """
    if location.path is None:
        reason = f"a hub cannot write to a URL that is not a file's; {ELSEWHERE}"
        raise LockfileError(location.place, reason)
    path, data = location.path, render_lockfile(lockfile).encode("ascii")
    await asyncio.to_thread(prepare_folder, path)
    async with turn(path.parent):
        for _ in range(ATTEMPTS):
            stale = await _stale(path, lockfile, sender, reclaim)
            if await to_its_end(
                partial(put, path, data, stale), lambda done: done and take_away(path, lockfile)
            ):
                return
    raise LockfileError(str(path), "other programs keep writing it; stop them, or try again")


async def withdraw(location: Location, lockfile: Lockfile) -> bool:
    """Remove the hub's lockfile if it still holds our secret (STD-64).

    A file that cannot be removed is logged. If it is cancelled, the file is removed all the same.

    Args:
        location: Where the lockfile is.
        lockfile: Ours.

    Returns:
        Whether it was removed.
    """
    if location.path is None:
        return False
    try:
        return await asyncio.to_thread(take_away, location.path, lockfile)
    except OSError as error:
        log.warning("cannot remove the lockfile %s: %s", location.place, error.strerror)
        return False


async def still_ours(location: Location, lockfile: Lockfile) -> bool:
    """Return whether the lockfile is there and holds our secret. Cancelling is safe.

    Args:
        location: Where the lockfile is.
        lockfile: Ours.
    """
    try:
        return same_secret(await read_lockfile(location), lockfile)
    except (HubNotFoundError, LockfileError):
        return False


async def remove_if_dead(path: Path, sender: RpcClient) -> bool:
    """Remove a lockfile that names no hub that is alive.

    Nothing else is removed: no link, no damaged lockfile, which somebody may be writing at this moment, and
    no file that is not a lockfile. If it is cancelled, the file may have been removed or not.

    Args:
        path: Where the lockfile may be.
        sender: Asks the hub that is named there.

    Returns:
        Whether it was removed.

    Raises:
        OSError: It cannot be removed.
    """
    async with turn(path.parent):  # a hub that comes back with its state has the same secret
        try:
            _, present = await asyncio.to_thread(look, path)
        except LockfileError:  # a folder, a pipe
            return False
        if not isinstance(present, Lockfile) or await asyncio.to_thread(path.is_symlink):
            return False
        if await is_alive(present.url, sender):
            return False
        return await asyncio.to_thread(take_away, path, present)


async def _stale(path: Path, ours: Lockfile, sender: RpcClient, reclaim: bool) -> Identity | None:
    """Return which file has to go, or None if there is none.

    Raises `HubRunningError` if a hub is alive, and `ForeignFileError`.
    """
    identity, present = await asyncio.to_thread(look, path)
    if isinstance(present, LockfileError):
        await asyncio.sleep(GRACE)
        identity, present = await asyncio.to_thread(look, path)
    if isinstance(present, ForeignFileError) and not reclaim:
        raise present
    if isinstance(present, LockfileError):
        log.warning("replacing a damaged lockfile: %s", present)
    elif present is not None:
        # At our own address only we can answer: the other hub had it before us and is gone.
        if not _same_address(present.url, ours.url) and await is_alive(present.url, sender):
            raise HubRunningError(str(path), present.url)
        log.info("replacing the lockfile %s of a hub that is gone", path)
    return identity


def _same_address(one: str, other: str) -> bool:
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return str(address_of(host) or host), parts.port or 80
