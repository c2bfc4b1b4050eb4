"""What all parts of a joined room share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote

from ...._util.foreign_text import plain_line
from ....interfaces import Courier, Engine, MaySend
from ....rpc import is_large
from ....rpc.offload import LARGE
from ....values import Content, RawMap, Value, ValueMap
from ...named import find_names
from ...texts import replace_texts
from .bus import Bus
from .subjects import Subjects
from .urls import find_marked, may_be_marked

__all__ = ["Context", "Urls", "is_large_message"]

log = logging.getLogger("asyncsamp.reach")

_TOLD = 100
"""Clients of which is said that nobody in the room can read what they send; of more it is not said."""


class Urls(Protocol):
    """What is done with values that cross, for the URLs in them."""

    def outgoing(self, value: Value, *, trusted: bool) -> Value:
        """Return a value as other hubs get it; `trusted` is one of a client that is not a web page."""
        ...

    def incoming(self, value: Value, *, site: str) -> Value:
        """Return a value of another hub as clients of this one get it; `site` is "" for a trusted one."""
        ...

    def outgoing_table(self, texts: Iterable[str], *, trusted: bool) -> dict[str, str]:
        """Return what to replace in a value with those `find_marked` texts on its way out."""
        ...

    def incoming_table(
        self, texts: Iterable[str], names: Mapping[str, Collection[str]], *, site: str
    ) -> dict[str, str]:
        """As `outgoing_table` for what comes in, with what `find_names` finds in it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all parts of a joined room share.

    Attributes:
        engine: The hub.
        courier: Who reaches the clients of other hubs.
        bus: What carries frames.
        urls: What is done with values that cross.
        subjects: Of the room.
        label: Our name for people.
        named: Whether the server proves the names of members.
        offers: Whether files and local URLs that programs here send may be read by the room.
        trusts: Whether a member is trusted.
        may_send: What clients of members may send who are not trusted; None for everything.
        clock: The loop's.
        told: The names of the clients of which the user was told that nobody can read what they send.
    """

    engine: Engine
    courier: Courier
    bus: Bus
    urls: Urls
    subjects: Subjects
    label: str
    named: bool
    offers: bool
    trusts: Callable[[str], bool]
    may_send: MaySend | None
    clock: Callable[[], float]
    told: set[str] = field(default_factory=set)

    def shown(self, client: str, metadata: ValueMap) -> ValueMap:
        """Return what one of our clients declares as other hubs get it."""
        sent = self.urls.outgoing(metadata, trusted=self._is_program(client))
        assert isinstance(sent, dict)
        return sent

    def outgoing(self, client: str, value: ValueMap) -> ValueMap:
        """Return what one of our clients says as other hubs get it."""
        table = self._outgoing_table(client, find_marked(value))
        sent = replace_texts(value, table) if table else value
        assert isinstance(sent, dict)
        return sent

    async def sent(self, client: str, value: ValueMap) -> ValueMap:
        """As `outgoing`; one that is large is searched in a thread. Cancelling is safe."""
        if not is_large(value):
            return self.outgoing(client, value)
        return await _replaced(
            value, self._outgoing_table(client, await asyncio.to_thread(find_marked, value))
        )

    def message(self, member: str, message: Content) -> Content:
        """Return a message of a client of that member's hub as ours get it: as it came, where it can be."""
        if not isinstance(message, RawMap):
            return self.incoming(member, message)
        if may_be_marked(message.xml):
            return self.incoming(member, message.values())
        site = self._site(member)
        if site:
            self.urls.incoming_table((), find_names(message), site=site)
        return message

    def incoming(self, member: str, value: ValueMap) -> ValueMap:
        """Return what a client of that member's hub says as ours get it."""
        got = self.urls.incoming(value, site=self._site(member))
        assert isinstance(got, dict)
        return got

    async def received(self, member: str, value: ValueMap, *, apart: bool = False) -> ValueMap:
        """As `incoming`; one that is large, or is to be kept `apart`, is searched in a thread.

        Cancelling is safe.
        """
        if not apart and not is_large(value):
            return self.incoming(member, value)
        site = self._site(member)
        names = await asyncio.to_thread(find_names, value) if site else {}
        table = self.urls.incoming_table(await asyncio.to_thread(find_marked, value), names, site=site)
        return await _replaced(value, table)

    def _outgoing_table(self, client: str, texts: Iterable[str]) -> dict[str, str]:
        trusted = self._is_program(client)
        table = self.urls.outgoing_table(texts, trusted=trusted)
        if table and trusted and not self.offers:
            ours = f"reach:{self.subjects.hub}/"
            withheld = next((sent for sent in table.values() if sent.startswith(ours)), "")
            if withheld:
                self._tell_withheld(client, unquote(withheld.rpartition("/")[2]))
        return table

    def _tell_withheld(self, client: str, what: str) -> None:
        """Say once of each client what the tools of others may show as a number only: 403."""
        standing = self.engine.describe(client)
        name = plain_line(str((standing.metadata if standing else {}).get("samp.name") or client), 40)
        if name in self.told or len(self.told) >= _TOLD:
            return
        self.told.add(name)
        log.warning(
            "%s sends %s, which is on this machine, and nobody in the room %s can read it: files are not "
            "offered. Start the hub (or attach) with --reach-files sent; in a notebook: connect(..., "
            "files='sent')",
            name,
            plain_line(what, 80),
            self.subjects.room,
        )

    def _is_program(self, client: str) -> bool:
        standing = self.engine.describe(client)
        return standing is not None and standing.origin is None

    def _site(self, member: str) -> str:
        return "" if self.trusts(member) else f"room member {member}"


def is_large_message(message: Content) -> bool:
    """Return whether work on all of a message is better done in a thread, also if it is not decoded yet."""
    return len(message.xml) > LARGE if isinstance(message, RawMap) else is_large(message)


async def _replaced(value: ValueMap, table: Mapping[str, str]) -> ValueMap:
    replaced = await asyncio.to_thread(replace_texts, value, table) if table else value
    assert isinstance(replaced, dict)
    return replaced
