"""Typed mtypes through a real hub: as handlers, in streams, in notifications and calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, LocalProtocolError, ReplyError
from asyncsamp.mtypes import AppPing, AppStatus, CoordPointAtSky, TableHighlightRow


async def test_a_class_in_place_of_mtype_and_parameters(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    seen: list[CoordPointAtSky] = []
    noticed = asyncio.Event()
    receiver = Client("receiver", lockfile=lockfile)

    @receiver.on(CoordPointAtSky)
    async def point(at: CoordPointAtSky) -> dict[str, float]:
        seen.append(at)
        noticed.set()
        return {"ra": at.ra}

    async with Hub(lockfile=lockfile), receiver, Client("sender", lockfile=lockfile) as sender:
        await receiver.settled()
        answer = await sender.call(receiver.public_id, CoordPointAtSky(ra=10.68, dec=41.27), timeout=30)
        assert answer.result == {"ra": "10.68"}
        waited = await sender.call_and_wait(
            receiver.public_id, CoordPointAtSky(ra=10.68, dec=41.27), timeout=5
        )
        assert waited.ok
        noticed.clear()
        assert await sender.notify_all(CoordPointAtSky(ra=10.68, dec=41.27)) == [receiver.public_id]
        await asyncio.wait_for(noticed.wait(), 30)
        noticed.clear()
        await sender.notify(receiver.public_id, CoordPointAtSky(ra=10.68, dec=41.27))
        await asyncio.wait_for(noticed.wait(), 30)
        answers = [item async for item in sender.call_all(AppPing(), timeout=30)]
        assert receiver.public_id in dict(answers)
        assert seen == [CoordPointAtSky(ra=10.68, dec=41.27)] * 4
        assert seen[0].message is not None
        assert seen[0].message.sender == sender.public_id

        with pytest.raises(ReplyError, match="the parameter 'dec' is missing"):
            await sender.call(receiver.public_id, "coord.pointAt.sky", {"ra": 1}, timeout=30)
        assert len(seen) == 4
        receiver.off(CoordPointAtSky)
        await receiver.settled()
        assert "coord.pointAt.sky" not in await sender.get_subscriptions(receiver.public_id)


async def test_a_notification_that_is_wrong_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lockfile = tmp_path / "samp"
    async with Hub(lockfile=lockfile), Client("receiver", lockfile=lockfile) as receiver:

        @receiver.on(CoordPointAtSky)
        async def point(at: CoordPointAtSky) -> None:
            raise AssertionError("it has no dec")

        await receiver.settled()
        async with Client("sender", lockfile=lockfile) as sender:
            await sender.notify(receiver.public_id, "coord.pointAt.sky", {"ra": 1})
            with pytest.raises(ReplyError, match="the parameter 'dec' is missing"):
                await sender.call(receiver.public_id, "coord.pointAt.sky", {"ra": 1}, timeout=30)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "was not taken: coord.pointAt.sky: the parameter 'dec' is missing" in warnings[0]


async def test_a_class_in_a_stream(tmp_path: Path) -> None:
    lockfile = tmp_path / "samp"
    async with (
        Hub(lockfile=lockfile),
        Client("receiver", lockfile=lockfile) as receiver,
        Client("sender", lockfile=lockfile) as sender,
        receiver.messages(AppStatus, "x.y") as stream,
    ):
        await sender.notify_all(AppStatus(txt="hello"))
        message = await asyncio.wait_for(anext(stream), 30)
        assert AppStatus.from_message(message) == AppStatus(txt="hello")


async def test_a_stream_of_a_class_outlives_what_a_stranger_sends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lockfile = tmp_path / "samp"
    async with (
        Hub(lockfile=lockfile),
        Client("receiver", lockfile=lockfile) as receiver,
        Client("stranger", lockfile=lockfile) as stranger,
        receiver.messages(CoordPointAtSky) as stream,
    ):
        for wrong, text in (({"ra": 1}, "the parameter 'dec' is missing"), ({"ra": "a", "dec": 1}, "'ra': ")):
            with pytest.raises(ReplyError, match=text):
                await stranger.call("receiver", "coord.pointAt.sky", wrong, timeout=5)
        await stranger.notify("receiver", "coord.pointAt.sky", {"ra": 1})
        answer = asyncio.create_task(stranger.call("receiver", CoordPointAtSky(ra=1, dec=2), timeout=5))
        message = await asyncio.wait_for(anext(stream), 5)
        assert message.params == {"ra": "1", "dec": "2"}
        assert (await answer).ok
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "coord.pointAt.sky from " in warning
    assert " was left out: coord.pointAt.sky: the parameter 'dec' is missing" in warning


async def test_a_call_that_a_stream_leaves_out_is_answered_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lockfile = tmp_path / "samp"
    async with (
        Hub(lockfile=lockfile),
        Client("receiver", lockfile=lockfile) as receiver,
        Client("stranger", lockfile=lockfile) as stranger,
        receiver.messages(AppStatus) as typed,
        receiver.messages("samp.app.status") as plain,
    ):
        answer = asyncio.create_task(stranger.call("receiver", "samp.app.status", timeout=5))
        assert (await asyncio.wait_for(anext(plain), 5)).params == {}
        assert (await answer).ok
        assert len(typed) == 0
    assert "samp.app.status from " in caplog.text  # left out, and its sender is not told


async def test_parameters_beside_those_of_the_class_are_refused(tmp_path: Path) -> None:
    client = Client("sender", lockfile=tmp_path / "samp")
    with pytest.raises(TypeError, match="holds its parameters"):
        await client.notify_all(AppStatus(txt="hello"), {"txt": "x"})
    with pytest.raises(LocalProtocolError, match="is not a valid mtype"):
        client.on(3)  # type: ignore[call-overload]
    assert TableHighlightRow(url="u", row=1).row == 1
