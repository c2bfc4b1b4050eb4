"""Start a foreign program, watch its lines, and end it by its own process group."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

import asyncsamp

START_SECONDS = 60.0
"""Time for a peer to be ready: a cold Java or DS9 on a busy machine needs seconds, not one."""

END_SECONDS = 5.0
"""Time between a polite SIGTERM and SIGKILL."""

_LINE_LIMIT = 2**20
"""asyncio's 64 KiB would cut the longest lines of the scripted peers."""


_PLACE: ContextVar[tuple[str, ...]] = ContextVar("place", default=())


@contextlib.contextmanager
def running_at(prefix: Sequence[str]) -> Iterator[None]:
    """Let programs that are started in the block run where `prefix` brings them, as `nsenter` does."""
    token = _PLACE.set(tuple(prefix))
    try:
        yield
    finally:
        _PLACE.reset(token)


class PeerError(AssertionError):
    """A peer did not do what it should; the text holds all that it printed."""


class Lines:
    """The lines of one output of a process, as they come, none forgotten."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.lines: list[str] = []
        self._stream = stream
        self._more = asyncio.Condition()
        self.ended = False

    async def read(self) -> None:
        """Read until the output ends."""
        async for line in self._stream:
            async with self._more:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                self._more.notify_all()
        async with self._more:
            self.ended = True
            self._more.notify_all()

    async def at(self, index: int) -> str:
        """Wait for the line of that index, counted from 0; raise `EOFError` if the output ends before."""
        async with self._more:
            await self._more.wait_for(lambda: self.ended or len(self.lines) > index)
        if len(self.lines) <= index:
            raise EOFError
        return self.lines[index]

    async def match(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which `pattern` is found; raise `EOFError` if the output ends before."""
        for index in itertools.count():
            if found := re.search(pattern, await self.at(index)):
                return found
        raise AssertionError("a count has no end")


class Process:
    """A running peer; made by `process`."""

    def __init__(self, name: str, inner: asyncio.subprocess.Process) -> None:
        assert inner.stdout is not None
        assert inner.stderr is not None
        self.name = name
        self.pid = inner.pid
        self.stdout = Lines(inner.stdout)
        self.stderr = Lines(inner.stderr)
        self._inner = inner
        self._readers = [
            asyncio.create_task(output.read(), name=f"{name} output") for output in (self.stdout, self.stderr)
        ]

    async def line(
        self, pattern: str, *, stderr: bool = False, timeout: float = START_SECONDS
    ) -> re.Match[str]:
        """Wait for a line of output with `pattern` in it."""
        output = self.stderr if stderr else self.stdout
        try:
            async with asyncio.timeout(timeout):
                return await output.match(pattern)
        except (TimeoutError, EOFError) as error:
            raise PeerError(self.report(f"gave no line with {pattern!r} ({type(error).__name__})")) from None

    async def write(self, line: str) -> None:
        """Write one line to the peer's standard input."""
        assert self._inner.stdin is not None
        self._inner.stdin.write(line.encode() + b"\n")
        await self._inner.stdin.drain()

    async def exit(self, timeout: float) -> int:
        """Wait for the peer to end by itself, all its output read, and return its exit code."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*self._readers)
                return await self._inner.wait()
        except TimeoutError:
            raise PeerError(self.report(f"did not end within {timeout:g} s")) from None

    async def succeed(self, timeout: float) -> str:
        """Wait for exit code 0 and return what was printed on stdout."""
        code = await self.exit(timeout)
        if code:
            raise PeerError(self.report(f"ended with exit code {code}"))
        return "\n".join(self.stdout.lines)

    def send_signal(self, number: int) -> None:
        """Signal the whole process group, which the peer leads."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def kill(self) -> None:
        """End it with SIGKILL, as the kernel or an impatient user does, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        await self._inner.wait()

    async def end(self, grace: float = END_SECONDS) -> None:
        """End it whatever its state is: SIGTERM, and SIGKILL after `grace` seconds."""
        if self._inner.returncode is None:
            self.send_signal(signal.SIGTERM)
            self.send_signal(signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._inner.wait()
        self.send_signal(signal.SIGKILL)
        await self._inner.wait()
        await asyncio.gather(*self._readers)
        if self._inner.stdin is not None:
            self._inner.stdin.close()

    def report(self, what: str) -> str:
        """Return a failure text with the output of the peer."""
        printed = ["--- stdout", *self.stdout.lines[-100:], "--- stderr", *self.stderr.lines[-100:]]
        return "\n".join([f"{self.name} (pid {self.pid}) {what}", *printed])


@contextlib.asynccontextmanager
async def process(
    command: Sequence[str | Path],
    *,
    name: str,
    home: Path,
    env: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> AsyncIterator[Process]:
    """Run `command` in a process group and in an environment of its own; end it on leaving.

    `path` is the folder that it runs in, by default its home.
    """
    inner = await asyncio.create_subprocess_exec(
        *_PLACE.get(),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(home, env),
        cwd=path or home,
        start_new_session=True,
        limit=_LINE_LIMIT,
    )
    peer = Process(name, inner)
    try:
        yield peer
    finally:
        await peer.end()


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a small environment: this process's own HOME, SAMP_HUB and DISPLAY never leak in."""
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if key in os.environ}
    own = {"PYTHONPATH": str(Path(asyncsamp.__file__).parents[1])}  # the one that is tested
    return kept | own | {"HOME": str(home), "LANG": "C.UTF-8"} | dict(more or {})


def hub_variable(lockfile: Path) -> dict[str, str]:
    """Return the variable that leads a peer to the hub of `lockfile` (STD-50)."""
    return {"SAMP_HUB": f"std-lockurl:{lockfile.as_uri()}"}
