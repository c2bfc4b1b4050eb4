"""What strangers named is noted by what it is, in time and in few threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from asyncsamp.hub.named import NamedUrls, file_itself
from asyncsamp.hub.opened import found
from asyncsamp.hub.profiles.reach import unsure
from asyncsamp.hub.profiles.reach.unsure import Unsure

from ..nats_server import PATIENCE

SITE = "reach:mallory"


class Looked:
    """Stands for what looks at paths: it notes its threads, and waits for `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[list[str]] = []
        self.begun = threading.Event()
        self.release = threading.Event()
        self._found = found
        monkeypatch.setattr(unsure, "found", self)

    def __call__(self, paths: Iterable[str]) -> dict[str, str]:
        paths = list(paths)
        self.threads.append(paths)
        names = self._found(paths)
        self.begun.set()
        self.release.wait(PATIENCE)
        return names


@pytest.fixture
async def noted() -> AsyncIterator[tuple[NamedUrls, Unsure]]:
    named = NamedUrls()
    unsure = Unsure(named)
    yield named, unsure
    await unsure.close()


def names(path: Path) -> set[str]:
    status = path.stat()
    return {file_itself(status.st_dev, status.st_ino)}


def name(noted: tuple[NamedUrls, Unsure], *paths: Path) -> None:
    """Let a stranger name `paths`."""
    named, unsure = noted
    named.add(SITE, {f"file:{path}" for path in paths})
    unsure.note(SITE, [str(path) for path in paths])


async def test_a_file_is_closed_from_when_it_was_named(
    noted: tuple[NamedUrls, Unsure], tmp_path: Path
) -> None:
    """Also where it is looked at together with what was named before and after."""
    named, unsure = noted
    moments = []
    for number in range(5):
        (tmp_path / f"{number}").touch()
        moments.append(named.moment)
        name(noted, tmp_path / f"{number}", tmp_path / "none")
    await unsure.settled(named.moment)
    for number, moment in enumerate(moments):
        it = names(tmp_path / f"{number}")
        assert not named.closes("", it, moment)
        assert named.closes("", it, moment + 1)


async def test_few_threads_look_at_many_paths(
    noted: tuple[NamedUrls, Unsure], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Looked(monkeypatch)
    looked.release.set()
    for message in range(10):
        name(noted, *(Path(f"/none/{message}/{number}") for number in range(1000)))
    await noted[1].settled(noted[0].moment)
    assert sum(map(len, looked.threads)) == 10_000
    assert len(looked.threads) <= 10


async def test_one_thread_looks_at_a_time(
    noted: tuple[NamedUrls, Unsure], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Looked(monkeypatch)
    for number in range(20):
        name(noted, Path(f"/none/{number}"))
        await asyncio.sleep(0.01)
    assert len(looked.threads) == 1
    looked.release.set()
    await noted[1].settled(noted[0].moment)
    assert len(looked.threads) == 2


async def test_a_path_that_is_named_again_while_it_is_looked_at_is_looked_at_again(
    noted: tuple[NamedUrls, Unsure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, unsure = noted
    first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "link"
    first.touch()
    second.touch()
    link.symlink_to(first)
    looked = Looked(monkeypatch)
    name(noted, link)
    assert await asyncio.to_thread(looked.begun.wait, PATIENCE)
    link.unlink()
    link.symlink_to(second)
    name(noted, link)
    looked.release.set()
    await unsure.settled(named.moment)
    assert named.closes("", names(first), named.moment)
    assert named.closes("", names(second), named.moment)


async def test_what_there_is_no_room_for_closes_what_is_sent_later(
    noted: tuple[NamedUrls, Unsure], monkeypatch: pytest.MonkeyPatch
) -> None:
    named, unsure_ = noted
    monkeypatch.setattr(unsure, "_MOST", 10)
    before = named.moment
    name(noted, *(Path(f"/none/{number}") for number in range(11)))
    await unsure_.settled(before)
    with pytest.raises(PermissionError, match="so many files"):
        await unsure_.settled(named.moment)


async def test_where_there_is_no_thread_nothing_is_forgotten(
    noted: tuple[NamedUrls, Unsure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, unsure = noted
    (tmp_path / "t").touch()

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        name(noted, tmp_path / "t")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await unsure.settled(named.moment)
    assert named.closes("", names(tmp_path / "t"), named.moment)


async def test_a_hub_that_closes_does_not_wait_for_the_system(
    noted: tuple[NamedUrls, Unsure], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Looked(monkeypatch)
    name(noted, Path("/none"))
    assert await asyncio.to_thread(looked.begun.wait, PATIENCE)
    async with asyncio.timeout(PATIENCE / 2):
        await noted[1].close()
    name(noted, Path("/other"))
    assert [task for task in asyncio.all_tasks() if task.get_name() == "asyncsamp-reach-looking"] == []
    looked.release.set()
