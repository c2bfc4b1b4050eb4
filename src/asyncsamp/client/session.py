"""A client's stay at a hub: registering, staying registered, leaving (CLIENT-1, CLIENT-7..10, CLIENT-15).

A session is always in one `State`, and moves only along the arrows of `_NEXT`; any other move is an
error of this package.

    NEW -> REGISTERING -> REGISTERED -> LEAVING -> CLOSED
                ^  |          |  ^
                |  v          v  |
                LOST <--------+  |        from every state but NEW and LEAVING also to CLOSED
                  |  ^           |
                  v  |           |
                RESUMING --------+

There is a hub in two of the states, REGISTERED and LEAVING: these allow operations, so that calls are
still answered while the client leaves. In LOST and the two states that lead out of it the next hub is
looked for. CLOSED is the end: no hub, and none is looked for.

A hub that has let us in is then told about us, still in one state, REGISTERED: messages may come at
once, and their handlers must be able to answer. Who wants to wait until it knows all waits for
`wait_registered`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from enum import Enum, auto

from ..errors import (
    FaultCode,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    NotRegisteredError,
    SampError,
    WrongLoopError,
)
from ..interfaces import Connection, Registration
from ..limits import Limits
from ..values import Response, Value, ValueMap
from .declarations import Declarations
from .hub_changes import HubChange, HubChanges
from .inbox import Inbox
from .loop_check import running_in

__all__ = ["HubMaker", "Session", "State"]

log = logging.getLogger("asyncsamp.client")

HubMaker = Callable[[], AbstractAsyncContextManager[object]]
"""Makes what runs a hub in this process as long as it is entered."""

_RESTART_GRACE = 1.0
"""Seconds in which a hub that went may come back before a hub of our own takes its place."""


class State(Enum):
    """Where a session stands."""

    NEW = auto()
    REGISTERING = auto()
    REGISTERED = auto()
    LOST = auto()
    RESUMING = auto()
    LEAVING = auto()
    CLOSED = auto()


_NEXT = {
    State.NEW: {State.REGISTERING},
    State.REGISTERING: {State.REGISTERED, State.LOST, State.CLOSED},
    State.REGISTERED: {State.LOST, State.LEAVING, State.CLOSED},
    State.LOST: {State.REGISTERING, State.RESUMING, State.CLOSED},
    State.RESUMING: {State.REGISTERED, State.LOST, State.CLOSED},
    State.LEAVING: {State.CLOSED},
    State.CLOSED: set[State](),
}
"""The moves that are allowed."""

_AT_HUB = (State.REGISTERED, State.LEAVING)
"""A tuple, which compares by identity: a set asks each state for its hash."""


class Session:
    """From `begin` to `end` of one registration, with all reconnections between.

    It belongs to the event loop in which it was made. One task supervises it: that comes
    back when the hub is lost, and leaves properly if the loop is closed before `end`.

    Args:
        name: The client's name.
        connection: The way to the hub.
        inbox: Where what comes from the hub goes.
        changes: Who is told that the hub is lost, or there again.
        limits: Timeouts in seconds, and sizes in bytes.
        metadata: Gives what the client declares of itself at the moment.
        reconnect: Whether to look for the next hub when one is lost.
        hub: Makes what runs a hub in this process, for when there is none.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        inbox: Inbox,
        changes: HubChanges,
        limits: Limits,
        *,
        metadata: Callable[[], ValueMap],
        reconnect: bool,
        hub: HubMaker | None,
    ) -> None:
        self.state = State.NEW
        self.registration = Registration("", "")
        self.loop = asyncio.get_running_loop()
        self.work = AsyncExitStack()  # closed before we say goodbye: what may still have calls to answer
        self.declarations = Declarations(name, connection, inbox.router, self)
        self._name = name
        self._connection = connection
        self._inbox = inbox
        self._changes = changes
        self._limits = limits
        self._metadata = metadata
        self._reconnect = reconnect
        self._make_hub = hub
        self._own_hub = AsyncExitStack()
        self._supervisor: asyncio.Task[None] | None = None
        self._loop_ended = False
        self._lost = asyncio.Event()
        self._lost_reason = ""
        self._lost_at = 0.0
        self._hub_heard = asyncio.Event()  # in LOST: a hub that knew us has called
        self._found_none: HubNotFoundError | None = None  # what the first look for a hub said
        self._resumable = False
        self._decided = asyncio.Event()  # set but while we look for a hub, or tell it about us
        self._following = False
        self._stock_taking = asyncio.Lock()

    # ---- where it stands

    @property
    def registered(self) -> bool:
        """Whether a hub has let us in, and we are not about to leave it."""
        return self.state is State.REGISTERED

    @property
    def at_hub(self) -> bool:
        """Whether there is a hub to ask."""
        return self.state in _AT_HUB

    @property
    def leaving(self) -> bool:
        """Whether `end` is under way, or over."""
        return self.state in (State.LEAVING, State.CLOSED) and self._supervisor is None

    def describe(self) -> str:
        """Return where it stands, for people."""
        if self.registered:
            return "registered"
        if self.state is State.LEAVING:
            return "leaving"
        return "not registered" if self.state in (State.NEW, State.CLOSED) else "looking for a hub"

    def require(self, operation: str) -> None:
        """Raise `HubLostError`, `HubNotFoundError` or `NotRegisteredError` unless there is a hub to ask."""
        if self.at_hub:
            return
        if self._found_none is not None and self.state is not State.CLOSED:
            looked_at = self._found_none.looked_at
            raise HubNotFoundError(*looked_at, looking=self._looking(), starts=self._make_hub is not None)
        if not self._lost_reason:
            raise NotRegisteredError(self._name, operation, loop_ended=self._loop_ended)
        raise self._loss(self._lost_reason, operation)()

    def check_loop(self, operation: str) -> None:
        """Raise `WrongLoopError` outside of the event loop of the session, unless it is over."""
        if self.state is not State.CLOSED and not running_in(self.loop):
            raise WrongLoopError(self._name, operation, ended=not self.loop.is_running())

    def _looking(self) -> float | None:
        """Return for how many seconds a hub has been looked for; None if none is."""
        if self._supervisor is None or self.state is State.CLOSED or not self._lost_at:
            return None
        return self.loop.time() - self._lost_at

    async def wait_registered(self) -> None:
        """Return once the client is registered and the hub knows all about it. Cancelling is safe.

        Raises `NotRegisteredError` if it leaves, `HubLostError` if it is not even looking for a hub.
        """
        while not self.registered or not self._decided.is_set():
            if self.state is State.LEAVING:
                raise NotRegisteredError(self._name, "wait for a hub", loop_ended=self._loop_ended)
            if self.state is State.CLOSED:
                self.require("wait for a hub")
            await self._decided.wait()

    def _move(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise AssertionError(f"a session does not go from {self.state.name} to {state.name}")
        self.state = state

    # ---- coming and going

    async def begin(self, *, wait: bool = False) -> None:
        """Register and stay registered. If it fails or is cancelled, nothing is left behind.

        With `wait` it returns also if there is no hub yet, and looks for one as after a loss.

        Raises what `Connection.register` does, and `HubFaultError` if the hub refuses what we declare.
        """
        try:
            await self._register_or_start_hub()
        except BaseException as error:
            # One that may not come back is closed by then.
            looks = wait and self.state is not State.CLOSED
            if not looks or not isinstance(error, HubNotFoundError | HubLostError):
                self._close()
                async with self._own_hub:
                    await self._inbox.end_handlers(0)
                raise
            log.warning("client %r is at no hub yet and goes on looking: %s", self._name, error)
            if isinstance(error, HubNotFoundError):
                self._found_none = error
                self._note_loss("")
            else:  # it went while it let us in
                self._note_loss(error.reason)
        self._supervisor = self.loop.create_task(self._supervise(), name=f"asyncsamp-client-{self._name}")

    async def wait_for_first_hub(self, timeout: float) -> None:
        """Return once registered. If it fails or is cancelled, the session is ended.

        Args:
            timeout: Seconds to wait.

        Raises:
            HubNotFoundError: There was no hub in that time.
        """
        try:
            async with asyncio.timeout(timeout):
                await self.wait_registered()
        except BaseException as error:
            await self.end()
            if not isinstance(error, TimeoutError):
                raise
            looked_at = (self._connection.url,) if self._found_none is None else self._found_none.looked_at
            raise HubNotFoundError(*looked_at, waited=timeout) from None

    async def end(self) -> None:
        """Leave. Everything is closed at its end, also when it is cancelled."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        self._begin_to_leave()
        supervisor.cancel()
        try:
            await asyncio.wait({supervisor})
        finally:
            await self._leave()

    def hub_lost(self, reason: str, *, come_back: bool, still_known: bool = False) -> None:
        """The hub went away, or threw us out (then `come_back` is false, CLIENT-10).

        `still_known`: it went without a word, so that it may come back and know us still. After
        a proper shutdown the registration is void (CLIENT-9).
        """
        if not self.at_hub:
            return
        level = logging.WARNING if self.registered else logging.INFO  # which who leaves does not care about
        log.log(level, "client %r lost its hub: %s", self._name, reason)
        if self._reconnect and come_back and self.registered:
            self._move(State.LOST)
            self._decided.clear()
        else:
            self._close()
        self._resumable = still_known
        self._note_loss(reason)
        self._inbox.end(self._loss(reason))
        self._changes.tell(HubChange(connected=False, url=self._connection.url, reason=reason))

    # ---- operations

    async def request(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Ask the hub for one operation.

        Raises `HubFaultError` if the hub refuses, `HubLostError` if it is lost or goes away,
        `NotRegisteredError`. A hub that knows us no more is lost, too.
        """
        self.require(operation)
        try:
            return await self._connection.ask_hub(operation, *params, timeout=timeout)
        except HubFaultError as error:
            if error.code == FaultCode.SHUTTING_DOWN:
                raise self._loss(error.text, operation)() from error
            if error.code == FaultCode.NOT_REGISTERED:
                self.hub_lost("it does not know this client any more", come_back=True)
            raise
        except HubLostError as error:
            raise self.advised(error) from error.__cause__

    def advised(self, error: HubLostError) -> HubLostError:
        """Return what a connection has raised with what the client does about it.

        Args:
            error: The error of the connection.
        """
        return self._loss(error.reason, error.operation)()

    async def send_reply(self, msg_id: str, response: Response) -> None:
        """Answer a call. Raises as `request` does.

        A hub that comes back and knows us still may bring a call before we have looked for it: the
        call is taken as the sign to look, and answered once we are registered again.
        """
        registration = self.registration
        if self.state in (State.LOST, State.RESUMING) and self._resumable:
            self._hub_heard.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._decided.wait(), self._limits.request_timeout)
        if self.registration is registration:  # to another hub the msg-id means nothing
            await self.request("reply", msg_id, response.to_map())

    async def follow(self) -> None:
        """Bring the view of the other clients up to date, and keep it so. Raises as `request` does."""
        self.require("look for other clients")
        async with self._stock_taking:
            await self.declarations.become_callable()
            # Each time, since events about somebody who has just come may still be on their way.
            await self._inbox.others.take_stock(self.request)
            self._following = True

    @property
    def following(self) -> bool:
        """Whether the view of the other clients is kept."""
        return self._following and self.at_hub

    # ---- inside: to a hub

    async def _register_or_start_hub(self) -> None:
        """Register; if there is no hub, with one of our own if that is wanted."""
        try:
            await self._register()
        except HubNotFoundError:
            recent = self.loop.time() < self._lost_at + _RESTART_GRACE
            if self._make_hub is None or (self._lost_at and recent):
                raise
            await self._own_hub.aclose()
            await self._own_hub.enter_async_context(self._make_hub())
            await self._register()

    async def _register(self) -> None:
        """Go to REGISTERED and tell the hub about us; to LOST if that fails."""
        self._move(State.REGISTERING)
        try:
            self.registration = await self._connection.register(self._name, self._inbox)
            self.declarations.begin()
            await self._introduce()
        except BaseException:
            # A hub that has let us in should not keep us; if we are leaving, `_leave` says so.
            if self.state is not State.LEAVING:
                registered = self.registered
                self._look_again()
                await self._withdraw(self._loss("the registration failed"), goodbye=registered)
            raise
        self._be_registered(f"registered as {self.registration.self_id} at {self._connection.url}")

    async def _resume(self) -> bool:
        """Go on with the old registration if the hub is back and knows it; return whether it does."""
        self._move(State.RESUMING)
        try:
            known = await self._connection.resume()
            if known:
                await self._introduce()
        except BaseException:
            self._look_again()
            raise
        if known:
            self._be_registered(f"is registered still, at {self._connection.url}")
        else:
            self._look_again()
        return known

    async def _introduce(self) -> None:
        """Be registered, and tell the hub about us what it does not know."""
        self._lost.clear()
        self._inbox.begin(self, self.registration)
        self._move(State.REGISTERED)
        metadata = self._metadata()
        self._inbox.others.self_name = str(metadata.get("samp.name", ""))
        await self.request("declareMetadata", metadata)
        await self.declarations.catch_up(wanted=self._following or bool(self._inbox.router))
        if self._following:
            await self._inbox.others.take_stock(self.request)
        self.require("register")  # it may be lost by now

    def _be_registered(self, how: str) -> None:
        level = logging.WARNING if self._lost_at else logging.INFO  # as loud as the loss
        self._lost_reason, self._lost_at, self._found_none = "", 0.0, None
        self._decided.set()
        log.log(level, "client %r %s", self._name, how)
        self._changes.tell(HubChange(connected=True, url=self._connection.url))

    def _look_again(self) -> None:
        if self.state in (State.REGISTERING, State.RESUMING, State.REGISTERED):
            self._move(State.LOST)

    # ---- inside: without a hub

    def _loss(self, reason: str, operation: str = "the wait for a response") -> Callable[[], HubLostError]:
        url = self._connection.url
        return lambda: HubLostError(
            url,
            operation,
            reason,
            looking=self._looking(),
            starts=self._make_hub is not None,
            watches=self._reconnect and self.registered and self._supervisor is not None,
        )

    def _note_loss(self, reason: str) -> None:
        self._lost_reason = reason
        self._lost_at = self.loop.time()
        self._lost.set()

    async def _supervise(self) -> None:
        """While the client is registered: when the hub is lost, come back, or let go."""
        try:
            while True:
                await self._lost.wait()
                if self.state is State.CLOSED or not self._resumable:
                    await self._let_go()
                if self.state is State.CLOSED:
                    self._inbox.close_streams()
                    self._changes.close()
                    return
                await self._come_back()
        except asyncio.CancelledError:
            if self._supervisor is not None:
                # asyncio.run is over, and nobody has unregistered.
                self._loop_ended = True
                self._supervisor = None
                self._begin_to_leave()
                await self._leave()
            raise

    async def _come_back(self) -> None:
        pause = self._limits.reconnect_first
        while self.state is State.LOST:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hub_heard.wait(), pause)
            self._hub_heard.clear()
            try:
                if self._resumable:
                    if await self._resume():
                        return
                    await self._give_registration_up()
                await self._register_or_start_hub()
            except HubNotFoundError as error:
                log.debug("client %r found no hub yet: %s", self._name, error)
                if self._make_hub is not None and self.loop.time() > self._lost_at + _RESTART_GRACE:
                    await self._give_registration_up()
            except (SampError, OSError) as error:
                log.debug("client %r could not register yet: %s", self._name, error)
            except Exception:
                log.exception("client %r failed to register again; it goes on trying", self._name)
            pause = min(2 * pause, self._limits.reconnect_last)

    async def _give_registration_up(self) -> None:
        """Expect the hub no more that knew us."""
        if self._resumable:
            self._resumable = False
            await self._let_go()

    # ---- inside: leaving

    def _begin_to_leave(self) -> None:
        if self.registered:
            self._move(State.LEAVING)
            self._decided.set()
            self.declarations.stop()
        else:
            self._lost_reason = ""
            self._close()

    def _close(self) -> None:
        if self.state is not State.CLOSED:
            self._move(State.CLOSED)
        self._decided.set()

    async def _leave(self) -> None:
        """Finish what is under way, say goodbye, close; each of it also if what came before failed."""
        try:
            await self._inbox.close(self._limits.close_timeout)
        finally:
            self._lost_reason = ""
            async with self._own_hub:
                try:
                    await self._finish()
                finally:
                    at_hub = self.at_hub
                    self._close()
                    await self._withdraw(
                        lambda: NotRegisteredError(self._name, "receive a response"), goodbye=at_hub
                    )

    async def _finish(self) -> None:
        """End the work, and answer each call that is owed an answer still while we can (CLIENT-5, MSG-23)."""
        deadline = self.loop.time() + self._limits.close_timeout
        try:
            await self.work.aclose()
        finally:
            await self._inbox.answer_owed(deadline)

    async def _withdraw(self, error: Callable[[], SampError], *, goodbye: bool) -> None:
        """Say goodbye if that is wanted, let the calls that wait fail with `error()`, close."""
        try:
            if goodbye:
                await self._say_goodbye()
        except SampError as refusal:
            log.info("client %r could not unregister: %s", self._name, refusal)
        finally:
            self._inbox.end(error)
            await self._let_go()

    async def _say_goodbye(self) -> None:
        """Unregister. Cancelled meanwhile, it still waits for that, which is bounded.

        A request that is broken off may not have been read: the hub would keep us.
        """
        unregister = self._connection.ask_hub("unregister", timeout=self._limits.close_timeout)
        saying = self.loop.create_task(unregister, name=f"asyncsamp-unregister-{self._name}")
        try:
            await asyncio.shield(saying)
        except asyncio.CancelledError:
            await asyncio.wait({saying})
            if not saying.cancelled():
                saying.exception()
            raise
        finally:
            saying.cancel()

    async def _let_go(self) -> None:
        """Close the connection, and end what uses it."""
        self.declarations.stop()
        await self._connection.close()
        await self.declarations.stopped()
