"""A hub that one side gives up while its line is cut: the other side learns of it, both meet anew, once."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Message
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.values import ValueMap

from ..nats_server import PATIENCE
from .relay import running_relay
from .rooms import LIMITS, find, names, open_room, until

SOON = replace(LIMITS, reach_refused=0.3)
"""The hub that stays gives the other one up; that one has the patience to keep it."""


@pytest.mark.timeout(60)
async def test_a_hub_that_was_given_up_during_a_cut_is_met_anew_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asyncsamp.reach")
    async with open_room(tmp_path) as room, running_relay(room.server.port) as relay:
        stays = await room.join("stays", limits=SOON)
        cut = await room.join("cut", limits=SOON, invitation=invitation_of_url(relay.url))
        tool, caller = await cut.client("tool"), await stays.client("caller")

        @tool.on("test.echo")
        async def echo(message: Message) -> ValueMap:
            return message.params

        await tool.settled()
        await caller.find("tool @cut", timeout=PATIENCE)
        await until(lambda: "caller @stays" in names(tool))
        relay.cut()
        await until(lambda: not stays.reach.hubs and "tool @cut" not in names(caller))
        assert cut.reach.hubs == {"stays": 1}
        relay.go_on()
        await until(lambda: "the hub stays" in caplog.text, "the other side gives it up, too")
        await until(lambda: stays.reach.hubs == {"cut": 1} and cut.reach.hubs == {"stays": 1})
        await caller.find("tool @cut", timeout=PATIENCE)
        seen = find(caller, "tool @cut")
        await until(lambda: seen.subscribes("test.echo"))
        for number in range(30):
            answer = await caller.call_and_wait(seen, "test.echo", {"n": str(number)}, timeout=PATIENCE)
            assert answer.result == {"n": str(number)}
        assert find(caller, "tool @cut") is seen
    given_up = [record.getMessage() for record in caplog.records if "is given up" in record.getMessage()]
    assert len(given_up) == 2, given_up
