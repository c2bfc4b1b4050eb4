"""A client of the room as it stands in a hub that runs already: registered there, by its own connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Protocol

from ..client.connection import StandardConnection
from ..delivery import DeliveryError
from ..errors import SampError
from ..limits import Limits
from ..values import Value, ValueMap

__all__ = ["Listener", "StandIn"]

_LAST_ANSWERS = 1.0
"""Seconds for the answers that a client which has left still owes there to arrive."""


class Listener(Protocol):
    """Who is told what is said to a stand-in, at once; raises `FaultError` to refuse it."""

    def heard(self, to: StandIn, sender: str, msg_id: str | None, message: ValueMap) -> None:
        """A message; a notification if there is no `msg_id`."""
        ...

    def answered(self, to: StandIn, responder: str, msg_tag: str, response: ValueMap) -> None:
        """The response to a call of the stand-in's."""
        ...

    def lost(self, who: StandIn, reason: str) -> None:
        """The hub is lost, or has let the stand-in go."""
        ...


class StandIn:
    """One client of the room at the other hub.

    Args:
        client: Its public id in the room's hub of this process.
        listener: Who is told what is said to it.
        lockfile: Where the other hub is found.
        limits: Timeouts and sizes.
        attachment: To which of the listener's attachments to hubs it belongs.

    Attributes:
        public_id: Its public id at the other hub; empty until it is registered.
    """

    def __init__(
        self,
        client: str,
        listener: Listener,
        lockfile: str | os.PathLike[str] | None,
        limits: Limits,
        attachment: int,
    ) -> None:
        self.client = client
        self.attachment = attachment
        self.public_id = ""
        self._listener = listener
        self._connection = StandardConnection(lockfile=lockfile, limits=limits)
        self._ready = asyncio.Event()
        self._error = ""
        self._owed: set[str] = set()
        self._nothing_owed = asyncio.Event()
        self._nothing_owed.set()

    async def register(self) -> str:
        """Register; return the public id. Raises as `Connection.register` does, and OSError."""
        try:
            self.public_id = (await self._connection.register("", self)).self_id
            await self._connection.listen()
        except BaseException as error:
            self._error = str(error) or type(error).__name__
            await self._connection.close()
            raise
        finally:
            self._ready.set()
        return self.public_id

    async def declare(self, metadata: ValueMap, subscriptions: ValueMap) -> None:
        """Say there what the client is. Raises `HubFaultError`, `HubLostError` or `RemoteProtocolError`."""
        await self._connection.ask_hub("declareMetadata", metadata)
        await self._connection.ask_hub("declareSubscriptions", subscriptions)

    async def say(self, operation: str, *params: Value) -> Value:
        """Do an operation for the client, once it is registered. Raises `DeliveryError`."""
        await self._ready.wait()
        if self._error:
            raise DeliveryError(f"its sender could not be registered there: {self._error}")
        try:
            return await self._connection.ask_hub(operation, *params)
        except SampError as error:
            raise DeliveryError(str(error)) from None

    async def reply(self, msg_id: str, response: ValueMap) -> None:
        """Answer a call that came from there. Raises `DeliveryError`."""
        try:
            await self.say("reply", msg_id, response)
        finally:
            self._owed.discard(msg_id)
            if not self._owed:
                self._nothing_owed.set()

    async def leave(self) -> None:
        """Unregister, once what it owes is answered or a second has passed, and close the connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS):
                await self._nothing_owed.wait()
        self._error = self._error or "it has left"
        try:
            with contextlib.suppress(SampError):
                await self._connection.ask_hub("unregister")
        finally:
            await self._connection.close()

    # ---- as the receiver

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        """Take a notification."""
        self._listener.heard(self, sender, None, message)

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        """Take a call."""
        self._listener.heard(self, sender, msg_id, message)
        self._owed.add(msg_id)
        self._nothing_owed.clear()

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        """Take the response to a call of the client's."""
        self._listener.answered(self, responder, msg_tag, response)

    def connection_lost(self, reason: str) -> None:
        """The hub is lost, or has let this client go."""
        self._listener.lost(self, reason)
