"""Files and local URLs that cross a room, between whole hubs: what is read, what is not, what is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asyncsamp import Client, DataError, Message, OriginStore, ReplyError, Response, WebProfile, allow_all
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.reach.bus import BusServer, NatsBus
from asyncsamp.hub.profiles.reach.invitation import Invitation
from asyncsamp.hub.profiles.reach.invitation_files import read_invitation, write_invitation
from asyncsamp.hub.profiles.reach.profile import Reach
from asyncsamp.hub.profiles.reach.urls import NOT_OFFERED
from asyncsamp.hub.profiles.reach.wire import Messages, RemoteClient, Sync, dump_frames, dump_item
from asyncsamp.values import Value, ValueMap

from ..nats_server import PATIENCE
from ..web_server import Server
from ..webpage import Page
from .rooms import LIMITS, RoomHouse, open_room, until

LOAD = "table.load.votable"
CONTENT = bytes(range(256)) * 2000


class Two:
    """Tools on two hubs: `tool` at "there" notes what it is sent; `notebook` at "here" sends to it."""

    def __init__(self, notebook: Client, tool: Client) -> None:
        self.notebook = notebook
        self.tool = tool
        self.got: asyncio.Queue[Message] = asyncio.Queue()
        self.back: asyncio.Queue[Message] = asyncio.Queue()

    async def prepare(self) -> None:
        self.tool.on(LOAD)(self.got.put)
        self.notebook.on(LOAD)(self.back.put)
        await self.tool.settled()
        await self.notebook.settled()
        self._tool = await self.notebook.find("tool @there", timeout=PATIENCE)
        self._notebook = await self.tool.find("notebook @here", timeout=PATIENCE)

    async def send(self, url: str) -> str:
        """Let the notebook send a URL; return what the tool gets."""
        await self.notebook.call(self._tool, LOAD, {"url": url}, timeout=PATIENCE)
        return str(self.got.get_nowait().params["url"])

    async def send_back(self, url: str) -> str:
        """Let the tool send a URL; return what the notebook gets."""
        await self.tool.call(self._notebook, LOAD, {"url": url}, timeout=PATIENCE)
        return str(self.back.get_nowait().params["url"])


@asynccontextmanager
async def two(room: RoomHouse, files: str | None, invitation: Invitation | None = None) -> AsyncIterator[Two]:
    here = await room.join("here", files=files, invitation=invitation)
    there = await room.join("there", files=files)
    both = Two(await here.client("notebook"), await there.client("tool"))
    await both.prepare()
    yield both


async def read(url: str, **headers: str) -> tuple[int, bytes]:
    """Read a URL as a tool does."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read()


async def test_a_file_and_a_url_of_this_machine_are_read_at_the_other_hub(
    tmp_path: Path, nats_program: str
) -> None:
    (tmp_path / "a b.vot").write_bytes(CONTENT)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=CONTENT[::-1])

    async with (
        open_room(tmp_path, program=nats_program) as room,
        two(room, "sent") as both,
        Server(serve) as base,
    ):
        url = (tmp_path / "a b.vot").as_uri()
        got = await both.send(url)
        assert got.startswith("http://127.0.0.1:")
        assert got.endswith("/a%20b.vot")
        assert await read(got) == (200, CONTENT)
        assert await read(got, Range="bytes=1000-1999") == (206, CONTENT[1000:2000])
        of_server = await both.send(f"{base}/table")
        assert not of_server.startswith(base)
        assert await read(of_server) == (200, CONTENT[::-1])
        # a table keeps its identity: there and back it is the same text
        assert await both.send_back(got) == url
        assert await both.send_back(of_server) == f"{base}/table"
        assert await both.send(url) == got
        assert await both.send("https://archive.example.org/t") == "https://archive.example.org/t"


NAMES = ["a b.vot", "50%25.vot", "50%.vot", "a#1.vot", "x?y.vot", "\u00fc\u4e2d.vot", "[x].vot"]


async def test_urls_keep_their_identity_through_three_hubs(tmp_path: Path) -> None:
    """A to B to C to A: the same text, at any depth, in params, results and metadata; and C reads from A."""
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode())
    urls: list[Value] = [(tmp_path / name).as_uri() for name in NAMES]
    urls += [f"file://{tmp_path}/a b.vot", "http://localhost:9/x?y=%20#z"]
    sent: ValueMap = {"urls": urls, "deep": [{"map": {"url": urls[0]}}], "text": f"not in a text: {urls[0]}"}
    async with open_room(tmp_path) as room:
        places = [await room.join(label, files="sent") for label in "abc"]
        tools = [await place.client(f"tool {place.label}", metadata={"x.url": urls[0]}) for place in places]
        got: list[asyncio.Queue[ValueMap]] = [asyncio.Queue() for _ in tools]
        for tool, queue in zip(tools, got, strict=True):
            tool.on("test.pass")(_noting(queue))
            await tool.settled()

        async def goes_on(here: int, there: int, params: ValueMap) -> ValueMap:
            other = await tools[here].find(f"tool {places[there].label} @{places[there].label}", timeout=30)
            await until(lambda: other.subscribes("test.pass") and "x.url" in other.metadata)
            answer = await tools[here].call(other, "test.pass", params, timeout=PATIENCE)
            assert answer.result == params, "a result crosses as params do"
            return got[there].get_nowait()

        at_b = await goes_on(0, 1, sent)
        at_c = await goes_on(1, 2, at_b)
        assert await goes_on(2, 0, at_c) == sent
        assert await goes_on(1, 0, at_b) == sent
        assert (at_b["text"], at_c["text"]) == (sent["text"], sent["text"])
        for at in (at_b, at_c):
            of_list = at["urls"]
            assert isinstance(of_list, list)
            assert at["deep"] == [{"map": {"url": of_list[0]}}]
            for name, url in zip(NAMES, of_list, strict=False):
                assert await read(str(url)) == (200, name.encode())
        seen = await tools[1].find("tool a @a")
        assert await read(str(seen.metadata["x.url"])) == (200, NAMES[0].encode())


def _noting(queue: asyncio.Queue[ValueMap]) -> Callable[[Message], Awaitable[ValueMap]]:
    async def note(message: Message) -> ValueMap:
        queue.put_nowait(message.params)
        return message.params

    return note


@pytest.mark.parametrize("files", ["none", None])
async def test_without_being_asked_nothing_is_readable_but_it_keeps_its_identity(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, files: str | None
) -> None:
    (tmp_path / "t.vot").write_bytes(CONTENT)
    async with open_room(tmp_path) as room, two(room, files) as both:
        await both.notebook.declare_metadata({"samp.icon.url": "http://127.0.0.1:1/icon.png"})
        url = (tmp_path / "t.vot").as_uri()
        got = await both.send(url)
        status, body = await read(got)
        assert (status, b"with --reach-files sent" in body) == (403, True)
        assert await both.send_back(got) == url
        assert await both.send(f"{url}#2") != got
        told = [each.getMessage() for each in caplog.records if "--reach-files" in each.getMessage()]
        assert len(told) == 1, "it is told once, of the file and not of the icon"
        assert "notebook sends t.vot, which is on this machine, and nobody in the room room can" in told[0]


TOPCATS = "Server returned HTTP response code: 403 for URL: http://127.0.0.1:38039/x.vot"
"""What TOPCAT answers if it may not read a URL."""


async def test_who_sends_what_cannot_be_read_there_is_told_what_to_do(tmp_path: Path) -> None:
    table = {"a": [1, 2, 3]}
    async with open_room(tmp_path) as room:
        here, there = [await room.join(label, files="none") for label in ("here", "there")]
        notebook, near = await here.client("notebook"), await here.client("near")
        far, ours = await there.client("far"), await there.client("ours")
        said = TOPCATS

        async def refuse(message: Message) -> Response:
            return Response.failure(said)

        async def failure(data: object, to: str) -> str:
            with pytest.raises(ReplyError) as caught:
                await notebook.send_table(data, to, timeout=PATIENCE)
            assert caught.value.response.errortxt in str(caught.value)
            return str(caught.value)

        for tool in (near, far):
            tool.on(LOAD)(refuse)
            await tool.settled()
        async with ours.tables():
            await ours.settled()
            others = [await notebook.find(name, timeout=PATIENCE) for name in ("far @there", "ours @there")]
            await until(lambda: all(other.subscribes(LOAD) for other in others))
            text = await failure(table, "far @there")
            assert text.endswith(
                f"{TOPCATS}; if this hub does not offer its files to the room: start it (or attach) with "
                "--reach-files sent; in a notebook: connect(..., files='sent')"
            )
            # who has said it already, who is here, what is not of this machine, and another error
            assert (await failure(table, "ours @there")).count("--reach-files") == 1
            assert (await failure(table, "near")).endswith(TOPCATS)
            assert (await failure("https://archive.example/x.vot", "far @there")).endswith(TOPCATS)
            said = "there are 4030 rows in no VOTable"
            assert (await failure(table, "far @there")).endswith(said)


async def test_who_asks_for_a_table_that_is_not_offered_is_told_why(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room, two(room, "none") as both:
        url = await both.tool.share(CONTENT, name="t.vot")

        @both.tool.on("table.get.stil")
        async def give(message: Message) -> dict[str, str]:
            return {"url": url}

        await both.tool.settled()
        tool = await both.notebook.find("tool @there")
        await until(lambda: tool.subscribes("table.get.stil"))
        why = "HTTP 403 Forbidden: the hub that has it does not offer it: .*--reach-files sent$"
        with pytest.raises(DataError, match=why):
            await both.notebook.get_table("tool @there", timeout=PATIENCE)


async def test_in_a_room_of_ones_own_files_follow_but_not_the_invitation(tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_bytes(CONTENT)
    async with open_room(tmp_path) as room:
        own = tmp_path / "own.reach"
        await asyncio.to_thread(write_invitation, own, Invitation(room.server.url, own=True))
        invitation = await asyncio.to_thread(read_invitation, own)
        async with two(room, None, invitation) as both:
            assert await read(await both.send((tmp_path / "t.vot").as_uri())) == (200, CONTENT)
            (tmp_path / "link").symlink_to(own)
            for path in (own, tmp_path / "link"):
                status, body = await read(await both.send(path.as_uri()))
                assert (status, body) == (403, b"it is a file of the hub's own\n")


HOSTILE: list[Value] = [
    "http://127.0.0.1:631/",
    "http://localhost:631/admin",
    "HTTP://[::1]:631/",
    "http://0x7f.1/",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "reach:nonsense",
]


@pytest.mark.parametrize("files", ["none", "sent"])
async def test_what_a_hostile_hub_names_here_is_replaced(tmp_path: Path, files: str) -> None:
    """It writes frames itself, so nothing at its end replaces anything."""
    async with open_room(tmp_path) as room:
        here = await room.join("here", files=files)
        tool = await here.client("tool")
        bus, hub = await _stranger(room)
        try:
            async with tool.messages(LOAD) as got:
                items: list[Sync | Messages] = [
                    Sync(
                        "evil", [RemoteClient("c1", {"samp.name": "evil", "samp.icon.url": HOSTILE[0]}, {})]
                    ),
                    Messages(
                        "c1",
                        [(tool.public_id, None)],
                        {"samp.mtype": LOAD, "samp.params": {"urls": HOSTILE, "map": {"url": HOSTILE[0]}}},
                    ),
                ]
                for number, item in enumerate(items, 1):
                    for payload in dump_frames("0a", number, *dump_item(item), 1 << 20):
                        bus.publish(f"samp.room.anybody.00000001.to.{hub}", payload)
                async with asyncio.timeout(PATIENCE):
                    message = await anext(got)
            urls = message.params["urls"]
            assert isinstance(urls, list)
            replaced = str(urls[0])
            assert replaced.startswith("http://127.0.0.1:")
            assert replaced.endswith(NOT_OFFERED)
            assert urls == [replaced] * len(HOSTILE)
            assert message.params["map"] == {"url": replaced}
            evil = await tool.find("evil @evil", timeout=PATIENCE)
            assert evil.metadata["samp.icon.url"] == replaced
            assert (await read(replaced))[0] == 403
        finally:
            await bus.close()


async def _stranger(room: RoomHouse) -> tuple[NatsBus, str]:
    """Return the connection of somebody who keeps to no protocol, and the name of the hub that is heard."""
    ready = asyncio.Event()
    bus = NatsBus(BusServer(url=room.server.url), back=ready.set)
    await bus.start()
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        bus.subscribe("samp.room.anybody.*.here", lambda message: heard.put_nowait(message.subject))
        return bus, ".".join((await heard.get()).split(".")[2:4])


async def test_what_a_page_named_first_is_not_offered(tmp_path: Path) -> None:
    for name in ("secret.vot", "later.vot"):
        (tmp_path / name).write_bytes(CONTENT)
    secret, later = (tmp_path / "secret.vot").as_uri(), (tmp_path / "later.vot").as_uri()
    pages = WebProfile(consent=allow_all, port=0, mtypes=None, store=OriginStore())
    async with open_room(tmp_path) as room:
        here = await room.join("here", files="sent", profiles=lambda: [pages])
        there = await room.join("there", files="sent")
        both = Two(await here.client("notebook"), await there.client("tool"))
        await both.prepare()
        page = Page(pages.port)
        await page.register()
        # the page itself offers nothing, neither to the room nor by way of a program that repeats it
        await page.call("notifyAll", {"samp.mtype": LOAD, "samp.params": {"url": secret}})
        async with asyncio.timeout(PATIENCE):
            of_page = str((await both.got.get()).params["url"])
        assert (await read(of_page))[0] == 403
        assert (await read(await both.send(secret)))[0] == 403
        assert await read(await both.send(later)) == (200, CONTENT)


async def test_a_start_that_fails_leaves_no_port_and_no_connection_open() -> None:
    class Broken(HubEngine):
        def observe_clients(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
            raise OSError("at the last step")

    reach = Reach(Invitation("nats://127.0.0.1:1"))
    with pytest.raises(OSError, match="at the last step"):
        await reach.start(Broken(LIMITS, {}))
    own = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("asyncsamp")]
    assert own == []
