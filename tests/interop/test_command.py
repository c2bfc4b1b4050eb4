"""The command with the real DS9 and TOPCAT, which it starts itself, with JSAMP's hub, and with systemd."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
from rich.console import Console
from rich.text import Text

from asyncsamp import Client, RemoteClient, ReplyError, UnknownClientError
from asyncsamp.cli.service import systemd_unit
from asyncsamp.data.formats.table_read import read_table

from ..cli.command import Command
from ..installed import require_file, require_program
from .desktop.meeting import found
from .desktop.sky import image, stars
from .peers import DS9_NAME, Process, ds9_on, jsamp_hub, own_hub, process, screen
from .peers.desktop import ALADIN_JAR
from .pictures import keep_picture

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


RunHub: TypeAlias = Callable[[Path, Path], AbstractAsyncContextManager[Process]]


@contextlib.asynccontextmanager
async def desktop(home: Path, hub: RunHub = own_hub) -> AsyncIterator[Command]:
    """Run a hub and a screen, which takes with it what was started there when it ends."""
    async with hub(home / ".samp", home), screen(home) as display:
        command = Command(home)
        command.env |= {"DISPLAY": display.display, "JAVA_TOOL_OPTIONS": f"-Duser.home={home}"}
        yield command


@pytest.mark.parametrize("hub", [own_hub, jsamp_hub])
async def test_an_image_is_shown_in_ds9_by_one_command(tmp_path: Path, hub: RunHub) -> None:
    """DS9 is not running; it is started, waited for, and asked what it shows."""
    require_program("ds9", "saods9")
    path = tmp_path / "m31.fits"
    await asyncio.to_thread(image().writeto, path)
    async with desktop(tmp_path, hub) as command:
        session = Session(command)
        started, opened = (await session.run("open m31.fits --start --in ds9 -W 100")).splitlines()
        its_id = re.fullmatch(r"asyncsamp: ds9 was started: pid \d+, id (\S+)", started)
        assert its_id is not None
        assert opened == f"m31.fits: loaded by {DS9_NAME} ({its_id[1]})"
        assert (await command.run("wait", "ds9", "-W", "20")).code == 0
        asked = await command.run("send", "ds9.get", "cmd=fits size", "--to", "ds9", "--json")
        assert json.loads(asked.out)["samp.result"]["value"].split()[:2] == ["200", "160"]
        assert (await session.run("point 10.6847 41.269 --to ds9")).endswith("): pointed\r\n")
        assert DS9_NAME in await session.run("list")
        assert "ms" in await session.run("ping ds9")
    if hub is own_hub:
        await asyncio.to_thread(session.draw, tmp_path / "command.svg")
        keep_picture(tmp_path / "command.svg")


async def test_two_ds9_are_told_apart(tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with (
        own_hub(lockfile, tmp_path),
        screen(tmp_path) as display,
        ds9_on(display, lockfile, tmp_path),
        ds9_on(display, lockfile, tmp_path),
        Client("me", lockfile=lockfile) as client,
    ):
        first, second = await two(client, DS9_NAME, "ds9.set")
        command = Command(tmp_path)
        ambiguous = await command.run("info", "ds9")
        assert ambiguous.code == 3
        assert first.public_id in ambiguous.err
        assert second.public_id in ambiguous.err
        for other in (first, second):
            info = await command.run("info", other.public_id, "--json")
            assert json.loads(info.out)["id"] == other.public_id
            raised = await command.run("send", "ds9.set", "cmd=raise", "--to", other.public_id)
            assert (raised.code, other.public_id in raised.out) == (0, True)


async def two(client: Client, name: str, mtype: str) -> list[RemoteClient]:
    """Wait until two clients of that name are there, and take `mtype`."""
    async with client.messages("samp.hub.event.*") as events, asyncio.timeout(60):
        while True:
            there = [other for other in await client.get_clients() if other.name == name]
            if len(there) == 2 and all(other.subscribes(mtype) for other in there):
                return there
            await anext(events)


async def test_a_table_goes_to_topcat_and_comes_back(tmp_path: Path) -> None:
    """And what TOPCAT answers is recorded; afterwards it is played without TOPCAT, and answers the same."""
    require_program("topcat", "topcat")
    path = tmp_path / "stars.fits"
    await asyncio.to_thread(stars().write, path)
    async with desktop(tmp_path) as command:
        await to_topcat_and_back(command, path, "get -o back.vot", "get -o back.fits", "get 1 -o first.vot")
        script = questions(path)
        async with command.start("record", "topcat.jsonl", "-C", len(script)) as recorder:
            assert "recording into" in await recorder.remark()
            was = await asked(tmp_path / ".samp", script)
            assert (await recorder.end()).code == 0
    # Whether a position is used or earns a warning depends on the windows that TOPCAT has made until then.
    assert {status for status, *_ in was} >= {"samp.ok", "samp.error"}
    async with (
        own_hub(tmp_path / ".samp", tmp_path),
        command.start("replay", "topcat.jsonl", "--as", "topcat") as player,
    ):
        assert await asked(tmp_path / ".samp", script) == was
        await player.end(signal.SIGINT)


async def test_topcat_is_started_at_the_hub_of_jsamp(tmp_path: Path) -> None:
    require_program("topcat", "topcat")
    path = tmp_path / "stars.fits"
    await asyncio.to_thread(stars().write, path)
    async with desktop(tmp_path, jsamp_hub) as command:
        await to_topcat_and_back(command, path, "get -o back.vot")


async def to_topcat_and_back(command: Command, path: Path, *ways: str) -> None:
    """Open a table in TOPCAT, which is not running, get it back, and let TOPCAT look somewhere."""
    opened = await command.run("open", path, "--start", "--in", "topcat", "-W", "100")
    assert opened.code == 0, opened
    assert "loaded by topcat (" in opened.out
    assert "asyncsamp: topcat was started: pid " in opened.err
    for words in ways:
        await until_done(command, *words.split())
        data = await asyncio.to_thread((path.parent / words.split()[-1]).read_bytes)
        # TOPCAT gives the file's COMMENT cards as a list of texts, which astropy alone cannot read.
        back = await asyncio.to_thread(read_table, data)
        assert [str(star).strip() for star in back["name"]] == list(stars()["name"])
    none = await command.run("get", "7", "-o", "none.vot")
    assert (none.code, "No table with ID 7" in none.err) == (1, True)
    assert (await command.run("wait", "topcat", "-W", "20")).code == 0
    assert (await command.run("point", "10.68", "41.27", "--to", "topcat")).code == 0


def questions(path: Path) -> list[tuple[str, dict[str, object]]]:
    """Return a script of calls, some of which TOPCAT refuses."""
    url = path.as_uri()
    return [
        ("table.load.fits", {"url": url, "table-id": "t9", "name": "again"}),
        ("table.load.votable", {"url": url, "name": "not a VOTable"}),
        ("table.highlight.row", {"table-id": "t9", "row": "3"}),
        ("table.highlight.row", {"table-id": "unknown", "row": "3"}),
        ("table.select.rowList", {"table-id": "t9", "row-list": ["1", "2"]}),
        ("table.get.stil", {"format": "nonsense"}),
        ("coord.pointAt.sky", {"ra": "10.68", "dec": "41.27"}),
    ]


async def asked(lockfile: Path, script: list[tuple[str, dict[str, object]]]) -> list[tuple[str, object, str]]:
    """Ask TOPCAT, or who plays it, and return its answers."""
    answers: list[tuple[str, object, str]] = []
    async with Client("script", lockfile=lockfile) as client:
        topcat = await found(client, "topcat", "table.load.fits")
        for mtype, params in script:
            try:
                answer = await client.call(topcat, mtype, params, timeout=30)
            except ReplyError as error:
                answer = error.response
            answers.append((answer.status, answer.result, answer.errortxt))
    return answers


@pytest.mark.parametrize("hub", [own_hub, jsamp_hub])
async def test_aladin_is_started_and_shows_an_image(tmp_path: Path, hub: RunHub) -> None:
    """It looks for the hub in the home folder only, and is started with that of the lockfile."""
    require_file(ALADIN_JAR, "aladin")
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    # Without the Internet it would wait for servers.
    java.write_text(f'#!/bin/sh\nexec {require_program("java", "aladin")} "$@" -local\n')
    java.chmod(0o755)
    await asyncio.to_thread(image().writeto, tmp_path / "m31.fits")
    async with desktop(tmp_path, hub) as command:
        command.env["PATH"] = f"{java.parent}:{command.env['PATH']}"
        opened = await command.run("open", "m31.fits", "--start", "--in", "aladin", "-W", "100")
        assert opened.code == 0, opened
        assert "m31.fits: loaded by Aladin (" in opened.out
        assert (await command.run("point", "10.68", "41.27", "--to", "aladin")).code == 0


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
        assert "viewer" in (await command.on_terminal("list")).out
        assert "samp.name = viewer" in (await command.run("info", "viewer")).out
        assert (await command.run("doctor")).code == 0
        for how in ("--call", "--wait", "--notify"):
            assert (await command.run("send", "test.echo", how, "--to", "viewer")).code == 0
        assert (await command.run("ping", "viewer")).code == 0
        async with command.start("snoop", "test.echo", "-C", "1") as snoop:
            await found(viewer, "asyncsamp snoop", "test.echo")
            with contextlib.suppress(UnknownClientError):
                await viewer.notify_all("test.echo")
            assert json.loads((await snoop.end()).out)["mtype"] == "test.echo"
        async with command.start("handle", "test.it", "-C", "1", "--", "echo", "got {x}") as handler:
            assert (await command.run("wait", "test.it", "-W", "30")).code == 0
            answer = await viewer.call("asyncsamp handle", "test.it", {"x": "1"})
            assert answer.result["output"] == "got 1\n"
            assert (await handler.end()).code == 0
        async with command.start("record", "echo.jsonl", "--of", "viewer", "-C", "1") as recorder:
            await found(viewer, "viewer (recorded)", "test.echo")
            said = await command.run("send", "test.echo", "--to", "viewer (recorded)", "--json")
            assert json.loads(said.out)["samp.result"] == {"said": "yes"}
            assert (await recorder.end()).code == 0
        async with command.start("replay", "echo.jsonl", "--as", "viewer") as player:
            assert "playing viewer" in await player.remark()
            ids = [each.public_id for each in await viewer.get_clients() if each.name == "viewer"]
            [other] = [each for each in ids if each != viewer.public_id]
            said = await command.run("send", "test.echo", "--to", other, "--json")
            assert json.loads(said.out)["samp.result"] == {"said": "yes"}
            await player.end(signal.SIGINT)


async def test_the_unit_of_the_hub_passes_systemd_s_own_check(tmp_path: Path) -> None:
    program = require_program("systemd-analyze", "systemd")
    unit = tmp_path / "asyncsamp-hub.service"
    unit.write_text(systemd_unit(sys.executable, tmp_path / "a folder with 100% $blanks" / "hub.state"))
    command = [program, "--user", "verify", str(unit)]
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    async with process(command, name="systemd-analyze", home=tmp_path, env=env) as analyze:
        assert await analyze.succeed(30) == ""
