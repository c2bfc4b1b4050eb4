"""asyncsamp.hub.page.desktop: a hint by notify-send, with a program of that name in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp.hub.page import desktop
from asyncsamp.hub.page.desktop import hint


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    return tmp_path / "notify-send"


def write(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)


async def test_the_program_is_given_the_texts(program: Path) -> None:
    write(program, 'for each in "$@"; do echo "$each"; done > "$0.told"')
    assert await hint("A question", "--help $(x)")
    told = program.with_name("notify-send.told").read_text().splitlines()
    assert told[-3:] == ["--", "A question", "--help $(x)"]


@pytest.mark.parametrize("text", ["exit 1", "exec sleep 60"])
async def test_a_program_that_fails_or_hangs_has_shown_nothing(
    text: str, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "_PATIENCE", 0.2)
    write(program, text)
    assert not await hint("A question", "text")


async def test_without_the_program_or_a_desktop_there_is_none(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert not await hint("A question", "text")
    write(program, "exit 0")
    assert await hint("A question", "text")
    program.write_text("not a program")
    assert not await hint("A question", "text")
    write(program, "exit 0")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert not await hint("A question", "text")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(program.parent))
    assert not await hint("A question", "text")
    program.with_name("bus").touch()
    assert await hint("A question", "text")
