from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from astropy.table import Table

from asyncsamp import (
    Client,
    DirectConnection,
    Hub,
    LocalProtocolError,
    Message,
    RemoteClient,
    Response,
    ToolError,
    UnknownClientError,
)
from asyncsamp._util.processes import lives
from asyncsamp.discovery import locate
from asyncsamp.tools.registry import Tool
from asyncsamp.tools.running import running
from asyncsamp.tools.starting import start, start_hub

from ..aio.connections import turns_until
from .programs import write_tools

pytestmark = pytest.mark.timeout(120)

VOTABLE = b"<?xml version='1.0'?><VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'/>"


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    monkeypatch.setenv("ASYNCSAMP_TOOLS", str(write_tools(tmp_path)))
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'elsewhere').as_uri()}")
    async with Hub(lockfile=tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
async def client(hub: Hub) -> AsyncIterator[Client]:
    """A client of `hub`; the tool that it has started is told to leave."""
    async with Client("starter", lockfile=hub.lockfile) as client:
        yield client
        await client.notify_all("test.quit")


async def test_a_tool_is_started_with_our_hub_and_returned_when_it_answers(client: Client) -> None:
    viewer = await client.find("viewer", start=True)
    assert viewer.name == "The Viewer"
    answer = await client.call(viewer, "image.load.fits", {"url": "x"})
    assert answer.result["loaded"] == "x"


async def test_a_tool_that_is_there_is_not_started_again(client: Client) -> None:
    viewer = await client.find("viewer", start=True)
    assert await client.find("viewer", start=True) is viewer
    assert await client.wait_for("the viewer") is viewer


async def test_nothing_is_started_without_start(client: Client) -> None:
    with pytest.raises(UnknownClientError):
        await client.find("viewer")
    with pytest.raises(UnknownClientError):
        await client.wait_for("viewer", timeout=0.1)


async def test_two_of_one_name_are_told_apart_by_id(hub: Hub, client: Client) -> None:
    async with Client("twin", lockfile=hub.lockfile) as one, Client("twin", lockfile=hub.lockfile) as two:
        with pytest.raises(UnknownClientError, match=f"{one.public_id}, {two.public_id}; use a public id"):
            await client.find("twin", start=True)
        assert (await client.find(two.public_id, start=True)).public_id == two.public_id


async def test_the_one_that_was_started_is_told_from_another_of_its_name(client: Client) -> None:
    """By its environment, which DS9 tells: two that start at the same time are not mistaken."""
    twin = await client.find("twins", start=True)
    first, second = sorted(other.public_id for other in await client.get_clients() if other.name == "Twins")
    assert twin.public_id == second
    assert first != second


async def test_an_object_is_opened_in_a_tool_that_is_started(client: Client) -> None:
    sent = await client.open(Table({"n": [1, 2]}), start=True)
    assert sent.names == ["The Viewer"]


async def test_a_tool_that_dies_has_its_last_lines_in_the_error(client: Client) -> None:
    with pytest.raises(ToolError) as caught:
        await client.find("dies", start=True)
    text = str(caught.value)
    assert text.startswith("dies died while it started; it said:")
    assert "line 11" in text
    assert "line 10" not in text
    assert "?[31mno display" in text


async def test_a_tool_that_does_not_register_is_named_with_its_pid(client: Client) -> None:
    with pytest.raises(ToolError, match=r"hangs was started \(pid \d+\) but did not register within 0.3 s"):
        await client.find("hangs", start=True, timeout=0.3)


class Started:
    """A tool with a client that answers pings, and of which a test says what becomes of it."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self._location = locate(lockfile=hub.lockfile)
        self._told, self._go = folder / "told", folder / "go"
        for pipe in (self._told, self._go):
            os.mkfifo(pipe)
        script = f"echo > {shlex.quote(str(self._told))}; read x < {shlex.quote(str(self._go))}; exit 3"
        self._tool = Tool("slow", "Slow", ("sh",), ("-c", script), ready=("test.ready", "x", "1"))

    def start(self, client: Client, timeout: float) -> asyncio.Task[RemoteClient]:
        """Start it."""
        return asyncio.create_task(start(client, self._tool, self._location, timeout=timeout))

    async def runs(self) -> None:
        """Wait until it runs."""
        await asyncio.to_thread(self._told.read_text)

    async def die(self) -> None:
        """Let it die."""
        await asyncio.to_thread(self._go.write_text, "\n")


async def test_a_tool_that_dies_after_its_first_pong_is_not_waited_for(
    hub: Hub, client: Client, tmp_path: Path
) -> None:
    tool = Started(tmp_path, hub)
    starting = tool.start(client, 50.0)
    await tool.runs()
    asked = asyncio.Event()
    async with Client("Slow", lockfile=hub.lockfile) as slow:

        @slow.on("test.ready")
        async def not_ready(message: Message) -> Response:
            asked.set()
            return Response.failure("not yet")

        await asked.wait()
        await tool.die()
        with pytest.raises(ToolError, match=r"^slow died while it started$"):
            await starting


async def test_a_tool_that_registers_and_is_not_ready_is_said_to_be(
    hub: Hub, client: Client, tmp_path: Path
) -> None:
    tool = Started(tmp_path, hub)
    starting = tool.start(client, 5.0)
    await tool.runs()
    async with Client("Slow", lockfile=hub.lockfile):
        with pytest.raises(ToolError, match=r"slow was started \(pid \d+\) but was not ready within 5 s"):
            await starting
    await tool.die()


async def test_a_hub_that_is_started_reads_no_module_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aiohttp.py").write_text("raise SystemExit('this is not aiohttp')")
    monkeypatch.chdir(tmp_path)
    lockfile = tmp_path / "samp"

    async def is_there() -> bool:
        return await asyncio.to_thread(lockfile.exists)

    with caplog.at_level("INFO", "asyncsamp.tools"):
        await start_hub(locate(lockfile=lockfile), is_there)
    pid = int(caplog.messages[-1].removeprefix("a hub was started: pid "))
    os.kill(pid, signal.SIGTERM)
    await noted(pid)


async def noted(pid: int) -> None:
    """Wait until the end of a tool that was started has been noted."""
    await turns_until(lambda: pid not in [tool.pid for tool in list(running._tools)], 30)


async def test_a_tool_that_ends_later_leaves_no_zombie(hub: Hub, client: Client) -> None:
    viewer = await client.find("viewer", start=True)
    response = await client.call(viewer, "image.load.fits", {"url": "x"})
    pid = int(str(response.result["pid"]))
    assert lives(pid)
    await client.notify_all("test.quit")
    await noted(pid)
    assert not lives(pid)  # a zombie would


async def test_a_tool_that_is_not_installed_is_said_to_be(client: Client) -> None:
    with pytest.raises(ToolError, match="missing is not installed"):
        await client.find("missing", start=True)


async def test_what_reads_no_variable_needs_a_lockfile_of_the_usual_name(client: Client) -> None:
    with pytest.raises(ToolError, match="aladin"):
        await client.find("aladin", start=True)


async def test_a_client_with_a_connection_cannot_start_tools(hub: Hub) -> None:
    async with Client("direct", connection=DirectConnection(hub)) as client:
        with pytest.raises(LocalProtocolError, match="give it a lockfile instead"):
            await client.find("viewer", start=True)


async def test_open_starts_a_tool_that_takes_the_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "stars.vot"
    path.write_bytes(VOTABLE)
    sent = await client.open(path, start=True)
    (answer,) = sent.values()
    assert answer.name == "The Viewer"
    assert answer.response is not None
    assert answer.response.result["loaded"] == path.as_uri()


async def test_open_starts_the_tool_that_is_named(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "stars.vot"
    path.write_bytes(VOTABLE)
    assert (await client.open(path, "viewer", start=True)).names == ["The Viewer"]
