"""The clients of one other hub, as they stand in this one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from ...._util.sizing import measure_size
from ....errors import FaultError
from ....interfaces import AT_ANOTHER_HUB
from ....mtypes import is_subscription
from ....values import Value, ValueMap
from ...rate_limit import RateLimit
from .context import Context
from .exports import MEMBER, NAME, OF_REACH, OF_THE_HUB
from .subjects import member_of
from .wire import RemoteClient

__all__ = ["Proxies", "Proxy"]

log = logging.getLogger("asyncsamp.reach")

_IN_ONE_TURN = 50
"""Clients that are taken in, or not, in one turn of the loop: a hub may say that it has millions."""


class Proxy:
    """A client here that stands for one of another hub.

    Attributes:
        client: Its public id here.
        remote: Its public id there.
        turn: Held by the delivery whose turn it is, so that the order is kept while it waits.
        paused: Whether the client does not take its messages there.
        passing: The sender of each delivery to it that is under way.
    """

    def __init__(self, client: str, remote: str) -> None:
        self.client = client
        self.remote = remote
        self.turn = asyncio.Lock()
        self.paused = False
        self.passing: list[str] = []
        self.held = ExitStack()


class Proxies:
    """Registers, declares and removes the clients of one other hub.

    Args:
        context: Of the room.
        hub: The other hub's name on the bus.
        label: Returns its name for people.
        room_for_one: Whether one more client of other hubs may be taken in.
        unwanted: Its clients that the user removed here before the hub was given up.
    """

    def __init__(
        self,
        context: Context,
        hub: str,
        label: Callable[[], str],
        room_for_one: Callable[[], bool],
        unwanted: Iterable[str] = (),
    ) -> None:
        self._context = context
        self._hub = hub
        self._member = member_of(hub)
        self._label = label
        self._room_for_one = room_for_one
        self.by_remote: dict[str, Proxy] = {}
        self.by_client: dict[str, Proxy] = {}
        self._unwanted = set(unwanted)  # removed here by the user, until they leave there
        limits = context.engine.limits
        self._rate = RateLimit(limits.registrations_per_second, limits.reach_clients)

    def __len__(self) -> int:
        return len(self.by_remote)

    @property
    def unwanted(self) -> frozenset[str]:
        """Those that the user has removed here: they stay away until they leave there."""
        return frozenset(self._unwanted)

    async def show(self, told: RemoteClient) -> None:
        """Take in a client that is new or has changed. Cancelling leaves it as far as it has come."""
        proxy = self.by_remote.get(told.client) or await self._register(told.client)
        if proxy is None:
            return
        if not self._is_too_much(told.metadata):
            await self._declare(proxy, "declareMetadata", await self._metadata(told.metadata))
        if not self._is_too_much(told.subscriptions):
            await self._declare(proxy, "declareSubscriptions", _subscriptions(told.subscriptions))

    def _is_too_much(self, declared: ValueMap) -> bool:
        """Whether the hub would refuse it anyway: millions of names are not even looked at."""
        most = self._context.engine.limits.declared
        if measure_size(declared, most) <= most:
            return False
        log.info("what a client of the hub %s says of itself takes more than %d bytes", self._label(), most)
        return True

    async def _declare(self, proxy: Proxy, operation: str, declared: ValueMap) -> None:
        try:
            await self._context.engine.operate(proxy.client, operation, [declared])
        except FaultError as error:  # removed meanwhile, or it is too much
            log.info("%s of a client of the hub %s was refused: %s", operation, self._label(), error.text)

    async def sync(self, clients: list[RemoteClient]) -> None:
        """Take in those, and remove all others."""
        there = {each.client for each in clients}
        self._unwanted &= there
        for remote in [remote for remote in self.by_remote if remote not in there]:
            await self.remove(remote)
        for number, each in enumerate(clients):
            if not number % _IN_ONE_TURN:
                await asyncio.sleep(0)
            await self.show(each)

    async def remove(self, remote: str) -> None:
        """Unregister a client that has left there: the calls that it owes an answer end."""
        self._unwanted.discard(remote)
        proxy = self._forget(remote)
        if proxy is not None:
            with contextlib.suppress(FaultError):
                await self._context.engine.operate(proxy.client, "unregister", [])

    def leave(self, remote: str) -> None:
        """Unregister a client without waiting until the state file says so."""
        proxy = self._forget(remote)
        if proxy is not None:
            with contextlib.suppress(FaultError):
                begun = self._context.engine.begin(proxy.client, "unregister", [], hold=False)
                if asyncio.iscoroutine(begun):
                    begun.close()

    def remove_all(self, reason: str) -> None:
        """Remove all clients, since their hub is gone: who waits for an answer of them is told why."""
        for remote in list(self.by_remote):
            proxy = self._forget(remote)
            if proxy is not None:
                self._context.engine.disconnect(proxy.client, reason)

    def removed(self, client: str) -> None:
        """The hub has removed the client: if we have not, the user has, and it stays away."""
        proxy = self.by_client.get(client)
        if proxy is not None:
            self._forget(proxy.remote)
            self._unwanted.add(proxy.remote)

    def _forget(self, remote: str) -> Proxy | None:
        proxy = self.by_remote.pop(remote, None)
        if proxy is not None:
            del self.by_client[proxy.client]
            proxy.held.close()
        return proxy

    async def _register(self, remote: str) -> Proxy | None:
        if remote in self._unwanted or not self._room_for_one():
            return None
        context = self._context
        if not self._rate.take(context.clock()):
            await asyncio.sleep(1.0 / context.engine.limits.registrations_per_second)
        may_send = None if context.trusts(self._member) else context.may_send
        try:
            client = context.engine.register(context.courier, may_send, remote=True)
        except FaultError as error:
            log.warning("a client of the hub %s is not shown here: %s", self._label(), error.text)
            return None
        proxy = self.by_remote[remote] = self.by_client[client] = Proxy(client, remote)
        proxy.held.enter_context(context.engine.listening(client))  # it is as idle as it is there
        # Always: the answer to a callAndWait of a client that cannot be called comes as a response to it.
        context.engine.set_callable(client, True)
        return proxy

    async def _metadata(self, told: ValueMap) -> ValueMap:
        value = await self._context.received(self._member, told)
        metadata: ValueMap = {key: item for key, item in value.items() if not key.startswith(OF_REACH)}
        metadata[AT_ANOTHER_HUB] = self._label()
        if self._context.named:
            metadata[MEMBER] = self._member
        name: Value | None = metadata.get("samp.name")
        if isinstance(name, str) and name:
            metadata[NAME] = name
            metadata["samp.name"] = f"{name} @{self._label()}"
        return metadata


def _subscriptions(told: ValueMap) -> ValueMap:
    return {
        key: item
        for key, item in told.items()
        if is_subscription(key) and not key.startswith(OF_THE_HUB) and isinstance(item, dict)
    }
