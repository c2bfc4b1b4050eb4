"""A peer's messages do not fill a client's log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message


@pytest.mark.both_loops
async def test_a_peer_whose_messages_all_fail_does_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taker = Client("taker", lockfile=tmp_path / "hub.samp")

    @taker.on("a.b")
    async def fail(message: Message) -> None:
        raise ValueError("of no use")

    async with (
        Hub(lockfile=tmp_path / "hub.samp"),
        taker,
        Client("peer", lockfile=tmp_path / "hub.samp") as peer,
    ):
        await taker.settled()
        for number in range(200):
            await peer.notify(taker.public_id, "a.b", {"n": number})
        with pytest.raises(Exception, match="of no use"):
            await peer.call(taker.public_id, "a.b", {})
    failed = [record for record in caplog.records if "the handler of a.b failed" in record.getMessage()]
    said = [record for record in failed if record.levelno >= logging.WARNING]
    assert len(failed) == 201
    assert 20 <= len(said) < 30
    assert said[0].exc_info is not None
    assert failed[-1].exc_info is not None
