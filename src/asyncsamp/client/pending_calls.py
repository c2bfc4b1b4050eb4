"""The calls that await their responses: msg-tag to future (MSG-24, MSG-25)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable

from .._util.complaints import Complaints
from .._util.sizing import estimate_size
from ..errors import SampError
from ..values import Message, Response

__all__ = ["OpenCall", "OpenCalls"]

log = logging.getLogger("asyncsamp.client")

_EARLY_PROGRESS = 100  # progress messages kept until it is known which call they belong to
_EARLY_BYTES = 65_536  # about as much may each take: it is a sentence


class OpenCall:
    """One msg-tag, and what has come in for it. Each responder counts once (MSG-37)."""

    __slots__ = (
        "_arrived",
        "_complaints",
        "_failure",
        "_waiter",
        "deadline",
        "msg_id",
        "msg_tag",
        "on_progress",
        "responders",
    )

    def __init__(
        self, msg_tag: str, on_progress: Callable[[Message], object] | None, complaints: Complaints
    ) -> None:
        self.msg_tag = msg_tag
        self.msg_id = ""
        self.on_progress = on_progress
        self.responders: set[str] = set()
        self._arrived: deque[tuple[str, Response]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: SampError | TimeoutError | None = None
        self.deadline = math.inf
        self._complaints = complaints

    def put(self, responder: str, response: Response) -> None:
        """Take a response; a second one of the same responder is dropped."""
        if responder in self.responders:
            self._complaints.warning("client %s answered the same call twice", responder)
            return
        self.responders.add(responder)
        self._arrived.append((responder, response))
        self._wake()

    def fail(self, error: SampError | TimeoutError) -> None:
        """Let who waits have `error`."""
        self._failure = error
        self._wake()

    async def next(self) -> tuple[str, Response]:
        """Return the next response, and who gave it. Raises what `fail` was given. Cancelling is safe."""
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._arrived.popleft()

    def tell(self, message: Message) -> None:
        """Show a progress message to `on_progress`, which is the user's: what it raises harms nobody."""
        assert self.on_progress is not None
        try:
            self.on_progress(message)
        except Exception:
            self._complaints.exception("on_progress failed")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class OpenCalls:
    """All open calls of a client."""

    def __init__(self) -> None:
        # Random, so that a response to an earlier life of this client cannot be taken for one to this.
        self._prefix = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._complaints = Complaints(log)  # of all calls: each one may be answered twice
        self._calls: dict[str, OpenCall] = {}
        self._by_msg_id: dict[str, OpenCall] = {}
        self._unsent: set[OpenCall] = set()  # who wait for their msg-id, and for progress
        self._early: deque[tuple[str, Message]] = deque(maxlen=_EARLY_PROGRESS)
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, on_progress: Callable[[Message], object] | None = None) -> OpenCall:
        """Begin a call, before it is sent: its response can outrun the hub's answer (MSG-35)."""
        tag = f"t{next(self._numbers)}-{self._prefix}"
        call = self._calls[tag] = OpenCall(tag, on_progress, self._complaints)
        if on_progress is not None:
            self._unsent.add(call)
        return call

    def expire_in(self, call: OpenCall, seconds: float) -> None:
        """Let who waits for a response to `call` have TimeoutError in `seconds`, unless it is closed before.

        One timer serves all calls: to enter and leave an `asyncio.timeout` takes 8 us.
        """
        call.deadline = asyncio.get_running_loop().time() + seconds
        if self._alarm is None or call.deadline < self._alarm_at:
            self._set_alarm(call.deadline)

    def sent(self, call: OpenCall, msg_id: str) -> None:
        """Note the msg-id that the hub gave, by which progress is told (MTYPE-33)."""
        if call.on_progress is None:
            return
        call.msg_id = msg_id
        self._by_msg_id[msg_id] = call
        self._unsent.discard(call)
        for early_id, message in list(self._early):
            if early_id == msg_id:
                self._early.remove((early_id, message))
                call.tell(message)

    def close(self, call: OpenCall) -> None:
        """End a call; what comes for it later is ignored (CLIENT-13)."""
        self._calls.pop(call.msg_tag, None)
        self._by_msg_id.pop(call.msg_id, None)
        self._unsent.discard(call)
        if not self._unsent:
            self._early.clear()

    def respond(self, responder: str, msg_tag: str, response: Response) -> None:
        """Hand a response to its call."""
        call = self._calls.get(msg_tag)
        if call is None:
            log.info("client %s answered a call that nobody waits for (any more)", responder)
            return
        call.put(responder, response)

    def progress(self, msg_id: str, message: Message) -> None:
        """Hand a progress message to its call; kept if it may belong to one whose msg-id is not known yet."""
        call = self._by_msg_id.get(msg_id)
        if call is not None:
            call.tell(message)
        elif self._unsent and estimate_size(message.params) <= _EARLY_BYTES:
            self._early.append((msg_id, message))

    def fail_all(self, error: Callable[[], SampError]) -> None:
        """Let every open call fail, each with an error of its own from `error`."""
        for call in self._calls.values():
            call.fail(error())
        self._early.clear()
        self._set_alarm(math.inf)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if deadline < math.inf:
            self._alarm_at = deadline
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        for call in self._calls.values():
            if call.deadline <= now:
                call.deadline = math.inf
                call.fail(TimeoutError())
        self._alarm = None
        self._set_alarm(min((call.deadline for call in self._calls.values()), default=math.inf))
