"""The question about a web page on a real desktop: D-Bus, dunst and notify-send."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from asyncsamp import ConsentAnswer, ConsentQuestion
from asyncsamp.hub.page import PageConsent
from asyncsamp.hub.page.desktop import ask

from ...installed import require_program
from ..peers import PeerError, Process, process, screen

pytestmark = pytest.mark.timeout(180)

QUESTION = ConsentQuestion("Star archive", "https://stars.example.org", "", False, "127.0.0.1")

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>"""


class Desktop:
    """A desktop that shows notifications, and a user who presses a button of theirs."""

    def __init__(self, dunst: Process, home: Path, env: dict[str, str]) -> None:
        self.dunst = dunst
        self._home = home
        self.env = env

    async def control(self, *command: str) -> str:
        """Run dunstctl."""
        program = require_program("dunstctl", "dunst")
        async with process([program, *command], name="dunstctl", home=self._home, env=self.env) as running:
            return await running.succeed(30)

    async def shows(self, number: int) -> None:
        """Wait until so many notifications are shown: dunst draws and takes away a little later."""
        async with asyncio.timeout(30):
            while await self.control("count", "displayed") != str(number):
                pass


@contextlib.asynccontextmanager
async def desktop(home: Path) -> AsyncIterator[Desktop]:
    """Run a bus of the test's own, and dunst on it."""
    config, hand, settings = home / "bus.conf", home / "hand", home / "dunstrc"
    await asyncio.to_thread(config.write_text, _BUS.format(folder=home))
    # dunst asks a program of the user's which button it is: this one is the user.
    await asyncio.to_thread(hand.write_text, "#!/bin/sh\ngrep 'Allow once'\n")
    await asyncio.to_thread(hand.chmod, 0o700)
    await asyncio.to_thread(settings.write_text, f"[global]\ndmenu = {hand}\n")
    bus = [require_program("dbus-daemon", "dbus"), f"--config-file={config}", "--nofork", "--print-address"]
    program = require_program("dunst", "dunst")
    require_program("notify-send", "libnotify-bin")
    async with screen(home) as display, process(bus, name="dbus-daemon", home=home) as daemon:
        address = (await daemon.line("^unix:.*")).string
        env = {"DISPLAY": display.display, "DBUS_SESSION_BUS_ADDRESS": address}
        async with process([program, "-print", "-conf", settings], name="dunst", home=home, env=env) as dunst:
            found = Desktop(dunst, home, env)
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(PeerError):  # it has not begun
                        await found.control("is-paused")
                        break
            yield found


async def test_a_button_on_the_desktop_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desktop(tmp_path) as here:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", here.env["DBUS_SESSION_BUS_ADDRESS"])
        consent = PageConsent(desktop=ask)
        asking = asyncio.create_task(consent(QUESTION))
        claims = "Page's origin: https://stars.example.org.", "It calls itself: Star archive."
        for text in ("A web page asks to register", *claims, "it can send data", "Allow once"):
            await here.dunst.line(re.escape(text))
        shown = "\n".join(here.dunst.stdout.lines)
        assert shown.index(claims[0]) < shown.index(claims[1])
        await here.shows(1)
        await here.control("context")
        assert await asking is ConsentAnswer.ALLOW
        await here.shows(0)


async def test_an_answer_elsewhere_takes_it_from_the_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desktop(tmp_path) as here:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", here.env["DBUS_SESSION_BUS_ADDRESS"])
        shown = asyncio.Event()

        async def asked(title: str, text: str, choices: Mapping[str, str], show: Callable[[], None]) -> str:
            def both() -> None:
                show()
                shown.set()

            return await ask(title, text, choices, both)

        consent = PageConsent(desktop=asked)
        asking = asyncio.create_task(consent(QUESTION))
        await shown.wait()
        await here.shows(1)
        [open_question] = consent.questions()
        assert consent.answer(open_question["number"], ConsentAnswer.ALLOW)
        assert await asking is ConsentAnswer.ALLOW
        await here.shows(0)
