"""Who is there: list, info, ping, wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from .._util.likeness import did_you_mean
from ..client.tracker import NOTHING_TAKEN, RemoteClient, shown
from ..data.client import Client
from ..errors import HubFaultError, HubLostError, HubNotFoundError, NotRegisteredError
from ..mtypes import is_mtype
from ..values import ReplyError, ValueMap
from .hubs import all_hubs, choose_among
from .output import note, on_terminal, safe, say, say_json, styled, table
from .running import ERROR, NOT_THERE, OK, TIMED_OUT, at_hub

__all__ = ["Ping", "info", "list_clients", "list_hubs", "ping", "ping_one", "wait", "who"]


async def list_hubs(hub: str | None, json: bool) -> int:
    """Show the hubs of this user; the chosen one is that which `--hub` names, if it is given."""
    hubs = await all_hubs() if hub is None else await choose_among(hub)
    if json:
        say_json(
            [
                {
                    "label": hub.label,
                    "name": hub.name,
                    "lockfile": hub.location.place,
                    "url": hub.lockfile.url if hub.lockfile else None,
                    "chosen": hub.chosen,
                    "problem": hub.problem or None,
                }
                for hub in hubs
            ]
        )
    else:
        rows = [
            (
                "*" if hub.chosen else " ",
                safe(hub.label or hub.name),
                safe(hub.location.place),
                safe(hub.lockfile.url if hub.lockfile else "-"),
                safe(hub.problem or "runs"),
            )
            for hub in hubs
            if hub.lockfile or hub.chosen
        ]
        table(("", "hub", "lockfile", "endpoint", "state"), rows)
    return OK if any(not hub.problem for hub in hubs) else NOT_THERE


async def list_clients(hub: str | None, json: bool, watch: bool) -> int:
    """Show the clients, once or again whenever something changes."""
    async with at_hub(hub, reconnect=watch) as client:
        shown: object = None
        async for there in _views(client):
            others = sorted(there, key=lambda other: other.public_id)
            state = [_described(other) for other in others]
            if state != shown:
                shown = state
                _show(others, json)
                if not json:
                    for room in client.clients.rooms():  # whose clients are called "TOPCAT @laptop"
                        note(room.text)
            if not watch:
                break
    return OK


async def _views(client: Client) -> AsyncIterator[list[RemoteClient]]:
    """Yield who is there, now and whenever something changes, also at the hub that comes after this one."""
    while True:
        seen = client.clients.changes  # before anybody is asked for, so that no change is missed
        try:
            yield await client.get_clients()
        except (HubLostError, HubNotFoundError, NotRegisteredError):
            await client.wait_registered()
        else:
            await client.clients.changed(seen)


def _show(others: list[RemoteClient], json: bool) -> None:
    if json:
        say_json([_described(other) for other in others])
        return
    rows = [
        (safe(other.name) or "-", safe(other.public_id), safe(" ".join(_taken(other)), 2_000) or "-")
        for other in others
    ]
    table(("name", "id", "takes"), rows)


def who(other: RemoteClient) -> str:
    """Return name and id of a client, for a terminal."""
    return f"{safe(other.name) or '-'} ({safe(other.public_id)})"


def _taken(other: RemoteClient) -> list[str]:
    """Return what a client takes, without what every client does."""
    return sorted(mtype for mtype in other.subscriptions if not mtype.startswith("samp."))


def _described(other: RemoteClient) -> dict[str, object]:
    return {
        "id": other.public_id,
        "name": other.name,
        "metadata": dict(other.metadata),
        "subscriptions": dict(other.subscriptions),
    }


async def info(hub: str | None, name: str, json: bool) -> int:
    """Show all that a client declares."""
    async with at_hub(hub) as client:
        other = await client.find(name)
        if json:
            say_json(_described(other))
            return OK
        say(styled(who(other), "cyan"))
        for heading, values in (("metadata", other.metadata), ("takes", other.subscriptions)):
            say(f"{heading}:")
            _say_map(values)
    return OK


def _say_map(values: ValueMap) -> None:
    for key, value in sorted(values.items()):
        say(f"  {safe(key)}" + (f" = {safe(value)}" if value else ""))


async def ping(hub: str | None, name: str | None, timeout: float, json: bool) -> int:
    """Ping one client, or each."""
    async with at_hub(hub) as client:
        others = [await client.find(name)] if name else await client.get_clients()
        answers = await asyncio.gather(*(ping_one(client, other, timeout) for other in others))
    code = OK
    for other, answer in zip(others, answers, strict=True):
        if json:
            say_json({"id": other.public_id, "name": other.name, **asdict(answer)})
        else:
            say(f"{who(other)}: {safe(answer.text)}")
        code = max(code, {"answered": OK, "not callable": OK, "silent": TIMED_OUT}.get(answer.state, ERROR))
    return code


@dataclass(frozen=True, slots=True)
class Ping:
    """What came of a ping: state is "answered", "silent", "failed" or "not callable"."""

    state: str
    text: str
    seconds: float | None = None


async def ping_one(client: Client, other: RemoteClient, timeout: float) -> Ping:
    """Ping a client, if it takes pings at all: one that only sends cannot be called."""
    if not other.subscribes("samp.app.ping"):
        return Ping("not callable", f"no ping: {'it takes none' if other.subscriptions else NOTHING_TAKEN}")
    begun = time.perf_counter()
    try:
        await client.call(other, "samp.app.ping", timeout=timeout)
    except TimeoutError:
        return Ping("silent", f"no answer within {timeout:g} s")
    except (ReplyError, HubFaultError) as error:
        return Ping("failed", str(error))
    seconds = time.perf_counter() - begun
    return Ping("answered", f"{1000 * seconds:.1f} ms", seconds)


async def wait(hub: str | None, what: str, timeout: float | None) -> int:
    """Wait for a client of that name, or for one that takes that mtype, and say its id; also for a hub."""
    async with at_hub(hub, reconnect=True, wait_for_hub=True) as client:
        try:
            async with asyncio.timeout(timeout):
                other = await _first(client, what)
        except TimeoutError:
            raise TimeoutError(_not_come(client, what, timeout or 0.0)) from None
        say(f"{safe(other.public_id)}\t{safe(other.name)}" if not on_terminal() else _there(other))
    return OK


def _not_come(client: Client, what: str, timeout: float) -> str:
    """Return what was waited for in vain, who is there, and what can be done."""
    if not client.registered:
        return f"no hub came within {timeout:g} s, so {what!r} was not seen; start one with: asyncsamp hub"
    others = list(client.clients.values())
    words = [other.name for other in others]
    takes = ""
    if is_mtype(what):
        takes = ", and none that takes it,"
        words += sorted({mtype for other in others for mtype in other.subscriptions})
    there = f"there are: {shown(others) or 'none'}{client.clients.alone()}{did_you_mean(what, words)}"
    return f"no client named {what!r}{takes} came within {timeout:g} s; {there}"


def _there(other: RemoteClient) -> str:
    return f"{styled(who(other), 'cyan')} is there"


async def _first(client: Client, what: str) -> RemoteClient:
    name = {"ds9": "saoimageds9"}.get(what.casefold(), what.casefold())
    async for others in _views(client):
        for other in others:
            if what == other.public_id or other.name.casefold() == name:
                return other
            if is_mtype(what) and other.public_id != client.hub_id and other.subscribes(what):
                return other
    raise AssertionError("who is there is told without an end")
