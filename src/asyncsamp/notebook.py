"""`asyncsamp.connect`: one line in a notebook's cell."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from .client.tracker import RemoteClient, shown
from .data.client import Client
from .discovery import PID_NAME, locate, read_lockfile
from .errors import HubNotFoundError, LockfileError
from .interfaces import AT_ANOTHER_HUB

if TYPE_CHECKING:
    from .hub.profiles.reach.invitation import Invitation
    from .hub.profiles.reach.one_room import OneRoom
    from .hub.profiles.reach.profile import Reach

__all__ = ["connect"]

_MEET = 2.0
"""Seconds for the others of a room to appear. It takes a tenth of one where they and the server are there."""

Files = Literal["sent", "none"] | None

log = logging.getLogger("asyncsamp.client")

_connected: WeakValueDictionary[tuple[int, str, str], Client] = WeakValueDictionary()
_options: WeakKeyDictionary[Client, dict[str, Any]] = WeakKeyDictionary()
_own: WeakKeyDictionary[Client, OneRoom] = WeakKeyDictionary()
"""Of the hub that a client has started, or starts when its hub goes."""
_told: WeakSet[Reach] = WeakSet()
"""Rooms of which the user has been told what joining gives away."""


class _RoomWanted(NamedTuple):
    """What `connect` was given; `join` has no secret, be it a file's name or the URL of a server."""

    join: str
    invitation: Invitation
    files: Files

    def make(self) -> Reach:
        from .hub.profiles.reach.profile import Reach

        return Reach(self.invitation, files=self.files)

    def is_met_by(self, room: Reach) -> bool:
        """Return whether nothing has to change; what is not given now stays as it was given before."""
        offers = room.offers_files if self.files is None else self.files == "sent"
        return room.invitation == self.invitation and room.offers_files == offers


async def connect(
    name: str = "notebook",
    *,
    start_hub: bool = False,
    lockfile: str | os.PathLike[str] | None = None,
    join: str = "",
    files: Files = None,
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
            of the other machines there are seen as "TOPCAT @laptop". A hub that an earlier `connect` has
            started here leaves its room for that one, and its other clients go with it; a warning says so
            if they lose a room with others. Any other hub that runs already is used as it is, and a warning
            is logged, unless it is in a room: its clients join by `python -m asyncsamp.reach attach`, or it
            by `python -m asyncsamp.hub --join` when it is started.
        files: With `join`, whether the files and local URLs that programs here send, such as the tables of
            `send_table`, may be read by the whole room ("sent") or not ("none"); None for what an earlier
            `connect` has said, as long as the hub that it started is in that room, else for what the
            invitation says: "sent" if the room is one's own. So "none" takes "sent" back, and None does not.
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
    if via and (join or start_hub or lockfile is not None):
        raise ValueError("via='browser' leads to the hub beside the browser: give it without the others")
    if files not in (None, "sent", "none") or (files is not None and not join):
        raise ValueError(f"files={files!r} cannot be used: expected 'sent' or 'none', together with join=")
    room = _RoomWanted(join, await _invitation(join), files) if join else None
    place = via or _place(lockfile)
    key = id(asyncio.get_running_loop()), name, place
    client = _connected.get(key)
    new = client is None or not client.registered or bool(_changed(client, options) - {"metadata"})
    if client is None or new:
        if client is not None:
            await client.unregister()
        client = await _new_client(name, place, start_hub, lockfile, room, via, options)
        _connected[key] = client
    elif _changed(client, options):
        await client.declare_metadata(options["metadata"] or {})
    # A copy, since a user may go on to change the mapping.
    _options[client] = _options.get(client, {}) | {
        option: dict(value) if option == "metadata" and value else value
        for option, value in options.items()
        if option != "profiles"
    }
    if room is not None:
        try:
            await _join(client, place, lockfile, room)
        except BaseException:
            if new:
                await client.unregister()
            raise
    return client


def _place(lockfile: str | os.PathLike[str] | None) -> str:
    try:
        return locate(lockfile=lockfile).place
    except LockfileError:  # SAMP_HUB names another way, or is wrong, which the client says
        return ""


async def _new_client(
    name: str,
    place: str,
    start_hub: bool,
    lockfile: str | os.PathLike[str] | None,
    room: _RoomWanted | None,
    via: str,
    options: dict[str, Any],
) -> Client:
    """Return a registered client that finds, or starts, the hub which is wanted."""
    if via:
        from .browser.widget import notebook_connection

        return await Client(name, connection=await notebook_connection(), **options).register()
    if not start_hub and room is None:
        return await Client(name, lockfile=lockfile, **options).register()
    from .hub.profiles.reach.one_room import OneRoom

    own = OneRoom(place, None if room is None else room.make())
    profiles = (*options.get("profiles", ()), own)
    client = Client(name, start_hub=True, lockfile=lockfile, **options | {"profiles": profiles})
    _own[client] = own
    return await client.register()


async def _join(
    client: Client, place: str, lockfile: str | os.PathLike[str] | None, wanted: _RoomWanted
) -> None:
    """Let the hub be in that room, if it is one that `connect` has started here; else say that it is not."""
    from .hub.profiles.reach.one_room import OneRoom

    hub = OneRoom.running_at(place)
    own = _own.get(client)
    if own is not None and own is not hub:  # for when the hub has gone, and it starts one itself
        await own.change(wanted.make())
    if hub is None:
        await _say_not_joined(client, lockfile, wanted)
        return
    if hub.room is None or not wanted.is_met_by(hub.room):
        await _change_room(client, hub, wanted.make())
    room = hub.room
    if room is not None and room not in _told:
        _told.add(room)
        log.info("%s", " ".join(room.terms))
        await room.met(_MEET)  # if there is no connection, the room has said so meanwhile
    elif room is not None and not room.connected:
        _warn_of_no_connection(room.invitation.room)
    if room is not None and room.connected and not room.hubs:
        log.warning(
            "no other hub is in the room %r at %s yet: is one joined there, by `python -m asyncsamp.hub "
            "--join`, and to the same room? Its clients appear here as soon as it is; "
            "`await client.wait_for('topcat')` waits for one",
            room.invitation.room,
            room.invitation.url,
        )


def _warn_of_no_connection(room: str) -> None:
    log.warning(
        "the room %r has no connection to its server just now, so nobody of another machine is here: does "
        "the room's server run, and is the tunnel up, if it is reached by one? The hub tries again and again",
        room,
    )


async def _change_room(client: Client, hub: OneRoom, room: Reach) -> None:
    """Let the hub leave its room for another one, and tell what the other clients of it lose."""
    former = hub.room
    met = former is not None and bool(former.hubs)
    others = [other for other in await _others(client) if not _is_elsewhere(other)]
    await hub.change(room)
    if former is not None:
        log.log(
            logging.WARNING if met and others else logging.INFO,
            "the hub of this process has %s; %s",
            _change_between(former, room),
            f"its other clients go with it: {shown(others)}" if others else "nobody else was on it",
        )


def _change_between(former: Reach, room: Reach) -> str:
    """Return what a hub has done that was in one room and is in another one now, or in the same anew."""
    before, now = (f"the room {one.invitation.room!r} at {one.invitation.url}" for one in (former, room))
    if before != now:
        return f"left {before}, and joins {now}"
    if former.invitation != room.invitation:
        return f"left {now}, and joins it again by another invitation"
    may = "may be read there now" if room.offers_files else "may not be read there any more"
    return f"joined {now} again: files and local URLs that programs here send {may}"


async def _say_not_joined(
    client: Client, lockfile: str | os.PathLike[str] | None, wanted: _RoomWanted
) -> None:
    """Warn that the hub which runs already was not made to join, unless it is in that room by itself."""
    others = await _others(client)
    room = wanted.invitation.room
    rooms = [one for one in client.clients.rooms() if one.name == room]
    if rooms and not rooms[0].connected:
        _warn_of_no_connection(room)
    if rooms or any(map(_is_elsewhere, others)):
        return
    files = wanted.files or ("sent" if wanted.invitation.own else "")
    here = await _is_in_this_process(lockfile)
    log.warning(
        "client %r is not in the room %r: join= is for a hub that is started, and one runs already%s, "
        "without clients of other hubs; its clients are %s. To join these: "
        "python -m asyncsamp.reach attach --join %s; or stop that hub%s, and connect again",
        client.name,
        room,
        " in this very process" if here else "",
        shown(others) or "none",
        shlex.quote(wanted.join) + (f" --reach-files {files}" if files else ""),
        ", with `await hub.shutdown()`, or `await client.unregister()` if a client has started it"
        if here
        else "",
    )


async def _others(client: Client) -> list[RemoteClient]:
    return [other for other in await client.get_clients() if other.public_id != client.hub_id]


def _is_elsewhere(other: RemoteClient) -> bool:
    return AT_ANOTHER_HUB in other.metadata


async def _is_in_this_process(lockfile: str | os.PathLike[str] | None) -> bool:
    try:
        found = await read_lockfile(locate(lockfile=lockfile))
    except (HubNotFoundError, LockfileError):  # it has gone since
        return False
    return found.extra.get(PID_NAME) == str(os.getpid())


async def _invitation(join: str) -> Invitation:
    from .hub.reach_options import find_invitation

    return await asyncio.to_thread(find_invitation, join)


def _changed(client: Client, options: dict[str, Any]) -> set[str]:
    """Return which of `options` are not those that the client was made with."""
    made_with = _options.get(client, {})
    return {name for name, value in options.items() if name not in made_with or made_with[name] != value}
