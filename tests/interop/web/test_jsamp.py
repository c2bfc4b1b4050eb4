"""JSAMP over the Web Profile: its tests and client on our hub, our client on its hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Client, Message, ReplyError, WebConnection

from ..peers.java import java_command
from ..peers.process import process
from .harness import jsamp_web_hub, web_hub

pytestmark = pytest.mark.timeout(240)

BY_WEB = {"SAMP_HUB": "web-appname:Test"}


@pytest.mark.parametrize("rewrite", [True, False])
async def test_hub_tester_passes(rewrite: bool, tmp_path: Path) -> None:
    command = java_command(tmp_path, "org.astrogrid.samp.test.HubTester")
    async with (
        web_hub(tmp_path, mtypes=None, rewrite_urls=rewrite),
        process(command, name="HubTester", home=tmp_path, env=BY_WEB) as tester,
    ):
        await tester.succeed(timeout=180)


@pytest.mark.parametrize("mode", ["sync", "random"])
async def test_calc_storm_passes(mode: str, tmp_path: Path) -> None:
    arguments = ["-nclient", "10", "-nquery", "50", "-mode", mode]
    command = java_command(tmp_path, "org.astrogrid.samp.test.CalcStorm", *arguments)
    async with (
        web_hub(tmp_path, mtypes=None),
        process(command, name="CalcStorm", home=tmp_path, env=BY_WEB) as storm,
    ):
        assert "Elapsed time" in await storm.succeed(timeout=180)


async def test_our_web_connection_on_jsamps_hub(tmp_path: Path) -> None:
    web = Client("by web", connection=WebConnection())

    @web.on("test.echo")
    async def echo(message: Message) -> dict[str, Any]:
        return message.params

    @web.on("test.fail")
    async def fail(message: Message) -> None:
        raise ValueError("told to fail")

    async with jsamp_web_hub(tmp_path) as lockfile, web, Client("by file", lockfile=lockfile) as other:
        other.on("test.echo")(echo)
        await other.settled()
        params = {"text": " a & <b> ", "list": ["1", []], "map": {"k": {}}}
        for one, two in ((web, other), (other, web)):
            assert (await one.call(two.public_id, "test.echo", params, timeout=30)).result == params
            assert (await one.call_and_wait(two.public_id, "test.echo", params, timeout=30)).result == params
            async with two.messages("test.note") as notes:
                await one.notify(two.public_id, "test.note", {"n": 1})
                assert (await anext(notes)).params == {"n": "1"}
        with pytest.raises(ReplyError, match="told to fail"):
            await other.call(web.public_id, "test.fail", timeout=30)
        assert (await other.find("by web")).public_id == web.public_id
