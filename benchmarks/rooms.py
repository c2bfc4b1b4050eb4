"""`python -m benchmarks --reach`: hubs in one room over nats-server, beside one hub and JSAMP's bridge."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time
from urllib.parse import urlsplit

from asyncsamp import Client, Hub, Message, RemoteClient, SampError
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.reach.accounts import Listen, server_config
from asyncsamp.reach.server import NatsServer, find_server

from .hubs import JSAMP_JAR

__all__ = ["measure_rooms"]

CALLS = 2_000
NOTIFICATIONS = 10_000
COMINGS = 50
IDLE = 10.0
FILE = 1024**3
"""How much is done for one figure; seconds and bytes for the last two."""

SIZES = (2, 10, 30)
_WAIT = 30.0


@dataclass
class Rows:
    """A table as Markdown."""

    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def text(self) -> str:
        """Return it."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"## {self.title}\n\n{table}\n"


async def measure_rooms(say: Callable[[str], None]) -> str:
    """Measure everything, and return it as Markdown. Every process is ended, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="asyncsamp-rooms-") as name:
        folder = Path(name)
        two = Rows(
            "Two hubs",
            ["", "call p50 / p99 ms", "callAndWait p50 / p99 ms", "notify /s", "presence p50 / p99 ms"],
        )
        for title, way in (("one hub", one_hub), ("a room", a_room), ("JSAMP's bridge", a_bridge)):
            say(title)
            async with way(folder) as pair:
                two.rows.append([title, *await _speaking(*pair)])
        many = Rows(
            "Many hubs, in one process",
            [
                "hubs",
                "all see all s",
                "a broadcast to all others ms",
                "a new client known to all ms",
                "idle, % of a core each",
            ],
        )
        for count in SIZES:
            say(f"{count} hubs")
            many.rows.append([str(count), *await _many(folder, count)])
        say("1 GB")
        data = await _transfer(folder)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    note = "Clients are of asyncsamp, in one process for both sides."
    head = f"# Rooms\n\nBy `python -m benchmarks --reach`, on {machine}. {note}\n"
    return "\n".join([head, two.text(), many.text(), data.text()])


Pair = tuple[Callable[[str], Client], Callable[[str], Client], str]
"""Makes clients here and there, and what a name there ends with here."""


@contextlib.asynccontextmanager
async def one_hub(folder: Path) -> AsyncIterator[Pair]:
    """One hub for both."""
    async with hub(folder, "one") as (lockfile, _):
        make = _clients(lockfile)
        yield make, make, ""


@contextlib.asynccontextmanager
async def a_room(folder: Path) -> AsyncIterator[Pair]:
    """Two hubs in a room."""
    async with (
        nats(folder) as url,
        hub(folder, "here", "--join", url, "--reach-label", "here", "--reach-mtypes", "all") as (here, _),
        hub(folder, "there", "--join", url, "--reach-label", "there", "--reach-mtypes", "all") as (there, _),
    ):
        yield _clients(here), _clients(there), " @there"


@contextlib.asynccontextmanager
async def a_bridge(folder: Path) -> AsyncIterator[Pair]:
    """Two hubs, and JSAMP's bridge between them."""
    if not JSAMP_JAR.exists():
        raise OSError("JSAMP is missing: apt-get install -y --no-install-recommends jsamp")
    async with hub(folder, "left") as (left, _), hub(folder, "right") as (right, _):
        command = [
            "java",
            "-Djava.awt.headless=true",
            "-cp",
            str(JSAMP_JAR),
            "org.astrogrid.samp.bridge.Bridge",
        ]
        command += ["-nostandard", "-sampfile", str(left), "-sampfile", str(right)]
        async with child(*command):
            yield _clients(left), _clients(right), "*"


@contextlib.asynccontextmanager
async def nats(folder: Path) -> AsyncIterator[str]:
    """Run a server without accounts."""
    server = NatsServer(find_server(), folder)
    await server.start(server_config("room", [], Listen(port=-1), open_to_all=True))
    try:
        yield f"nats://127.0.0.1:{server.ports['nats']}"
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def hub(folder: Path, name: str, *options: str) -> AsyncIterator[tuple[Path, int]]:
    """Run a hub in a process of its own; gives its lockfile and process id."""
    lockfile = folder / f"{name}.samp"
    command = ["-m", "asyncsamp.hub", "--lockfile", str(lockfile), "--no-web-profile", *options]
    async with child(sys.executable, *command) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        yield lockfile, process.pid


@contextlib.asynccontextmanager
async def child(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _clients(lockfile: Path) -> Callable[[str], Client]:
    return lambda name: Client(name, lockfile=lockfile)


async def seen(client: Client, name: str, ending: str) -> RemoteClient:
    """Wait until a client of the other side is seen, whatever the bridge calls it."""
    await client.get_clients()  # from then on they are followed
    async with asyncio.timeout(_WAIT):
        while True:
            for other in client.clients.values():
                fits = other.name.startswith(name) if ending == "*" else other.name == name + ending
                if fits and other.subscribes("test.echo"):
                    return other
            await asyncio.sleep(0.001)


# ---- two


async def _speaking(here: Callable[[str], Client], there: Callable[[str], Client], ending: str) -> list[str]:
    async with here("sender") as sender, there("echo") as echo:

        @echo.on("test.echo")
        async def answer(message: Message) -> dict[str, str]:
            return {}

        await echo.settled()
        to = await seen(sender, "echo", ending)
        call = [await timed(sender.call(to, "test.echo", {}, timeout=_WAIT)) for _ in range(CALLS)]
        wait = [await timed(sender.call_and_wait(to, "test.echo", {}, timeout=_WAIT)) for _ in range(CALLS)]
        rate = await _notify(sender, echo, to)
        comings = [await timed(_coming(sender, there, f"new{n}", ending)) for n in range(COMINGS)]
    return [_two(call), _two(wait), rate, _two(comings)]


async def timed(work: Awaitable[object]) -> float:
    """Return how many seconds it took."""
    begun = perf_counter()
    await work
    return perf_counter() - begun


async def _notify(sender: Client, echo: Client, to: RemoteClient) -> str:
    """Return how many a second arrive, and what is wrong with them."""
    async with echo.messages("test.echo", limit=NOTIFICATIONS + 1) as came:
        begun = perf_counter()
        sending = asyncio.create_task(_send(sender, to))
        numbers = [int(str((await anext(came)).params["n"])) for _ in range(NOTIFICATIONS)]
        await sending
        rate = NOTIFICATIONS / (perf_counter() - begun)
    wrong = ""
    if sorted(numbers) != list(range(NOTIFICATIONS)):
        wrong = ", some lost or doubled"
    elif numbers != list(range(NOTIFICATIONS)):
        wrong = ", not in order"
    return f"{rate:,.0f}{wrong}"


async def _send(sender: Client, to: RemoteClient) -> None:
    for number in range(NOTIFICATIONS):
        while True:
            try:
                await sender.notify(to, "test.echo", {"n": str(number)})
                break
            except SampError:  # full
                await asyncio.sleep(0.01)


async def _coming(watcher: Client, there: Callable[[str], Client], name: str, ending: str) -> None:
    async with there(name) as client:
        client.on("test.echo")(_nothing)
        await seen(watcher, name, ending)


async def _nothing(message: Message) -> None:
    """Take it."""


def _two(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.2f} / {cuts[98] * 1000:.2f}"


# ---- many


async def _many(folder: Path, count: int) -> list[str]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(nats(folder))
        begun = perf_counter()
        hubs = []
        for number in range(count):
            reach = Reach(invitation_of_url(url), label=f"h{number}", mtypes=None)
            lockfile = folder / f"{count}-{number}.samp"
            hubs.append(await stack.enter_async_context(Hub(lockfile=lockfile, profiles=[reach])))
        clients = []
        for number, each in enumerate(hubs):
            client = Client(f"c{number}", lockfile=each.lockfile)
            client.on("test.echo")(_nothing)
            clients.append(await stack.enter_async_context(client))
        await _until(lambda: all(len(each.clients) == count for each in hubs))
        met = perf_counter() - begun
        broadcasts = [await timed(clients[0].notify_all("test.echo", {})) for _ in range(100)]
        comings = []
        for number in range(20):
            async with Client(f"new{number}", lockfile=hubs[0].lockfile):
                comings.append(await timed(_until(lambda: all(len(each.clients) > count for each in hubs))))
            await _until(lambda: all(len(each.clients) == count for each in hubs))
        used = process_time()
        await asyncio.sleep(IDLE)
        idle = (process_time() - used) / IDLE / count * 100
    return [f"{met:.2f}", _two(broadcasts), _two(comings), f"{idle:.2f}"]


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WAIT):
        while not true():
            await asyncio.sleep(0.001)


# ---- a file


async def _transfer(folder: Path) -> Rows:
    """One GB by file:// across, read by a tool that keeps nothing."""
    path = folder / "large.fits"
    whole = await asyncio.to_thread(_write, path)
    options = ("--reach-mtypes", "all", "--reach-files", "sent")
    rows = Rows(
        "One file of 1 GiB",
        ["MB/s", "first byte ms", "whole", "most memory of the hubs before and after, MiB"],
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        url = await enter(nats(folder))
        hubs = [await enter(hub(folder, a, "--join", url, "--reach-label", a, *options)) for a in ("a", "b")]
        (here, _), (there, _) = hubs
        sender, receiver = (
            await enter(Client("sender", lockfile=here)),
            await enter(Client("tool", lockfile=there)),
        )
        got: asyncio.Queue[str] = asyncio.Queue()

        @receiver.on("test.echo")
        async def take(message: Message) -> None:
            got.put_nowait(str(message.params["url"]))

        await receiver.settled()
        await sender.notify(await seen(sender, "tool", " @b"), "test.echo", {"url": path.as_uri()})
        before = [_highest(pid) for _, pid in hubs]
        first, seconds, digest = await _read(await got.get())
        after = [_highest(pid) for _, pid in hubs]
    memory = ", ".join(f"{a / 1024:.0f} → {b / 1024:.0f}" for a, b in zip(before, after, strict=True))
    rows.rows.append([f"{FILE / 1e6 / seconds:.0f}", f"{first * 1000:.1f}", str(digest == whole), memory])
    return rows


async def _read(url: str) -> tuple[float, float, str]:
    parts = urlsplit(url)
    begun = perf_counter()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    digest, first = hashlib.sha256(), 0.0
    while data := await reader.read(2**20):
        first = first or perf_counter() - begun
        digest.update(data)
    writer.close()
    return first, perf_counter() - begun, digest.hexdigest()


def _highest(pid: int) -> int:
    """Return the most memory that a process has had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _write(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in _pieces():
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def _pieces() -> Iterator[bytes]:
    for _ in range(FILE // 2**20):
        yield os.urandom(2**20)
