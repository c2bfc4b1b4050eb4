"""A crowd of generated clients at one hub, or at the forwarder, which knows no registration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .ledger import Ledger
from .rawxml import TOKEN, call, string, strings, struct
from .wire import CallbackServer, Link, LinkError

__all__ = ["MTYPE", "Crowd", "Member", "Target", "tasks_of"]

MTYPE = "test.echo"

_AT_ONCE = 20  # registrations under way
_LEAVING = 20.0  # seconds for all to unregister
_KEY = re.compile(rb"samp\.private-key</name>\s*<value>\s*(?:<string>)?\s*([^<\s]*)")
_SELF = re.compile(rb"samp\.self-id</name>\s*<value>\s*(?:<string>)?\s*([^<\s]*)")


@dataclass(frozen=True)
class Target:
    """Where to send: a hub by URL and secret, or the forwarder by its URL."""

    url: str
    secret: str = ""
    forwards: bool = False


@dataclass
class Member:
    """One generated client."""

    number: int
    link: Link
    key: str = "k-00000000000000000000000000000000"
    id: str = ""


@dataclass
class Crowd:
    """`count` registered clients, called back at one port; what comes goes into the ledger."""

    target: Target
    count: int
    subscribed_from: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    members: list[Member] = field(default_factory=list)
    on_call: Callable[[Member, str, bytes], None] | None = None
    on_response: Callable[[Member, bytes], None] | None = None
    broadcast: bool = False
    faults: dict[str, int] = field(default_factory=dict)

    async def __aenter__(self) -> Crowd:
        self._server = CallbackServer(self._receive)
        await self._server.start()
        parts = urlsplit(self.target.url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path or "/"
        for number in range(self.count):
            path = f"/{self._server.port}/c{number}" if self.target.forwards else self._path
            self.members.append(Member(number, Link(self._host, self._port, path), id=f"c{number}"))
        if not self.target.forwards:
            await tasks_of(self._register, self.members, _AT_ONCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if not self.target.forwards:
                async with asyncio.timeout(_LEAVING):
                    await tasks_of(self._unregister, self.members, _AT_ONCE)
        except TimeoutError:
            self.note(LinkError(f"unregistering did not end within {_LEAVING:g} s"))
        finally:
            for member in self.members:
                member.link.close()
            self._server.close()
            await asyncio.sleep(0)

    @property
    def deliveries_opened(self) -> int:
        """How many connections were opened to call the crowd back."""
        return self._server.accepted

    async def hub(self, member: Member, operation: str, *params: str) -> bytes:
        """Do a hub operation as `member`; the params are XML. Raises `LinkError`."""
        return await member.link.ask(call(f"samp.hub.{operation}", string(member.key), *params))

    def note(self, error: LinkError) -> None:
        """Count a refusal, by its text."""
        text = str(error)[:120]
        self.faults[text] = self.faults.get(text, 0) + 1

    async def register(self, member: Member) -> None:
        """Register one member and name its callback; JSAMP's hub takes no subscriptions before it."""
        answer = await member.link.ask(call("samp.hub.register", string(self.target.secret)))
        key, own = _KEY.search(answer), _SELF.search(answer)
        if key is None or own is None:
            raise LinkError("the answer to register lacks the private key or the public id")
        member.key, member.id = key[1].decode("ascii"), own[1].decode("ascii")
        url = f"http://127.0.0.1:{self._server.port}/c{member.number}"
        await self.hub(member, "setXmlrpcCallback", string(url))

    async def _register(self, member: Member) -> None:
        await self.register(member)
        await self.hub(member, "declareMetadata", struct({"samp.name": string(f"load {member.number}")}))
        if member.number >= self.subscribed_from:
            await self.hub(member, "declareSubscriptions", struct({MTYPE: struct({})}))

    async def _unregister(self, member: Member) -> None:
        try:
            await self.hub(member, "unregister")
        except LinkError as error:
            self.note(error)

    def _receive(self, path: str, body: bytes) -> None:
        if path == "/":
            return
        number = int(path.rpartition("c")[2])
        member = self.members[number]
        kind = body[:400]
        if b"receiveResponse" in kind:
            if self.on_response is not None:
                self.on_response(member, body)
            return
        found = TOKEN.search(body)
        if found is None:
            if b"samp.hub" not in body:
                self.ledger.strange += 1
            return
        sender, recipient, count = int(found[1]), int(found[2]), int(found[3])
        if recipient != number and not self.broadcast:
            self.ledger.strange += 1
            return
        self.ledger.receive(sender, number, count)
        if self.on_call is not None and b"receiveCall" in kind:
            self.on_call(member, strings(body, 3)[2], found[0])


async def tasks_of(work: Callable[[Member], object], members: list[Member], at_once: int) -> None:
    """Do `work` for each member, `at_once` at a time."""
    waiting = iter(members)

    async def worker() -> None:
        for member in waiting:
            result = work(member)
            assert asyncio.iscoroutine(result)
            await result

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(members))):
            group.create_task(worker())
