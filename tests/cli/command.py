"""`python -m asyncsamp` as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

__all__ = ["Command", "Ended", "Running"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


class Running:
    """The command while it runs, piped."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Return its next line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def remark(self) -> str:
        """Return its next line on stderr."""
        assert self.process.stderr is not None
        return (await self.process.stderr.readline()).decode().rstrip("\n")

    async def end(self, number: int | None = None) -> Ended:
        """Wait for its end, after a signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(), err.decode())


def _take_ctrl_c() -> None:
    """Take Ctrl-C in the child though a parent in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Command:
    """Runs the command in a home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.measured = Coverage.current() is not None
        self.before: list[str] = []
        kept = {name: value for name, value in os.environ.items() if name not in ("SAMP_HUB", "NO_COLOR")}
        self.env = {**kept, "HOME": str(home), "TERM": "xterm", "COVERAGE_FILE": str(ROOT / ".coverage")}

    def _program(self) -> list[str]:
        """Return what runs it, after `before`: measured, if the tests are, unless it is to be fast."""
        measure = ["coverage", "run", "--parallel-mode", f"--rcfile={ROOT / 'pyproject.toml'}", "-m"]
        return [*self.before, sys.executable, "-m", *(measure if self.measured else []), "asyncsamp"]

    @contextlib.asynccontextmanager
    async def start(self, *words: object) -> AsyncIterator[Running]:
        """Run it, piped, at most until the end of the block."""
        process = await asyncio.create_subprocess_exec(
            *(*self._program(), *map(str, words)),
            env=self.env,
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *words: object) -> Ended:
        """Run it to its end, piped."""
        async with self.start(*words) as running:
            return await running.end()

    async def on_terminal(self, *words: object, columns: int = 80, interrupt_at: str = "") -> Ended:
        """Run it on a pseudo-terminal to its end; press Ctrl-C once it has shown `interrupt_at`."""
        ours, its = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(*self._program(), *map(str, words)),
            env={**self.env, "COLUMNS": str(columns)},
            cwd=self.home,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            preexec_fn=_take_ctrl_c,
        )
        os.close(its)
        try:
            shown = await asyncio.to_thread(_read_all, ours, process.pid, interrupt_at.encode())
            return Ended(await process.wait(), shown.decode(), "")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(ours)


def _read_all(terminal: int, pid: int, interrupt_at: bytes) -> bytes:
    shown, pressed = b"", not interrupt_at
    with contextlib.suppress(OSError):  # the terminal's end, on Linux
        while data := os.read(terminal, 65536):
            shown += data
            if not pressed and interrupt_at in shown:
                pressed = True
                os.kill(pid, signal.SIGINT)
    return shown
