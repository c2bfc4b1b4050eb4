"""A hub of this process for each test, at a lockfile of its own; nothing of it is left in the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncsamp.sync import Client, Hub
from asyncsamp.sync.portal import portal

from ..leftovers import PAUSE, PAUSES, sleeps

_TURNS = 200
"""Turns of the loop that closing may take."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'hub.samp').as_uri()}")


@pytest.fixture(autouse=True)
def _no_task_left(_home: None) -> Iterator[None]:
    """Fail if clients and hubs that were closed leave a task in the shared loop."""
    yield

    async def left() -> list[str]:
        # A stream that a test has forgotten is closed when it is collected, which may be just now.
        for number in range(_TURNS + PAUSES):
            await asyncio.sleep(0 if number < _TURNS else PAUSE)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            if not tasks or (number >= _TURNS and any(map(sleeps, tasks))):
                break
        return [task.get_name() for task in tasks]

    assert portal().run(left()) == []


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


@pytest.fixture
def new_client(hub: Hub) -> Iterator[Callable[[str], Client]]:
    """Return a function that registers clients, which leave at the end."""
    clients: list[Client] = []

    def make(name: str) -> Client:
        clients.append(Client(name).register())
        return clients[-1]

    yield make
    for client in clients:
        client.unregister()
