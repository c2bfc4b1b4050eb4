"""`asyncsamp.sync.connect`: one line of a script, which may join a room."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import HubNotFoundError, InvitationError, Message
from asyncsamp.sync import Client, Hub, connect

from ..aio.nats_server import PATIENCE, nats_server
from ..ports import lasting_port


@pytest.fixture
def room(tmp_path: Path) -> Iterator[str]:
    """Give the URL of a server without accounts."""
    port = lasting_port()
    log = tmp_path / "nats.log"
    command = [nats_server(), "-a", "127.0.0.1", "-p", str(port), "-l", str(log)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not (log.exists() and "Server is ready" in log.read_text()):
            assert time.monotonic() < end, "the server has not begun"
            time.sleep(0.02)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def test_it_gives_the_same_client_again(hub: Hub) -> None:
    with connect("me", description="the first") as client:
        assert isinstance(client, Client)
        assert client.registered
        assert connect("me", description="the first") is client
        with connect("other") as other:
            assert other is not client
            assert client.find("other").public_id == other.public_id
    assert not client.registered
    again = connect("me")
    assert again.registered
    again.unregister()


def test_a_client_that_is_forgotten_leaves_and_the_next_is_another_one(hub: Hub) -> None:
    client = connect("me")
    before = client.public_id
    del client
    gc.collect()
    with connect("me") as client:
        assert client.public_id != before
        assert client.registered


def test_handlers_run_where_they_are_wanted(hub: Hub) -> None:
    ran = []

    def dispatcher(work: Any) -> None:
        ran.append(work)
        work()

    with connect("adder", dispatcher=dispatcher) as client, connect("asker") as asker:

        @client.on("test.add")
        def add(message: Message) -> dict[str, str]:
            return {"sum": "3"}

        assert asker.call("adder", "test.add", timeout=30).result == {"sum": "3"}
    assert len(ran) == 1


def test_a_script_joins_a_room(room: str, tmp_path: Path) -> None:
    """Two hubs, as on two machines; the tool's is not that of the script."""
    with ExitStack() as stack:
        tool = stack.enter_context(connect("tool", join=room, lockfile=tmp_path / "there.samp"))

        @tool.on("coord.pointAt.sky")
        def point(message: Message) -> dict[str, str]:
            return {"from": message.sender_name}

        script = stack.enter_context(
            connect("script", join=room, files="sent", lockfile=tmp_path / "here.samp")
        )
        seen = script.find("tool", timeout=PATIENCE)
        assert seen.name.startswith("tool @")
        end = time.monotonic() + PATIENCE
        while not seen.subscribes("coord.pointAt.sky"):
            assert time.monotonic() < end, "the tool's subscriptions have not come"
            time.sleep(0.02)
        answer = script.point_at(10.68, 41.27, "tool", timeout=PATIENCE)[seen.public_id].response
        assert answer is not None
        assert str(answer.result["from"]).startswith("script @")


PROGRAM = """
import sys
from asyncsamp.sync import connect

client = connect("script", join=sys.argv[1])
print(client.name, client.registered)
"""


def test_a_script_that_closes_nothing_ends_and_takes_its_hub_along(room: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, room], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "script True\n"), done.stderr
    assert not (tmp_path / "hub.samp").exists()


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(HubNotFoundError):
        connect("me")
    with pytest.raises(InvitationError):
        connect("me", join=str(tmp_path / "none.reach"))
    with pytest.raises(ValueError, match="together with join="):
        connect("me", files="sent")
    with pytest.raises(ValueError, match=r"via= is for notebooks: use asyncsamp\.connect"):
        connect("me", via="browser")
