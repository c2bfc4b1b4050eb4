"""What happens to the hub itself: stopped, killed, without lockfile, disk or file descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Limits, Message, SampError
from asyncsamp._util.private_files import replace_private

from ..aio.raw import register
from ..installed import skip_or_fail
from ..interop.conversation import until_subscribed
from ..interop.peers import own_hub
from .bystanders import bystanders, nothing_kept, the_log_says
from .limited import limited_hub, told
from .misbehaving import recipient, well


@pytest.mark.both_loops
@pytest.mark.alone
async def test_a_hub_that_stops_with_100_calls_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Failure 6 of other hubs: a client that never answers the shutdown event blocks their exit."""
    limits = Limits(shutdown_patience=0.3)
    hub = await Hub(lockfile=tmp_path / "hub.samp", limits=limits).start()
    release = asyncio.Event()
    ends: list[asyncio.Task[object]] = []

    async def silent(peer: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()

    async with (
        Client("caller", lockfile=hub.lockfile, reconnect=False) as caller,
        recipient(hub, well) as asked,
        recipient(hub, silent, "samp.hub.event.shutdown"),
    ):
        for number in range(100):
            how = caller.call if number % 2 else caller.call_and_wait
            ends.append(asyncio.create_task(how(asked.id, "bad.call", {"n": number}, timeout=60)))
        async with asyncio.timeout(30):
            while len(asked.deliveries) < 100:
                await caller.get_registered_clients()
        begun = asyncio.get_running_loop().time()
        await hub.shutdown()
        assert asyncio.get_running_loop().time() - begun < 15
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*ends, return_exceptions=True)
        assert all(isinstance(outcome, SampError) for outcome in outcomes)
        assert not (tmp_path / "hub.samp").exists()
        release.set()
    hubs = [
        r.getMessage()
        for r in caplog.records
        if r.name == "asyncsamp.hub" and r.levelno >= logging.INFO and "shutting" in r.getMessage()
    ]
    assert hubs == [f"hub at {hub.url} is shutting down"]


@pytest.mark.timeout(120)
@pytest.mark.both_loops
async def test_a_hub_that_is_killed_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Failure 9 of other clients: a hub killed with -9 is never noticed."""
    lockfile = tmp_path / "hub.samp"
    received: list[int] = []
    more = asyncio.Condition()

    async def until(count: int) -> None:
        async with asyncio.timeout(30), more:
            await more.wait_for(lambda: len(received) >= count)

    async with contextlib.AsyncExitStack() as stack:
        hub = await stack.enter_async_context(own_hub(lockfile, tmp_path, "--no-web-profile"))
        sender = await stack.enter_async_context(Client("sender", lockfile=lockfile))
        receiver = Client("receiver", lockfile=lockfile)

        @receiver.on("a.b")
        async def take(message: Message) -> None:
            async with more:
                received.append(int(str(message.params["n"])))
                more.notify_all()

        await stack.enter_async_context(receiver)
        for number in range(100):
            await sender.notify(receiver.public_id, "a.b", {"n": number})
        await until(100)
        await hub.kill()
        with pytest.raises(SampError):
            await sender.get_registered_clients()
        await stack.enter_async_context(own_hub(lockfile, tmp_path, "--no-web-profile"))
        await sender.wait_registered(timeout=30)
        found = await sender.find("receiver", timeout=30)
        await until_subscribed(sender, found, "a.b")
        for number in range(100, 200):
            await sender.notify(found, "a.b", {"n": number})
        await until(200)
        lost = sorted(r.getMessage() for r in caplog.records if "lost its hub" in r.getMessage())
        assert [line.partition(" lost ")[0] for line in lost] == ["client 'receiver'", "client 'sender'"]
    assert received == list(range(200))


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_text("samp.secret=")


def _garble(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def _lock(path: Path) -> None:
    path.chmod(0)


def _link_away(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path.with_name("nowhere"))
    link.replace(path)  # in one step, else the hub might put it back between two


@pytest.mark.parametrize("fault", [_delete, _truncate, _garble, _lock, _link_away])
async def test_a_lockfile_that_is_lost_is_put_back(
    fault: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hub.samp"
    limits = Limits(lockfile_interval=0.05)
    async with Hub(lockfile=path, limits=limits) as hub, bystanders(path) as others:
        before = await asyncio.to_thread(path.read_text)
        await asyncio.to_thread(fault, path)
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(_is_whole, path, before):
                await others.went_on(1)
        assert (await asyncio.to_thread(path.stat)).st_mode & 0o777 == 0o600 or fault is _lock
        async with Client("newcomer", lockfile=path) as newcomer:
            assert len(await newcomer.get_registered_clients()) == 3
        nothing_kept(hub)
    assert not path.exists()
    said = [r.getMessage() for r in caplog.records if "was gone or damaged" in r.getMessage()]
    assert len(said) <= 1 if fault is _lock else len(said) == 1  # root can read what is locked


def _is_whole(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


async def test_a_lockfile_that_another_hub_took(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Failure 13 of other hubs: a second hub runs on without a lockfile, and nobody is told."""
    path = tmp_path / "hub.samp"
    limits = Limits(lockfile_interval=0.05)
    async with (
        Hub(lockfile=path, limits=limits) as hub,
        bystanders(path) as others,
        Hub(lockfile=tmp_path / "second.samp") as second,
    ):
        taken = await asyncio.to_thread((tmp_path / "second.samp").read_text)
        # In one step: the first hub puts its own back as soon as there is none.
        await asyncio.to_thread(replace_private, path, taken.encode())
        async with asyncio.timeout(30):
            while "has taken" not in caplog.text:
                await others.went_on(1)
        await others.went_on()  # those who know it stay
        assert await asyncio.to_thread(path.read_text) == taken
        nothing_kept(hub)
        the_log_says(
            caplog, f"another hub, at {second.url}, has taken the lockfile {path}: new clients go there"
        )


async def test_a_folder_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "home"
    limits = Limits(lockfile_interval=0.05)
    async with Hub(lockfile=folder / "hub.samp", limits=limits), bystanders(folder / "hub.samp") as others:
        (folder / "hub.samp").unlink()  # at once, else the hub would put it back meanwhile
        folder.rmdir()
        folder.touch()
        async with asyncio.timeout(30):
            while "not ours any more" not in caplog.text:
                await others.went_on(1)
        await others.went_on()
        the_log_says(caplog, "so no new client finds this hub")


@pytest.mark.timeout(120)
async def test_a_stranger_who_takes_all_file_descriptors(tmp_path: Path) -> None:
    async with limited_hub(tmp_path, "RLIMIT_NOFILE", 64) as hub:
        await hub.line("SAMP hub ready")
        async with bystanders(tmp_path / "hub.samp") as others:
            found = await others.sender.get_registered_clients()
            port = int(others.sender._connection.url.rpartition(":")[2].partition("/")[0])
            crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
            await others.went_on()
            async with Client("newcomer", lockfile=tmp_path / "hub.samp") as newcomer:
                assert len(await newcomer.get_registered_clients()) == len(found) + 1
            for _, writer in crowd:
                writer.close()
        hub.send_signal(signal.SIGTERM)
        assert await hub.exit(30) == 0
        said = [line for line in told(hub) if "WARNING" in line or "ERROR" in line]
        assert len(said) <= 2, said
        assert any("more than 28 connections; those silent for longest are closed" in line for line in said)


@pytest.mark.timeout(120)
async def test_more_clients_than_file_descriptors(tmp_path: Path) -> None:
    """Thirty clients want sixty connections of a hub that may have 64 files: some have to wait."""
    async with limited_hub(tmp_path, "RLIMIT_NOFILE", 64) as hub, contextlib.AsyncExitStack() as stack:
        await hub.line("SAMP hub ready")
        lockfile = tmp_path / "hub.samp"
        clients = [await stack.enter_async_context(Client(f"n{n}", lockfile=lockfile)) for n in range(30)]
        streams = [await stack.enter_async_context(client.messages("a.b")) for client in clients[1:]]
        for number in range(5):
            assert len(await clients[0].notify_all("a.b", {"n": number})) == 29
        async with asyncio.timeout(60):
            for stream in streams:
                received = [int(str((await anext(stream)).params["n"])) for _ in range(5)]
                assert received == list(range(5))


@pytest.mark.parametrize("kind", ["a disk that is full", "no file descriptor left"])
async def test_a_hub_that_cannot_start_says_so_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    which, amount = ("RLIMIT_FSIZE", 0) if kind == "a disk that is full" else ("RLIMIT_NOFILE", 8)
    async with limited_hub(tmp_path, which, amount) as hub:
        assert await hub.exit(40) == 1
        assert len([line for line in hub.stderr.lines if line.startswith("asyncsamp.hub: ")]) == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_file_system_that_is_full(tmp_path: Path) -> None:
    """A real one, of 16 kB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if await _run("mount", "-t", "tmpfs", "-o", "size=16k", "none", str(disk)):
        skip_or_fail("only root can mount a file system: run the tests as root")
    try:
        with contextlib.suppress(OSError):
            (disk / "filler").write_bytes(b"x" * 100_000)
        with pytest.raises(SampError, match=r"it cannot be written \(No space left on device\); make room"):
            await Hub(lockfile=disk / "hub.samp").start()
        assert [path.name for path in disk.iterdir()] == ["filler"]
        (disk / "filler").unlink()
        async with Hub(lockfile=disk / "hub.samp") as hub:
            await register(hub)
    finally:
        await _run("umount", str(disk))


async def _run(*command: str) -> int:
    running = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await running.wait()


def test_this_process_may_have_files_enough() -> None:
    """Else the tests beside this one would fail for reasons of their own."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1024
