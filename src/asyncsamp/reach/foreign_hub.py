"""A hub that runs already, of whatever make: its clients in a room, and the room's clients there.

Each client of one side stands in the other as a client of its own, as JSAMP's bridge does it. Between the two
is a hub engine of this process, which the room's profile has joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

from .._util.threads import values_of
from ..client.connection import StandardConnection
from ..client.rooms import rooms_of
from ..delivery import DeliverCall, DeliverNotification, DeliverResponse, Delivery, DeliveryError
from ..errors import FaultError, HubFaultError, HubLostError, RemoteProtocolError, SampError
from ..hub.profiles.reach.calls import PROGRESS, OpenCalls
from ..hub.profiles.reach.exports import OF_A_BRIDGE, OF_THE_HUB
from ..interfaces import AT_ANOTHER_HUB, Engine
from ..limits import Limits
from ..values import Response, Value, ValueMap
from .stand_in import StandIn

__all__ = ["ForeignHub", "InRoomAlreadyError"]

log = logging.getLogger("asyncsamp.reach")

_AGAIN = 2.0
"""Seconds until a hub that is gone is looked for again."""

_WAITING = 5_000
"""So much of what is said there may wait here; more is refused."""

_EVENTS = ("register", "unregister", "metadata", "subscriptions")

_LAST_WORDS = 1.0
"""Seconds for which a client that has left there is kept, and how many of them are remembered."""

_LEFT = 10_000

_LEAVING = 3.0
"""Seconds for leaving that hub."""

_Job = Callable[[], Awaitable[object]]


class InRoomAlreadyError(SampError):
    """A hub is in the room by itself."""


class ForeignHub:
    """Joins another hub's clients to this process's engine, and is the courier of its clients.

    Args:
        engine: What the room's profile has joined.
        room: What that room is called; a hub that says it is in it already is refused. "" for any hub.
        lockfile: Where the other hub is found; as `SAMP_HUB` and `~/.samp` say if None.
        limits: Timeouts and sizes.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        room: str = "",
        lockfile: str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._room = room
        self._engine = engine
        self._lockfile = lockfile
        self._limits = limits or engine.limits
        self._connection = StandardConnection(lockfile=lockfile, limits=self._limits)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._stand_ins: dict[str, StandIn] = {}  # by their id in the engine
        self._own: set[str] = set()  # ids there: of this program, and the hub's
        self._here: dict[str, str] = {}  # id there -> id in the engine
        self._there: dict[str, str] = {}
        self._calls_there = OpenCalls(self._limits.max_pending_calls)
        self._calls_here = OpenCalls(self._limits.max_pending_calls)
        self._left: dict[str, None] = {}
        self._watched_hub = ""
        self._attachment = 0
        self._end_observing: Callable[[], None] = _nothing

    async def serve(self, attached: Callable[[str], None], lost: Callable[[str], None]) -> None:
        """Attach to the hub, and again when it comes back, until this is cancelled.

        Args:
            attached: Called with the hub's URL each time.
            lost: Called with the reason when there is none, once for each reason.

        Raises:
            InRoomAlreadyError: The hub is in that room by itself, so that its clients would appear twice.
        """
        told = ""
        while True:
            gone = "its hub has gone"
            try:
                await self._attach()
                attached(self._connection.url)
                told = ""
                while True:
                    await self._do(await self._jobs.get())
            except InRoomAlreadyError:
                raise
            except (SampError, OSError) as error:
                if str(error) != told:
                    told = str(error)
                    lost(told)
            except asyncio.CancelledError:
                gone = "the program that has brought it into the room leaves"
                raise
            finally:
                await self._detach(gone)
            await asyncio.sleep(_AGAIN)

    # ---- as the courier of that hub's clients

    async def deliver(self, delivery: Delivery) -> None:
        """Hand over what a client of the room says to one of that hub's. Raises `DeliveryError`."""
        there = self._there.get(delivery.recipient)
        speaker = delivery.responder if isinstance(delivery, DeliverResponse) else delivery.sender
        stand_in = self._stand_ins.get(speaker)
        if speaker == self._engine.hub_id and isinstance(delivery, DeliverNotification):
            return  # what the hub of this process says stays in it
        if there is None or stand_in is None:
            raise DeliveryError("its hub has gone")
        if isinstance(delivery, DeliverResponse):
            await stand_in.reply(delivery.msg_tag, await values_of(delivery.response))
            self._calls_here.answered(delivery.msg_tag)
            return
        message = await values_of(delivery.message)
        if isinstance(delivery, DeliverCall):
            msg_id = await stand_in.say("call", there, delivery.msg_id, message)
            self._calls_there.opened(str(msg_id), delivery.msg_id)
            return
        if message.get("samp.mtype") == PROGRESS:
            message = self._calls_here.renamed(message)
        await stand_in.say("notify", there, message)

    async def is_alive(self, client: str) -> bool:
        """Whether that hub still has the client, as far as it has said."""
        return client in self._there

    def has_unread(self, client: str) -> bool:
        """False: it is not known."""
        return False

    def forget(self, client: str) -> None:
        """The client has been removed."""
        there = self._there.pop(client, None)
        if there is not None:
            self._here.pop(there, None)

    # ---- as the listener of the stand-ins; one of an older attachment is nothing to this one

    def heard(self, to: StandIn, sender: str, msg_id: str | None, message: ValueMap) -> None:
        """A client there says something to one of the room."""
        if to.attachment != self._attachment:
            return
        if str(message.get("samp.mtype")).startswith(OF_THE_HUB):
            if msg_id is not None:
                raise FaultError("what a hub says stays in that hub")
            return
        if self._jobs.qsize() >= _WAITING:
            raise FaultError("too many messages to the room wait")
        self._jobs.put_nowait(partial(self._pass_on, to, sender, msg_id, message))

    def answered(self, to: StandIn, responder: str, msg_tag: str, response: ValueMap) -> None:
        """A client there answers one of the room."""
        if to.attachment == self._attachment:
            self._jobs.put_nowait(partial(self._pass_answer, responder, msg_tag, response))

    def lost(self, who: StandIn, reason: str) -> None:
        """The hub is lost, or has let one of us go: everything begins anew."""
        if who.attachment == self._attachment:
            self._jobs.put_nowait(partial(self._fail, reason))

    # ---- as the receiver of the watching client

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        """Take an event of that hub's."""
        mtype, params = str(message.get("samp.mtype")), message.get("samp.params")
        if sender == self._watched_hub and isinstance(params, dict):
            self._jobs.put_nowait(partial(self._event, mtype.rpartition(".")[2], params))

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        """Take no calls."""
        raise FaultError("this client takes no calls")

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        """Take no responses: it never calls."""

    def connection_lost(self, reason: str) -> None:
        """The hub is lost."""
        self._jobs.put_nowait(partial(self._fail, reason))

    # ---- inside

    async def _attach(self) -> None:
        self._attachment += 1
        self._jobs = asyncio.Queue()  # what was said to the last hub's is nothing to this one
        self._left.clear()  # a hub that was started anew gives the same ids again
        registration = await self._connection.register("", self)
        self._jobs = asyncio.Queue()  # what was said to the last hub's clients is nothing to this one
        self._watched_hub = registration.hub_id
        self._own = {registration.self_id, registration.hub_id}
        ask = self._connection.ask_hub
        if self._room:
            self._check_room(await self._ask("getMetadata", registration.hub_id))
        await ask("declareMetadata", {"samp.name": "room", AT_ANOTHER_HUB: "attached"})
        await self._connection.listen()
        await ask("declareSubscriptions", {f"{OF_THE_HUB}event.{event}": {} for event in _EVENTS})
        self._end_observing = self._engine.observe_clients(self._observed)
        for client in self._engine.clients:
            self._observed("registered", client)
        there = await ask("getRegisteredClients")
        for known in there if isinstance(there, list) else ():
            self._jobs.put_nowait(partial(self._look, str(known)))

    def _check_room(self, metadata: ValueMap) -> None:
        if any(room.name == self._room for room in rooms_of(metadata)):
            raise InRoomAlreadyError(
                f"the hub at {self._connection.url} is in the room {self._room} already, and its clients "
                "with it: nothing is to be done"
            )

    async def _detach(self, reason: str) -> None:
        """Let the clients of both sides go."""
        self._end_observing()
        self._end_observing = _nothing
        for gone in list(self._there):
            self._engine.disconnect(gone, reason)
        stand_ins, self._stand_ins = list(self._stand_ins.values()), {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING):
                leaving = (stand_in.leave() for stand_in in stand_ins)
                await asyncio.gather(*leaving, self._leave(), return_exceptions=True)

    async def _leave(self) -> None:
        try:
            with contextlib.suppress(SampError):
                await self._connection.ask_hub("unregister")
        finally:
            await self._connection.close()

    async def _do(self, job: _Job) -> None:
        try:
            await job()
        except (FaultError, HubFaultError, RemoteProtocolError, DeliveryError) as error:
            log.info("something did not cross: %s", error)

    async def _fail(self, reason: str) -> None:
        raise HubLostError(self._connection.url, "being attached", reason)

    # ---- clients of the room, there

    def _observed(self, what: str, client: str) -> None:
        if client == self._engine.hub_id or self._engine.courier_of(client) is self:
            return
        if what == "registered":
            stand_in = StandIn(client, self, self._lockfile, self._limits, self._attachment)
            self._stand_ins[client] = stand_in
            self._jobs.put_nowait(partial(self._admit, stand_in))
        elif what in ("metadata", "subscriptions"):
            self._jobs.put_nowait(partial(self._declare, client))
        elif what == "unregistered":
            self._jobs.put_nowait(partial(self._take_away, client))

    async def _admit(self, stand_in: StandIn) -> None:
        self._own.add(await stand_in.register())
        await self._declare(stand_in.client)

    async def _declare(self, client: str) -> None:
        standing, stand_in = self._engine.describe(client), self._stand_ins.get(client)
        if standing is not None and stand_in is not None and stand_in.public_id:
            await stand_in.declare(dict(standing.metadata), dict(standing.subscriptions))

    async def _take_away(self, client: str) -> None:
        stand_in = self._stand_ins.get(client)
        if stand_in is not None:
            await stand_in.leave()
            self._stand_ins.pop(client, None)

    # ---- clients there, in the room

    async def _event(self, what: str, params: ValueMap) -> None:
        there = str(params.get("id"))
        if there in self._own:
            return
        if what == "unregister":
            self._left[there] = None
            while len(self._left) > _LEFT:
                del self._left[next(iter(self._left))]
            # What it said last may still come, since each of us is told apart.
            asyncio.get_running_loop().call_later(
                _LAST_WORDS, self._jobs.put_nowait, partial(self._gone, there)
            )
        elif what == "metadata":
            await self._look(there, metadata=params.get("metadata"))
        elif what == "subscriptions":
            await self._look(there, subscriptions=params.get("subscriptions"))

    async def _look(
        self,
        there: str,
        *,
        metadata: Value | None = None,
        subscriptions: Value | None = None,
        speaks: bool = False,
    ) -> str | None:
        """Take in a client that is new or has changed; return its id here, None if it is not to be shown.

        One that has declared nothing yet may be another bridge's, and is taken in only when it speaks.
        """
        if there in self._own or (there in self._left and there not in self._here):
            return self._here.get(there)
        told = metadata if isinstance(metadata, dict) else await self._ask("getMetadata", there)
        takes = (
            subscriptions if isinstance(subscriptions, dict) else await self._ask("getSubscriptions", there)
        )
        if AT_ANOTHER_HUB in told or OF_A_BRIDGE in told:
            await self._gone(there)
            return None
        client = self._here.get(there)
        if client is None:
            if not (told or takes or speaks):
                return None
            client = self._here[there] = self._engine.register(self, remote=True)
            self._there[client] = there
            # Always: the answer to a callAndWait of a client that cannot be called comes as a response to it.
            self._engine.set_callable(client, True)
        kept = {mtype: note for mtype, note in takes.items() if not mtype.startswith(OF_THE_HUB)}
        await self._engine.operate(client, "declareMetadata", [told])
        await self._engine.operate(client, "declareSubscriptions", [kept])
        return client

    async def _ask(self, operation: str, there: str) -> ValueMap:
        try:
            answer = await self._connection.ask_hub(operation, there)
        except HubFaultError:  # it has left meanwhile
            return {}
        return answer if isinstance(answer, dict) else {}

    async def _gone(self, there: str) -> None:
        client = self._here.get(there)
        if client is not None:
            await self._engine.operate(client, "unregister", [])

    async def _pass_on(self, to: StandIn, sender: str, msg_id: str | None, message: ValueMap) -> None:
        try:
            client = self._here.get(sender) or await self._look(sender, speaks=True)
            if client is None:
                raise FaultError("its sender is not shown to the room")
            if msg_id is not None:
                number = await self._engine.operate(client, "call", [to.client, msg_id, message])
                self._calls_here.opened(str(number), msg_id)
                return
            if message.get("samp.mtype") == PROGRESS:
                message = self._calls_there.renamed(message)
            await self._engine.operate(client, "notify", [to.client, message])
        except FaultError as error:
            if msg_id is None:
                raise
            await to.reply(msg_id, Response.failure(error.text).to_map())

    async def _pass_answer(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        client = self._here.get(responder)
        if client is not None:
            self._calls_there.answered(msg_tag)
            await self._engine.operate(client, "reply", [msg_tag, response])


def _nothing() -> None:
    """Do nothing."""
