"""Waiting for a tool: registered, and taking what it is to take."""

from __future__ import annotations

import asyncio

from asyncsamp import Client, RemoteClient, ReplyError

from ..peers import Screen
from .sky import image


async def found(client: Client, name: str, mtype: str, timeout: float = 90) -> RemoteClient:
    """Wait until a client of that name is there and subscribes to `mtype`."""
    async with client.messages("samp.hub.event.*") as events, asyncio.timeout(timeout):
        tool = await client.find(name, timeout=timeout)
        while not tool.subscribes(mtype):
            await anext(events)
        return tool


async def aladin_ready(client: Client, display: Screen, timeout: float = 90) -> RemoteClient:
    """Wait for Aladin, which registers before it has made all its windows, and then takes nothing."""
    tool = await found(client, "aladin", "image.load.fits", timeout)
    await display.find("Aladin v")
    async with asyncio.timeout(timeout):
        while True:
            try:
                await client.send_image(image(), tool, name="field", local=True)
            except ReplyError as error:
                if "this.aladin.dialog" not in str(error):
                    raise
            else:
                return tool
