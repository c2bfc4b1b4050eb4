"""What the command says of the rooms of a hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asyncsamp import Client
from asyncsamp.interfaces import ROOMS

from ..aio.nats_server import PATIENCE
from ..aio.reach.rooms import Place, find, open_room, until
from .command import Command

pytestmark = pytest.mark.timeout(180)


async def doctor(command: Command, place: Place) -> list[dict[str, str]]:
    """Return what the doctor says of rooms."""
    ended = await command.run("doctor", "--json", "--hub", place.hub.lockfile)
    return [each for each in json.loads(ended.out) if each["what"] == "room"]


def of_hub(client: Client) -> object:
    """Return what the hub says of its rooms, as a client sees it."""
    return find(client, "Hub").metadata.get(ROOMS)


async def test_doctor_and_list_tell_of_the_room(command: Command, tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop")
        await until(lambda: laptop.reach.connected)
        (alone,) = await doctor(command, laptop)
        assert alone["state"] == "note"
        assert alone["text"] == "the hub is in the room room, and connected; other hubs there: none"
        assert "has the other machine's hub joined" in alone["advice"]
        cluster = await room.join("cluster")
        notebook = await cluster.client("notebook")
        seen = await laptop.client("tool")
        await seen.find("notebook @cluster", timeout=PATIENCE)
        (met,) = await doctor(command, laptop)
        assert met["state"] == "ok"
        assert met["text"].endswith("connected; other hubs there: cluster")
        listed = await command.run("list", "--hub", laptop.hub.lockfile)
        assert "notebook @cluster\t" in listed.out
        assert "the room room, and connected; other hubs there: cluster" in listed.err
        await notebook.unregister()
        await room.server.kill()
        await until(lambda: not laptop.reach.connected)
        (away,) = await doctor(command, laptop)
        assert away["state"] == "wrong"
        assert away["text"] == "the hub is in the room room, and has no connection to its server"
        assert "is the room's server there, and the tunnel?" in away["advice"]


async def test_the_hub_says_of_its_room_its_name_and_the_hubs_and_no_more(tmp_path: Path) -> None:
    """Web pages read it, too; what leaves the room is told at once."""
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop")
        tool = await laptop.client("tool")
        await tool.get_clients()
        cluster = await room.join("cluster")
        await until(lambda: of_hub(tool) == [{"name": "room", "connected": "1", "hubs": ["cluster"]}])
        await cluster.hub.shutdown()
        await until(lambda: of_hub(tool) == [{"name": "room", "connected": "1", "hubs": []}])
        await laptop.reach.stop()
        await until(lambda: of_hub(tool) is None)
        assert find(tool, "Hub").metadata["samp.description.text"] == "asyncsamp hub"


async def test_who_is_missing_may_be_in_no_hub_of_the_room(command: Command, tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        laptop = await room.join("laptop")
        await until(lambda: laptop.reach.connected)
        for words in (
            ("info", "topcat"),
            ("wait", "topcat", "-W", "0.5"),
            ("send", "test.nobody", "--to", "topcat"),
            ("send", "test.nobody"),
        ):
            ended = await command.run(*words, "--hub", laptop.hub.lockfile)
            assert ended.code in (3, 27), words
            assert "; the room room has no other hub just now" in ended.err, words
