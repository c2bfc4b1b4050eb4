"""The example of a Qt program that asks in a window, with a hand that presses its buttons."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import asyncsamp
from asyncsamp import Client, Message

from ..aio.webpage import ORIGIN, Page
from ..interop.peers import hub_variable, process
from ..ports import lasting_port

pytestmark = pytest.mark.timeout(150)

EXAMPLE = Path(__file__).parents[2] / "examples" / "qt_consent.py"

HAND = """
import runpy, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

answers, run = sys.argv[2].split(","), QApplication.exec

def look():
    for box in QApplication.topLevelWidgets():
        if isinstance(box, QMessageBox) and box.isVisible() and answers and not box.property("seen"):
            box.setProperty("seen", True)
            print("asked:", box.text(), flush=True)
            wanted = answers.pop(0)
            for button in box.buttons():
                if button.text() == wanted:
                    button.click()
    if not any(isinstance(box, QMessageBox) and box.isVisible() for box in QApplication.topLevelWidgets()):
        if watched.get("open"):
            print("closed", flush=True)
        watched["open"] = False
    else:
        watched["open"] = True

watched = {}

def with_hand(*app):
    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(10)
    return run()

QApplication.exec = with_hand
sys.argv = [sys.argv[1], sys.argv[3]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


async def take(message: Message) -> None:
    """Take any message."""


async def test_the_window_asks_and_its_buttons_answer(tmp_path: Path) -> None:
    assert EXAMPLE.name == "qt_consent.py"
    lockfile, port = tmp_path / "hub.samp", lasting_port()
    env = {
        **hub_variable(lockfile),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(Path(asyncsamp.__file__).parents[1]),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    answers = "Deny,Allow once,Always for this origin,none"
    command = [sys.executable, "-c", HAND, str(EXAMPLE), answers, str(port)]
    async with process(command, name="window", home=tmp_path, env=env) as window:
        await window.line("^running$")
        page = Page(port)
        refused = await page.post("samp.webhub.register", {"samp.name": "page"})
        assert "did not let" in refused.fault.text
        await window.line(f"^asked: page of {ORIGIN} asks to register$")
        await page.register()
        await window.line("^asked: page of")
        tool = Client("tool", lockfile=lockfile)
        tool.on("script.run")(take)
        async with tool:
            told = await page.call("notifyAll", {"samp.mtype": "script.run", "samp.params": {}})
            assert told == [tool.public_id]
            await window.line(f"^asked: page of {ORIGIN} asks to send script.run to tool$")
        leaving = asyncio.create_task(Page(port, "https://b.example.org").register())
        await window.line("^asked: page of https://b.example.org asks to register$")
        leaving.cancel()
        await window.line("^closed$")
