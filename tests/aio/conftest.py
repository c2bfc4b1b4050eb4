"""What holds for every test with a loop: nobody's home is touched, and nothing is left behind.

A test fails if the package blocks the loop, writes a secret or a private key to a log, or leaves a
task, a socket or a transport when it ends. All of it is automatic; a test needs to ask for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, BlockBusterFunction

from ..leftovers import PAUSE, PAUSES, sleeps
from .connections import WAYS, House, open_house

_ROUNDS = 200
"""Turns of the loop that closing sockets may take; on loopback each one needs two or three."""

_KEY_LENGTH = 24
"""Characters from which on a random token is a secret or a key; message ids and file names are shorter."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMP_HUB", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def _detector() -> BlockBuster:
    detector = BlockBuster("asyncsamp")
    # Under --cov the tracer of a thread and that of the loop take turns by a lock, within our lines.
    detector.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
    detector.functions["os.open"] = BlockBusterFunction(None, "os.open", scanned_modules="asyncsamp")
    return detector


@pytest.fixture(autouse=True)
def _no_blocking(_detector: BlockBuster) -> Iterator[None]:
    """Let a blocking call in the loop fail when the package, not only the test, is on the stack."""
    _detector.activate()
    yield
    _detector.deactivate()


@pytest.fixture(autouse=True)
def _no_secret_in_logs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Log everything, and look for any secret or key in it (HUB-71)."""
    tokens: list[str] = []

    def remembering(make: Callable[[int | None], str]) -> Callable[[int | None], str]:
        def remembered(nbytes: int | None = None) -> str:
            token = make(nbytes)
            if len(token) >= _KEY_LENGTH:
                tokens.append(token)
            return token

        return remembered

    monkeypatch.setattr(secrets, "token_hex", remembering(secrets.token_hex))
    monkeypatch.setattr(secrets, "token_urlsafe", remembering(secrets.token_urlsafe))
    caplog.set_level(logging.DEBUG, logger="asyncsamp")
    yield tokens
    for when in ("setup", "call", "teardown"):
        for record in caplog.get_records(when):
            text = caplog.handler.format(record)  # with the traceback, if it has one
            assert not any(token in text for token in tokens), f"a secret is in the log: {record.name}"


@pytest.fixture(autouse=True)
async def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Run in debug mode; at the end no task runs, and the loop watches no socket but its own."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    # Who asks would note the whole stack with every future and handle: twenty times the work.
    monkeypatch.setattr(loop, "get_debug", lambda: False)
    loop.slow_callback_duration = 10.0  # a busy machine is slow; what blocks is found by other means
    at_first = _watched(loop) | _sockets()
    yield
    for number in range(_ROUNDS + PAUSES):
        if not _tasks() and _no_more(loop, _watched(loop) | _sockets(), at_first):
            return
        if number >= _ROUNDS and any(map(sleeps, _tasks())):
            break
        await asyncio.sleep(0 if number < _ROUNDS else PAUSE)
        await _threads()
    left = sorted((_watched(loop) | _sockets()) - at_first)
    pytest.fail(f"the test leaves tasks {_tasks()} and {left}", pytrace=False)


@pytest.fixture
def hangups_end() -> Iterator[None]:
    """Start programs as a terminal does, though these tests may run under nohup, where SIGHUP is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def hangups_ignored() -> Iterator[None]:
    """Start programs as nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(params=list(WAYS))
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """A hub and a way to it: a test that asks for this is run once for each connection."""
    async with open_house(request.param, tmp_path) as house:
        yield house


async def _threads() -> None:
    """Wait for what is in a thread, such as the closing of a file, which turns of the loop do not hasten."""
    at_work = [task for task in _tasks() if getattr(task.get_coro(), "__name__", "") == "to_thread"]
    if at_work:
        await asyncio.wait(at_work, timeout=30)


def _no_more(loop: asyncio.AbstractEventLoop, now: set[str], at_first: set[str]) -> bool:
    # uvloop has two sockets of its own, which are others each time it is run.
    return now <= at_first if hasattr(loop, "_selector") else len(now) <= len(at_first)


def _tasks() -> set[asyncio.Task[object]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


def _watched(loop: asyncio.AbstractEventLoop) -> set[str]:
    selector = getattr(loop, "_selector", None)  # uvloop has none
    return set() if selector is None else {f"descriptor {number}" for number in selector.get_map() or ()}


def _sockets() -> set[str]:
    """Return all sockets of the process; one whose transport reads no more is watched by nobody."""
    found = set()
    with contextlib.suppress(OSError):  # no Linux
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}
