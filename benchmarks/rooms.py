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
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.reach.accounts import Listen, server_config
from asyncsamp.reach.server import NatsServer, find_server

from .crowd import MTYPE, Crowd, Target
from .hubs import JSAMP_JAR
from .rawxml import call, message, string, token
from .wire import FaultError, Link

__all__ = [
    "TITLE",
    "Joined",
    "RoomFigures",
    "by_bridge",
    "by_room",
    "measure_many",
    "measure_rooms",
    "notify_leanly",
    "rooms_of",
    "with_rooms",
]

CALLS = 2_000
NOTIFICATIONS = 10_000
COMINGS = 50
IDLE = 10.0
FILE = 1024**3
"""How much is done for one figure; seconds and bytes for the last two."""

SIZES = (2, 10, 30, 60)
_WAIT = 30.0
_LONGEST = 60.0
"""Seconds for one number of hubs: JSAMP's bridge needs minutes for many."""
MANY_CALLS = 500
MANY_NOTIFICATIONS = 3_000
BROADCASTS = 100
NEWCOMERS = 20


TITLE = "## Rooms: several machines, one conversation"


def rooms_of(results: str) -> str:
    """Return the part about rooms of the text of RESULTS.md, "" if there is none."""
    start = results.find(TITLE)
    return "" if start < 0 else results[start:]


def with_rooms(results: str, rooms: str) -> str:
    """Return the text of RESULTS.md with another part about rooms, which is its last one."""
    others = results.partition(TITLE)[0].rstrip()
    return f"{others}\n\n{rooms}" if rooms else f"{others}\n"


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
        return f"### {self.title}\n\n{table}\n"


@dataclass
class RoomFigures:
    """What was measured.

    Attributes:
        text: The tables, as Markdown.
        many: By way and figure, its value by the number of hubs; for the plot.
    """

    text: str
    many: dict[str, dict[str, dict[int, float]]]


async def measure_rooms(say: Callable[[str], None]) -> RoomFigures:
    """Measure everything. Every process is ended, whatever happens."""
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
                say("; ".join(two.rows[-1]))
        many, points = await _all_sizes(folder, say)
        say("1 GB")
        data = await _transfer(folder)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    note = (
        "Clients are of asyncsamp, in one process for both sides. Those that notify between two hubs are "
        "lean ones, as in the other parts, so that the hubs are the bound."
    )
    plot = "![A call across, and a client that comes, by the number of hubs](../docs/benchmarks/rooms.svg)"
    head = f"{TITLE}\n\n{plot}\n\nBy `python -m benchmarks --reach`, on {machine}. {note}\n"
    return RoomFigures("\n".join([head, two.text(), many.text(), data.text()]), points)


Pair = tuple[Path, Path, str]
"""The lockfiles here and there, and what a name there ends with here."""


@contextlib.asynccontextmanager
async def one_hub(folder: Path) -> AsyncIterator[Pair]:
    """One hub for both."""
    async with hub(folder, "one") as (lockfile, _):
        yield lockfile, lockfile, ""


@contextlib.asynccontextmanager
async def a_room(folder: Path) -> AsyncIterator[Pair]:
    """Two hubs in a room."""
    async with (
        nats(folder) as url,
        hub(folder, "here", "--join", url, "--reach-label", "here", "--reach-mtypes", "all") as (here, _),
        hub(folder, "there", "--join", url, "--reach-label", "there", "--reach-mtypes", "all") as (there, _),
    ):
        yield here, there, " @there"


@contextlib.asynccontextmanager
async def a_bridge(folder: Path) -> AsyncIterator[Pair]:
    """Two hubs, and JSAMP's bridge between them."""
    async with (
        hub(folder, "left") as (left, _),
        hub(folder, "right") as (right, _),
        child(*_bridge_command([left, right])),
    ):
        yield left, right, "*"


def _bridge_command(lockfiles: list[Path]) -> list[str]:
    if not JSAMP_JAR.exists():
        raise OSError("JSAMP is missing: apt-get install -y --no-install-recommends jsamp")
    command = ["java", "-Djava.awt.headless=true", "-cp", str(JSAMP_JAR), "org.astrogrid.samp.bridge.Bridge"]
    return [*command, "-nostandard", *(word for file in lockfiles for word in ("-sampfile", str(file)))]


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


async def _speaking(here: Path, there: Path, ending: str) -> list[str]:
    async with Client("sender", lockfile=here) as sender, Client("echo", lockfile=there) as echo:

        @echo.on("test.echo")
        async def answer(message: Message) -> dict[str, str]:
            return {}

        await echo.settled()
        to = await seen(sender, "echo", ending)
        call = [await timed(sender.call(to, "test.echo", {}, timeout=_WAIT)) for _ in range(CALLS)]
        wait = [await timed(sender.call_and_wait(to, "test.echo", {}, timeout=_WAIT)) for _ in range(CALLS)]
        comings = [await timed(_coming(sender, there, f"new{n}", ending)) for n in range(COMINGS)]
    rate, wrong = await notify_leanly(here, there, ending)
    return [_two(call), _two(wait), f"{rate:,.0f}{wrong}", _two(comings)]


async def notify_leanly(here: Path, there: Path, ending: str) -> tuple[float, str]:
    """Return how many a second arrive, one sent after another, and what is wrong with them.

    Its clients cost next to nothing, so that the hubs are the bound.

    Args:
        here: The lockfile of the sender's hub.
        there: The lockfile of the receiver's.
        ending: What a client there ends with here.
    """
    async with (
        Crowd(_target(here), 1, subscribed_from=1) as senders,
        Crowd(_target(there), 1) as receivers,
        Client("watcher", lockfile=here) as watcher,
    ):
        ledger = receivers.ledger = senders.ledger
        [sender], [receiver] = senders.members, receivers.members
        to = receiver.id if here == there else (await seen(watcher, "load 0", ending)).public_id
        note = message(MTYPE, {"token": string("#TOKEN#")})
        head, _, tail = call("samp.hub.notify", string(sender.key), string(to), note).partition(b"#TOKEN#")
        begun = perf_counter()
        for _ in range(NOTIFICATIONS):
            mark = token(sender.number, receiver.number, ledger.send(sender.number, receiver.number))
            await _until_taken(sender.link, head + mark.encode("ascii") + tail)
        await ledger.all_received(_WAIT)
        rate = NOTIFICATIONS / (perf_counter() - begun)
    wrong = {"lost or doubled": ledger.lost + ledger.doubled, "not in order": ledger.swapped}
    return rate, "".join(f", {count} {what}" for what, count in wrong.items() if count)


async def _until_taken(link: Link, body: bytes) -> None:
    while True:
        try:
            await link.ask(body)
            return
        except FaultError:  # full
            await asyncio.sleep(0.01)


def _target(lockfile: Path) -> Target:
    found = parse_lockfile(lockfile.read_text())
    return Target(found.url, found.secret)


async def timed(work: Awaitable[object]) -> float:
    """Return how many seconds it took."""
    begun = perf_counter()
    await work
    return perf_counter() - begun


async def _notify(sender: Client, echo: Client, to: RemoteClient, count: int) -> tuple[float, str]:
    """Return how many a second arrive, and what is wrong with them."""
    async with echo.messages("test.echo", limit=count + 1) as came:
        begun = perf_counter()
        sending = asyncio.create_task(_send(sender, to, count))
        async with asyncio.timeout(2 * _WAIT):
            numbers = [int(str((await anext(came)).params["n"])) for _ in range(count)]
        await sending
        rate = count / (perf_counter() - begun)
    wrong = ""
    if sorted(numbers) != list(range(count)):
        wrong = ", some lost or doubled"
    elif numbers != list(range(count)):
        wrong = ", not in order"
    return rate, wrong


async def _send(sender: Client, to: RemoteClient, count: int) -> None:
    for number in range(count):
        while True:
            try:
                await sender.notify(to, "test.echo", {"n": str(number)})
                break
            except SampError:  # full
                await asyncio.sleep(0.01)


async def _coming(watcher: Client, there: Path, name: str, ending: str) -> None:
    async with Client(name, lockfile=there) as client:
        client.on("test.echo")(_nothing)
        await seen(watcher, name, ending)


async def _nothing(message: Message) -> None:
    """Take it."""


def _two(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.2f} / {cuts[98] * 1000:.2f}"


# ---- many


@dataclass
class Many:
    """What was measured with so many hubs: seconds, how many a second, shares of a core."""

    met: float
    call: list[float]
    rate: float
    wrong: str
    broadcast: list[float]
    newcomer: list[float]
    idle: float
    middle: float


_MANY_HEAD = [
    "hubs",
    "by",
    "all see all s",
    "call p50 / p99 ms",
    "notify /s",
    "a broadcast to all others p50 / p99 ms",
    "a new client known to all p50 / p99 ms",
    "idle: a hub, % of a core",
    "idle: server or bridge, %",
]


async def _all_sizes(
    folder: Path, say: Callable[[str], None]
) -> tuple[Rows, dict[str, dict[str, dict[int, float]]]]:
    rows = Rows("Many hubs, in one process", _MANY_HEAD)
    points: dict[str, dict[str, dict[int, float]]] = {}
    for count in SIZES:
        for way, joined in (("a room", by_room), ("JSAMP's bridge", by_bridge)):
            say(f"{count} hubs, {way}")
            try:
                async with asyncio.timeout(_LONGEST):
                    one = await measure_many(folder, count, joined)
            except (TimeoutError, SampError, OSError) as error:
                reason = f"not within {_LONGEST:g} s" if isinstance(error, TimeoutError) else str(error)
                say(reason)
                rows.rows.append([str(count), way, reason, *[""] * 6])
                continue
            rows.rows.append([str(count), way, *_cells(one)])
            say("; ".join(_cells(one)))
            for name, value in (
                ("call, p50 ms", _at(one.call, 50)),
                ("call, p99 ms", _at(one.call, 99)),
                ("a new client known to all, p50 ms", _at(one.newcomer, 50)),
            ):
                points.setdefault(way, {}).setdefault(name, {})[count] = value * 1000
    return rows, points


def _cells(one: Many) -> list[str]:
    speed = [f"{one.met:.2f}", _two(one.call), f"{one.rate:,.0f}{one.wrong}"]
    return [*speed, _two(one.broadcast), _two(one.newcomer), f"{one.idle:.2f}", f"{one.middle:.2f}"]


Joined = Callable[[Path, int, AsyncExitStack], Awaitable[tuple[list[Hub], int]]]
"""Starts so many hubs that show each other their clients; gives them, and the process between them."""


async def by_room(folder: Path, count: int, stack: AsyncExitStack) -> tuple[list[Hub], int]:
    """Let hubs join a room."""
    server = NatsServer(find_server(), folder)
    await server.start(server_config("room", [], Listen(port=-1), open_to_all=True))
    stack.push_async_callback(server.stop)
    hubs = []
    for number in range(count):
        url = f"nats://127.0.0.1:{server.ports['nats']}"
        reach = Reach(invitation_of_url(url), label=f"h{number}", mtypes=None)
        hub = Hub(lockfile=folder / f"{count}-{number}.samp", profiles=[reach])
        hubs.append(await stack.enter_async_context(hub))
    return hubs, server.pid


async def by_bridge(folder: Path, count: int, stack: AsyncExitStack) -> tuple[list[Hub], int]:
    """Let JSAMP's bridge show the clients of each hub to all others."""
    lockfiles = [folder / f"{count}-{number}.bridged.samp" for number in range(count)]
    hubs = [await stack.enter_async_context(Hub(lockfile=lockfile)) for lockfile in lockfiles]
    bridge = await stack.enter_async_context(child(*_bridge_command(lockfiles)))
    return hubs, bridge.pid


async def measure_many(folder: Path, count: int, joined: Joined) -> Many:
    """Measure so many hubs, each with one client."""
    async with AsyncExitStack() as stack:
        begun = perf_counter()
        hubs, between = await joined(folder, count, stack)
        clients, heard = [], _Heard()
        for number, each in enumerate(hubs):
            client = Client(f"c{number}", lockfile=each.lockfile)
            client.on("test.echo")(heard.take)
            clients.append(await stack.enter_async_context(client))
        await _until(lambda: all(_others(each) >= count for each in hubs))
        met = perf_counter() - begun
        ending = "*" if joined is by_bridge else f" @h{count - 1}"
        to = await seen(clients[0], f"c{count - 1}", ending)
        call = [await timed(clients[0].call(to, "test.echo", {}, timeout=_WAIT)) for _ in range(MANY_CALLS)]
        rate, wrong = await _notify(clients[0], clients[-1], to, MANY_NOTIFICATIONS)
        broadcast = [await timed(heard.say(clients[0], count - 1)) for _ in range(BROADCASTS)]
        newcomer = []
        for number in range(NEWCOMERS):
            async with Client(f"new{number}", lockfile=hubs[0].lockfile):
                newcomer.append(await timed(_until(lambda: all(_others(each) > count for each in hubs))))
            await _until(lambda: all(_others(each) == count for each in hubs))
        idle, middle = await _idle(between)
    return Many(met, call, rate, wrong, broadcast, newcomer, idle / count, middle)


def _others(hub: Hub) -> int:
    """Return how many clients have said who they are, the bridge not counted."""
    named = [str(client.metadata.get("samp.name", "")) for client in hub.clients.values()]
    return sum(1 for name in named if name.startswith(("c", "new")))


class _Heard:
    """How many have got what was said."""

    def __init__(self) -> None:
        self._missing = 0
        self._all = asyncio.Event()

    async def take(self, message: Message) -> None:
        """Note that somebody has got it."""
        self._missing -= 1
        if self._missing <= 0:
            self._all.set()

    async def say(self, sender: Client, others: int) -> None:
        """Say something to everybody, and return once everybody else has got it."""
        self._missing = others
        self._all.clear()
        await sender.notify_all("test.echo", {})
        async with asyncio.timeout(_WAIT):
            await self._all.wait()


async def _idle(between: int) -> tuple[float, float]:
    """Return what this process and that between the hubs use while nothing is said, in % of a core."""
    used, theirs = process_time(), _used(between)
    await asyncio.sleep(IDLE)
    return (process_time() - used) / IDLE * 100, (_used(between) - theirs) / IDLE * 100


def _used(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _at(seconds: list[float], percent: int) -> float:
    return quantiles(seconds, n=100)[percent - 1]


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
