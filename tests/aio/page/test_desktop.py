"""asyncsamp.hub.page.desktop, with a program in the place of notify-send.

The real one, with a real desktop, is in `tests/interop/desktop/test_question.py`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from asyncsamp.hub.page import desktop
from asyncsamp.hub.page.desktop import ask

CHOICES = {"deny": "Deny", "allow always": "Always"}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setattr(desktop, "_PATIENCE", 30)  # a busy machine is slow to start a program
    return tmp_path / "notify-send"


def write(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)


async def asked() -> tuple[str, int]:
    """Ask; return the answer, and how often it was said that the question is shown."""
    shown: list[None] = []
    answer = await ask("A question", "--help $(x)", CHOICES, lambda: shown.append(None))
    return answer, len(shown)


async def test_the_program_is_given_the_texts_and_the_buttons(program: Path) -> None:
    write(program, 'for each in "$@"; do echo "$each"; done > "$0.told"; echo 7; echo "allow always"')
    assert await asked() == ("allow always", 1)
    told = program.with_name("notify-send.told").read_text().splitlines()
    assert told[-5:] == [
        "--action=deny=Deny",
        "--action=allow always=Always",
        "--",
        "A question",
        "--help $(x)",
    ]


@pytest.mark.parametrize("said", ["", "something else", "\udcff"])
async def test_a_question_that_is_closed_has_no_answer(said: str, program: Path) -> None:
    write(program, f"echo 7; echo '{said.encode(errors='surrogateescape').decode('latin-1')}'")
    assert await asked() == ("", 1)


async def test_a_program_that_knows_no_buttons_shows_the_question(program: Path) -> None:
    write(program, 'for each in "$@"; do case $each in --action*) exit 1;; esac; done')
    assert await asked() == ("", 1)


@pytest.mark.parametrize("text", ["exit 1", "exec sleep 60", "echo 0; exit 1", "echo 0; exec sleep 60"])
async def test_a_program_that_fails_or_hangs_has_shown_nothing(
    text: str, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "_PATIENCE", 0.2)
    write(program, text)
    assert await asked() == ("", 0)


async def test_open_questions_take_no_thread_from_others(program: Path) -> None:
    write(program, "echo 7; exec sleep 60")
    shown = asyncio.Semaphore(0)
    asking = [asyncio.create_task(ask("A question", "text", CHOICES, shown.release)) for _ in range(40)]
    async with asyncio.timeout(30):
        for _ in asking:
            await shown.acquire()
        await asyncio.to_thread(int)
    for each in asking:
        each.cancel()
    await asyncio.wait(asking)
    assert all(each.cancelled() for each in asking)


STUBBORN = """#!{python} -IS
import pathlib, signal, sys
signal.signal(signal.SIGINT, lambda *_: listens and (pathlib.Path(sys.argv[0] + ".back").touch(), sys.exit()))
listens = {listens}
print(7, flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("listens", [True, False])
async def test_who_asks_no_more_takes_the_question_back(listens: bool, program: Path) -> None:
    """A program that does not listen is killed."""
    program.write_text(STUBBORN.format(python=sys.executable, listens=listens))
    program.chmod(0o700)
    shown = asyncio.Event()
    asking = asyncio.create_task(ask("A question", "text", CHOICES, shown.set))
    await shown.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert program.with_name("notify-send.back").exists() is listens


async def test_what_a_script_has_started_ends_with_it(program: Path) -> None:
    write(program, "echo 7; sleep 60; true")
    shown = asyncio.Event()
    asking = asyncio.create_task(ask("A question", "text", CHOICES, shown.set))
    await shown.wait()
    asking.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([asking])


async def test_without_the_program_or_a_desktop_there_is_none(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert await asked() == ("", 0)
    write(program, "echo 7")
    assert await asked() == ("", 1)
    program.write_text("not a program")
    assert await asked() == ("", 0)
    write(program, "echo 7")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert await asked() == ("", 0)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(program.parent))
    assert await asked() == ("", 0)
    program.with_name("bus").touch()
    assert await asked() == ("", 1)
