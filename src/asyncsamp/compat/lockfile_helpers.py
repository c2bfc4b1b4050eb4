"""Lockfiles as dictionaries, and the hubs that they name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..discovery import Location, is_alive, locate, publish, remove_if_dead
from ..discovery import read_lockfile as read
from ..errors import HubNotFoundError, HubRunningError, LockfileError
from ..lockfile import Lockfile, render_lockfile
from ..rpc import RpcClient
from ..sync.portal import portal
from .errors import SAMPHubError, SAMPWarning

__all__ = [
    "check_running_hub",
    "create_lock_file",
    "get_main_running_hub",
    "get_running_hubs",
    "read_lockfile",
    "remove_garbage_lock_files",
    "write_lockfile",
]

T = TypeVar("T")

_SECRET, _URL, _VERSION = "samp.secret", "samp.hub.xmlrpc.url", "samp.profile.version"


def read_lockfile(lockfilename: str) -> dict[str, str]:
    """Return what a lockfile says, a path or a URL. Raises OSError if it cannot be read."""
    return _as_dict(_read(locate(lockfile=lockfilename)))


def write_lockfile(lockfilename: str, lockfiledict: Mapping[str, str]) -> None:
    """Write a lockfile that only its owner may read, over any that is there."""
    path = Path(lockfilename)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(render_lockfile(_as_lockfile(lockfiledict)))


def create_lock_file(
    lockfilename: str | None = None,
    mode: str | None = None,
    hub_id: str | None = None,
    hub_params: Mapping[str, str] | None = None,
) -> str | bool:
    """Publish a hub unless another one is alive.

    Args:
        lockfilename: Where; by default SAMP_HUB, and then `mode`, decides.
        mode: "single" for `~/.samp`, "multiple" for a file in `~/.samp-1`.
        hub_id: A part of that file's name.
        hub_params: What the lockfile says.

    Returns:
        The name of the lockfile; False, after a `SAMPWarning`, if another hub is alive or SAMP_HUB
        names no file.
    """
    remove_garbage_lock_files()
    if lockfilename is None and mode != "single" and not os.environ.get("SAMP_HUB"):
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        lockfilename = str(folder / f"samp-hub-{hub_id}")
    place = locate() if os.environ.get("SAMP_HUB") else locate(lockfile=lockfilename)
    try:
        _with_sender(lambda sender: publish(place, _as_lockfile(hub_params or {}), sender))
    except (HubRunningError, LockfileError) as error:
        warnings.warn(f"the hub cannot be published: {error}", SAMPWarning, stacklevel=2)
        return False
    return str(place.path)


def get_main_running_hub() -> dict[str, str]:
    """Return the lockfile of the hub that clients connect to. Raises `SAMPHubError` if there is none."""
    try:
        place = locate()
        found = _read(place)
    except (HubNotFoundError, LockfileError, OSError) as error:
        raise SAMPHubError(f"Unable to find a running SAMP Hub. {error}") from error
    if not _lives(found):
        raise SAMPHubError(f"Unable to find a running SAMP Hub. No hub answers at {found.url}.")
    return _as_dict(found)


def get_running_hubs() -> dict[str, dict[str, str]]:
    """Return the lockfiles of all hubs that are alive, by their names: the main one and `~/.samp-1`."""
    hubs = {}
    with suppress(HubNotFoundError, LockfileError):
        main = locate()
        hubs[str(main.path or main.url)] = check_running_hub(str(main.path or main.url))
    hubs |= {str(path): check_running_hub(str(path)) for path in _multiple()}
    return {name: params for name, (alive, params) in hubs.items() if alive}


def check_running_hub(lockfilename: str) -> tuple[bool, dict[str, str]]:
    """Return whether the hub that a lockfile names is alive, and what the lockfile says, {} if nothing."""
    try:
        found = _read(locate(lockfile=lockfilename))
    except (OSError, HubNotFoundError, LockfileError):
        return False, {}
    return _lives(found), _as_dict(found)


def remove_garbage_lock_files() -> None:
    """Remove `~/.samp` and the lockfiles in `~/.samp-1` that name no hub that is alive.

    Links, and files that are not lockfiles, stay as they are.
    """
    for path in [Path.home() / ".samp", *_multiple()]:
        with suppress(OSError):
            _with_sender(partial(remove_if_dead, path))


def _folder() -> Path:
    return Path.home() / ".samp-1"


def _multiple() -> list[Path]:
    return sorted(_folder().glob("samp-hub*"))


def _read(place: Location) -> Lockfile:
    try:
        return portal().run(read(place))
    except HubNotFoundError as error:
        raise FileNotFoundError(str(error)) from error


def _lives(found: Lockfile) -> bool:
    return bool(_with_sender(lambda sender: is_alive(found.url, sender)))


def _with_sender(make: Any) -> Any:
    async def work() -> Any:
        sender = RpcClient()
        try:
            return await make(sender)
        finally:
            await sender.close()

    return portal().run(work())


def _as_dict(found: Lockfile) -> dict[str, str]:
    return {**found.extra, _SECRET: found.secret, _URL: found.url, _VERSION: found.version}


def _as_lockfile(params: Mapping[str, str]) -> Lockfile:
    extra = {name: value for name, value in params.items() if name not in (_SECRET, _URL, _VERSION)}
    return Lockfile(params[_SECRET], params[_URL], version=params.get(_VERSION, "1.3"), extra=extra)
