"""What the real tools subscribe to is what docs/reference/mtypes.md says that they take."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, RemoteClient

from ..peers import Process, Screen, aladin_on, ds9_on, screen, topcat_on
from .meeting import found

Start = Callable[[Screen, Path, Path], AbstractAsyncContextManager[Process]]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "mtypes.md"

ROWS = dict(re.findall(r"^\| `([\w.-]+)` \| `\w+` \| [^|]+ \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE))
NO_ROW = {"snapshot.get.jpg"}
"""Named below the table."""

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    ("short", "name", "start"),
    [("TOPCAT", "topcat", topcat_on), ("DS9", "SAOImageDS9", ds9_on), ("Aladin", "Aladin", aladin_on)],
)
async def test_it_takes_what_the_page_says(short: str, name: str, start: Start, tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    said = {mtype for mtype, takers in ROWS.items() if short in takers}
    assert said
    async with (
        Hub(lockfile=lockfile),
        Client("me", lockfile=lockfile) as client,
        screen(tmp_path) as display,
        start(display, lockfile, tmp_path),
        client.messages("samp.hub.event.subscriptions") as changes,
    ):
        tool = await found(client, name, "coord.pointAt.sky", 60)
        async with asyncio.timeout(60):
            while taken(tool) - NO_ROW != said:
                await anext(changes)


def taken(tool: RemoteClient) -> set[str]:
    """The mtypes without what DS9 declares among them."""
    return {mtype for mtype in tool.subscriptions if not mtype.startswith("x-samp.")}
