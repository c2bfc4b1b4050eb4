"""Whole programs, run as their users run them: `python FILE`, with a hub that SAMP_HUB names, or none."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Program", "cells", "run", "run_cells"]

_SLOW = "Executing <"
"""How asyncio in its development mode begins to say what took more than 0.1 s."""


def _environment(lockfile: Path) -> dict[str, str]:
    return {**os.environ, "SAMP_HUB": f"std-lockurl:{lockfile.as_uri()}", "HOME": str(lockfile.parent)}


class Program:
    """A program that runs in the folder of the lockfile. Its warnings are errors.

    What it writes to stderr comes with its output, but not that something was slow: a busy machine is.
    """

    def __init__(self, lockfile: Path, *arguments: str | Path) -> None:
        self._lockfile = lockfile
        self._arguments = [str(argument) for argument in arguments]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", *self._arguments),
            env=_environment(self._lockfile),
            cwd=self._lockfile.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def line(self) -> str:
        """Return its next line of output, "" at the end."""
        assert self._process.stdout is not None
        while (line := (await self._process.stdout.readline()).decode()).startswith(_SLOW):
            pass
        return line.rstrip("\n")

    async def lines_until(self, text: str) -> list[str]:
        """Return its lines up to the one that has `text` in it."""
        lines: list[str] = []
        while not lines or text not in lines[-1]:
            line = await self.line()
            assert line, f"{self._arguments} ended before it said {text!r}: {lines}"
            lines.append(line)
        return lines

    async def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return its exit code and what it still says."""
        self._process.send_signal(signal.SIGINT)
        return await self.end()

    async def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it still says."""
        output, _ = await self._process.communicate()
        assert self._process.returncode is not None
        lines = output.decode().splitlines(keepends=True)
        return self._process.returncode, "".join(line for line in lines if not line.startswith(_SLOW))


async def run(lockfile: Path, *arguments: str | Path) -> str:
    """Run a program to its end, and return its output. It must succeed."""
    async with Program(lockfile, *arguments) as program:
        code, output = await program.end()
    assert code == 0, output
    return output


def cells(notebook: Path) -> list[str]:
    """Return the cells of code of a notebook."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


async def run_cells(lines: list[str]) -> dict[str, object]:
    """Run cells as a notebook does, each in a task of its own. Returns the names that they set."""
    names: dict[str, object] = {}
    for cell in lines:
        code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(code, names)
        if asyncio.iscoroutine(made):
            await asyncio.create_task(made)
    return names
