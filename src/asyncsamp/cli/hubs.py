"""Which hubs run, and which one a subcommand uses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .._util.foreign_text import listed, quoted
from .._util.likeness import did_you_mean
from ..discovery import Location, is_alive, locate, locate_multiple, read_lockfile, web_appname
from ..errors import HubNotFoundError, LockfileError
from ..lockfile import Lockfile
from ..rpc import RpcClient
from ..tools import start_hub

__all__ = ["LABEL", "FoundHub", "all_hubs", "choose_among", "choose_hub", "start_if_none"]

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


async def all_hubs(place: str | None = None) -> list[FoundHub]:
    """Return what the lockfiles of this user name: that of SAMP_HUB, ~/.samp, and those in ~/.samp-1/.

    `place` stands instead of SAMP_HUB.
    """
    try:
        chosen: Location | None = locate(lockfile=place)
    except LockfileError:
        chosen = None
    places = [chosen, locate({**os.environ, "SAMP_HUB": ""})]
    folder = locate_multiple("x").path
    assert folder is not None
    places += [locate(lockfile=path) for path in await asyncio.to_thread(_lockfiles, folder.parent)]
    seen: dict[Path | str, Location] = {}
    for each in places:
        if each is not None:
            seen.setdefault(each.path or each.url, each)
    sender = RpcClient()
    try:
        return [await _look(each, sender, chosen=each is chosen) for each in seen.values()]
    finally:
        await sender.close()


async def choose_hub(name: str | None) -> Path | str | None:
    """Return the lockfile of the hub that `--hub` names by label, name or path; None for the usual one.

    Raises `HubNotFoundError` that names the hubs that run.
    """
    if name is None:
        return None
    if _is_place(name):
        return name
    chosen = _called(name, await all_hubs())
    return chosen.location.path or chosen.location.url


async def start_if_none() -> None:
    """Start a hub, which outlives us, unless one answers where SAMP_HUB or ~/.samp says."""
    if web_appname() is not None:
        return
    location = locate()
    sender = RpcClient()

    async def is_there() -> bool:
        return not (await _look(location, sender, chosen=True)).problem

    try:
        if not await is_there():
            await start_hub(location, is_there)
    finally:
        await sender.close()


async def choose_among(name: str) -> list[FoundHub]:
    """Return all hubs, of which that one is chosen which `--hub` names.

    Raises `HubNotFoundError` that names the hubs that run.
    """
    if _is_place(name):
        return await all_hubs(name)
    hubs = await all_hubs()
    chosen = _called(name, hubs)
    return [replace(hub, chosen=hub is chosen) for hub in hubs]


def _is_place(name: str) -> bool:
    return "/" in name or os.sep in name or name.startswith("std-lockurl:")


def _called(name: str, hubs: Sequence[FoundHub]) -> FoundHub:
    """Return the one that runs under that label or name."""
    running = [hub for hub in hubs if not hub.problem]
    matching = [hub for hub in running if name in (hub.label, hub.name)]
    if len(matching) == 1:
        return matching[0]
    there = listed(quoted(hub.label or hub.name) for hub in running) or "none"
    several = "several hubs are" if matching else "no running hub is"
    names = [each for hub in running for each in (hub.label, hub.name)]
    meant = "" if matching else did_you_mean(name, names).removeprefix("; ")
    raise HubNotFoundError(
        text=f"{several} called {name!r}; running: {there}",
        advice=meant or "--hub takes a label, a name or the path of a lockfile; asyncsamp hubs shows them",
    )


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
