"""TOPCAT and DS9 on a desktop, the kernel on another machine, and nothing between them but the browser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from asyncsamp import Client

from ..desktop.meeting import found
from ..peers import DS9_NAME, ds9_on, screen, topcat_on
from ..pictures import keep_picture
from .browser import tab_context
from .figures import asyncsamp_hub
from .network import far_network
from .relays import jupyter_lab
from .site import certificate

pytestmark = pytest.mark.timeout(400)

NOTEBOOK = Path(__file__).parents[3] / "examples" / "remote_notebook.ipynb"
BROADCAST_ICON = (115, 40)
"""Of TOPCAT's main window, in pixels: the current table goes to all who take it."""


@pytest.fixture
def remote_topcat(tmp_path: Path) -> Iterator[Path]:
    """Give where to draw TOPCAT; `scripts/pictures` keeps it."""
    path = tmp_path / "remote-topcat.png"
    yield path
    keep_picture(path)


async def test_the_example_notebook_with_topcat_and_ds9(tmp_path: Path, remote_topcat: Path) -> None:
    """As on the Internet: https, a site that the browser takes for public, and its permission."""
    far = tmp_path / "far"
    far.mkdir()
    await certificate(tmp_path)
    https = [
        f"--ServerApp.{name}={tmp_path / file}"
        for name, file in (("certfile", "cert.pem"), ("keyfile", "key.pem"))
    ]
    async with (
        asyncsamp_hub(tmp_path) as (lockfile, _),
        Client("witness", lockfile=lockfile) as witness,
        screen(tmp_path) as display,
        topcat_on(display, lockfile, tmp_path),
        ds9_on(display, lockfile, tmp_path),
        far_network(tmp_path) as (inside, address),
        jupyter_lab(far, NOTEBOOK, host=address, inside=inside, options=https) as notebook,
        tab_context(tmp_path, f"--ip-address-space-overrides={address}:8899=public") as context,
    ):
        with pytest.raises(OSError, match="refused"):  # the far machine has no way to the hub
            await asyncio.to_thread(socket.create_connection, (address, 21012), 5)
        await found(witness, "topcat", "table.load.votable")
        await found(witness, DS9_NAME, "image.load.fits")
        await context.grant_permissions(["local-network-access"], origin=f"https://{address}:8899")
        tab = await notebook.open(context)
        await tab.set_viewport_size({"width": 900, "height": 900})
        await notebook.run(tab)
        await found(witness, "notebook", "table.load.votable", 90)  # the last cell waits for a table
        assert await witness.ds9_get("fits size", timeout=60) == "200 160"
        await display.drawn(remote_topcat, "^TOPCAT$", colours=600)
        back = tab.get_by_text("200 rows came from your desktop", exact=True)
        while not await back.is_visible():
            await display.click("^TOPCAT$", *BROADCAST_ICON)
            with contextlib.suppress(PlaywrightTimeoutError):
                await back.wait_for(timeout=3000)
