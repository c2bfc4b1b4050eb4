"""What a hub that runs says of itself, for the user who wants to start another."""

from __future__ import annotations

import asyncio
import contextlib

from .._util.foreign_text import plain_line, quoted
from ..errors import HubNotFoundError, HubRunningError, LockfileError, SampError
from ..interfaces import ROOMS
from ..lockfile import Lockfile
from ..rpc.client import RpcClient
from ..rpc.errors import PeerError
from ..values import Value
from .location import Location
from .reading import read_lockfile

__all__ = ["introduced"]

PATIENCE = 2.0
"""Seconds that it may take altogether: the error is what the user waits for."""

_MOST_NAMES = 5


async def introduced(error: HubRunningError, location: Location, sender: RpcClient) -> HubRunningError:
    """Return `error` with the program of the hub that runs, or as it is if the hub does not tell.

    To ask it, we register and unregister, which its clients may see; so this is for a user who starts a
    hub, not for what looks at the lockfile every few seconds. Cancelling is safe.

    Args:
        error: The refusal, of the hub that the lockfile names.
        location: Where that lockfile is.
        sender: What to ask with.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            lockfile = await read_lockfile(location)
            if lockfile.url == error.url:
                return HubRunningError(error.lockfile, error.url, await _ask(lockfile, sender))
    except (TimeoutError, HubNotFoundError, LockfileError):
        pass
    return error


async def _ask(lockfile: Lockfile, sender: RpcClient) -> str:
    async def call(operation: str, *params: Value) -> Value:
        try:
            return await sender.call(lockfile.url, f"samp.hub.{operation}", list(params), timeout=PATIENCE)
        except (SampError, PeerError):
            return ""

    registered = await call("register", lockfile.secret)
    if not isinstance(registered, dict):
        return ""
    key, hub = registered.get("samp.private-key"), registered.get("samp.hub-id")
    try:
        own = await call("getMetadata", key or "", hub or "")
        others = await call("getRegisteredClients", key or "")
        ids = [client for client in others if client != hub] if isinstance(others, list) else []
        names = [_field(await call("getMetadata", key or "", id_), "samp.name") for id_ in ids[:_MOST_NAMES]]
    finally:
        with contextlib.suppress(TimeoutError):
            await call("unregister", key or "")
    return _told(own, [name for name in names if name], len(ids))


def _told(own: Value, names: list[str], count: int) -> str:
    """Return who it is in one line. Its clients' names say most: TOPCAT's own hub has "topcat"."""
    parts = [_field(own, "samp.name"), _field(own, "samp.description.text")]
    told = ", ".join(quoted(part) for part in parts if part) + _rooms(own)
    more = f" and {count - len(names)} more" if names and count > len(names) else ""
    clients = f"its clients are {', '.join(quoted(name) for name in names)}{more}" if names else ""
    return "; ".join(part for part in (told, clients) if part)


def _rooms(own: Value) -> str:
    """Return in which rooms it is, as a hub of this package says."""
    said = own.get(ROOMS) if isinstance(own, dict) else None
    names = [_field(room, "name") for room in said[:_MOST_NAMES]] if isinstance(said, list) else []
    return "".join(f", in the room {quoted(name)}" for name in names if name)


def _field(metadata: Value, name: str) -> str:
    value = metadata.get(name) if isinstance(metadata, dict) else ""
    return plain_line(value) if isinstance(value, str) else ""
