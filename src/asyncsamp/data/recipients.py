"""Whom something is for: one client, several, or all who subscribe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient
from ..errors import (
    HubFaultError,
    LocalProtocolError,
    NoRecipientsError,
    NotSubscribedError,
    UnknownClientError,
)

__all__ = ["Recipients", "find_recipients", "those_there"]

Recipients: TypeAlias = "str | RemoteClient | Iterable[str | RemoteClient] | None"
"""A samp.name in any case, a public id, a live client, several of them, or None for all who subscribe."""

_ALSO_CALLED = {"ds9": "SAOImageDS9"}
"""Programs that nobody calls by the samp.name they have."""


async def find_recipients(
    client: MessagingClient, to: Recipients, mtypes: Sequence[str]
) -> list[tuple[RemoteClient, str]]:
    """Return who it is for, each with the first of `mtypes` that it takes.

    Raises `UnknownClientError`, which says who is there, `NotSubscribedError`, which says who
    takes such things, or `NoRecipientsError`.
    """
    # The hub is asked, since events about somebody who has just come may still be on their way.
    subscribed = [await client.get_subscribed_clients(mtype) for mtype in mtypes]
    others = await _all_there(client)
    takes = {
        other.public_id: mtype
        for other in others
        for mtype, takers in reversed([*zip(mtypes, subscribed, strict=True)])
        if other.public_id in takers
    }
    if to is None:
        if not takes:
            raise NoRecipientsError(mtypes, those_there(others))
        return [(other, takes[other.public_id]) for other in others if other.public_id in takes]
    if not isinstance(to, str | RemoteClient | Iterable):
        raise LocalProtocolError(
            f"{to!r} is not a recipient: expected a name such as 'topcat', a public id, a client of "
            "client.find, several of them, or None for all"
        )
    wanted = [to] if isinstance(to, str | RemoteClient) else list(to)
    if not wanted:
        raise NoRecipientsError(mtypes, those_there(others), empty=True)
    named = {found.public_id: found for found in [_named(client, others, each) for each in wanted]}
    for found in named.values():
        if found.public_id not in takes:
            takers = those_there(other for other in others if other.public_id in takes)
            raise NotSubscribedError(
                f"{found.name!r} ({found.public_id}) does not take {' or '.join(mtypes)}; "
                f"those who do: {takers or 'none'}"
            )
    return [(found, takes[found.public_id]) for found in named.values()]


async def _all_there(client: MessagingClient) -> list[RemoteClient]:
    """Return a live view of all others; those whose name is not known yet are asked for."""
    view = client.clients
    await client.get_clients()
    for public_id in await client.get_registered_clients():
        view.seen(public_id)
        found = view.get(public_id)
        if found is not None and not found.metadata:
            try:
                metadata = await client.get_metadata(public_id)
                view.first_seen(public_id, metadata, await client.get_subscriptions(public_id))
            except HubFaultError:
                continue  # it left meanwhile
    return [other for other in view.values() if other.public_id != client.public_id]


def those_there(others: Iterable[RemoteClient]) -> str:
    """Return a list of clients for people."""
    return ", ".join(f"{other.name!r} ({other.public_id})" for other in others)


def _named(client: MessagingClient, others: list[RemoteClient], wanted: str | RemoteClient) -> RemoteClient:
    if isinstance(wanted, RemoteClient):
        if not wanted.registered:
            raise UnknownClientError(f"{wanted.name!r} ({wanted.public_id}) has left; {_there(others)}")
        return wanted
    found = client.clients.named(wanted)
    if found is None:
        found = client.clients.named(_ALSO_CALLED.get(wanted.casefold(), wanted))
    if found is None or found not in others:
        raise UnknownClientError(f"no client named {wanted!r} is registered; {_there(others)}")
    return found


def _there(others: list[RemoteClient]) -> str:
    return f"there are: {those_there(others) or 'none'}"
