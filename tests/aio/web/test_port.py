"""The port of the Web Profile: taken, and free again; and the options of `python -m asyncsamp.hub`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from pathlib import Path

import pytest

from asyncsamp import (
    Client,
    Hub,
    HubRunningError,
    Limits,
    OriginStore,
    Permission,
    Permissions,
    Subject,
    TerminalConsent,
    WebProfile,
    allow_all,
    deny_all,
)
from asyncsamp.hub.__main__ import main
from asyncsamp.hub.web_options import add_web_options, web_profiles

from ..webpage import Page

LIMITS = Limits(web_port_retry=0.01)


def taken_port() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def profile(port: int) -> WebProfile:
    return WebProfile(consent=allow_all, port=port, store=OriginStore())


async def test_a_hub_runs_without_its_web_profile_while_the_port_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with taken_port() as taken:
        port = taken.getsockname()[1]
        web = profile(port)
        async with Hub(lockfile=tmp_path / "x", profiles=[web], limits=LIMITS) as hub:
            assert not web.running
            warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
            assert len(warnings) == 1
            assert f"port {port} is taken" in warnings[0].getMessage()
            async with Client("desktop", lockfile=hub.lockfile) as client:
                assert await client.get_registered_clients() == ["hub"]
            taken.close()
            async with asyncio.timeout(30):
                await web.wait_serving()
            assert web.running
            await Page(port).register()


async def test_a_second_hub_says_that_the_first_runs_and_nothing_of_its_port(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = profile(0)
    async with Hub(lockfile=tmp_path / "x", profiles=[one]):
        with pytest.raises(HubRunningError, match="already running"):
            await Hub(lockfile=tmp_path / "x", profiles=[profile(one.port)], limits=LIMITS).start()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_hub_stops_while_it_waits_for_the_port(tmp_path: Path) -> None:
    with taken_port() as taken:
        web = profile(taken.getsockname()[1])
        async with Hub(lockfile=tmp_path / "x", profiles=[web], limits=LIMITS):
            assert web.url == f"http://127.0.0.1:{web.port}/"
        assert not web.running


async def test_two_hubs_take_turns(tmp_path: Path) -> None:
    one = profile(0)
    async with Hub(lockfile=tmp_path / "one", profiles=[one]) as first:
        two = profile(one.port)
        async with Hub(lockfile=tmp_path / "two", profiles=[two], limits=LIMITS):
            page = Page(one.port)
            await page.register()
            await first.shutdown()
            async with asyncio.timeout(30):
                await two.wait_serving()
            await Page(two.port).register()


async def test_a_hub_is_started_again_at_the_same_port(tmp_path: Path) -> None:
    web = profile(0)
    hub = Hub(lockfile=tmp_path / "x", profiles=[web])
    ports = []
    for _ in range(2):
        async with hub:
            await Page(web.port).register()
            ports.append(web.port)
    assert ports[0] == ports[1]


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_web_options(parser)
    return parser.parse_args(words)


def test_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(parsed().web_consent, TerminalConsent)
    assert isinstance(parsed("--web-consent", "ask").web_consent, TerminalConsent)
    assert parsed("--web-consent", "allow").web_consent is allow_all
    assert parsed("--web-consent", "deny").web_consent is deny_all
    assert [profile.port for profile in web_profiles(parsed(), Permissions())] == [21012]
    assert [profile.port for profile in web_profiles(parsed("--web-port", "7"), Permissions())] == [7]
    assert web_profiles(parsed("--no-web-profile"), Permissions()) == []
    with pytest.raises(SystemExit):
        parsed("--web-consent", "archive.example.org")
    assert "https://archive.example.org" in capsys.readouterr().err


def test_remembered_origins_are_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    store = OriginStore(tmp_path / "asyncsamp" / "permissions.json")
    assert main(["--web-origins"]) == 0
    for origin in ("https://a.example.org", "https://b.example.org"):
        asyncio.run(store.add(origin))
    assert main(["--web-origins"]) == 0
    assert capsys.readouterr().out == "https://a.example.org\nhttps://b.example.org\n"
    assert main(["--web-origins", "remove", "https://A.example.org/"]) == 0
    assert main(["--web-origins", "remove", "https://a.example.org"]) == 1
    assert "nothing was decided about" in capsys.readouterr().err
    assert main(["--web-origins", "list"]) == 0
    assert capsys.readouterr().out == "https://b.example.org\n"
    assert main(["--web-origins", "forget"]) == 2


def test_all_that_was_decided_is_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    store = Permissions(tmp_path / "asyncsamp" / "permissions.json")
    archive, topcat = Subject("origin", "https://a.example.org"), Subject("client", "TOPCAT")
    for subject, permission, allowed in (
        (archive, Permission.REGISTER, True),
        (archive, Permission.COMMAND, True),
        (topcat, Permission.RECEIVE, False),
    ):
        asyncio.run(store.decide(subject, permission, allowed))
    assert main(["--web-origins"]) == 0
    lines = "https://a.example.org  register=yes  command=yes\nclient:TOPCAT  receive=no\n"
    assert capsys.readouterr().out == lines
    assert main(["--web-origins", "remove", "client:TOPCAT", "client:DS9"]) == 1
    assert "nothing was decided about client:DS9" in capsys.readouterr().err
    assert main(["--web-origins"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
