"""`asyncsamp.connect`: one line in a notebook's cell."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

from .client.tracker import shown
from .data.client import Client

if TYPE_CHECKING:
    from .hub.profiles.reach.profile import Reach

__all__ = ["connect"]

_MEET = 2.0
"""Seconds for the others of a room to appear. It takes a tenth of one where they and the server are there."""

_ELSEWHERE = "org.asyncsamp.reach."
"""How the metadata keys of a client of another hub begin."""

log = logging.getLogger("asyncsamp.client")

_connected: WeakValueDictionary[tuple[int, str, str, str], Client] = WeakValueDictionary()
_options: WeakKeyDictionary[Client, dict[str, Any]] = WeakKeyDictionary()


async def connect(
    name: str = "notebook",
    *,
    start_hub: bool = False,
    lockfile: str | os.PathLike[str] | None = None,
    join: str = "",
    via: Literal["", "browser"] = "",
    **options: Any,
) -> Client:
    """Find a hub and return a registered client: `client = await asyncsamp.connect("my notebook")`.

    A cell that is run twice has the same client again, with its handlers and streams, as long as that is
    registered. Other `metadata` are declared anew; if another of the `options` that are given is different,
    the earlier client is unregistered, and a new one is made. Leave with `await client.unregister()`; when
    the kernel ends it is done anyway.

    If it is cancelled, nothing is left behind.

    Args:
        name: What others call the client (samp.name).
        start_hub: Whether to start a hub in this process if none runs. It shares the event loop with
            everything here: while a cell computes for long without an `await`, all tools on that hub wait;
            use `asyncio.to_thread`, or `python -m asyncsamp.hub` in a terminal. It ends with the client, or
            with the process.
        lockfile: Where the hub is published, if not where SAMP_HUB says or at `~/.samp`.
        join: The file of an invitation, or a server's URL: a hub that is started joins that room, and clients
            of the other machines there are seen as "TOPCAT @laptop". A hub that runs already is used as it
            is, and a warning is logged, unless it is in a room: its clients join by
            `python -m asyncsamp.reach attach`, or it by `python -m asyncsamp.hub --join` when it is started.
        via: "browser" for the hub of the computer where the browser runs that shows this notebook: for
            kernels that run elsewhere. Nothing else has to lead there; the page relays, and shows how things
            stand. It needs the extra `browser`; see docs/remote.md.
        options: Those of `Client`.

    Returns:
        The client.

    Raises:
        HubNotFoundError: There is no hub; it says how to start one.
        InvitationError: `join` cannot be used.
        SampError: Else as `Client.register`.
    """
    if via not in ("", "browser"):
        raise ValueError(f"via={via!r} is not known: expected 'browser', or nothing for this machine's hub")
    place = via or (os.fspath(lockfile) if lockfile is not None else "")
    key = id(asyncio.get_running_loop()), name, place, join
    client = _connected.get(key)
    if client is None or not client.registered or _changed(client, options) - {"metadata"}:
        if client is not None:
            await client.unregister()
        way = await _way(start_hub, lockfile, join, via)
        client = await Client(name, **way, **options).register()
        for room in way.get("profiles", ()):
            if room.started:
                log.info("%s", " ".join(room.terms))
                await room.met(_MEET)
            else:
                await _say_not_joined(client, room, join)
        _connected[key] = client
    elif _changed(client, options):
        await client.declare_metadata(options["metadata"] or {})
    # A copy, since a user may go on to change the mapping.
    _options[client] = _options.get(client, {}) | {
        option: dict(value) if option == "metadata" and value else value
        for option, value in options.items()
        if option != "profiles"
    }
    return client


async def _way(
    start_hub: bool, lockfile: str | os.PathLike[str] | None, join: str, via: str
) -> dict[str, Any]:
    """Return the options of `Client` that lead to the hub."""
    if via:
        if join or start_hub or lockfile is not None:
            raise ValueError("via='browser' leads to the hub beside the browser: give it without the others")
        from .browser.widget import notebook_connection

        return {"connection": await notebook_connection()}
    way: dict[str, Any] = {"start_hub": start_hub, "lockfile": lockfile}
    return way | ({"start_hub": True, "profiles": [await _room(join)]} if join else {})


async def _say_not_joined(client: Client, room: Reach, join: str) -> None:
    """Warn that the hub which runs already was not made to join, unless it is in a room itself."""
    others = [other for other in await client.get_clients() if other.public_id != client.hub_id]
    if any(key.startswith(_ELSEWHERE) for other in others for key in other.metadata):
        return
    log.warning(
        "client %r is not in the room %r: join= is for a hub that is started, and one runs already, without "
        "clients of other hubs; its clients are %s. To join these: "
        "python -m asyncsamp.reach attach --join %s; or stop that hub, and connect again",
        client.name,
        room.invitation.room,
        shown(others) or "none",
        join,  # neither a file's name nor a URL of a server holds a secret
    )


async def _room(join: str) -> Reach:
    from .hub.profiles.reach.profile import Reach
    from .hub.reach_options import find_invitation

    return Reach(await asyncio.to_thread(find_invitation, join))


def _changed(client: Client, options: dict[str, Any]) -> set[str]:
    """Return which of `options` are not those that the client was made with."""
    made_with = _options.get(client, {})
    return {name for name, value in options.items() if name not in made_with or made_with[name] != value}
