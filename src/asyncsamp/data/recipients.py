"""Whom something is for: one client, several, or all who subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient, shown
from ..errors import LocalProtocolError, NoRecipientsError, NotSubscribedError

__all__ = ["Recipients", "find_recipients"]

Recipients: TypeAlias = "str | RemoteClient | Iterable[str | RemoteClient] | None"
"""A samp.name in any case, a public id, a live client, several of them, or None for all who subscribe."""


async def find_recipients(
    client: MessagingClient, to: Recipients, mtypes: Sequence[str]
) -> list[tuple[RemoteClient, str]]:
    """Return who it is for, each with the first of `mtypes` that it takes.

    Raises `UnknownClientError`, which says who is there, `NotSubscribedError`, which says who
    takes such things, or `NoRecipientsError`.
    """
    asked = [client.get_subscribed_clients(mtype) for mtype in mtypes]
    subscribed, others = await asyncio.gather(asyncio.gather(*asked), client.get_clients())
    takes = {
        other.public_id: mtype
        for other in others
        for mtype, takers in reversed([*zip(mtypes, subscribed, strict=True)])
        if other.public_id in takers
    }
    if to is None:
        if not takes:
            raise NoRecipientsError(mtypes, shown(others))
        return [(other, takes[other.public_id]) for other in others if other.public_id in takes]
    if not isinstance(to, str | RemoteClient | Iterable):
        raise LocalProtocolError(
            f"{to!r} is not a recipient: expected a name such as 'topcat', a public id, a client of "
            "client.find, several of them, or None for all"
        )
    wanted = [to] if isinstance(to, str | RemoteClient) else list(to)
    if not wanted:
        raise NoRecipientsError(mtypes, shown(others), empty=True)
    named = {found.public_id: found for found in [client.clients.pick(each) for each in wanted]}
    for found in named.values():
        if found.public_id not in takes:
            takers = shown(other for other in others if other.public_id in takes)
            raise NotSubscribedError(
                f"{shown([found])} does not take {' or '.join(mtypes)}; those who do: {takers or 'none'}"
            )
    return [(found, takes[found.public_id]) for found in named.values()]
