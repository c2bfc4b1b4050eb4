"""A file that is read in pieces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncsamp.reading.files import PIECE, open_file


async def test_the_first_that_exists_is_read(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_bytes(b"x" * (PIECE + 1))
    reader = await open_file([str(tmp_path / "not there"), str(path)])
    assert (reader.path, reader.size) == (str(path), PIECE + 1)
    assert [len(piece) async for piece in reader.pieces(0, None)] == [PIECE, 1]
    assert reader.read_all() == path.read_bytes()
    await reader.close()


async def test_what_is_not_a_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(PermissionError, match="not a plain file"):
            await open_file([str(path)])
    with pytest.raises(FileNotFoundError):
        await open_file([])
    with pytest.raises(FileNotFoundError, match="nothing"):
        await open_file([str(tmp_path / "nothing")])


async def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"12345")
    reader = await open_file([str(path)])
    path.write_bytes(b"1")
    with pytest.raises(OSError, match="shorter"):
        _ = [piece async for piece in reader.pieces(0, None)]
    await reader.close()
