from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from astropy.table import Table

from asyncsamp import Client, DirectConnection, Hub, LocalProtocolError, ToolError, UnknownClientError

from .programs import write_tools

pytestmark = pytest.mark.timeout(60)

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
