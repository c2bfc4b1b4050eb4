"""asyncsamp.browser.source: the file in which large content stands as long as the page reads it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from asyncsamp.browser.source import FileSource
from asyncsamp.data.share.content import BytesContent

TABLE = BytesContent(b"0123456789" * 200_000)
OLD = f"asyncsamp-{'a' * 32}-old.tmp"


async def test_the_file_is_private_and_goes(tmp_path: Path) -> None:
    (tmp_path / "asyncsamp-notes.tmp").write_text("the user's")
    async with FileSource(tmp_path).offer(TABLE) as place, FileSource(tmp_path).offer(TABLE) as other:
        assert place != other
        folder, _, name = place.partition("/")
        assert folder == "files"
        assert (tmp_path / name).read_bytes() == b"0123456789" * 200_000
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert [place.name for place in tmp_path.iterdir()] == ["asyncsamp-notes.tmp"]


async def test_it_goes_with_who_waited_for_it(tmp_path: Path) -> None:
    offered = asyncio.Event()

    async def wait() -> None:
        async with FileSource(tmp_path).offer(TABLE):
            offered.set()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await offered.wait()
    assert len(list(tmp_path.iterdir())) == 1
    waiting.cancel()
    await asyncio.wait({waiting})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "age", "goes"),
    [(OLD, 7200, True), (OLD, 60, False), ("asyncsamp-results.tmp", 7200, False), ("a.vot", 7200, False)],
)
async def test_what_a_killed_kernel_left_goes_and_nothing_else(
    name: str, age: float, goes: bool, tmp_path: Path
) -> None:
    left = tmp_path / name
    left.write_text("x")
    then = left.stat().st_mtime - age
    os.utime(left, (then, then))
    async with FileSource(tmp_path).offer(TABLE):
        assert left.exists() != goes


async def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with FileSource(tmp_path / "gone").offer(TABLE):
            raise AssertionError
    assert not list(tmp_path.iterdir())
