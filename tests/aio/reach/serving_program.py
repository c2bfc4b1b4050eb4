"""`python -m asyncsamp.reach` as a program, and buses that join by its invitations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from asyncsamp.hub.profiles.reach.bus import BusServer, NatsBus
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.hub.profiles.reach.invitation_files import read_invitation

from ..nats_server import PATIENCE, version_at, version_of

READY = "Ctrl-C ends the room."


class Room:
    """A room that is served."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process
        self.said: list[str] = []

    @property
    def url(self) -> str:
        return self.said[0].rpartition(" ")[2]

    async def invitation(self, name: str) -> Invitation:
        return await asyncio.to_thread(read_invitation, self.folder / f"{name}.reach")

    async def says(self, text: str) -> None:
        """Wait until it has said a line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while text not in self.said:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended after {self.said}"
                self.said.append(line.rstrip())


async def run(*arguments: str) -> tuple[int, str, str]:
    """Run `python -m asyncsamp.reach` to its end; return status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "asyncsamp.reach", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


@contextlib.asynccontextmanager
async def served_room(
    folder: Path,
    *arguments: str,
    name: str = "m31",
    errors: int | None = None,
    program: str = "",
    code: str = "",
) -> AsyncIterator[Room]:
    """Serve a room on any port.

    Args:
        folder: Where its state and invitations are.
        arguments: Options and members.
        name: The room.
        errors: Where stderr goes.
        program: The nats-server that it is to run; by default the one that it finds.
        code: What Python runs in place of `asyncsamp.reach`.
    """
    folder.mkdir(exist_ok=True)
    python, variables = _finding(program, folder)
    runs = ("-c", code) if code else ("-m", "asyncsamp.reach")
    process = await asyncio.create_subprocess_exec(
        python, *runs, "serve", "--room", name, "--folder", str(folder / "room"),
        "--out", str(folder), "--port", "0", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=errors, env={**os.environ, **variables},
    )  # fmt: skip
    room = Room(folder, process)
    try:
        await room.says(READY)
        if program:
            assert await version_at(room.url) == version_of(program)
        yield room
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _finding(program: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Return a Python that finds this server, and the variables for it.

    It is the one beside our Python, or else one that finds none beside itself: it looks for the system's,
    with the PATH that Debian gives to users.
    """
    variables = {"PYTHONUNBUFFERED": "1"}
    if not program or Path(program).parent == Path(sys.executable).parent:
        return sys.executable, variables
    python = folder / "python"
    python.symlink_to(sys.executable)
    path = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
    return str(python), {**variables, "PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Member:
    """A bus that joined, or tries to."""

    def __init__(self, invitation: Invitation) -> None:
        self.room, self.name = invitation.room, invitation.member
        self.reasons: list[str] = []
        self._news = asyncio.Event()
        self.bus = NatsBus(
            BusServer(
                url=invitation.url,
                user=invitation.user,
                password=invitation.password,
                seed=invitation.seed,
                ca=invitation.ca,
                headers=invitation.headers,
            ),
            back=self._news.set,
            lost=self._lost,
        )

    async def joined(self) -> bool:
        """Wait until it is in (true), or was refused or put out (false)."""
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()
        self._news.clear()
        return self.bus.connected

    async def __aenter__(self) -> Member:
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.close()

    async def flushed(self) -> None:
        """Return once the server has taken what was said before."""
        heard = asyncio.Event()
        inbox = f"samp.{self.room}.{self.name}.0123abcd.answer.{self.name}.0123abcd.0a"
        end = self.bus.subscribe(inbox, lambda _: heard.set())
        self.bus.publish(inbox, b"")
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
        end()

    def _lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self._news.set()


async def refused(invitation: Invitation) -> None:
    """Try twice, by a connection of its own each time."""
    for _ in range(2):
        async with Member(invitation) as stranger:
            assert not await stranger.joined()
            assert "uthorization" in stranger.reasons[0]
