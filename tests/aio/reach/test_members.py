"""The list of members of a room, while several programs change it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asyncsamp.reach import rooms
from asyncsamp.reach.rooms import Address, RoomError, RoomFolder

from ..nats_server import PATIENCE

HOLDER = """
import sys
from pathlib import Path
from asyncsamp.reach.exclusive import exclusive
with exclusive(Path(sys.argv[1]) / "members.lock", 0):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> RoomFolder:
    folder = RoomFolder("m31", tmp_path / "room")
    folder.path.mkdir()
    folder.begin()
    return folder


def invite(folder: RoomFolder, name: str) -> Path:
    return folder.invite(name, Address("nats://127.0.0.1:4222"), folder.path, None)


def hold(folder: RoomFolder) -> subprocess.Popen[bytes]:
    """Return a program that has the lock."""
    arguments = [sys.executable, "-c", HOLDER, str(folder.path)]
    holder = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == b"locked"
    return holder


def test_who_is_invited_and_put_out_at_once_is_so(folder: RoomFolder) -> None:
    old, new = [f"old-{number}" for number in range(12)], [f"new-{number}" for number in range(24)]
    for name in old:
        invite(folder, name)

    def change(name: str) -> None:
        if name in old:
            folder.remove([name])
        else:
            invite(folder, name)
            folder.begin()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, [*new[:12], *old, *new[12:]]))
    assert sorted(folder.members().names) == sorted(new)


def test_a_program_that_was_killed_blocks_nobody(folder: RoomFolder) -> None:
    with hold(folder) as holder:
        holder.kill()
        holder.wait(PATIENCE)
    invite(folder, "alice")
    assert folder.members().names == ["alice"]


def test_a_program_that_does_not_end_is_waited_for_and_then_told_of(
    folder: RoomFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_PATIENCE", 0.1)
    with hold(folder) as holder:
        with pytest.raises(
            RoomError, match=r"changes who may join the room m31, and has not ended for 0\.1 s"
        ):
            invite(folder, "alice")
        assert not (folder.path / "alice.reach").exists()
        holder.communicate(timeout=PATIENCE)
    invite(folder, "alice")


def test_names_that_differ_by_case_only_are_refused(folder: RoomFolder) -> None:
    """Else the invitation of the later one is in the place of the other's, where case does not count."""
    invite(folder, "alice")
    kept = (folder.path / "alice.reach").read_bytes()
    for _ in range(2):
        with pytest.raises(RoomError, match=r"Alice cannot be invited beside alice: .* or write alice"):
            invite(folder, "Alice")
        with pytest.raises(RoomError, match="beside alice"):
            folder.check("ALICE", folder.path)
    assert (folder.path / "alice.reach").read_bytes() == kept
    folder.check("alice", folder.path)
    folder.remove(["alice"])
    invite(folder, "Alice")
    assert folder.members().names == ["Alice"]
