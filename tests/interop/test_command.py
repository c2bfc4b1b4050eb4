"""The command with the real DS9 and TOPCAT, which it starts itself, with JSAMP's hub, and with systemd."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from asyncsamp import Client, RemoteClient, UnknownClientError
from asyncsamp.cli.service import systemd_unit
from asyncsamp.data.formats.table_read import read_table

from ..cli.command import Command
from ..installed import require_program
from .desktop.conftest import PICTURES
from .desktop.sky import image, stars
from .peers import DS9_NAME, ds9_on, jsamp_hub, own_hub, process, screen

pytestmark = pytest.mark.timeout(150)


class Session:
    """Commands on a terminal, with all that they show."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._shown: list[tuple[str, str]] = []

    async def run(self, line: str) -> str:
        """Run a command, which must succeed, and return what it has shown."""
        ended = await self._command.on_terminal(*line.split(), columns=90)
        assert ended.code == 0, ended
        self._shown.append((line, ended.out))
        return ended.out

    def draw(self, path: Path) -> None:
        """Draw it as an SVG that needs nothing from elsewhere."""
        console = Console(record=True, width=90, file=io.StringIO())
        for line, shown in self._shown:
            console.print(f"$ asyncsamp {line}", style="bold", highlight=False, markup=False)
            console.print(Text.from_ansi(shown.replace("\r", "")))
        svg = console.export_svg(title="asyncsamp")
        path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, ", ""))


@contextlib.asynccontextmanager
async def desktop(home: Path) -> AsyncIterator[Command]:
    """Run a hub and a screen, which takes with it what was started there when it ends."""
    async with own_hub(home / ".samp", home), screen(home) as display:
        command = Command(home)
        command.env |= {"DISPLAY": display.display, "JAVA_TOOL_OPTIONS": f"-Duser.home={home}"}
        yield command


async def test_an_image_is_shown_in_ds9_by_one_command(tmp_path: Path) -> None:
    """DS9 is not running; it is started, waited for, and asked what it shows."""
    require_program("ds9", "saods9")
    path = tmp_path / "m31.fits"
    await asyncio.to_thread(image().writeto, path)
    async with desktop(tmp_path) as command:
        session = Session(command)
        opened = await session.run("open m31.fits --start --in ds9 -W 100")
        assert opened.startswith(f"m31.fits: loaded by {DS9_NAME} (")
        assert (await command.run("wait", "ds9", "-W", "20")).code == 0
        asked = await command.run("send", "ds9.get", "cmd=fits size", "--to", "ds9", "--json")
        assert json.loads(asked.out)["samp.result"]["value"].split()[:2] == ["200", "160"]
        assert (await session.run("point 10.6847 41.269 --to ds9")).endswith("): pointed\r\n")
        assert DS9_NAME in await session.run("list")
        assert "ms" in await session.run("ping ds9")
    if folder := os.environ.get(PICTURES):
        await asyncio.to_thread(session.draw, Path(folder) / "command.svg")


async def test_two_ds9_are_told_apart(tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with (
        own_hub(lockfile, tmp_path),
        screen(tmp_path) as display,
        ds9_on(display, lockfile, tmp_path),
        ds9_on(display, lockfile, tmp_path),
        Client("me", lockfile=lockfile) as client,
    ):
        first, second = await two(client, DS9_NAME)
        command = Command(tmp_path)
        ambiguous = await command.run("info", "ds9")
        assert ambiguous.code == 3
        assert first.public_id in ambiguous.err
        assert second.public_id in ambiguous.err
        for other in (first, second):
            info = await command.run("info", other.public_id, "--json")
            assert json.loads(info.out)["id"] == other.public_id


async def two(client: Client, name: str) -> list[RemoteClient]:
    """Wait until two clients of that name are there."""
    async with client.messages("samp.hub.event.*") as events, asyncio.timeout(60):
        while True:
            there = [other for other in await client.get_clients() if other.name == name]
            if len(there) == 2:
                return there
            await anext(events)


async def test_a_table_goes_to_topcat_and_comes_back(tmp_path: Path) -> None:
    require_program("topcat", "topcat")
    path = tmp_path / "stars.fits"
    await asyncio.to_thread(stars().write, path)
    async with desktop(tmp_path) as command:
        opened = await command.run("open", path, "--start", "--in", "topcat", "-W", "100")
        assert opened.code == 0, opened
        assert "loaded by topcat (" in opened.out
        for name in ("back.vot", "back.fits"):
            await until_done(command, "get", "-o", name)
            # TOPCAT gives the file's COMMENT cards as a list of texts, which astropy alone cannot read.
            back = await asyncio.to_thread(read_table, await asyncio.to_thread((tmp_path / name).read_bytes))
            assert [str(star).strip() for star in back["name"]] == list(stars()["name"])


async def until_done(command: Command, *words: str) -> None:
    """Run it until TOPCAT does it: it answers before the table that it has loaded is the current one."""
    async with asyncio.timeout(60):
        while (ended := await command.run(*words)).code:
            assert "No current table" in ended.err, ended


async def test_it_works_with_the_hub_of_jsamp(tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with jsamp_hub(lockfile, tmp_path), Client("viewer", lockfile=lockfile) as viewer:

        @viewer.on("test.echo")
        async def echo(message: object) -> dict[str, str]:
            return {"said": "yes"}

        await viewer.settled()
        command = Command(tmp_path)
        assert "viewer" in (await command.run("list")).out
        for how in ("--call", "--wait", "--notify"):
            assert (await command.run("send", "test.echo", how, "--to", "viewer")).code == 0
        assert (await command.run("ping", "viewer")).code == 0
        async with command.start("snoop", "test.echo", "-C", "1") as snoop:
            assert (await command.run("wait", "asyncsamp snoop", "-W", "30")).code == 0
            with contextlib.suppress(UnknownClientError):
                await viewer.notify_all("test.echo")
            assert json.loads((await snoop.end()).out)["mtype"] == "test.echo"


async def test_the_unit_of_the_hub_passes_systemd_s_own_check(tmp_path: Path) -> None:
    program = require_program("systemd-analyze", "systemd")
    unit = tmp_path / "asyncsamp-hub.service"
    unit.write_text(systemd_unit(sys.executable, tmp_path / "a folder with 100% $blanks" / "hub.state"))
    command = [program, "--user", "verify", str(unit)]
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    async with process(command, name="systemd-analyze", home=tmp_path, env=env) as analyze:
        assert await analyze.succeed(30) == ""
