"""Old wishes of users of SAMP in Python, each met, each by its name."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

import asyncsamp
from asyncsamp import Client, Hub, NoRecipientsError, NotSubscribedError

from ..desktops import pair


async def test_astropy_1920_a_table_is_sent_and_received_in_one_call(tmp_path: Path) -> None:
    async with pair(tmp_path) as (sender, receiver):
        receiving = asyncio.create_task(receiver.receive_table(timeout=10))
        while not await sender.get_subscribed_clients("table.load.votable"):
            await asyncio.sleep(0)
        await sender.send_table(Table({"a": [1, 2]}))
        assert list((await receiving)["a"]) == [1, 2]


async def test_pyvo_734_metadata_is_kept(tmp_path: Path) -> None:
    table = Table({"a": [1.0]}, meta={"name": "t", "description": "what it is", "epoch": 2026.5})
    table["a"].meta["ucd"] = "phys.mass"
    table["a"].description = "mass"
    table["a"].unit = "kg"
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        await sender.send_table(table, timeout=10)
        received = await asyncio.wait_for(anext(tables), 30)
    assert (received.meta["description"], received.meta["epoch"]) == ("what it is", 2026.5)
    column = received["a"]
    assert (column.meta["ucd"], column.description, column.unit) == ("phys.mass", "mass", "kg")


async def test_glue_samp_connects_or_starts_a_hub(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    first = await asyncsamp.connect(
        "first", start_hub=True, lockfile=lockfile
    )  # there is none: it starts one
    second = await asyncsamp.connect(
        "second", start_hub=True, lockfile=lockfile
    )  # there is one: it uses that
    try:
        assert {found.name for found in await second.get_clients()} == {"Hub", "first"}
    finally:
        await second.unregister()
        await first.unregister()
    assert not lockfile.exists()


async def test_glue_samp_sees_to_subscriptions_first(tmp_path: Path) -> None:
    """Nothing is written, served or sent for somebody who would not take it."""
    table = Table({"a": [1]})
    async with pair(tmp_path) as (sender, _):
        with pytest.raises(NoRecipientsError):
            await sender.send_table(table)
        with pytest.raises(NotSubscribedError):
            await sender.send_table(table, "receiver")
        assert len(sender._context().shares) == 0


async def test_glue_samp_has_its_handlers_in_its_own_loop(tmp_path: Path) -> None:
    import threading

    loop, thread = asyncio.get_running_loop(), threading.current_thread()
    async with pair(tmp_path) as (sender, receiver):

        @receiver.on("glue.data")
        async def load(message: Any) -> dict[str, bool]:
            here = asyncio.get_running_loop() is loop and threading.current_thread() is thread
            return {"here": here}

        await receiver.settled()
        answer = await sender.call(receiver.public_id, "glue.data", timeout=30)
        assert answer.result == {"here": "1"}


async def test_glue_samp_replies_only_when_it_is_really_loaded(tmp_path: Path) -> None:
    loaded = []
    async with pair(tmp_path) as (sender, receiver), receiver.tables() as tables:
        (tmp_path / "bad.vot").write_text("<VOTABLE>")
        for path, ok in ((tmp_path / "bad.vot", False), (tmp_path / "good.csv", True)):
            (tmp_path / "good.csv").write_text("a\n1\n")
            try:
                sent = await sender.send_table(path.as_uri() if not ok else path, timeout=10)
            except asyncsamp.ReplyError:
                loaded.append(False)
            else:
                loaded.append(sent[receiver.public_id].ok)
        assert loaded == [False, True]
        assert len(await asyncio.wait_for(anext(tables), 30)) == 1


async def test_connecting_twice_is_connecting_once(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    async with Hub(lockfile=lockfile):
        client = await asyncsamp.connect("me", lockfile=lockfile)
        assert await asyncsamp.connect("me", lockfile=lockfile) is client
        # Other metadata are declared; everything else that is different makes another client.
        metadata = {"x": "1"}
        for x in ("1", "1", "2"):
            metadata["x"] = x
            assert await asyncsamp.connect("me", lockfile=lockfile, metadata=metadata) is client
            assert client.metadata["x"] == x
        assert (await client.get_metadata(client.public_id))["x"] == "2"
        assert await asyncsamp.connect("me", lockfile=lockfile) is client
        other = await asyncsamp.connect("me", lockfile=lockfile, metadata=metadata, reconnect=False)
        assert other is not client
        assert not client.registered
        assert await asyncsamp.connect("me", lockfile=lockfile, metadata=metadata, reconnect=False) is other
        await other.unregister()
        again = await asyncsamp.connect("me", lockfile=lockfile)
        assert again.registered
        assert isinstance(again, Client)
        await again.unregister()


def test_the_package_is_imported_without_what_it_may_never_need() -> None:
    heavy = "{'astropy', 'numpy', 'pandas', 'pyvo', 'tqdm', 'IPython'}"
    program = f"import sys, asyncsamp; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
    program = "import sys, asyncsamp; print('asyncsamp.mtypes.common' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "False\n"
