"""The hub at login (a systemd user unit, or a launchd agent), and `open` as the desktop's "open with"."""

from __future__ import annotations

import asyncio
import os
import plistlib
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import SampError
from .output import note, say
from .running import ERROR, NOT_THERE, OK

__all__ = ["install", "install_opener", "remove", "status", "systemd_unit"]

UNIT = "asyncsamp-hub.service"
AGENT = "org.asyncsamp.hub.plist"
DESKTOP = "asyncsamp-open.desktop"
TYPES = "asyncsamp-votable.xml"
_MIME_TYPES = "application/x-votable+xml;application/fits;image/fits;"
_VOTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="application/x-votable+xml">
    <comment>VOTable</comment>
    <sub-class-of type="application/xml"/>
    <glob pattern="*.vot"/>
    <glob pattern="*.votable"/>
  </mime-type>
</mime-info>
"""
"""Desktops know by themselves what a FITS file is, but no VOTable."""


class ServiceError(SampError):
    """The system does not run services of the user, or refused."""


def _hub(python: str, state: Path) -> list[str]:
    """Return the command, with -P: no module comes from the folder in which it is started."""
    return [python, "-P", "-m", "asyncsamp.hub", "--state", str(state), "--web-consent", "deny"]


def systemd_unit(python: str, state: Path) -> str:
    """Return the unit of the hub."""
    command = " ".join(_quoted(word) for word in _hub(python, state))
    return f"""[Unit]
Description=SAMP hub (asyncsamp)

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=2

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """Return a word as systemd reads it: % and $ have a meaning of their own there."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'


def launchd_agent(python: str, state: Path) -> bytes:
    """Return the agent of the hub, for macOS."""
    return plistlib.dumps(
        {
            "Label": AGENT.removesuffix(".plist"),
            "ProgramArguments": _hub(python, state),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
        }
    )


def _home(variable: str, folder: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / folder)


def _place() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / AGENT
    if sys.platform.startswith("linux"):
        return _home("XDG_CONFIG_HOME", ".config") / "systemd" / "user" / UNIT
    raise ServiceError(
        "services are made for Linux (systemd) and macOS (launchd) only; start asyncsamp hub by hand"
    )


def _state() -> Path:
    return _home("XDG_STATE_HOME", ".local/state") / "asyncsamp" / "hub.state"


async def install() -> int:
    """Write the unit, enable and start it."""
    place = await asyncio.to_thread(_write)
    say(f"written: {place}")
    commands = (
        [["launchctl", "load", "-w", str(place)]]
        if sys.platform == "darwin"
        else [["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", UNIT]]
    )
    for command in commands:
        await _do(command)
    say("the hub runs now and at each login")
    return OK


def _write() -> Path:
    place, state = _place(), _state()
    state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "darwin":
        place.write_bytes(launchd_agent(sys.executable, state))
    else:
        place.write_text(systemd_unit(sys.executable, state), encoding="utf-8")
    return place


async def status() -> int:
    """Say whether it is installed and runs: exit code 3 if it is not installed, 1 if it does not run."""
    place = _place()
    if not await asyncio.to_thread(place.exists):
        say("not installed; install it with: asyncsamp service install")
        return NOT_THERE
    say(f"installed: {place}")
    command = ["launchctl", "list", AGENT.removesuffix(".plist")]
    if sys.platform != "darwin":
        command = ["systemctl", "--user", "is-active", "--quiet", UNIT]
    runs = await _code(command) == 0
    say("it runs" if runs else f"it does not run; look with: journalctl --user -u {UNIT}")
    return OK if runs else ERROR


async def remove() -> int:
    """Stop it and take the unit away."""
    place = _place()
    if not await asyncio.to_thread(place.exists):
        say("not installed")
        return OK
    stop = ["launchctl", "unload", "-w", str(place)]
    if sys.platform != "darwin":
        stop = ["systemctl", "--user", "disable", "--now", UNIT]
    if await _code(stop):
        note(f"this failed: {shlex.join(stop)}")
    await asyncio.to_thread(place.unlink)
    say(f"removed: {place}")
    return OK


async def _do(command: Sequence[str]) -> None:
    if await _code(command):
        raise ServiceError(
            f"this failed: {shlex.join(command)}; is a systemd or launchd of this user running?"
        )


async def _code(command: Sequence[str]) -> int:
    """Return the exit code of a system's program; 127 if it is not there."""
    program = shutil.which(command[0])
    if program is None:
        return 127
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


def desktop_entry(python: str) -> str:
    """Return the entry by which a Linux desktop offers `asyncsamp open`."""
    reserved = str.maketrans({'"': '\\"', "`": "\\`", "$": "\\$", "\\": "\\\\", "%": "%%"})
    return f"""[Desktop Entry]
Type=Application
Name=Show in SAMP tools
Exec="{python.translate(reserved)}" -P -m asyncsamp open --start %F
MimeType={_MIME_TYPES}
NoDisplay=true
Terminal=false
"""


async def install_opener() -> int:
    """Write the desktop entry, and what a VOTable is called; have the desktop take notice."""
    if not sys.platform.startswith("linux"):
        raise ServiceError("'open with' is installed on Linux desktops only")
    data = _home("XDG_DATA_HOME", ".local/share")
    places = {
        data / "applications" / DESKTOP: desktop_entry(sys.executable),
        data / "mime" / "packages" / TYPES: _VOTABLE,
    }
    for place, text in places.items():
        await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(place.write_text, text, encoding="utf-8")
        say(f"written: {place}")
    for command in (
        ["update-mime-database", str(data / "mime")],
        ["update-desktop-database", str(data / "applications")],
    ):
        if await _code(command):
            note(f"this failed: {shlex.join(command)}; the desktop may not offer it before that is done")
    return OK
