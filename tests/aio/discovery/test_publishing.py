"""asyncsamp.discovery.publishing: one hub, one lockfile, its owner's alone (STD-57..64)."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from asyncsamp.discovery import (
    Location,
    files,
    find_hub,
    locate,
    locate_multiple,
    publish,
    publishing,
    startup_lock,
    still_ours,
    withdraw,
)
from asyncsamp.errors import HubRunningError, LocalProtocolError, LockfileError
from asyncsamp.lockfile import Lockfile, parse_lockfile, render_lockfile
from asyncsamp.rpc.client import RpcClient

from ..pinged import FAULT, Pinged, pinged

fcntl = pytest.importorskip("fcntl", reason="locks on folders are a Unix thing")

PUBLISHER = Path(__file__).parents[1] / "publisher.py"


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """The library itself may not touch a disk from the loop."""
    with blockbuster_ctx("asyncsamp"):
        yield


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "GRACE", 0)


@pytest.fixture
async def sender() -> AsyncIterator[RpcClient]:
    sender = RpcClient()
    yield sender
    await sender.close()


@pytest.fixture
async def server() -> AsyncIterator[Pinged]:
    async with pinged() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.samp"


@pytest.fixture
def location(path: Path) -> Location:
    return locate({}, path)


def untouched(path: Path) -> tuple[int, ...]:
    """What changes when the file, or the link itself, does; the time of access does not count."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/xmlrpc"


def write(path: Path, secret: str, url: str) -> str:
    text = f"samp.secret={secret}\nsamp.hub.xmlrpc.url={url}\n"
    path.write_text(text)
    return text


def no_home() -> Path:
    raise RuntimeError("no home")


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def start_publisher(path: Path, secret: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, PUBLISHER, path, secret, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def assert_only(path: Path, lockfile: Lockfile) -> None:
    """The lockfile is in place, whole and private, and nothing else is in its folder."""
    assert names_in(path.parent) == [path.name]
    status = path.lstat()
    assert stat.S_ISREG(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 1
    assert path.read_text() == render_lockfile(lockfile)


# ---- putting it in place


async def test_a_new_lockfile(location: Location, path: Path, server: Pinged, sender: RpcClient) -> None:
    ours = Lockfile("abc", server.url, extra={"hub.label": "test"})
    await publish(location, ours, sender)
    assert_only(path, ours)
    assert await find_hub(sender, lockfile=path, ping=True) == (location, ours)


async def test_it_is_private_from_its_first_byte(
    location: Location, path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    real_open, real_link = os.open, os.link

    def seeing_open(file: str | Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(file, flags, mode)
        if flags & os.O_CREAT:
            status = os.fstat(descriptor)
            seen.append((stat.S_IMODE(status.st_mode), status.st_size))
        return descriptor

    def seeing_link(source: Path, target: Path) -> None:
        assert not target.exists()
        seen.append((stat.S_IMODE(source.stat().st_mode), source.stat().st_size))
        real_link(source, target)

    monkeypatch.setattr(os, "open", seeing_open)
    monkeypatch.setattr(os, "link", seeing_link)
    before = os.umask(0)
    try:
        await publish(location, Lockfile("abc", server.url), sender)
    finally:
        os.umask(before)
    assert seen == [(0o600, 0), (0o600, path.stat().st_size)]


async def test_nobody_ever_reads_half_of_it(
    location: Location, path: Path, server: Pinged, sender: RpcClient
) -> None:
    ours = Lockfile("abc", server.url)
    whole, seen, done = render_lockfile(ours), set[str](), threading.Event()

    def watch() -> None:
        while not done.is_set():
            try:
                seen.add(path.read_text())
            except FileNotFoundError:
                seen.add("none")

    watching = asyncio.create_task(asyncio.to_thread(watch))
    try:
        for _ in range(25):
            await publish(location, ours, sender)
            assert await withdraw(location, ours)
        await publish(location, ours, sender)
    finally:
        done.set()
        await watching
    assert seen <= {whole, "none"}
    assert_only(path, ours)


async def test_the_folder_is_made_private(tmp_path: Path, server: Pinged, sender: RpcClient) -> None:
    location = locate_multiple("7", {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)})
    await publish(location, Lockfile("abc", server.url), sender)
    assert stat.S_IMODE((tmp_path / ".samp-1").stat().st_mode) == 0o700
    assert_only(tmp_path / ".samp-1" / "samp-hub-7", Lockfile("abc", server.url))


async def test_text_that_cannot_be_written(
    location: Location, path: Path, server: Pinged, sender: RpcClient
) -> None:
    with pytest.raises(LocalProtocolError, match="must not hold '='"):
        await publish(location, Lockfile("ab=", server.url), sender)
    assert not path.exists()


@pytest.mark.parametrize(("mode", "warned"), [(0o777, True), (0o770, True), (0o1777, False), (0o755, False)])
async def test_a_folder_that_others_can_write_to(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    warned: bool,
) -> None:
    path.parent.chmod(mode)
    await publish(location, Lockfile("abc", server.url), sender)
    path.parent.chmod(0o700)
    warnings = [record.getMessage() for record in caplog.records if record.name == "asyncsamp.hub"]
    assert [f"other users can write to {path.parent}" in text for text in warnings] == [True] * warned
    assert_only(path, Lockfile("abc", server.url))


# ---- what is there already


async def test_a_live_hub_keeps_its_lockfile(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    text = write(path, "theirs", server.url)
    with pytest.raises(HubRunningError) as caught:
        await publish(location, Lockfile("ours", nobody), sender)
    assert (caught.value.lockfile, caught.value.url) == (str(path), server.url)
    assert path.read_text() == text
    assert names_in(path.parent) == [path.name]


async def test_a_web_server_on_the_port_of_a_dead_hub_does_not_count(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    write(path, "theirs", server.url)
    server.status = 404
    await publish(location, Lockfile("ours", nobody), sender)
    assert await still_ours(location, Lockfile("ours", nobody))


async def test_a_dead_hub_is_replaced(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "asyncsamp.hub")
    write(path, "theirs", nobody)
    path.chmod(0o644)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    assert f"replacing the lockfile {path} of a hub that is gone" in caplog.text
    assert "ours" not in caplog.text
    assert "theirs" not in caplog.text


async def test_a_hub_that_faults_its_ping_is_replaced(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    write(path, "theirs", server.url)
    server.text = FAULT
    await publish(location, Lockfile("ours", nobody), sender)
    assert_only(path, Lockfile("ours", nobody))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("secret", ["theirs", "ours"])
async def test_a_dead_hub_at_our_own_address_is_not_ourselves(
    location: Location, path: Path, server: Pinged, sender: RpcClient, host: str, secret: str
) -> None:
    """A hub that was killed and comes back on the same port must not take itself for the other."""
    write(path, secret, server.url.replace("127.0.0.1", host).replace("/xmlrpc", "/"))
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    assert server.requests == []


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"samp.secret=x\n", b"# SAMP lockfile written b"])
async def test_a_damaged_lockfile_is_replaced(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path.write_bytes(content)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    assert "replacing a damaged lockfile" in caplog.text


FOREIGN = [
    b"\0\xff garbage",
    b"x" * 100_000,
    b"# Thesis\n\nIt is about SAMP.\n",
    b"The secret:\nsamp.secret=x\nis kept.\n",
]


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("link", [False, True])
async def test_what_is_not_a_lockfile_is_left_as_it_is(
    location: Location, path: Path, server: Pinged, sender: RpcClient, content: bytes, link: bool
) -> None:
    target = path.with_name("thesis.txt") if link else path
    target.write_bytes(content)
    if link:
        path.symlink_to(target)
    before = untouched(path)
    ours = Lockfile("ours", server.url)
    with pytest.raises(
        LockfileError, match="it is not a SAMP lockfile, so it is left as it is; move it away"
    ):
        await publish(location, ours, sender)
    assert not await withdraw(location, ours)
    assert target.read_bytes() == content
    assert untouched(path) == before
    assert sorted(names_in(path.parent)) == sorted({path.name, target.name})


async def test_where_our_own_lockfile_was_anything_is_replaced(
    location: Location, path: Path, server: Pinged, sender: RpcClient
) -> None:
    path.write_bytes(FOREIGN[0])
    await publish(location, Lockfile("ours", server.url), sender, reclaim=True)
    assert_only(path, Lockfile("ours", server.url))


async def test_a_file_that_cannot_be_read_is_left_as_it_is(
    location: Location, path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write(path, "theirs", server.url)

    def unreadable(file: Path) -> bytes:
        raise LockfileError(str(file), "it cannot be read: Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_file", unreadable)
        with pytest.raises(
            LockfileError, match="it cannot be read: Permission denied, so it is left as it is"
        ):
            await publish(location, Lockfile("ours", server.url), sender)
    assert path.read_text() == text


@pytest.mark.parametrize("start", ["", "samp.secret=x", "samp.secret=x\nsamp.hub.xmlrpc.url="])
async def test_a_hub_that_writes_its_lockfile_in_steps_is_waited_for(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
) -> None:
    path.write_text(start)
    looks: list[str] = []

    def look(where: Path) -> tuple[files.Identity | None, Lockfile | LockfileError | None]:
        found = files.look(where)
        looks.append(write(path, "theirs", server.url))
        return found

    monkeypatch.setattr(publishing, "look", look)
    with pytest.raises(HubRunningError):
        await publish(location, Lockfile("ours", nobody), sender)
    assert len(looks) == 2
    assert path.read_text() == looks[-1]


@pytest.mark.parametrize("target", ["victim", "missing", "x.samp", "/dev/null"])
async def test_a_link_is_never_written_through(
    tmp_path: Path, server: Pinged, sender: RpcClient, nobody: str, target: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path, victim = folder / "x.samp", tmp_path / "victim"
    text = write(victim, "theirs", nobody)
    path.symlink_to(victim if target == "victim" else target)
    await publish(locate({}, path), Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    assert victim.read_text() == text


@pytest.mark.usefixtures("as_root")  # who alone can read a file of mode 0
async def test_a_stale_lockfile_of_mode_0_is_replaced_by_root(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    write(path, "theirs", nobody)
    path.chmod(0)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))


async def test_what_is_no_file_stays(tmp_path: Path, server: Pinged, sender: RpcClient) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo):
        with pytest.raises(
            LockfileError, match="it is not a regular file; remove it, or give another file with SAMP_HUB"
        ):
            await publish(locate({}, path), Lockfile("ours", server.url), sender)
    assert stat.S_ISFIFO(fifo.lstat().st_mode)


# ---- where it cannot be put


async def test_a_place_over_http(server: Pinged, sender: RpcClient) -> None:
    location = locate({"SAMP_HUB": f"std-lockurl:{server.url}"})
    with pytest.raises(LockfileError) as caught:
        await publish(location, Lockfile("ours", server.url), sender)
    assert "a hub cannot write to a URL that is not a file's; give another file with SAMP_HUB=" in str(
        caught.value
    )
    assert server.requests == []


async def test_no_folder(tmp_path: Path, server: Pinged, sender: RpcClient) -> None:
    path = tmp_path / "a" / "b" / "x.samp"
    with pytest.raises(LockfileError, match=f"create the folder {path.parent}, or give another file"):
        await publish(locate({}, path), Lockfile("ours", server.url), sender)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("home", ["missing", "elsewhere", "/", None])
async def test_folders_are_made_only_below_the_home(
    tmp_path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    (tmp_path / "elsewhere").mkdir()
    if home is None:
        monkeypatch.setattr(Path, "home", no_home)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / home))
    for path in (tmp_path / "missing" / ".samp", tmp_path / "elsewhere" / ".." / "new" / "x.samp"):
        with pytest.raises(LockfileError, match=f"create the folder {path.parent}, or give another file"):
            await publish(locate({}, path), Lockfile("ours", server.url), sender)
    assert names_in(tmp_path) == ["elsewhere"]


async def test_no_folder_is_made_in_the_home_of_another_user(
    tmp_path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(LockfileError, match="create the folder"):
        await publish(locate({}, tmp_path / "new" / "x.samp"), Lockfile("ours", server.url), sender)
    assert names_in(tmp_path) == []


async def test_a_file_for_a_folder(tmp_path: Path, server: Pinged, sender: RpcClient) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(LockfileError, match=r"it cannot be written \(Not a directory\)"):
        await publish(locate({}, tmp_path / "a" / "x.samp"), Lockfile("ours", server.url), sender)


async def test_a_name_that_is_too_long(tmp_path: Path, server: Pinged, sender: RpcClient) -> None:
    with pytest.raises(
        LockfileError, match=r"it cannot be written \(File name too long\); give another file"
    ):
        await publish(locate({}, tmp_path / ("x" * 300)), Lockfile("ours", server.url), sender)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("step", ["open", "link"])
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "make room there, or give another file"),
        (errno.EACCES, "your own and writable, or give another file"),
        (errno.EROFS, "your own and writable, or give another file"),
        (errno.EIO, "; give another file with SAMP_HUB=std-lockurl:file:///"),
    ],
)
async def test_a_disk_that_refuses(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    code: int,
    advice: str,
) -> None:
    real_open = os.open

    def refuse(file: str | Path, flags: object, mode: int = 0o777) -> int:
        if step == "link" or (isinstance(flags, int) and flags & os.O_CREAT):
            raise OSError(code, os.strerror(code))
        assert isinstance(flags, int)
        return real_open(file, flags, mode)

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(LockfileError) as caught:
        await publish(location, Lockfile("ours", server.url), sender)
    assert f"it cannot be written ({os.strerror(code)}); " in str(caught.value)
    assert advice in str(caught.value)
    assert names_in(path.parent) == []


async def test_a_disk_that_fills_while_writing(
    location: Location, path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def full_open(file: str | Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(file, flags, mode)
        if not flags & os.O_CREAT:
            return descriptor
        os.close(descriptor)
        return real_open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", full_open)
    with pytest.raises(LockfileError, match="make room there"):
        await publish(location, Lockfile("ours", server.url), sender)
    assert names_in(path.parent) == []


@pytest.mark.parametrize("stale", [True, False])
async def test_a_file_system_without_hard_links(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
    stale: bool,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    if stale:
        write(path, "theirs", nobody)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    with pytest.raises(HubRunningError):
        await publish(location, Lockfile("other", nobody), sender)


async def test_without_hard_links_a_file_that_came_meanwhile_is_kept(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts: list[str] = []

    def refuse(*_: object) -> None:
        texts.append(write(path, "newcomer", server.url))
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(HubRunningError):
        await publish(location, Lockfile("ours", nobody), sender)
    assert [path.read_text()] == texts
    assert names_in(path.parent) == [path.name]


# ---- several at once


@asynccontextmanager
async def hubs(count: int) -> AsyncIterator[list[Lockfile]]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(pinged()) for _ in range(count)]
        yield [Lockfile(f"secret{number}", server.url) for number, server in enumerate(servers)]


@pytest.mark.parametrize("before", ["nothing", "stale", "garbage"])
@pytest.mark.parametrize("lock", [True, False])
async def test_of_two_in_one_loop_one_wins(
    location: Location,
    path: Path,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    lock: bool,
) -> None:
    if before == "stale":
        write(path, "theirs", nobody)
    elif before == "garbage":
        path.write_text("samp.secret=x")
    if not lock:
        monkeypatch.setattr(startup_lock, "fcntl", None)
    async with hubs(2) as lockfiles:
        results = await asyncio.gather(
            *(publish(location, lockfile, sender) for lockfile in lockfiles), return_exceptions=True
        )
        winner = lockfiles[results.index(None)]
        [loser] = [result for result in results if result is not None]
        assert isinstance(loser, HubRunningError)
        assert loser.url == winner.url
        assert_only(path, winner)


@pytest.mark.timeout(90)  # eight interpreters start at once
async def test_of_eight_processes_one_wins(path: Path, nobody: str) -> None:
    write(path, "theirs", nobody)
    racers = [await start_publisher(path, f"secret{number}") for number in range(8)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert await racer.stdout.readline() == b"ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(b"go\n")
        said = [await racer.stdout.readline() for racer in racers if racer.stdout]
        assert sorted(said) == [b"HubRunningError\n"] * 7 + [b"published\n"]
        winner = said.index(b"published\n")
        assert parse_lockfile(path.read_text()).secret == f"secret{winner}"
        assert names_in(path.parent) == [path.name]
        last = [(await racer.communicate(b""))[0] for racer in racers]
        assert last == [b"True\n" if number == winner else b"False\n" for number in range(8)]
        assert names_in(path.parent) == []
    finally:
        for racer in racers:
            if racer.returncode is None:
                racer.kill()
                await racer.wait()


@pytest.mark.timeout(60)
async def test_a_killed_starter_frees_the_turn(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    """It dies while it holds the lock and waits for the ping's answer."""
    write(path, "theirs", server.url)
    server.may_answer.clear()
    starter = await start_publisher(path, "killed")
    try:
        assert starter.stdin is not None
        starter.stdin.write(b"go\n")
        await asyncio.wait_for(server.asked.wait(), 30)
    finally:
        starter.kill()
        await starter.communicate()
    server.text = FAULT
    server.may_answer.set()
    await publish(location, Lockfile("ours", nobody), sender)
    assert_only(path, Lockfile("ours", nobody))


@pytest.fixture
def folder_lock(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield descriptor
    os.close(descriptor)


async def test_it_waits_for_its_turn(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    folder_lock: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = asyncio.Event()
    real_lock, loop = startup_lock._lock, asyncio.get_running_loop()

    def lock(folder: Path) -> int | None:
        try:
            return real_lock(folder)
        except BlockingIOError:
            loop.call_soon_threadsafe(refused.set)
            raise

    monkeypatch.setattr(startup_lock, "_lock", lock)
    publishes = asyncio.create_task(publish(location, Lockfile("ours", server.url), sender))
    await refused.wait()
    assert not path.exists()
    fcntl.flock(folder_lock, fcntl.LOCK_UN)
    await publishes
    assert_only(path, Lockfile("ours", server.url))


async def test_a_lock_that_is_never_given_back_stops_no_hub(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    folder_lock: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(startup_lock, "LOCK_PATIENCE", 0.05)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))
    assert f"another program has locked {path.parent} for 0.05 s" in caplog.text


async def test_folders_that_cannot_be_locked(
    location: Location, path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")  # what NFS says to a read-only descriptor

    monkeypatch.setattr(fcntl, "flock", flock)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))


async def test_folders_that_cannot_be_opened(
    location: Location, path: Path, server: Pinged, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def refuse(file: str | Path, flags: int, mode: int = 0o777) -> int:
        if file == path.parent:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(file, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    await publish(location, Lockfile("ours", server.url), sender)
    assert_only(path, Lockfile("ours", server.url))


async def test_a_hub_that_came_while_the_old_one_was_asked(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    """A hub of another make, which knows nothing of our lock."""
    async with pinged() as old:
        write(path, "old", old.url)
        old.text = FAULT
        old.may_answer.clear()
        publishes = asyncio.create_task(publish(location, Lockfile("ours", nobody), sender))
        await old.asked.wait()
        text = write(path, "newcomer", server.url)
        old.may_answer.set()
        with pytest.raises(HubRunningError) as caught:
            await publishes
    assert caught.value.url == server.url
    assert path.read_text() == text
    assert names_in(path.parent) == [path.name]


async def test_an_old_hub_that_left_while_it_was_asked(
    location: Location, path: Path, sender: RpcClient, nobody: str
) -> None:
    async with pinged() as old:
        write(path, "old", old.url)
        old.text = FAULT
        old.may_answer.clear()
        publishes = asyncio.create_task(publish(location, Lockfile("ours", nobody), sender))
        await old.asked.wait()
        path.unlink()
        old.may_answer.set()
        await publishes
    assert_only(path, Lockfile("ours", nobody))


async def test_a_file_that_came_in_the_last_moment_is_given_back(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(path, "old", nobody)
    texts: list[str] = []
    real_rename = Path.rename

    def rename(source: Path, target: Path) -> Path:
        if not texts:
            source.unlink()
            texts.append(write(source, "newcomer", server.url))
        return real_rename(source, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(HubRunningError):
        await publish(location, Lockfile("ours", nobody), sender)
    assert path.read_text() == texts[0]
    assert names_in(path.parent) == [path.name]


async def test_a_file_that_never_stays_the_same(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def link(_: Path, target: Path) -> None:
        raise FileExistsError(errno.EEXIST, "File exists", target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(LockfileError, match="other programs keep writing it; stop them, or try again"):
        await publish(location, Lockfile("ours", server.url), sender)
    assert names_in(path.parent) == []


# ---- cancelled


async def test_cancelled_while_the_old_hub_is_asked(
    location: Location, path: Path, server: Pinged, sender: RpcClient, nobody: str
) -> None:
    text = write(path, "theirs", server.url)
    server.may_answer.clear()
    publishes = asyncio.create_task(publish(location, Lockfile("ours", nobody), sender))
    await server.asked.wait()
    publishes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishes
    assert path.read_text() == text
    assert names_in(path.parent) == [path.name]
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the lock is free again
    os.close(descriptor)


@pytest.mark.parametrize("fails", [False, True])
async def test_cancelled_while_the_file_is_put_in_place(
    location: Location,
    path: Path,
    server: Pinged,
    sender: RpcClient,
    monkeypatch: pytest.MonkeyPatch,
    fails: bool,
) -> None:
    arrived, go_on = asyncio.Event(), threading.Event()
    real_link, loop = os.link, asyncio.get_running_loop()

    def link(source: Path, target: Path) -> None:
        loop.call_soon_threadsafe(arrived.set)
        assert go_on.wait(10)
        if fails:
            raise OSError(errno.EIO, "Input/output error")
        real_link(source, target)

    monkeypatch.setattr(os, "link", link)
    publishes = asyncio.create_task(publish(location, Lockfile("ours", server.url), sender))
    await arrived.wait()
    publishes.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await publishes
    assert names_in(path.parent) == []


# ---- looking after it, and taking it away


async def test_it_is_ours_until_it_is_another(
    location: Location, path: Path, server: Pinged, sender: RpcClient
) -> None:
    ours = Lockfile("ours", server.url)
    assert not await still_ours(location, ours)
    await publish(location, ours, sender)
    assert await still_ours(location, ours)
    assert await still_ours(location, Lockfile("ours", "http://elsewhere:1/"))
    write(path, "theirs", server.url)
    assert not await still_ours(location, ours)
    path.write_text("garbage")
    assert not await still_ours(location, ours)


async def test_withdraw_removes_what_is_ours(
    location: Location, path: Path, server: Pinged, sender: RpcClient
) -> None:
    ours = Lockfile("ours", server.url)
    await publish(location, ours, sender)
    assert await withdraw(location, ours) is True
    assert names_in(path.parent) == []
    assert await withdraw(location, ours) is False


@pytest.mark.parametrize("secret", ["theirs", "our", "ours2", "Ours"])
async def test_withdraw_keeps_what_is_not_ours(
    location: Location, path: Path, nobody: str, secret: str
) -> None:
    text = write(path, secret, nobody)
    assert await withdraw(location, Lockfile("ours", nobody)) is False
    assert path.read_text() == text


async def test_withdraw_keeps_garbage_and_finds_no_folder(
    location: Location, path: Path, nobody: str
) -> None:
    path.write_text("garbage")
    assert await withdraw(location, Lockfile("ours", nobody)) is False
    assert await withdraw(locate({}, path / "x"), Lockfile("ours", nobody)) is False
    assert await withdraw(locate({}, "http://127.0.0.1:1/x"), Lockfile("ours", nobody)) is False
    assert path.read_text() == "garbage"


async def test_withdraw_gives_a_newcomer_its_file_back(
    location: Location, path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new hub found ours dead and put its own there between our look and our hand."""
    write(path, "ours", nobody)
    texts: list[str] = []
    real_rename = Path.rename

    def rename(source: Path, target: Path) -> Path:
        source.unlink()
        texts.append(write(source, "newcomer", nobody))
        return real_rename(source, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert await withdraw(location, Lockfile("ours", nobody)) is False
    assert path.read_text() == texts[0]
    assert names_in(path.parent) == [path.name]


async def test_withdraw_logs_what_it_cannot_do(
    location: Location,
    path: Path,
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    write(path, "ours", nobody)
    monkeypatch.setattr(Path, "rename", refuse)
    assert await withdraw(location, Lockfile("ours", nobody)) is False
    assert f"cannot remove the lockfile {path}: Read-only file system" in caplog.text
