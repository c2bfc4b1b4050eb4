"""The desktop peers, each on an X server of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ...installed import require_file, require_program
from .process import PeerError, Process, hub_variable, process

DS9_NAME = "SAOImageDS9"
"""The samp.name under which DS9 registers."""

ALADIN_JAR = Path("/usr/share/java/aladin.jar")

_HANDS_SECONDS = 30.0

_TRIES = 5


class Screen:
    """An X server, and a hand that finds windows and clicks into them."""

    def __init__(self, display: str, home: Path) -> None:
        self.display = display
        self._home = home

    async def find(self, title: str, *, timeout: float = 60.0) -> str:
        """Wait for a visible window with that title (a regular expression) and return its number."""
        search = "xdotool", "search", "--sync", "--onlyvisible", "--name", title
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        while True:
            try:
                return (await self._run(*search, timeout=end - clock())).split()[-1]
            except PeerError:  # a window that vanished while it was looked at ends the search, too
                if clock() >= end:
                    raise

    async def raise_window(self, title: str) -> str:
        """Bring a window to the front and give it the focus; returns its number."""
        window = await self.find(title)
        await self._run("xdotool", "windowraise", window, "windowfocus", window)
        return window

    async def click(self, title: str, x: int, y: int, *, shift: bool = False) -> None:
        """Click at a place of a window, in pixels from its upper left corner."""
        window = await self.raise_window(title)
        place = ["mousemove", "--sync", "--window", window, str(x), str(y)]
        click = ["keydown", "shift", "click", "1", "keyup", "shift"] if shift else ["click", "1"]
        await self._run("xdotool", "mousemove", "1", "1", *place, *click)

    async def drag(self, title: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag the mouse from one place of a window to another, by way of their middle."""
        window = await self.raise_window(title)
        middle = ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
        moves = [
            ["mousemove", "--sync", "--window", window, *map(str, place)] for place in (start, middle, end)
        ]
        await self._run("xdotool", *moves[0], "mousedown", "1", *moves[1], *moves[2], "mouseup", "1")

    async def press(self, title: str, keys: str) -> None:
        """Press keys, such as "alt+y", in a window."""
        await self.raise_window(title)
        await self._run("xdotool", "key", keys)

    async def click_at(self, x: int, y: int) -> None:
        """Click at a place of the screen, whatever window is there, and bring none to the front."""
        place = ["mousemove", "--sync", str(x), str(y)]
        await self._run("xdotool", "mousemove", "1", "1", *place, "click", "1")

    async def arrange(self, title: str, x: int, y: int, size: tuple[int, int] | None = None) -> None:
        """Move a window, and give it a size."""
        window = await self.raise_window(title)
        resize = [] if size is None else ["windowsize", "--sync", window, *map(str, size)]
        await self._run("xdotool", "windowmove", window, str(x), str(y), *resize)

    async def drawn(
        self, path: Path, title: str | None = None, *, colours: int, timeout: float = 60, area: str = ""
    ) -> None:
        """Write a PNG of a window, or of all there is or an area of it, once it has so many colours.

        And once it stays as it is: a tool may be drawing it still. What never does is taken after some tries.
        """
        window = "root" if title is None else await self.raise_window(title)
        crop = ["-crop", area, "+repage"] if area else []
        seen: list[str] = []
        async with asyncio.timeout(timeout):
            while True:
                await self._run("import", "-display", self.display, "-window", window, *crop, str(path))
                number, signature = (await self._run("identify", "-format", "%k %#", str(path))).split()
                if int(number) >= colours and (signature in seen[-1:] or len(seen) > _TRIES):
                    return
                seen.append(signature)

    async def ring(self, path: Path, x: int, y: int, radius: int = 26) -> None:
        """Draw a ring around a place of a picture, for who looks for a button there."""
        circle = f"ellipse {x},{y} {radius},{min(radius, 24)} 0,360"
        drawing = ["-fill", "none", "-stroke", "#d00000", "-strokewidth", "4", "-draw", circle]
        await self._run("convert", str(path), *drawing, str(path))

    async def _run(self, *command: str, timeout: float = _HANDS_SECONDS) -> str:
        package = "xdotool" if command[0] == "xdotool" else "imagemagick"
        program = require_program(command[0], package)
        env = {"DISPLAY": self.display}
        async with process([program, *command[1:]], name=command[0], home=self._home, env=env) as running:
            return await running.succeed(timeout)


@contextlib.asynccontextmanager
async def xvfb(home: Path, size: str = "1280x1024") -> AsyncIterator[str]:
    """Run an X server without a screen; gives its DISPLAY, which the server itself chose."""
    command = [
        require_program("Xvfb", "xvfb"),
        "-displayfd",
        "1",
        "-screen",
        "0",
        f"{size}x24",
        "-nolisten",
        "tcp",
    ]
    async with process(command, name="Xvfb", home=home) as server:
        number = await server.line(r"^\d+$")
        yield f":{number[0]}"


@contextlib.asynccontextmanager
async def screen(home: Path) -> AsyncIterator[Screen]:
    """Run an X server, with a hand."""
    async with xvfb(home) as display:
        yield Screen(display, home)


@contextlib.asynccontextmanager
async def ds9(lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run the real DS9, which registers. It says nothing when ready: look for a client called `DS9_NAME`."""
    async with screen(home) as display, ds9_on(display, lockfile, home) as running:
        yield running


@contextlib.asynccontextmanager
async def ds9_on(display: Screen, lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run the real DS9 on a screen. Debian's forgets to load what it reads VOTables with."""
    program = require_program("ds9", "saods9")
    script = home / "xml.tcl"
    await asyncio.to_thread(script.write_text, "package require xml\n")
    env = hub_variable(lockfile) | {"DISPLAY": display.display}
    command = [program, "-source", str(script), "-samp", "connect"]  # before a hub can send it anything
    async with process(command, name="DS9", home=home, env=env) as running:
        yield running


@contextlib.asynccontextmanager
async def topcat_on(
    display: Screen, lockfile: Path, home: Path, *, own_hub: bool = False
) -> AsyncIterator[Process]:
    """Run the real TOPCAT on a screen; it registers as "topcat". With `own_hub` it may run a hub itself."""
    program = require_program("topcat", "topcat")
    env = hub_variable(lockfile) | {"DISPLAY": display.display}
    command = [program, f"-Duser.home={home}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command += [] if own_hub else ["-nohub"]
    async with process(command, name="TOPCAT", home=home, env=env) as running:
        yield running


@contextlib.asynccontextmanager
async def aladin_on(display: Screen, lockfile: Path, home: Path) -> AsyncIterator[Process]:
    """Run the real Aladin on a screen; it registers as "Aladin".

    It reads no SAMP_HUB, only `.samp` in its home, which must be `lockfile`. With -local it asks
    no server on the Internet, nor any other: images reach it as file:// URLs only.
    """
    jar = require_file(ALADIN_JAR, "aladin")
    java = require_program("java", "aladin")
    if lockfile.name != ".samp":
        raise PeerError(f"Aladin finds only a hub whose lockfile is called .samp, not {lockfile}")
    fast = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = [java, *fast, f"-Duser.home={lockfile.parent}", "-jar", str(jar), "-nohub", "-local"]
    async with process(command, name="Aladin", home=home, env={"DISPLAY": display.display}) as running:
        yield running
