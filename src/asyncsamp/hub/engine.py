"""The running hub: carries out what the core decides. asyncio, but no HTTP and no XML."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._util.foreign_text import plain_line
from ..delivery import DeliverCall, Delivery, DeliveryError, FinishWait, Forget
from ..errors import FaultCode, FaultError
from ..interfaces import Courier, MaySend
from ..limits import Limits
from ..values import Value, ValueMap
from .core import ClientStanding, HubCore
from .hub_client import HubClient
from .ids import ClientIds, msg_ids
from .liveness import LivenessMonitor
from .observer import HubEvent, MessageEvent, Observers, describe_event
from .operations import find_operation
from .outbox import Outbox
from .rate_limit import RateLimit
from .sizing import estimate_size
from .state import StateKeeper

__all__ = ["HubEngine"]

log = logging.getLogger("asyncsamp.hub")

_COMPLAINTS = 5
_COMPLAINTS_PER_SECOND = 0.1
"""Warnings about one client that does not take its messages: so many at once, and then one in ten seconds."""


_LASTING = frozenset({"unregister", "declareMetadata", "declareSubscriptions"})
_PASSING = frozenset({"call", "callAll", "reply"})
"""Operations that change what a hub must know to come back after a crash: what a client relies on once it
is answered, and open calls, which are saved soon after, since each message would wait for the disk."""


class HubEngine:
    """Outboxes, waiting callers and time limits around a `HubCore`.

    Each operation calls the core once and applies its effects with no `await` between,
    so operations are atomic and need no lock.
    """

    def __init__(self, limits: Limits, metadata: ValueMap) -> None:
        self.limits = limits
        self.own_ports: set[int] = set()
        self._client_ids = ClientIds()
        self._core = HubCore(
            client_ids=self._client_ids,
            msg_ids=msg_ids(),
            max_clients=limits.max_clients,
            max_pending_calls=limits.max_pending_calls,
        )
        self._loop = asyncio.get_running_loop()
        self._couriers: dict[str, Courier] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._waits: dict[str, asyncio.Future[ValueMap | FaultError]] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._liveness = LivenessMonitor(limits, self._owing, self._is_alive, self._remove_dead)
        self._registrations = RateLimit(limits.registrations_per_second, limits.registration_burst)
        self._names: dict[str, str] = {}
        self._complaints: dict[str, RateLimit] = {}
        self._weighed: tuple[Value, int] = ("", 0)
        self.last_active: dict[str, float] = {}
        self.last_operation = self._loop.time()
        self._listening: Counter[str] = Counter()
        self._keeper: StateKeeper | None = None
        self._ahead: Outbox | None = None  # the fullest that the operation under way has put into
        self._roll_call: asyncio.Task[None] | None = None
        self._observers = Observers(self._loop.time)
        itself = HubClient(self._core, self._apply)
        self._attach(self.hub_id, itself)
        itself.declare(metadata)

    @property
    def hub_id(self) -> str:
        """The public id of the hub itself."""
        return self._core.hub_id

    @property
    def clients(self) -> list[str]:
        """The public ids of all registered clients, without the hub's own."""
        return [client for client in list(self._outboxes) if client != self.hub_id]

    # ---- for the profiles

    def register(self, courier: Courier, may_send: MaySend | None = None) -> str:
        """Admit a client that `courier` reaches, and return its public id.

        Raises `FaultError` if the hub is full or closing, or too many come at once.
        """
        if not self._registrations.take(self._loop.time()):
            log.warning("too many clients register at once; some are refused")
            raise FaultError(
                "too many clients have registered in a short time; try again in a second",
                code=FaultCode.LIMIT_REACHED,
            )
        client = self._core.register(may_send)
        self._attach(client, courier)
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

    def observe(self, callback: Callable[[HubEvent], None]) -> Callable[[], None]:
        """Tell `callback` from now on who comes and goes, and what becomes of messages.

        It is called after the effects of an operation and before any delivery of it, in the loop: it must
        return soon. What it raises is logged. Nothing is made or kept while nobody watches.

        Returns:
            A function that ends it.
        """
        remove = self._observers.add(callback)
        self._core.watch(True)

        def end() -> None:
            remove()
            self._core.watch(bool(self._observers.callbacks))

        return end

    def describe(self, client: str) -> ClientStanding | None:
        """Return how `client` stands in the hub; None if it is not registered."""
        return self._core.describe(client)

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

    def note_change(self) -> None:
        """Take note that a profile has changed what it must know after a crash."""
        self._changed()

    @property
    def keeps_state(self) -> bool:
        """Whether there is a state file, so that `saved` may have to wait."""
        return self._keeper is not None

    async def saved(self) -> None:
        """Return once a crash could not undo what has been done so far; at once without a state file."""
        if self._keeper is not None:
            await self._keeper.saved()

    async def operate(self, caller: str, operation: str, params: Sequence[Value]) -> Value:
        """Do a hub operation, by its standard name, for the registered client `caller`.

        Returns "" where the standard has no result. Raises `FaultError`. If it is
        cancelled, a callAndWait is abandoned; every other operation is done at once.
        """
        begun = self.begin(caller, operation, params)
        return begun if isinstance(begun, str | list | dict) else await begun

    def begin(self, caller: str, operation: str, params: Sequence[Value]) -> Value | Awaitable[Value]:
        """Do a hub operation as `operate` does, but return its result at once where there is no wait.

        What waits, for an answer, the state file or an outbox to drain, is returned to be awaited.
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
        ahead, self._ahead = self._ahead, None
        if self._keeper is not None:
            return self._once_kept(self._keeper, operation, answer, ahead)
        return answer if ahead is None else self._once_low(ahead, answer)

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
        news = [
            self._loop.create_task(box.drained(), name=f"asyncsamp-drain-{client}")
            for client, box in self._outboxes.items()
            if box.busy
        ]
        waiting = [*news, *self._farewells]
        if waiting:
            await asyncio.wait(waiting, timeout=self.limits.shutdown_patience)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for box in self._outboxes.values():
            self._close_box(box)
        ending = [*self._ending, *self._liveness.close()]
        if self._roll_call is not None:
            self._roll_call.cancel()
            ending.append(self._roll_call)
        if ending:  # a courier may not care that it is cancelled
            await asyncio.wait(ending, timeout=self.limits.shutdown_patience)
        for client, courier in self._couriers.items():
            courier.forget(client)
        self._couriers.clear()

    # ---- inside

    def _who(self, client: str) -> str:
        """Return how the log calls a client, also while it leaves."""
        name = self._names.get(client)
        return f"client {client} ({name})" if name else f"client {client}"

    def _note_name(self, client: str) -> None:
        name = self._core.name_of(client)
        if name and name != self._names.get(client):
            self._names[client] = name
            log.info("client %s is %s", client, name)

    def _note_activity(self, client: str) -> None:
        self.last_operation = self._loop.time()
        if client in self.last_active:
            self.last_active[client] = self.last_operation

    def _close_box(self, box: Outbox) -> None:
        for worker in box.close():
            self._ending.add(worker)
            worker.add_done_callback(self._ending.discard)

    def _changed(self) -> None:
        if self._keeper is not None:
            self._keeper.changed()

    async def _once_kept(
        self, keeper: StateKeeper, operation: str, answer: Value, ahead: Outbox | None
    ) -> Value:
        """Return `answer` once what it promises is in the state file."""
        if operation in _LASTING:
            keeper.changed()
            await keeper.saved()
        elif operation in _PASSING:
            keeper.changed()
        return answer if ahead is None else await self._once_low(ahead, answer)

    def _once_low(self, box: Outbox, answer: Value) -> asyncio.Future[Value]:
        """Return `answer` once `box` has drained: a sender answered sooner would outrun the deliveries."""
        answered: asyncio.Future[Value] = self._loop.create_future()

        def drained(_: asyncio.Future[None]) -> None:
            if not answered.done():
                answered.set_result(answer)

        box.low().add_done_callback(drained)
        return answered

    def _bring_back(self, client: str, courier: Courier, record: Mapping[str, Any]) -> None:
        self._client_ids.next_is(client)
        self._core.register()
        self._attach(client, courier)
        self.last_active[client] = self._loop.time()
        self._core.declare_metadata(client, record["metadata"])
        self._note_name(client)
        self._core.declare_subscriptions(client, record["subscriptions"])
        self._core.set_callable(client, bool(record["callable"]))

    def _attach(self, client: str, courier: Courier) -> None:
        self._couriers[client] = courier
        self._outboxes[client] = Outbox(client, self._deliver, self.limits)

    def _apply(self) -> None:
        """Carry out the effects that the core has left."""
        self._tell_observers()
        self._ahead = None
        while effects := self._core.take_effects():
            for effect in effects:
                if isinstance(effect, FinishWait):
                    self._finish_wait(effect)
                elif isinstance(effect, Forget):
                    self._forget(effect)
                else:
                    self._post(effect)
            self._tell_observers()

    def _tell_observers(self) -> None:
        if not self._observers.callbacks:
            return
        for seen in self._core.take_observed():
            self._observers.observed(seen)

    def _post(self, delivery: Delivery) -> None:
        box = self._outboxes[delivery.recipient]
        if self._observers.callbacks:
            self._observers.posted(delivery)
        # What goes out at once need not be weighed, so a hub whose clients keep up pays nothing for it.
        box.put(delivery, self._weigh(delivery) if box.busy else 0)
        if box.outrun and (self._ahead is None or len(box) > len(self._ahead)):
            self._ahead = box
        if box.full and self._takes_part(delivery.recipient):
            self._core.congest(delivery.recipient)
            log.warning(
                "%s does not take its messages: %d wait, further ones are refused",
                self._who(delivery.recipient),
                len(box),
            )
        if type(delivery) is DeliverCall:
            self._liveness.begin()

    def _takes_part(self, client: str) -> bool:
        """Whether messages to `client` are still accepted; not while it is told that it is removed."""
        return not self._core.is_congested(client) and self._core.is_registered(client)

    def _weigh(self, delivery: Delivery) -> int:
        """About how many bytes `delivery` has; a broadcast is weighed once for all."""
        content = delivery[-1]
        if self._weighed[0] is not content:
            self._weighed = (content, estimate_size(content))
        return self._weighed[1]

    def _finish_wait(self, effect: FinishWait) -> None:
        future = self._waits.get(effect.msg_id)
        # A fault is a result too: an exception that a cancelled waiter never fetches would be logged.
        if future is not None and not future.done():
            future.set_result(effect.outcome)

    async def _call_and_wait(self, caller: str, recipient: str, message: Value, timeout: str) -> ValueMap:
        seconds = self._seconds(timeout)
        assert isinstance(message, dict)
        msg_id = self._core.call_and_wait(caller, recipient, message)
        future: asyncio.Future[ValueMap | FaultError] = self._loop.create_future()
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

    async def _deliver(self, delivery: Delivery) -> None:
        """Deliver, or see to it that nobody waits for what could not be delivered. Raises nothing."""
        client = delivery.recipient
        self._relieve(client)
        try:
            await self._try(self._couriers[client], delivery)
            if self._observers.callbacks:
                self._observers.delivered(delivery)
        except DeliveryError as error:
            self._undelivered(delivery, error)
        except Exception:
            log.exception("delivery to client %s failed", client)
            self._undelivered(delivery, DeliveryError("the hub failed to deliver it"))

    async def _try(self, courier: Courier, delivery: Delivery) -> None:
        """Deliver; a refused connection is tried again, since nothing was delivered by it."""
        for attempt in range(1, self.limits.refused_connections + 1):
            try:
                return await courier.deliver(delivery)
            except DeliveryError as error:
                if not error.gone or attempt == self.limits.refused_connections:
                    raise
            await asyncio.sleep(self.limits.refused_pause)
        raise AssertionError("the loop returns or raises")

    def _undelivered(self, delivery: Delivery, error: DeliveryError) -> None:
        client = delivery.recipient
        if self._observers.callbacks:
            self._observers.refused(delivery, error.reason)
        if not self._core.is_registered(client):
            return
        if error.gone:
            self._remove_dead(client, error.reason)
            return
        # A client that fails at every message must not fill the disk with it.
        level = logging.WARNING if self._may_complain(client) else logging.DEBUG
        log.log(level, "%s did not take a message: %s", self._who(client), plain_line(error.reason))
        if isinstance(delivery, DeliverCall):
            self._core.refuse(delivery.msg_id, f"did not take the call: {error.reason}")
            self._apply()

    def _may_complain(self, client: str) -> bool:
        complaints = self._complaints.get(client)
        if complaints is None:
            complaints = self._complaints[client] = RateLimit(_COMPLAINTS_PER_SECOND, _COMPLAINTS)
        return complaints.take(self._loop.time())

    def _relieve(self, client: str) -> None:
        box = self._outboxes.get(client)
        if box is not None and self._core.is_congested(client) and box.roomy:
            log.info("%s takes its messages again", self._who(client))
            self._core.relieve(client)
            self._apply()

    def _owing(self) -> list[str]:
        return [client for client in self._couriers if self._core.owes_reply(client)]

    async def _is_alive(self, client: str) -> bool:
        courier, box = self._couriers.get(client), self._outboxes.get(client)
        # Whoever has a delivery under way is told by that one, and must not be disturbed: DS9 answers only
        # when its image is loaded, and a second connection would make the load fail.
        if box is not None and box.delivering:
            return True
        return courier is None or await courier.is_alive(client)

    def _remove_dead(self, client: str, reason: str) -> None:
        if self._core.is_registered(client):
            log.warning("%s is gone: %s", self._who(client), reason)
            self._core.lose(client, reason)
            self._apply()
            self._changed()

    def _forget(self, effect: Forget) -> None:
        box = self._outboxes.pop(effect.client)
        self.last_active.pop(effect.client, None)
        self._complaints.pop(effect.client, None)
        if effect.last_words and box.busy:
            name = f"asyncsamp-farewell-{effect.client}"
            task = self._loop.create_task(self._say_farewell(effect.client, box), name=name)
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)
        else:
            self._close_box(box)
            self._couriers.pop(effect.client).forget(effect.client)
            self._observers.forgotten(effect.client)
        log.info("%s unregistered", self._who(effect.client))
        self._names.pop(effect.client, None)

    async def _say_farewell(self, client: str, box: Outbox) -> None:
        try:
            async with asyncio.timeout(self.limits.shutdown_patience):
                await box.drained()
        except TimeoutError:
            log.info("client %s did not take the news that it was disconnected", client)
        finally:
            self._close_box(box)
            self._couriers.pop(client).forget(client)
            self._observers.forgotten(client)
