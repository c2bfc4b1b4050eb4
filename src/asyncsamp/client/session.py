"""A client's stay at a hub: registering, staying registered, leaving (CLIENT-1, CLIENT-7..10, CLIENT-15)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from enum import Enum

from ..errors import FaultCode, HubFaultError, HubLostError, NotRegisteredError, SampError
from ..interfaces import Connection, Registration
from ..limits import Limits
from ..mtypes import HUB_EVENTS
from ..values import Response, Value, ValueMap
from .inbox import Inbox

__all__ = ["Session", "State"]

log = logging.getLogger("asyncsamp.client")

# What every callable client of ours subscribes to (CLIENT-12, CLIENT-14, MTYPE-25, MTYPE-33).
_OWN_SUBSCRIPTIONS = ("samp.app.ping", *HUB_EVENTS, "samp.hub.disconnect", "samp.msg.progress")


class State(Enum):
    """Where a session stands. OUT is its beginning and its end."""

    OUT = "not registered"
    IN = "registered"
    LOST = "looking for a hub"


class Session:
    """From `begin` to `end` of one registration, with all reconnections between.

    It belongs to the event loop in which it was made. One task supervises it: that comes
    back when the hub is lost, and leaves properly if the loop is closed before `end`.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        inbox: Inbox,
        limits: Limits,
        *,
        metadata: Callable[[], ValueMap],
        reconnect: bool,
    ) -> None:
        self.state = State.OUT
        self.registration = Registration("", "")
        self.work = AsyncExitStack()  # closed before we say goodbye: what may still have calls to answer
        self.belongings = AsyncExitStack()  # closed when the session has ended
        self._name = name
        self._connection = connection
        self._inbox = inbox
        self._limits = limits
        self._metadata = metadata
        self._reconnect = reconnect
        self._loop = asyncio.get_running_loop()
        self._supervisor: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._decided = asyncio.Event()  # set but while we look for a hub, or register
        self._lost_reason = ""
        self._leaving = False
        self._over = False
        self._still_known = False
        self._callable = False
        self._undeclared = False
        self._declaring: asyncio.Task[None] | None = None
        self._following = False
        self._stock_taking = asyncio.Lock()

    # ---- coming and going

    async def begin(self) -> None:
        """Register and stay registered. If it fails or is cancelled, nothing is left behind.

        Raises what `Connection.register` does, and `HubFaultError` if the hub refuses what we declare.
        """
        try:
            await self._register()
        except BaseException:
            await self._inbox.end_handlers(0)
            raise
        self._supervisor = self._loop.create_task(self._supervise(), name=f"asyncsamp-client-{self._name}")

    async def end(self) -> None:
        """Leave. Everything is closed at its end, also when it is cancelled."""
        if self._over:
            return
        assert self._supervisor is not None
        self._leaving = True
        self._supervisor.cancel()
        try:
            await asyncio.wait({self._supervisor})
        finally:
            await self._leave()

    @property
    def leaving(self) -> bool:
        """Whether `end` is under way, or over."""
        return self._leaving

    async def wait_registered(self) -> None:
        """Return once the client is registered and the hub knows all about it. Cancelling is safe.

        Raises `NotRegisteredError` or `HubLostError` if it is not even looking for a hub.
        """
        while self.state is not State.IN or not self._decided.is_set():
            await self._decided.wait()
            if self.state is State.OUT:
                self.require("wait for a hub")

    def hub_lost(self, reason: str, *, come_back: bool, still_known: bool = False) -> None:
        """The hub went away, or threw us out (then `come_back` is false, CLIENT-10).

        `still_known`: it went without a word, so that it may come back and know us still. After
        a proper shutdown the registration is void (CLIENT-9).
        """
        if self.state is not State.IN:
            return
        self._still_known = still_known
        log.warning("client %r lost its hub: %s", self._name, reason)
        self._lost_reason = reason
        if self._reconnect and come_back and not self._leaving:
            self.state = State.LOST
            self._decided.clear()
        else:
            self.state = State.OUT
        self._inbox.end(self._loss(reason))
        self._lost.set()

    # ---- operations

    def require(self, operation: str) -> None:
        """Raise `HubLostError` or `NotRegisteredError` unless the client is registered."""
        if self.state is State.IN:
            return
        if self._lost_reason:
            raise HubLostError(self._connection.url, operation, self._lost_reason)
        raise NotRegisteredError(self._name, operation)

    async def operate(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation.

        Raises `HubFaultError` if the hub refuses, `HubLostError` if it is lost or goes away,
        `NotRegisteredError`. A hub that knows us no more is lost, too.
        """
        self.require(operation)
        try:
            return await self._connection.operate(operation, *params, timeout=timeout)
        except HubFaultError as error:
            if error.code == FaultCode.SHUTTING_DOWN:
                raise HubLostError(self._connection.url, operation, error.text) from error
            if error.code == FaultCode.NOT_REGISTERED:
                self.hub_lost("it does not know this client any more", come_back=True)
            raise

    async def send_reply(self, msg_id: str, response: Response) -> None:
        """Answer a call."""
        await self.operate("reply", msg_id, response.to_map())

    # ---- subscriptions and the others

    async def become_callable(self) -> None:
        """Let the hub call us, once (CLIENT-2). Raises as `operate` does; cancelling is safe."""
        while not self._callable:
            self.require("listen")
            self.subscriptions_changed()
            await self.settled()

    def subscriptions_changed(self) -> None:
        """Tell the hub, in a task since decorators cannot await; several changes at once are told once."""
        self._undeclared = True
        if self.state is State.IN and (self._declaring is None or self._declaring.done()):
            name = f"asyncsamp-declare-{self._name}"
            self._declaring = self._loop.create_task(self._declare(), name=name)
            self._declaring.add_done_callback(self._declared)

    async def settled(self) -> None:
        """Return once the hub knows every subscription. Cancelling is safe.

        While a hub is looked for there is nothing to wait for: the next one is told everything.
        Raises what the hub said when it was told, if it refused.
        """
        declaring = self._declaring
        if declaring is None or self.state is not State.IN:
            return
        # Not awaited as such: the end of that task is not the end of this one.
        await asyncio.wait({declaring})
        if self._declaring is not declaring:
            await self.settled()  # changed again, meanwhile
        elif declaring.cancelled():
            self.require("declare its subscriptions")
        else:
            declaring.result()

    async def follow(self) -> None:
        """Begin to keep the view of the other clients, once. Raises as `operate` does."""
        self.require("look for other clients")
        async with self._stock_taking:
            if not self._following:
                await self.become_callable()
                await self._inbox.others.take_stock(self.operate)
                self._following = True

    # ---- inside

    async def _register(self) -> None:
        before = self.state
        try:
            self.registration = await self._connection.register(self._name, self._inbox)
            self._lost.clear()
            self._callable = False
            self._inbox.begin(self, self.registration)
            self.state = State.IN
            await self.operate("declareMetadata", self._metadata())
            if self._inbox.router or self._following or self._undeclared:
                await self.become_callable()
            if self._following:
                await self._inbox.others.take_stock(self.operate)
            self.require("register")  # it may be lost by now
        except BaseException:
            # A hub that has let us in should not keep us.
            await self._withdraw(before, self._loss("the registration failed"))
            raise
        self._lost_reason = ""
        self._decided.set()
        id_, url = self.registration.self_id, self._connection.url
        log.info("client %r registered as %s at %s", self._name, id_, url)

    def _loss(self, reason: str) -> Callable[[], SampError]:
        return lambda: HubLostError(self._connection.url, "the wait for a response", reason)

    async def _supervise(self) -> None:
        """While the client is registered: when the hub is lost, come back, or let go."""
        try:
            while True:
                await self._lost.wait()
                if self.state is not State.LOST or not self._still_known:
                    await self._let_go()
                if self.state is not State.LOST:
                    self._inbox.close_streams()
                    return
                await self._come_back()
        except asyncio.CancelledError:
            if not self._leaving:
                # asyncio.run is over, and nobody has unregistered.
                self._leaving = True
                await self._leave()
            raise

    async def _come_back(self) -> None:
        pause = self._limits.reconnect_first
        while True:
            await asyncio.sleep(pause)
            try:
                if self._still_known:
                    if await self._connection.resume():
                        return await self._resume()
                    self._still_known = False
                    await self._let_go()
                return await self._register()
            except (SampError, OSError) as error:
                log.debug("client %r found no hub yet: %s", self._name, error)
            except Exception:
                log.exception("client %r failed to register again; it goes on trying", self._name)
            pause = min(2 * pause, self._limits.reconnect_last)

    async def _resume(self) -> None:
        """Go on with the old registration: the hub has come back with it, and learns what is new."""
        self._lost.clear()
        self._inbox.begin(self, self.registration)
        self.state = State.IN
        try:
            await self.operate("declareMetadata", self._metadata())
            if self._undeclared:
                self.subscriptions_changed()
                await self.settled()
            if self._following:
                await self._inbox.others.take_stock(self.operate)
            self.require("go on")  # it may be lost again by now
        except BaseException:
            self.state = State.LOST
            raise
        self._lost_reason = ""
        self._decided.set()
        log.info("client %r is registered still, at %s", self._name, self._connection.url)

    async def _leave(self) -> None:
        """Finish what is under way, say goodbye, close; each of it also if what came before failed."""
        try:
            await self._inbox.close(self._limits.close_timeout)
        finally:
            self._lost_reason = ""
            self._over = True
            async with self.belongings:
                try:
                    await self._finish()
                finally:
                    await self._withdraw(
                        State.OUT, lambda: NotRegisteredError(self._name, "receive a response")
                    )

    async def _finish(self) -> None:
        """End the work, and answer each call that is owed an answer still while we can (CLIENT-5, MSG-23)."""
        deadline = self._loop.time() + self._limits.close_timeout
        try:
            await self.work.aclose()
        finally:
            await self._inbox.answer_owed(deadline)

    async def _withdraw(self, state: State, error: Callable[[], SampError]) -> None:
        """Be in `state` from now on: say goodbye, let the calls that wait fail with `error()`, close."""
        registered = self.state is State.IN
        self.state = state
        if state is State.OUT:
            self._decided.set()
        try:
            if registered:
                await self._connection.operate("unregister", timeout=self._limits.close_timeout)
        except SampError as refusal:
            log.info("client %r could not unregister: %s", self._name, refusal)
        finally:
            self._inbox.end(error)
            await self._let_go()

    async def _let_go(self) -> None:
        """Close the connection, and end what uses it."""
        if self._declaring is not None:
            self._declaring.cancel()
        await self._connection.close()
        if self._declaring is not None:
            await asyncio.wait({self._declaring})

    async def _declare(self) -> None:
        while self._undeclared and self.state is State.IN:
            self._undeclared = False
            await self._connection.listen()
            declared = self._inbox.router.subscriptions(_OWN_SUBSCRIPTIONS)
            await self.operate("declareSubscriptions", declared)
            self._callable = True

    def _declared(self, task: asyncio.Task[None]) -> None:
        """Say it here if the hub refused, since perhaps nobody waits for it."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._undeclared = True
            log.warning("client %r could not declare its subscriptions: %s", self._name, error)
