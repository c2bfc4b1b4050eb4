"""Finding the hub that runs: reading its lockfile and asking whether it is alive (STD-60..66)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import aiohttp

from ..errors import (
    FaultError,
    HubNotFoundError,
    LocalProtocolError,
    LockfileError,
    RemoteProtocolError,
)
from ..lockfile import Lockfile
from ..rpc.client import RpcClient
from ..rpc.errors import PeerBusyError, PeerError
from .files import MAX_LOCKFILE, parse, read_file
from .location import Location, locate

__all__ = ["PING_TIMEOUT", "find_hub", "is_alive", "lockfile_owner", "read_lockfile", "stale_lockfile"]

FETCH_TIMEOUT = 5.0
"""Seconds in which a lockfile must come over http: as long as for a ping."""

PING_TIMEOUT = 5.0
"""Seconds in which a hub must answer a ping to count as alive (STD-61)."""


async def find_hub(
    sender: RpcClient,
    *,
    environ: Mapping[str, str] | None = None,
    lockfile: str | os.PathLike[str] | None = None,
    ping: bool = False,
) -> tuple[Location, Lockfile]:
    """Return where the lockfile is and what it says now; nothing is cached (STD-66) or deleted (STD-65).

    Whether the hub lives is left to the registration, which finds out anyway: see
    `stale_lockfile`. Cancelling is safe.

    Args:
        sender: Fetches a lockfile that is a URL, and pings.
        environ: Where SAMP_HUB is looked for; None means that of the process.
        lockfile: A path or URL that wins over SAMP_HUB.
        ping: Whether the hub is asked first if it is there.

    Raises:
        HubNotFoundError: There is no lockfile or, with `ping`, no live hub behind it.
        LockfileError: It cannot be understood.
    """
    location = locate(environ, lockfile)
    found = await read_lockfile(location)
    if ping and not await is_alive(found.url, sender):
        raise stale_lockfile(location, found)
    return location, found


def stale_lockfile(location: Location, lockfile: Lockfile) -> HubNotFoundError:
    """Return the error to raise when nobody answers at the URL that a lockfile names (STD-65).

    Args:
        location: Where the lockfile is.
        lockfile: What it says.
    """
    return HubNotFoundError(f"{location.description}, but no hub answers at {lockfile.url} which it names")


async def read_lockfile(location: Location) -> Lockfile:
    """Return what the lockfile says now.

    Cancelling is safe.

    Args:
        location: Where it is.

    Raises:
        HubNotFoundError: There is none.
        LockfileError: It cannot be read or understood, is not a regular file, or is longer than
            `MAX_LOCKFILE` bytes.
    """
    if location.path is None:
        data = await _fetch(location)
    else:
        try:
            data = await asyncio.to_thread(read_file, location.path)
        except (FileNotFoundError, NotADirectoryError):
            raise HubNotFoundError(location.description) from None
    return parse(data, location.place)


async def lockfile_owner(location: Location) -> int | None:
    """Return the uid of whom the lockfile belongs to; None if it has gone, or a URL does not tell.

    Cancelling is safe.

    Args:
        location: Where the lockfile is.
    """
    if location.path is None or not hasattr(os, "getuid"):
        return None
    try:
        return (await asyncio.to_thread(location.path.stat)).st_uid
    except OSError:
        return None


async def _fetch(location: Location) -> bytes:
    try:
        status, data = await _get(location.url)
    except TimeoutError:
        raise HubNotFoundError(f"{location.description}: no answer within {FETCH_TIMEOUT:g} s") from None
    except aiohttp.ClientConnectionError:
        raise HubNotFoundError(f"{location.description}: no connection") from None
    except (aiohttp.ClientError, ValueError) as error:  # ValueError: a URL that aiohttp cannot use
        raise LockfileError(location.place, "it cannot be had over http; is the URL right?") from error
    if status in (404, 410):
        raise HubNotFoundError(location.description)
    if status != 200:
        raise LockfileError(location.place, f"the server answered with HTTP status {status}")
    return data


async def _get(url: str) -> tuple[int, bytes]:
    """Return the status and the first `MAX_LOCKFILE` + 1 bytes or more. Uses no proxy and keeps nothing."""
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT),
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        ) as session,
        session.get(url) as response,
    ):
        data = bytearray()
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > MAX_LOCKFILE:
                break
        return response.status, bytes(data)


async def is_alive(url: str, sender: RpcClient, timeout: float = PING_TIMEOUT) -> bool:
    """Return whether a hub is at work at `url`: it answers samp.hub.ping, and not by a fault (STD-61).

    Something that answers, but not in XML-RPC, is not a hub: after a crash some other web server may
    have got the port that the lockfile names, and must not keep hubs from starting for ever.

    Cancelling is safe. Nothing else is raised.

    Args:
        url: The endpoint that a lockfile names.
        sender: Asks it.
        timeout: Seconds to wait for the answer.
    """
    try:
        async with asyncio.timeout(timeout):
            await sender.call(url, "samp.hub.ping", [], timeout=timeout)
    except PeerBusyError:
        return True
    except (FaultError, PeerError, RemoteProtocolError, LocalProtocolError, TimeoutError):
        return False
    return True
