"""One hub reads what another has offered: the side that has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from ....errors import RemoteProtocolError
from .bus import Bus, BusMessage
from .source import SourceReader
from .transfer import ALIVE, STOP, WAITING, Ask, Credit, Data, End, Failure, Head, read_told
from .urls import Offer

__all__ = ["PIECE", "Serving"]

log = logging.getLogger("asyncsamp.reach")

PIECE = 128 * 1024
"""Bytes of one piece: what is in memory for one transfer, and holds up messages on a thin line."""

_HEAD = 64
"""Bytes of a message around a piece."""

_FIRST_CREDIT = 2 * 1024 * 1024
_MOST_CREDIT = 16 * 1024 * 1024
"""Bytes under way before the reader has said how far it is, and at most, whatever it says."""

_PULSE = 1.0
"""Seconds after which the reader hears that we are alive."""

_SILENCE = 15.0
"""Seconds without a word of the reader, who speaks every two, after which it counts as gone."""


class Serving:
    """One transfer to a reader, from its asking to its end.

    Args:
        bus: What carries pieces.
        sources: What opens the URL.
        offer: The URL.
        ask: What is wanted.
        to: Where the reader waits for it.
        credit: Where the reader says how far it is.
    """

    def __init__(
        self, bus: Bus, sources: SourceReader, offer: Offer, ask: Ask, *, to: str, credit: str
    ) -> None:
        self._bus = bus
        self._sources = sources
        self._offer = offer
        self._ask = ask
        self._to = to
        self._loop = asyncio.get_running_loop()
        self._credit = credit
        self._taken = 0
        self._window = _FIRST_CREDIT
        self._heard = self._loop.time()
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    async def run(self) -> None:
        """Send what is wanted until it is whole or the reader is gone. Cancelling is safe."""
        end = self._bus.subscribe(self._credit, self._hear)
        sending = self._loop.create_task(self._send_guarded(), name="asyncsamp-reach-sending")
        gone = self._loop.create_task(self._gone.wait(), name="asyncsamp-reach-gone")
        try:
            while not sending.done() and not gone.done():
                await asyncio.wait((sending, gone), timeout=_PULSE, return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    self._say(ALIVE)
                if self._loop.time() - self._heard > _SILENCE:
                    break
        finally:
            end()
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait((sending, gone))

    # ---- inside

    async def _send_guarded(self) -> None:
        try:
            await self._send()
        except PermissionError as error:
            self._refuse(403, str(error))
        except FileNotFoundError as error:
            self._refuse(404, str(error))
        except OSError as error:
            log.info("what another hub reads cannot be read: %s", type(error).__name__)
            self._refuse(502, "it cannot be read where it is")

    async def _send(self) -> None:
        async with self._sources.open(self._offer, self._ask.method, self._ask.headers) as (head, body):
            if self._ask.same and head.same != self._ask.same:
                self._say(Failure("what it is read from has changed meanwhile").dump())
                return
            self._say(head.dump())
            sent = 0
            if body is not None and self._ask.method == "GET" and head.status != 416:
                try:
                    sent = await self._send_body(body)
                except OSError as error:
                    log.info("what another hub reads broke off: %s", type(error).__name__)
                    self._say(Failure("it broke off where it is read from").dump())
                    return
            self._say(End(sent).dump())

    async def _send_body(self, body: AsyncIterator[bytes]) -> int:
        sent = 0
        most = min(PIECE, self._bus.max_payload - _HEAD)
        async for piece in body:
            for start in range(0, len(piece), most):
                part = piece[start : start + most]
                await self._room(sent + len(part))
                self._say(Data(sent, part).dump())
                sent += len(part)
        return sent

    async def _room(self, total: int) -> None:
        """Wait until so many bytes may have been sent."""
        if total > self._taken + self._window:
            self._say(WAITING)
        while total > self._taken + self._window:
            self._news.clear()
            await self._news.wait()
        await asyncio.sleep(0)  # whoever else sends has his turn

    def _hear(self, message: BusMessage) -> None:
        self._heard = self._loop.time()
        try:
            told = STOP if message.nobody_there else read_told(message.payload)
        except RemoteProtocolError as error:
            log.warning("a reader of another hub: %s", error)
            told = STOP
        if isinstance(told, Credit):
            self._taken = max(self._taken, told.taken)
            self._window = min(told.window, _MOST_CREDIT)
        else:
            self._gone.set()
        self._news.set()

    def _refuse(self, status: int, reason: str) -> None:
        text = f"{reason}\n".encode(errors="replace")
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
        self._say(Head(status, headers).dump())
        if self._ask.method == "GET":
            self._say(Data(0, text).dump())
        self._say(End(len(text)).dump())

    def _say(self, payload: bytes) -> None:
        self._bus.publish(self._to, payload, self._credit)
