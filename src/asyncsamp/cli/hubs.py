"""Which hubs run, and which one a subcommand uses."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from ..discovery import Location, is_alive, locate, locate_multiple, read_lockfile
from ..errors import HubNotFoundError, LockfileError
from ..lockfile import Lockfile
from ..rpc import RpcClient

__all__ = ["LABEL", "FoundHub", "all_hubs", "choose_hub"]

LABEL = "samp.hub.label"
_PING_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class FoundHub:
    """A lockfile, and what is behind it. `problem` says why it cannot be used, "" if it can."""

    location: Location
    lockfile: Lockfile | None
    problem: str
    chosen: bool

    @property
    def label(self) -> str:
        """The label that the hub wrote into its lockfile."""
        if self.lockfile is None:
            return ""
        return next((value for key, value in self.lockfile.extra.items() if key.endswith("label")), "")

    @property
    def name(self) -> str:
        """What --hub takes for it, beside its label: the end of its lockfile's name."""
        path = self.location.path
        return "" if path is None else path.name.removeprefix("samp-hub-")


async def all_hubs() -> list[FoundHub]:
    """Return what the lockfiles of this user name: that of SAMP_HUB, ~/.samp, and those in ~/.samp-1/."""
    try:
        chosen: Location | None = locate()
    except LockfileError:
        chosen = None
    places = [chosen, locate({**os.environ, "SAMP_HUB": ""})]
    folder = locate_multiple("x").path
    assert folder is not None
    places += [locate(lockfile=path) for path in await asyncio.to_thread(_lockfiles, folder.parent)]
    seen: dict[str, Location] = {}
    for place in places:
        if place is not None:
            seen.setdefault(place.place, place)
    sender = RpcClient()
    try:
        return [await _look(place, sender, chosen=place is chosen) for place in seen.values()]
    finally:
        await sender.close()


async def choose_hub(name: str | None) -> Path | str | None:
    """Return the lockfile of the hub that `--hub` names by label, name or path; None for the usual one.

    Raises `HubNotFoundError` that names the hubs that run.
    """
    if name is None:
        return None
    if "/" in name or os.sep in name or name.startswith("std-lockurl:"):
        return name
    hubs = [hub for hub in await all_hubs() if not hub.problem]
    matching = [hub for hub in hubs if name in (hub.label, hub.name)]
    if len(matching) == 1:
        return matching[0].location.path or matching[0].location.url
    there = ", ".join(repr(hub.label or hub.name) for hub in hubs) or "none"
    several = "several hubs are" if matching else "no running hub is"
    raise HubNotFoundError(f"{several} called {name!r}; running: {there}")


def _lockfiles(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.startswith("samp-hub-"))
    except OSError:
        return []


async def _look(place: Location, sender: RpcClient, *, chosen: bool) -> FoundHub:
    try:
        lockfile = await read_lockfile(place)
    except HubNotFoundError:
        return FoundHub(place, None, "no lockfile", chosen)
    except LockfileError as error:
        return FoundHub(place, None, error.reason, chosen)
    alive = await is_alive(lockfile.url, sender, _PING_TIMEOUT)
    return FoundHub(place, lockfile, "" if alive else f"stale: no hub answers at {lockfile.url}", chosen)
