"""Messages as they pass: by the traffic that our hub tells of, else by what is sent to us or to all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..client.connection import StandardConnection
from ..data.client import Client
from ..discovery import web_appname
from ..errors import FaultCode, HubFaultError, HubLostError, NotRegisteredError, SampError
from ..mtypes import matches
from ..values import Message, Response
from .hubs import choose_hub
from .output import note
from .params import parse_params
from .running import Identity

__all__ = ["WAITING", "Answer", "Ended", "Gap", "Seen", "Traffic", "answered", "traffic_at"]

WAITING = 1_000_000
"""Messages that may wait to be shown or written: more than a minute at 10,000 a second."""

_PAUSE = 0.1
"""Seconds between two attempts to go on after the hub was lost."""

Answer: TypeAlias = Callable[[Message], Awaitable[Response]]
"""How a call to ourselves is answered."""


@dataclass(slots=True)
class Seen:
    """A message, when it was sent. `to_all` says whether it was a broadcast.

    `calls` has the recipient of each msg-id; in a hub of another make only our own.
    """

    message: Message
    time: float
    to: list[str] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    to_all: bool = False
    answer: Response | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A call has come to its end, or a notification could not be delivered.

    `what` is "answered", "failed" or "abandoned"; `by` is the public id of the recipient.
    """

    what: str
    call: str
    mtype: str
    sender: str
    by: str
    seconds: float
    time: float
    response: Response | None
    error: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something was not told: the end of a call that is open may never be."""

    hub_lost: bool


class Traffic:
    """What passes through a hub, as an async iterator; it goes on with the next hub."""

    def __init__(
        self, client: Client, connection: StandardConnection | None, mtypes: Sequence[str], answer: Answer
    ) -> None:
        self.client = client
        self.whole = False
        """Whether all traffic is told, as by our own hub."""
        self._names: dict[str, str] = {}
        self._connection = connection
        self._mtypes = mtypes
        self._answer = answer

    def name(self, public_id: str) -> str:
        """Return the name of a client, also of one that has left; "" if it is not known."""
        other = self.client.clients.get(public_id)
        return (other.name if other is not None else "") or self._names.get(public_id, "")

    async def begin(self) -> None:
        """Begin to watch what is sent from now on; if the hub goes meanwhile, at the next one."""
        self.whole = await self._is_told_all()
        if self.whole:
            self.client.on(*self._mtypes)(self._reply_to)
        while True:
            try:
                for other in await self.client.get_clients():
                    self._names[other.public_id] = other.name
                if self.whole:
                    await self.client.settled()
                return
            except (HubLostError, NotRegisteredError):
                await self.client.wait_registered()

    async def _is_told_all(self) -> bool:
        """Whether the hub tells of all traffic; if it goes meanwhile, the next one is asked."""
        while self._connection is not None:
            try:
                await self._connection.traffic()
                return True
            except (HubLostError, HubFaultError, NotRegisteredError) as error:
                if not _means_lost(error):
                    return False
                await self._come_back()
        return False

    async def _come_back(self) -> None:
        await asyncio.sleep(_PAUSE)  # until the client has noticed it, too
        await self.client.wait_registered()

    async def __aiter__(self) -> AsyncGenerator[Seen | Ended | Gap]:
        async with contextlib.aclosing(self._whole()) as items:
            async for item in items:
                yield item
        async with contextlib.aclosing(self._own()) as items:
            async for item in items:
                yield item

    async def _reply_to(self, message: Message) -> Response:
        return await self._answer(message)

    async def _own(self) -> AsyncGenerator[Seen | Ended | Gap]:
        """Yield what is sent to us or to all."""
        answers: dict[str, Response] = {}

        async def answer(message: Message) -> Response:
            answers[message.msg_id or ""] = response = await self._answer(message)
            return response

        async for message in answered(self.client, self._mtypes, answer, WAITING):
            calls = {message.msg_id: self.client.public_id} if message.msg_id is not None else {}
            known = answers.pop(message.msg_id or "", None)
            yield Seen(message, time.time(), calls=calls, to_all=True, answer=known)

    async def _whole(self) -> AsyncGenerator[Seen | Ended | Gap]:
        """Yield what the hub tells, as long as there is one that does."""
        while self.whole:
            assert self._connection is not None
            try:
                lines, missed = await self._connection.traffic()
            except (HubLostError, HubFaultError) as error:
                yield Gap(hub_lost=True)
                await self._next_hub(error)
                continue
            for item in self._items(lines):
                yield item
            if missed:
                note(f"{missed} events were missed: more came than could be taken")
                yield Gap(hub_lost=False)

    async def _next_hub(self, error: SampError) -> None:
        """Wait until there is a hub again; one of another make tells only of what is sent to us."""
        if _means_lost(error):
            await self._come_back()
        else:
            self.client.off(*self._mtypes)
            self.whole = False

    def _items(self, lines: list[dict[str, Any]]) -> list[Seen | Ended]:
        items: list[Seen | Ended] = []
        seen: Seen | None = None  # the last message, as long as there are further recipients of it
        for line in lines:
            if "client" in line:
                self._names[line["client"]] = line["name"] or self._names.get(line["client"], "")
            elif not any(matches(pattern, line["mtype"]) for pattern in self._mtypes):
                continue
            elif line["what"] != "sent":
                items.append(_ended(line))
            else:
                if "same" not in line or seen is None:
                    seen = self._seen(line)
                    items.append(seen)
                self._add_recipient(seen, line)
        return items

    def _seen(self, line: dict[str, Any]) -> Seen:
        sender = line["from"]
        call = line["call"] or None
        content = line.get("message", {"samp.mtype": line["mtype"]})
        message = Message.from_map(content, sender, call, self.name(sender))
        return Seen(message, line.get("time", time.time()))

    def _add_recipient(self, seen: Seen, line: dict[str, Any]) -> None:
        if line["to"] == self.client.public_id and line["from"] != self.client.public_id:
            seen.to_all = True  # nobody else knows of us
        seen.to.append(line["to"])
        if line["call"]:
            seen.calls[line["call"]] = line["to"]


def _means_lost(error: SampError) -> bool:
    """Whether an error says that the hub has gone or does not know us, and not that it cannot do it."""
    return not isinstance(error, HubFaultError) or error.code == FaultCode.NOT_REGISTERED


def _ended(line: dict[str, Any]) -> Ended:
    response = Response.from_map(line["response"]) if "response" in line else None
    about = (line["what"], line["call"], line["mtype"], line["from"], line["to"])
    return Ended(*about, line["seconds"], time.time(), response, line.get("error", ""))


@contextlib.asynccontextmanager
async def traffic_at(identity: Identity, mtypes: Sequence[str], answer: Answer) -> AsyncIterator[Traffic]:
    """Register with the hub that `--hub` names, and watch its traffic until the end of the block."""
    hub, name, meta = identity
    lockfile = await choose_hub(hub)
    standard = lockfile is not None or web_appname() is None
    connection = StandardConnection(lockfile=lockfile) if standard else None
    async with Client(name, metadata=parse_params(meta), connection=connection) as client:
        traffic = Traffic(client, connection, mtypes, answer)
        await traffic.begin()
        yield traffic


async def answered(
    client: Client, mtypes: Sequence[str], answer: Answer, limit: int = 100_000
) -> AsyncGenerator[Message]:
    """Yield the messages of `mtypes`, each call answered when it is taken. `limit` of them may wait."""
    async with client.messages(*mtypes, limit=limit, answer=False) as messages:
        async for message in messages:
            if message.msg_id is not None:
                await _reply(client, message, await answer(message))
            yield message


async def _reply(client: Client, message: Message, response: Response) -> None:
    try:
        await client.reply(message, response)
    except SampError:
        return  # its sender or its hub has gone, or a ping that was answered already
