"""The data port: URLs of other hubs for the tools of this machine, and our URLs for other hubs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Set

from aiohttp import web

from ...._util.hosts import own_names
from ....errors import RemoteProtocolError
from ....interfaces import Engine
from ....reading.serving import OPEN_TO_PAGES, SANDBOXED, send
from ....rpc import RpcServer
from .bus import Bus, BusMessage
from .reading import Reading, ReadingError
from .serving import Serving
from .source import SourceReader
from .subjects import Subjects, is_hub, member_of, speaker_of
from .transfer import ALIVE, Failure, Head, read_ask
from .turns import Turn, Turns
from .unsure import Unsure
from .urls import NOT_OFFERED, Capability, ReachUrls, parse_address

__all__ = ["DataPort"]

log = logging.getLogger("asyncsamp.reach")

_MAX_REQUEST = 64 * 1024  # a request has no body to speak of

_TRANSFERS = 16
_WAITING = 64
"""Transfers to one member at once, and such as wait for their turn. A page of thumbnails asks for a dozen."""

_ALL_TRANSFERS = 64
_ALL_WAITING = 256
"""The same for all: each one under way has 2 MiB on its way and a file open."""


class DataPort:
    """Lets tools here read what other hubs offer, and other hubs what this one does.

    Args:
        engine: The hub's.
        bus: What carries pieces; best one of its own, so that they hold up no message.
        subjects: Of the room.
        offers: Whether what trusted clients send may be read by the room.
        named: Whether the server proves the names of members, so that all hubs of one count as one reader.
    """

    def __init__(
        self, engine: Engine, bus: Bus, subjects: Subjects, *, offers: bool, named: bool = False
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._subjects = subjects
        self._hub = subjects.hub
        self._offers = offers
        self._server = RpcServer(
            self._handle, hosts=("127.0.0.1",), port=0, max_body=_MAX_REQUEST, name="reach-data"
        )
        self._ports: set[int] = set()
        self._sources: SourceReader | None = None
        self._urls: ReachUrls | None = None
        self._readings: set[Reading] = set()
        self._servings: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._who: Callable[[str], str] = member_of if named else str
        self._turns = Turns(each=_TRANSFERS, each_waits=_WAITING, every=_ALL_TRANSFERS, all_wait=_ALL_WAITING)
        self._unsure = Unsure(engine.named)
        self._end: Callable[[], None] = lambda: None

    @property
    def urls(self) -> ReachUrls:
        """The URLs of the room. Raises RuntimeError before `start`."""
        if self._urls is None:
            raise RuntimeError("the data port has not started")
        return self._urls

    async def start(self) -> None:
        """Open the port, and answer other hubs. Raises OSError."""
        await self._server.start()
        base = f"http://{self._server.url_host}:{self._server.port}"
        self._urls = ReachUrls(
            self._hub,
            base,
            self._engine.named,
            new_token=lambda: secrets.token_urlsafe(16),
            host_names=own_names(socket.gethostname()),
            offers=self._offers,
            note_paths=self._unsure.note,
        )
        # Not among the hub's own: pages here may read what other hubs offer.
        own_ports = _Ports(self._engine.own_ports, self._server.port)
        self._sources = SourceReader(
            self._engine.named, own_ports, self._engine.own_files, self._unsure.settled
        )
        self._end = self._bus.subscribe(self._subjects.all_asked, self._asked)

    def back(self) -> None:
        """Take note that the bus has a server again: what was under way is asked for anew."""
        for reading in self._readings:
            reading.cut()

    async def close(self) -> None:
        """End every transfer, and close the port."""
        self._end()
        for reading in list(self._readings):
            reading.close()
        await self._server.close()
        tasks = list(self._servings.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._unsure.close()
        if self._sources is not None:
            await self._sources.close()

    # ---- for tools of this machine

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=OPEN_TO_PAGES)
        if request.method not in ("GET", "HEAD"):
            headers = {**OPEN_TO_PAGES, "Allow": "GET, HEAD, OPTIONS"}
            return web.Response(status=405, headers=headers, text="only GET and HEAD\n")
        path = request.raw_path.partition("?")[0]
        if path == NOT_OFFERED:
            return _refusal(403, "the URL that was sent means the sender's own machine, and is not offered")
        capability = parse_address(path[1:])
        if capability is None or capability.hub == self._hub:
            return _refusal(404, "there is nothing here (any more)")
        return await self._read(request, capability)

    async def _read(self, request: web.BaseRequest, capability: Capability) -> web.StreamResponse:
        reading = Reading(
            self._bus, self._subjects, capability.hub, capability.token, request.method, request.headers
        )
        self._readings.add(reading)
        try:
            head = await reading.head()
            response = web.StreamResponse(status=head.status, headers=_headers(head))
            response.headers["Server"] = "asyncsamp"
            async with contextlib.aclosing(reading.pieces()) as pieces:
                return await send(request, response, pieces, what="what another hub offers")
        except ReadingError as error:
            return _refusal(502, str(error))
        finally:
            self._readings.discard(reading)
            reading.close()

    # ---- for other hubs

    def _asked(self, message: BusMessage) -> None:
        """Begin what another hub asks for; who it is stands in the subject, which the server has checked."""
        reader = speaker_of(message.subject)
        if not is_hub(reader):
            return
        if not self._subjects.is_answer_to(reader, message.reply):
            log.warning("hub %s asks that an answer goes to another hub; it gets none", reader)
            return
        try:
            ask = read_ask(message.payload)
        except RemoteProtocolError as error:
            self._bus.publish(message.reply, Failure(str(error)).dump())
            return
        key = reader, ask.reading
        earlier = self._servings.get(key)
        if earlier is not None:
            earlier.cancel()
        assert self._sources is not None
        offer = self.urls.offered(ask.token)
        if offer is None:
            self._bus.publish(message.reply, Failure("the hub that has it no longer offers it").dump())
            return
        turn = self._turns.take(self._who(reader))
        if turn is None:
            self._bus.publish(message.reply, Failure("too many transfers at once").dump())
            return
        credit = self._subjects.answer_of(reader, secrets.token_hex(11))
        serving = Serving(self._bus, self._sources, offer, ask, to=message.reply, credit=credit)
        task = asyncio.get_running_loop().create_task(
            self._serve(turn, serving, message.reply), name="asyncsamp-reach-serving"
        )
        self._servings[key] = task
        task.add_done_callback(lambda _: self._ended(key, task, turn))

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None], turn: Turn) -> None:
        self._turns.give_back(turn)
        if self._servings.get(key) is task:
            del self._servings[key]

    async def _serve(self, turn: Turn, serving: Serving, to: str) -> None:
        while not turn.begun.done():  # the reader is to know that we are there
            self._bus.publish(to, ALIVE)
            await asyncio.wait((turn.begun,), timeout=1.0)
        await serving.run()


class _Ports:
    """The hub's ports, which may become more, and the data port."""

    def __init__(self, hub: Set[int], own: int) -> None:
        self._hub = hub
        self._own = own

    def __contains__(self, port: object) -> bool:
        return port == self._own or port in self._hub


def _headers(head: Head) -> dict[str, str]:
    told = {"Content-Type": "application/octet-stream", **head.headers}
    return {**told, **OPEN_TO_PAGES, **SANDBOXED, "Cache-Control": "no-store"}


def _refusal(status: int, reason: str) -> web.Response:
    return web.Response(status=status, headers=OPEN_TO_PAGES, text=f"{reason}\n")
