"""Whom something is for: one client, several, or all who subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient, shown, what_is_taken
from ..errors import LocalProtocolError, NoRecipientsError, NotSubscribedError, ToolError, UnknownClientError
from ..tools import Tool, known_as, known_tools

__all__ = ["Recipients", "advise_starting", "find_recipients"]

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
            there = shown(others) + client.clients.alone()
            raise NoRecipientsError(mtypes, there, advice=await _start_one_for(mtypes))
        return [(other, takes[other.public_id]) for other in others if other.public_id in takes]
    if not isinstance(to, str | RemoteClient | Iterable):
        raise LocalProtocolError(
            f"{to!r} is not a recipient: expected a name such as 'topcat', a public id, a client of "
            "client.find, several of them, or None for all"
        )
    wanted = [to] if isinstance(to, str | RemoteClient) else list(to)
    if not wanted:
        raise NoRecipientsError(mtypes, shown(others), empty=True)
    picked = [await _picked(client, each) for each in wanted]
    named = {found.public_id: found for found in picked}
    for found in named.values():
        if found.public_id not in takes:
            takers = shown(other for other in others if other.public_id in takes)
            raise NotSubscribedError(
                f"{shown([found])} does not take {' or '.join(mtypes)}; those who do: {takers or 'none'}",
                advice=what_is_taken(found.subscriptions),
            )
    return [(found, takes[found.public_id]) for found in named.values()]


async def advise_starting(error: UnknownClientError) -> UnknownClientError:
    """Return `error` with how the tool that is missing is started, if it is a known one."""
    if not error.missing:
        return error
    try:
        tool = await asyncio.to_thread(known_as, error.missing)
    except ToolError:
        return error  # the user's tools.toml is wrong, which is not what was asked
    return error if tool is None else error.advised(f"start it by hand, or with {_call(tool)}")


async def _picked(client: MessagingClient, wanted: str | RemoteClient) -> RemoteClient:
    try:
        return client.clients.pick(wanted)
    except UnknownClientError as error:
        raise await advise_starting(error) from None


async def _start_one_for(mtypes: Sequence[str]) -> str:
    """Return how a tool that takes one of `mtypes` is started; "" if none is installed."""
    return await asyncio.to_thread(_start_installed, frozenset(mtypes))


def _start_installed(mtypes: frozenset[str]) -> str:
    try:
        able = [tool for tool in known_tools() if mtypes & set(tool.takes) and tool.program() is not None]
    except ToolError:
        return ""
    return f"start one by hand, or with {_call(able[0])}" if able else ""


def _call(tool: Tool) -> str:
    return f"client.find({tool.name!r}, start=True)"
