"""One tool reads a URL of another hub: asking, taking pieces in order, and going on after a cut."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

from ....errors import RemoteProtocolError
from .bus import Bus, BusMessage
from .subjects import Subjects
from .transfer import STOP, WAITING, Ask, Credit, Data, End, Failure, Head, read_said

__all__ = ["Reading", "ReadingError"]

CREDIT = 2 * 1024 * 1024
MOST_CREDIT = 16 * 1024 * 1024
"""Bytes under way at first, and at most. It grows while the way is longer than that: the owner waits for
us, and nothing of it waits here."""

_SAID_EVERY = 512 * 1024
"""Bytes after which the owner is told how far we are."""

_PULSE = 2.0
"""Seconds after which it is told anyway: a tool may stand still for long, and wants the rest then."""

SILENCE: Final = 3.0
"""Seconds without a word of the owner, who speaks every second, after which it is asked again."""

REFUSED: Final = 2.0
"""Seconds for which nobody may listen at the owner's before it counts as gone, as for messages."""

SETTLING: Final = 5.0
"""Seconds after a cut in which that means nothing: others are not back yet."""

PATIENCE: Final = 15.0
"""Seconds without a byte or a sign of life after which the reading ends, as for messages."""

_PAUSE = 0.25
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/[0-9]{1,18}")


class ReadingError(ConnectionError):
    """The rest cannot be had. The text says why, for the tool's user."""


class Reading:
    """The body of one request, from another hub.

    Args:
        bus: What carries pieces.
        subjects: Of the room.
        owner: The hub that has it.
        token: Of the capability.
        method: GET or HEAD.
        headers: Of the tool's request.
    """

    def __init__(
        self, bus: Bus, subjects: Subjects, owner: str, token: str, method: str, headers: Mapping[str, str]
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._owner = owner
        self._ask = Ask(token, secrets.token_hex(8), method, dict(headers))
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._got = 0  # bytes of the whole body that have come, in all attempts
        self._head: Head | None = None
        self._failure = ""
        self._whole = False
        self._last_progress = self._loop.time()
        self._refused_since = 0.0
        self._settled_at = 0.0
        self._attempt: _Attempt | None = None
        self._window = CREDIT
        self._pulse = self._loop.call_later(_PULSE, self._beat)

    async def head(self) -> Head:
        """Ask, and return the head of the answer. Raises `ReadingError`. Cancelling is safe."""
        self._begin(self._ask)
        while self._head is None:
            await self._step()
        return self._head

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, after `head`. Raises `ReadingError` if it is not whole. Cancelling is safe."""
        while True:
            while self._queue:
                piece = self._queue.popleft()
                self._queued -= len(piece)
                yield piece
                self._grant()
            if self._whole:
                return
            await self._step()

    def cut(self) -> None:
        """Take note that the line was cut, and is there again: what was under way is lost."""
        self._settled_at = self._loop.time() + SETTLING
        if self._attempt is not None:
            self._attempt.broken = True
            self._news.set()

    def close(self) -> None:
        """Stop reading. May be called again."""
        self._pulse.cancel()
        self._end_attempt()

    # ---- inside

    async def _step(self) -> None:
        """Wait for news, and ask again if there are none, or bad ones."""
        attempt = self._attempt
        assert attempt is not None
        if not attempt.broken:
            try:
                async with asyncio.timeout(SILENCE):
                    await self._news.wait()
            except TimeoutError:
                attempt.broken = True
        self._news.clear()
        if self._failure:
            raise ReadingError(self._failure)
        if attempt.broken and not self._whole and not self._queue:
            await self._again()

    async def _again(self) -> None:
        now = self._loop.time()
        if now - self._last_progress > PATIENCE:
            raise ReadingError("the hub that has it does not answer")
        if self._refused_since and now - max(self._refused_since, self._settled_at) > REFUSED:
            raise ReadingError("the hub that has it is gone")
        self._end_attempt()
        ask = self._rest()
        await asyncio.sleep(_PAUSE if self._refused_since or not self._bus.connected else 0)
        self._begin(ask)

    def _rest(self) -> Ask:
        """Return what asks for the bytes that have not come."""
        head = self._head
        if head is None or not self._got:
            return self._ask if head is None else _with(self._ask, {}, head.same)
        whole = head.headers.get("Accept-Ranges") == "bytes" or head.status == 206
        if not whole or not head.same or head.length is None or head.status not in (200, 206):
            raise ReadingError("the line was cut, and what it is read from cannot go on in the middle")
        match = _RANGE.fullmatch(head.headers.get("Content-Range", ""))
        first = int(match[1]) if match else 0
        wanted = f"bytes={first + self._got}-{first + head.length - 1}"
        return _with(self._ask, {"Range": wanted}, head.same)

    def _begin(self, ask: Ask) -> None:
        attempt = _Attempt(self._got)
        inbox = self._subjects.answer_of(self._owner, secrets.token_hex(11))
        attempt.end = self._bus.subscribe(inbox, lambda message: self._take(attempt, message))
        self._attempt = attempt
        self._bus.publish(self._subjects.ask(self._owner), ask.dump(), inbox)

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.end()
            if attempt.credit:
                self._bus.publish(attempt.credit, STOP)

    def _take(self, attempt: _Attempt, message: BusMessage) -> None:
        if attempt is not self._attempt or attempt.broken:
            return
        if message.nobody_there:
            self._refused_since = self._refused_since or self._loop.time()
            attempt.broken = True
        else:
            self._refused_since = 0.0
            self._last_progress = self._loop.time()
            if self._subjects.is_answer_to(self._owner, message.reply):
                attempt.credit = message.reply
            try:
                self._hear(attempt, message.payload)
            except RemoteProtocolError as error:
                self._failure = str(error)
        self._news.set()

    def _hear(self, attempt: _Attempt, payload: bytes) -> None:
        match read_said(payload):
            case Head() as head:
                self._take_head(attempt, head)
            case Data(offset, piece):
                self._take_piece(attempt, offset, piece)
            case End(total):
                self._whole = attempt.begun and attempt.base + total == self._got
                attempt.broken = not self._whole
            case Failure(reason):
                self._failure = reason or "the hub that has it cannot read it"
            case other:
                if other == WAITING and not self._queue:
                    self._window = min(2 * self._window, MOST_CREDIT)
                    self._grant(now=True)

    def _take_head(self, attempt: _Attempt, head: Head) -> None:
        if attempt.begun:
            raise RemoteProtocolError("the hub that has it answers twice")
        if self._head is None:
            self._head = head
        elif head.same != self._head.same or head.status != (206 if self._got else self._head.status):
            raise RemoteProtocolError("what it is read from has changed meanwhile")
        attempt.begun = True
        if self._ask.method == "HEAD" or self._head.length == 0:
            self._whole = True

    def _take_piece(self, attempt: _Attempt, offset: int, piece: bytes) -> None:
        if not attempt.begun or attempt.base + offset != self._got or not piece:
            attempt.broken = True  # pieces are missing
            return
        if self._queued + len(piece) > 2 * MOST_CREDIT:
            raise RemoteProtocolError("the hub that has it sends more than it may")
        self._queue.append(piece)
        self._queued += len(piece)
        self._got += len(piece)
        length = self._head.length if self._head is not None else None
        if length is not None and self._got >= length:
            self._whole = True

    def _grant(self, *, now: bool = False) -> None:
        """Tell the owner how far the tool is."""
        attempt = self._attempt
        if attempt is None or not attempt.credit:
            return
        taken = self._got - self._queued - attempt.base
        if now or taken - attempt.told >= _SAID_EVERY:
            if self._queued > self._window // 2:
                self._window = max(CREDIT, self._window // 2)
            attempt.told = max(taken, 0)
            self._bus.publish(attempt.credit, Credit(attempt.told, self._window).dump())

    def _beat(self) -> None:
        self._grant(now=True)
        self._pulse = self._loop.call_later(_PULSE, self._beat)


class _Attempt:
    """One asking: with a subject of its own, so that nothing of an earlier one is taken for its own."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.begun = False
        self.broken = False
        self.credit = ""
        self.told = 0
        self.end: Callable[[], None] = lambda: None


def _with(ask: Ask, headers: Mapping[str, str], same: str) -> Ask:
    kept = {name: text for name, text in ask.headers.items() if name != "If-Range"}
    return Ask(ask.token, ask.reading, ask.method, {**kept, **headers}, same)
