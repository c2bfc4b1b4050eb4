"""A hub with the Web Profile at its real port, a desktop client, and files to send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncsamp import Client, Hub, Limits, Message, OriginStore, RemoteClient, WebProfile, allow_all

from ..peers.java import java_command
from ..peers.process import hub_variable, process
from .site import HERE

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

__all__ = ["FILES", "VOTABLE", "desktop", "jsamp_web_hub", "open_page", "subscriber", "until_gone", "web_hub"]

FILES = {"page.html": HERE / "page.html"}

_ROWS = "\n".join(
    f"<TR><TD>{10.0 + (n % 10) / 10}</TD><TD>{41.0 + n // 10 / 10}</TD><TD>star {n}</TD></TR>"
    for n in range(100)
)

VOTABLE = f"""<?xml version="1.0"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE name="stars">
<FIELD name="RA" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main"/>
<FIELD name="DEC" datatype="double" unit="deg" ucd="pos.eq.dec;meta.main"/>
<FIELD name="NAME" datatype="char" arraysize="*" ucd="meta.id;meta.main"/>
<DATA><TABLEDATA>
{_ROWS}
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""


@contextlib.asynccontextmanager
async def web_hub(folder: Path, *, limits: Limits | None = None, **options: Any) -> AsyncIterator[Hub]:
    """Run a hub that lets every page in, unless told otherwise."""
    options = {"consent": allow_all, "store": OriginStore(), **options}
    profile = WebProfile(**options)
    async with Hub(
        lockfile=folder / "hub.samp", profiles=[profile], permissions=profile.permissions, limits=limits
    ) as hub:
        yield hub


def desktop(folder: Path) -> Client:
    """Return a client over the Standard Profile that answers with what it heard."""
    client = Client("desktop", lockfile=folder / "hub.samp")

    @client.on("table.load.votable")
    async def load(message: Message) -> dict[str, Any]:
        return {"heard": message.params}

    return client


async def open_page(context: BrowserContext, url: str, name: str, *mtypes: str) -> tuple[Page, str]:
    """Open our own page in a tab, and register it; returns the tab and the public id."""
    tab = await context.new_page()
    await tab.goto(url)
    public_id = await tab.evaluate(
        "([name, subscriptions]) => samp.register(name, subscriptions)",
        [name, {mtype: {} for mtype in mtypes}],
    )
    return tab, str(public_id)


async def subscriber(client: Client, name: str, mtype: str) -> RemoteClient:
    """Return the client of that name, once it subscribes to `mtype`."""
    async with asyncio.timeout(90), client.messages("samp.hub.event.subscriptions") as declarations:
        found = await client.find(name, timeout=90)
        while not found.subscribes(mtype):
            await anext(declarations)
        return found


async def until_gone(client: Client, public_id: str, timeout: float) -> float:
    """Wait until the hub has removed a client; returns the seconds it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.timeout(timeout), client.messages("samp.hub.event.unregister") as events:
        if public_id in await client.get_registered_clients():
            async for event in events:
                if event.params["id"] == public_id:
                    break
    return loop.time() - begun


@contextlib.asynccontextmanager
async def jsamp_web_hub(home: Path) -> AsyncIterator[Path]:
    """Run JSAMP's hub with both profiles, which lets every page in and any message pass."""
    lockfile = home / "jsamp.samp"
    options = ["-mode", "no-gui", "-profiles", "std,web", "-web:auth", "true", "-web:norestrictmtypes"]
    command = java_command(home, "org.astrogrid.samp.hub.Hub", "-verbose", *options)
    async with process(command, name="JSAMP hub", home=home, env=hub_variable(lockfile)) as hub:
        await hub.line("Starting hub service", stderr=True)
        yield lockfile
