"""Hubs of this user that this shell does not look for: under another home folder or SAMP_HUB (Linux)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..discovery import Location, is_alive, locate, read_lockfile
from ..errors import HubNotFoundError, LockfileError
from ..rpc import RpcClient

__all__ = ["Elsewhere", "account_home", "hubs_elsewhere"]

_PING_TIMEOUT = 2.0
_MOST = 20
"""Places that are looked at; a user has a handful."""

_VARIABLES = ("HOME", "SAMP_HUB")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A hub that answers, its lockfile, and which program of this user looks there, and why."""

    url: str
    path: Path
    program: str


def account_home() -> Path | None:
    """Return the home folder of the account, whatever HOME says; None where there are no accounts.

    It is the one that programs in Java go by.
    """
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # Windows; a container's number without an account
        return None


async def hubs_elsewhere(known: Collection[Path | None], processes: Path = Path("/proc")) -> list[Elsewhere]:
    """Return the hubs at lockfiles beside `known` at which a program of this user looks, or by its account.

    Only HOME and SAMP_HUB are taken of the environment of other programs, and only of this user's own.
    """
    places = await asyncio.to_thread(_places, known, processes)
    sender = RpcClient()
    try:
        looked = await asyncio.gather(*(_look(path, program, sender) for path, program in places.items()))
    finally:
        await sender.close()
    return [hub for hub in looked if hub is not None]


def _places(known: Collection[Path | None], processes: Path) -> dict[Path, str]:
    """Return lockfiles that are there, each with who looks at it. Blocking."""
    places: dict[Path, str] = {}
    home = account_home()
    if home is not None:
        places[home / ".samp"] = "every program that goes by the account and not by HOME, as those in Java do"
    for location, program in _of_processes(processes):
        if location.path is not None:
            places.setdefault(location.path, program)
    there = [path for path in places if path not in known and _is_file(path)]
    return {path: places[path] for path in there[:_MOST]}


def _of_processes(processes: Path) -> Iterator[tuple[Location, str]]:
    """Yield where other processes of this user look for a hub."""
    for process in processes.glob("[0-9]*"):
        try:
            if process.stat().st_uid != os.getuid():
                continue
            entries = (process / "environ").read_bytes().split(b"\0")
            name = (process / "comm").read_text(errors="replace").strip()
        except OSError:  # it has ended, or is not to be read
            continue
        split = (os.fsdecode(entry).partition("=") for entry in entries)
        told = {key: value for key, _, value in split if key in _VARIABLES and value}
        if "HOME" not in told:
            continue
        reason = "SAMP_HUB" if "SAMP_HUB" in told else f"HOME={told['HOME']}"
        try:
            yield locate(told), f"{name} (pid {process.name}, by {reason})"
        except LockfileError:
            continue


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


async def _look(path: Path, program: str, sender: RpcClient) -> Elsewhere | None:
    try:
        lockfile = await read_lockfile(locate(lockfile=path))
    except (HubNotFoundError, LockfileError):
        return None
    return (
        Elsewhere(lockfile.url, path, program)
        if await is_alive(lockfile.url, sender, _PING_TIMEOUT)
        else None
    )
