"""The running hub: carries out what the core decides. asyncio, but no HTTP and no XML."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._util.threads import values_of
from ..delivery import DeliverCall, FinishWait, Forget
from ..errors import FaultCode, FaultError
from ..interfaces import Courier, MaySend
from ..limits import Limits
from ..values import Content, RawMap, Value, ValueMap
from .client_permissions import ClientPermissions
from .core import ClientStanding, HubCore
from .deliveries import Deliveries
from .hub_client import HubClient
from .ids import ClientIds, msg_ids
from .liveness import LivenessMonitor
from .named import NamedUrls
from .observer import HubEvent, MessageEvent, Observers, describe_event
from .operations import find_operation
from .outbox import IN_PROCESS, LOW_WATER, Outbox
from .permissions import Permissions
from .rate_limit import RateLimit
from .state import StateKeeper

__all__ = ["HubEngine"]

log = logging.getLogger("asyncsamp.hub")

_AT_ONCE = (str, list, dict, RawMap)
"""Results that need not be awaited."""


class HubEngine:
    """Operations, waiting callers, idleness and state around a `HubCore`; `Deliveries` has the outboxes.

    Each operation calls the core once and applies its effects with no `await` between,
    so operations are atomic and need no lock.
    """

    def __init__(self, limits: Limits, metadata: ValueMap, permissions: Permissions | None = None) -> None:
        self.limits = limits
        self.own_ports: set[int] = set()
        self.own_files: set[str] = set()
        self.named = NamedUrls()  # of the run: a page that comes back has named what it named
        self._client_ids = ClientIds()
        self._core = HubCore(
            client_ids=self._client_ids,
            msg_ids=msg_ids(),
            max_clients=limits.max_clients,
            max_pending_calls=limits.max_pending_calls,
            max_declared=limits.declared,
            max_declared_all=limits.declared_all,
        )
        self._loop = asyncio.get_running_loop()
        self._observers = Observers(self._loop.time)
        self._deliveries = Deliveries(
            limits, self._core, self._observers, apply=self._apply, lose=self._remove_dead, who=self._who
        )
        self._waits: dict[str, asyncio.Future[Content | FaultError]] = {}
        self._liveness = LivenessMonitor(limits, self._owing, self._deliveries.is_alive, self._remove_dead)
        self._registrations = RateLimit(limits.registrations_per_second, limits.registration_burst)
        self._names: dict[str, str] = {}
        self._judged_by_profile: set[str] = set()
        self.last_active: dict[str, float] = {}
        self.last_operation = self._loop.time()
        self._listening: Counter[str] = Counter()
        self._keeper: StateKeeper | None = None
        self.permissions = permissions
        self._permitted = None if permissions is None else ClientPermissions(self._core, permissions)
        self._roll_call: asyncio.Task[None] | None = None
        self._unheard: set[str] = set()  # who came back, cannot be asked, and has not asked for anything yet
        self._hearing: asyncio.TimerHandle | None = None
        self._itself = HubClient(self._core, self._apply)
        self._deliveries.attach(self.hub_id, self._itself)
        self._itself.declare(metadata)

    @property
    def hub_id(self) -> str:
        """The public id of the hub itself."""
        return self._core.hub_id

    @property
    def clients(self) -> list[str]:
        """The public ids of all registered clients, without the hub's own."""
        return [client for client in self._deliveries.clients if client != self.hub_id]

    # ---- for the profiles

    def register(
        self,
        courier: Courier,
        may_send: MaySend | None = None,
        origin: str | None = None,
        *,
        remote: bool = False,
        in_process: bool = False,
    ) -> str:
        """Admit a client that `courier` reaches, and return its public id.

        What the user has decided about names is held against those without `may_send` only. `origin` is that
        of a web page. A `remote` client, for whom its courier has bounds of its own, does not count among
        those that may come in a short time. One `in_process` takes what is delivered without waiting.

        Raises `FaultError` if the hub is full or closing, or too many come at once.
        """
        if not remote and not self._registrations.take(self._loop.time()):
            log.warning("too many clients register at once; some are refused")
            raise FaultError(
                "too many clients have registered in a short time; try again in a second",
                code=FaultCode.LIMIT_REACHED,
            )
        client = self._core.register(may_send, origin)
        self._deliveries.attach(client, courier, IN_PROCESS if in_process else LOW_WATER)
        if may_send is not None:
            self._judged_by_profile.add(client)
        self.last_active[client] = 0.0
        self._note_activity(client)
        self._apply()
        self._changed()
        log.info("client %s registered", client)
        return client

    def set_callable(self, client: str, callable_: bool) -> None:
        """Say whether `client` can be called now."""
        self._core.set_callable(client, callable_)
        self._tell_observers()
        self._note_activity(client)
        self._changed()

    def permit(self, client: str, may_send: MaySend | None, receives: bool) -> None:
        """Say what `client` may send from now on, and whether others may send it anything."""
        if self._core.is_registered(client):
            self._core.permit(client, may_send, receives)

    def may_receive(self, client: str) -> bool:
        """Return whether others may send `client` anything."""
        return self._core.may_receive(client)

    def observe(
        self, callback: Callable[[HubEvent], None], sample: Callable[[], bool] | None = None
    ) -> Callable[[], None]:
        """Tell `callback` from now on who comes and goes, and what becomes of messages.

        It is called after the effects of an operation and before any delivery of it, in the loop: it must
        return soon. What it raises is logged. Nothing is made or kept while nobody watches.

        Args:
            callback: Whom to tell.
            sample: Asked at each message whether to tell of it, and called when a call ends of which was not
                told. Where somebody else watches without one, `callback` is told of every message.

        Returns:
            A function that ends it.
        """
        return self._watch(self._observers.add(callback, sample))

    def observe_clients(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Tell `callback` what happens to which client, by its public id, and nothing of messages.

        What, as `ClientEvent.what` has it. Called as that of `observe`: also of a client that registers,
        before `register` returns its id. Messages cost no more than with nobody watching.

        Returns:
            A function that ends it.
        """
        return self._watch(self._observers.add_for_clients(callback))

    def courier_of(self, client: str) -> Courier | None:
        """Return who reaches `client`; None if it is not registered."""
        return self._deliveries.courier_of(client)

    def waiting(self, sender: str | None, recipient: str) -> int:
        """Return how many deliveries of `sender`, None for all, wait until `recipient` takes earlier ones."""
        return self._deliveries.waiting(sender, recipient)

    @property
    def observed(self) -> int:
        """How many messages there were while somebody watched."""
        return self._observers.count

    def describe(self, client: str) -> ClientStanding | None:
        """Return how `client` stands in the hub; None if it is not registered."""
        return self._core.describe(client)

    def owing(self) -> dict[str, int]:
        """Return who owes answers, and how many."""
        return self._core.owing()

    def owed(self, client: str) -> dict[str, int]:
        """Return to whom `client` owes how many answers, as of its 1,000 oldest open calls."""
        return self._core.owed(client)

    def log_messages(self) -> None:
        """Log what becomes of every message, at level DEBUG."""

        def log_it(event: HubEvent) -> None:
            if isinstance(event, MessageEvent):
                log.debug("%s", describe_event(event, self._who))

        self.observe(log_it)

    def disconnect(self, client: str, reason: str) -> None:
        """Remove `client` by force; nothing if it is gone already (HUB-63)."""
        if self._core.is_registered(client):
            log.warning("%s is removed: %s", self._who(client), reason)
            self._core.disconnect(client, reason)
            self._apply()
            self._changed()

    @contextmanager
    def listening(self, client: str) -> Iterator[None]:
        """While the block lasts `client` waits for messages or an answer: it is not idle.

        The hub is idle all the same: its own time limit counts operations.
        """
        self._listening[client] += 1
        try:
            yield
        finally:
            self._listening[client] -= 1
            if not self._listening[client]:
                del self._listening[client]
            if client in self.last_active:
                self.last_active[client] = self._loop.time()

    def say_of_hub(self, key: str, value: Value) -> None:
        """Put `key` into the metadata of the hub itself, or take it out if `value` is empty."""
        self._itself.say(key, value)

    def note_return(self, client: str) -> None:
        """Take note that `client` is there after a crash, and that its profile has given it another key."""
        self._note_activity(client)
        self._changed()

    @property
    def watched(self) -> bool:
        """Whether somebody is told what happens, and so may want the values of messages."""
        return bool(self._observers.callbacks)

    @property
    def keeps_state(self) -> bool:
        """Whether there is a state file, so that `saved` may have to wait."""
        return self._keeper is not None

    async def saved(self) -> None:
        """Return once a crash could not undo what has been done so far; at once without a state file."""
        if self._keeper is not None:
            await self._keeper.saved()

    async def operate(self, caller: str, operation: str, params: Sequence[Value | RawMap]) -> Value:
        """Do a hub operation, by its standard name, for the registered client `caller`.

        Returns "" where the standard has no result. Raises `FaultError`. If it is
        cancelled, a callAndWait is abandoned; every other operation is done at once.
        """
        begun = self.begin(caller, operation, params)
        result = begun if isinstance(begun, _AT_ONCE) else await begun
        return await values_of(result) if isinstance(result, RawMap) else result

    def begin(
        self, caller: str, operation: str, params: Sequence[Value | RawMap], *, hold: bool = True
    ) -> Value | RawMap | Awaitable[Value | RawMap]:
        """Do a hub operation as `operate` does, but return its result at once where there is no wait.

        What waits, for an answer, the state file or, with `hold`, an outbox to drain, is returned to be
        awaited. The response to a callAndWait is returned as it came.
        """
        found = find_operation(operation)
        bound = found.bind(params)
        self._note_activity(caller)
        if found.run is None:
            recipient, message, timeout = bound
            return self._call_and_wait(caller, str(recipient), message, str(timeout))
        result: Value | None = found.run(self._core, caller, *bound)
        self._apply()
        if operation == "declareMetadata":
            self._note_name(caller)
        answer = "" if result is None else result
        ahead = self._deliveries.take_ahead() if hold else None
        if self._keeper is not None and found.kept:
            self._keeper.changed()
            if found.kept == "before":
                return self._once_saved(self._keeper, answer, ahead)
        # A sender that is answered sooner outruns the deliveries.
        return answer if ahead is None else ahead.hold(answer)

    # ---- for the hub

    @property
    def somebody_waits(self) -> bool:
        """Whether a callAndWait is under way."""
        return bool(self._waits)

    def idle_since(self) -> dict[str, float]:
        """Return since when, by the loop's clock, clients have done nothing; without those who listen."""
        return {client: since for client, since in self.last_active.items() if client not in self._listening}

    def keep_state(self, keeper: StateKeeper | None) -> None:
        """Let `keeper` know of every change from now on; None ends it."""
        self._keeper = keeper
        self._changed()

    def snapshot(self) -> dict[str, Any]:
        """Return what must be known to come back after a crash, as JSON can hold it."""
        return {"last_client": self._client_ids.last, **self._core.snapshot()}

    def restore(self, saved: Mapping[str, Any], couriers: Mapping[str, Courier]) -> None:
        """Take in what `snapshot` returned, before anybody is served.

        `couriers` tells who reaches whom; a client without one cannot come back. Tells the
        others of those, and the callers of open calls that there will be no answer.
        """
        core = self._core
        self._client_ids.last = int(saved["last_client"])
        for client, record in saved["clients"].items():
            if client in couriers:
                self._bring_back(client, couriers[client], record)
        core.take_effects()  # nobody need be told what he knows
        for client in saved["clients"]:
            if client not in couriers:
                core.announce_unregistered(client)
        for caller, recipient, msg_tag in saved["calls"]:
            core.answer_lost(caller, recipient, msg_tag, "the hub was restarted before the answer came")

    def resume(self) -> None:
        """Begin, after `restore`, once everything is served: deliver, and see who is still there."""
        self._apply()
        self._roll_call = self._loop.create_task(
            self._liveness.check_all(self.clients), name="asyncsamp-roll-call"
        )
        if self._unheard:
            self._hearing = self._loop.call_later(self.limits.restored_silence, self._remove_unheard)

    async def shut_down(self, *, tell: bool = True) -> None:
        """Tell everybody, wait a bounded time for them to take it, end all that waits (HUB-62).

        Takes no longer than twice `Limits.shutdown_patience`. Afterwards every client is forgotten.
        Without `tell` nobody hears of it: a hub that never came up has no business with its clients.
        """
        if tell:
            self._core.shut_down()
            self._apply()
        else:
            self._core.take_effects()
        self._core.end_waits()
        self._apply()
        if self._permitted is not None:
            self._permitted.close()
        await self._deliveries.drain()
        ending = [*self._deliveries.close(), *self._liveness.close()]
        if self._hearing is not None:
            self._hearing.cancel()
        if self._roll_call is not None:
            self._roll_call.cancel()
            ending.append(self._roll_call)
        if ending:  # a courier may not care that it is cancelled
            await asyncio.wait(ending, timeout=self.limits.shutdown_patience)
        self._deliveries.release()

    # ---- inside

    def _watch(self, remove: Callable[[], None]) -> Callable[[], None]:
        self._core.watch(True)

        def end() -> None:
            remove()
            self._core.watch(self._observers.any)

        return end

    def _who(self, client: str) -> str:
        """Return how the log calls a client, also while it leaves."""
        name = self._names.get(client)
        return f"client {client} ({name})" if name else f"client {client}"

    def _note_name(self, client: str) -> None:
        name = self._core.name_of(client)
        if name and name != self._names.get(client):
            self._names[client] = name
            log.info("client %s is %s", client, name)
            if self._permitted is not None and client not in self._judged_by_profile:
                self._permitted.named(client, name)

    def _note_activity(self, client: str) -> None:
        self.last_operation = self._loop.time()
        if client in self.last_active:
            self.last_active[client] = self.last_operation
        if self._unheard:
            self._unheard.discard(client)

    def _changed(self) -> None:
        if self._keeper is not None:
            self._keeper.changed()

    async def _once_saved(self, keeper: StateKeeper, answer: Value, ahead: Outbox | None) -> Value:
        """Return `answer` once what it promises is in the state file."""
        await keeper.saved()
        if ahead is None or not ahead.outrun:  # it may have drained meanwhile
            return answer
        return await ahead.hold(answer)

    def _bring_back(self, client: str, courier: Courier, record: Mapping[str, Any]) -> None:
        self._client_ids.next_is(client)
        self._core.register(returning=True)
        self._deliveries.attach(client, courier)
        if not record["callable"]:
            self._unheard.add(client)
        self.last_active[client] = self._loop.time()
        for what, declare in (
            ("metadata", self._core.declare_metadata),
            ("subscriptions", self._core.declare_subscriptions),
        ):
            try:
                declare(client, record[what])
            except FaultError as error:  # the limits were others, or the file is not what we wrote
                log.warning("%s comes back without its %s: %s", self._who(client), what, error.text)
            self._note_name(client)
        self._core.set_callable(client, bool(record["callable"]))

    def _apply(self) -> None:
        """Carry out the effects that the core has left."""
        self._tell_observers()
        self._deliveries.take_ahead()  # what was put in before does not hold the sender of this operation
        while effects := self._core.take_effects():
            for effect in effects:
                if isinstance(effect, FinishWait):
                    self._finish_wait(effect)
                elif isinstance(effect, Forget):
                    self._forget(effect)
                else:
                    self._deliveries.post(effect)
                    if type(effect) is DeliverCall:
                        self._liveness.begin()
            self._tell_observers()

    def _tell_observers(self) -> None:
        if self._core.observed and self._observers.any:
            for seen in self._core.take_observed():
                self._observers.observed(seen)

    def _finish_wait(self, effect: FinishWait) -> None:
        future = self._waits.get(effect.msg_id)
        # A fault is a result too: an exception that a cancelled waiter never fetches would be logged.
        if future is not None and not future.done():
            future.set_result(effect.outcome)

    async def _call_and_wait(
        self, caller: str, recipient: str, message: Value | RawMap, timeout: str
    ) -> Content:
        seconds = self._seconds(timeout)
        assert isinstance(message, dict | RawMap)
        msg_id = self._core.call_and_wait(caller, recipient, message)
        future: asyncio.Future[Content | FaultError] = self._loop.create_future()
        self._waits[msg_id] = future
        text = f"{self._core.label(recipient)} did not answer within {seconds:g} s"
        fault = FaultError(text, code=FaultCode.TIMEOUT)
        # Not asyncio.timeout(), which costs three times as much, and needs a task.
        timer = self._loop.call_later(seconds, self._finish_wait, FinishWait(msg_id, fault))
        try:
            self._apply()
            with self.listening(caller):
                outcome = await future
        except asyncio.CancelledError:
            log.info("%s no longer waits for an answer of %s", self._who(caller), self._who(recipient))
            raise
        finally:
            timer.cancel()
            del self._waits[msg_id]
            self._core.abandon(msg_id)
            self._note_activity(caller)
            self._tell_observers()
        if isinstance(outcome, FaultError):
            raise outcome
        return outcome

    def _seconds(self, timeout: str) -> float:
        """Read the timeout of a callAndWait: none asked for, or too long, is the ceiling (HUB-32, MSG-29)."""
        try:
            asked = float(timeout.strip())
        except ValueError:
            asked = float("nan")
        if asked != asked:
            raise FaultError(
                f"callAndWait: the timeout {timeout[:40]!r} is not a number of seconds",
                code=FaultCode.BAD_PARAMETERS,
            )
        return min(asked, self.limits.max_wait) if asked > 0 else self.limits.max_wait

    def _owing(self) -> list[str]:
        return [client for client in self._deliveries.reached if self._core.owes_reply(client)]

    def _remove_dead(self, client: str, reason: str) -> None:
        if self._core.is_registered(client):
            log.warning("%s is gone: %s", self._who(client), reason)
            self._core.lose(client, reason)
            self._apply()
            self._changed()

    def _remove_unheard(self) -> None:
        """Remove who cannot be asked whether it is there, and has done nothing since the hub came back."""
        for client in sorted(self._unheard):
            self._remove_dead(client, "nothing was heard of it since the hub came back")

    def _forget(self, effect: Forget) -> None:
        self._deliveries.forget(effect.client, last_words=effect.last_words)
        self.last_active.pop(effect.client, None)
        log.info("%s unregistered", self._who(effect.client))
        self._names.pop(effect.client, None)
        self._judged_by_profile.discard(effect.client)
        self._unheard.discard(effect.client)
        if self._permitted is not None:
            self._permitted.forget(effect.client)
