"""The tools that the programs of the pages speak with: scripted clients, which do what their users would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from astropy.table import Table

from asyncsamp import Client, Message, RemoteClient, SampError
from tests.interop.desktop.sky import image

__all__ = ["audience"]

TAKES = {
    "topcat": [
        "table.load.votable",
        "table.load.fits",
        "table.select.rowList",
        "coord.pointAt.sky",
    ],
    "SAOImageDS9": ["image.load.fits", "coord.pointAt.sky"],
    "Aladin": [
        "image.load.fits",
        "table.load.votable",
        "script.aladin.send",
        "coord.pointAt.sky",
    ],
    "SPLAT": ["spectrum.load.ssa-generic"],
}


class Audience:
    """TOPCAT, DS9, Aladin and SPLAT, played: they take data, select rows, and send what others want."""

    def __init__(self, lockfile: Path) -> None:
        self.topcat = Client("topcat", lockfile=lockfile)
        self.ds9 = Client("SAOImageDS9", lockfile=lockfile)
        self.aladin = Client("Aladin", lockfile=lockfile)
        self.splat = Client("SPLAT", lockfile=lockfile)
        self.clients = [self.topcat, self.ds9, self.aladin, self.splat]
        self._served: set[tuple[str, str]] = set()
        self._tables: dict[str, str] = {}
        for client in self.clients:
            client.on(*TAKES[client.name])(self._take)
        self.ds9.on("ds9.set", "ds9.get")(self._obey)
        self.topcat.on("table.get.stil")(self._give)

    async def _take(self, message: Message) -> dict[str, str]:
        """Any data is taken; whoever sent a table is to get rows of it selected."""
        if "table-id" in message.params and message.mtype.startswith("table.load"):
            self._tables[message.sender] = str(message.params["table-id"])
        return {}

    async def _obey(self, message: Message) -> dict[str, str]:
        return {"value": "linear"}

    async def _give(self, message: Message) -> dict[str, str]:
        content = Path(__file__).with_name("stars.vot").read_bytes()
        return {"url": await self.topcat.share(content, name="stars.vot")}

    async def play(self) -> None:
        """Serve everybody else for as long as it is not cancelled."""
        async with self.topcat.messages("samp.hub.event.subscriptions") as events:
            async for event in events:
                sender = str(event.params["id"])
                with contextlib.suppress(SampError):
                    await self._serve(await self.topcat.find(sender))

    async def _serve(self, other: RemoteClient) -> None:
        """Send what `other` has begun to take, each kind once."""
        if other.public_id in {client.public_id for client in self.clients}:
            return
        wants = [
            mtype
            for mtype in (
                "table.load.votable",
                "image.load.fits",
                "coord.pointAt.sky",
                "table.select.rowList",
            )
            if other.subscribes(mtype) and (other.public_id, mtype) not in self._served
        ]
        for mtype in wants:
            self._served.add((other.public_id, mtype))
            await self._send(other, mtype)

    async def _send(self, other: RemoteClient, mtype: str) -> None:
        if mtype == "table.load.votable":
            await self.topcat.send_table(Table({"ra": [10.68, 10.67], "dec": [41.27, 40.87]}), other)
        elif mtype == "image.load.fits":
            await self.ds9.send_image(image(), other)
        elif mtype == "coord.pointAt.sky":
            await self.aladin.point_at(10.68, 41.27, other)
        elif other.public_id in self._tables:
            rows = {"table-id": self._tables[other.public_id], "row-list": ["0", "1"]}
            await self.topcat.notify(other.public_id, mtype, rows)


@contextlib.asynccontextmanager
async def audience(lockfile: Path) -> AsyncIterator[Audience]:
    """The three tools at a hub, at play."""
    async with contextlib.AsyncExitStack() as stack:
        there = Audience(lockfile)
        for client in there.clients:
            await stack.enter_async_context(client)
        playing = asyncio.create_task(there.play(), name="audience")
        try:
            yield there
        finally:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing
