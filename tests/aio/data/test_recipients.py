"""Whom something is for is found by questions that are asked at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from asyncsamp.data.recipients import find_recipients
from asyncsamp.errors import NoRecipientsError

from ..desktops import pair


async def test_the_hub_is_asked_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_there = asyncio.Barrier(3)

    def together(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asked(*params: object) -> Any:
            await all_there.wait()
            return await ask(*params)

        return asked

    async with pair(tmp_path) as (sender, receiver), asyncio.timeout(30):
        receiver.on("a.b")(_nothing)
        await receiver.settled()
        for name in ("get_subscribed_clients", "get_clients"):
            monkeypatch.setattr(sender, name, together(getattr(sender, name)))
        [(found, mtype)] = await find_recipients(sender, None, ["a.c", "a.b"])
        assert (found.name, mtype) == ("Receiver", "a.b")
        with pytest.raises(NoRecipientsError):
            await find_recipients(sender, None, ["z.z", "y.y"])


async def _nothing(message: object) -> None:
    pass
