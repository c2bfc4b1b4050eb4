"""asyncsamp.hub.permissions and client_permissions: what is decided for good, and who is held to it."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    Client,
    FaultCode,
    Hub,
    HubFaultError,
    Message,
    OriginStore,
    Permission,
    Permissions,
    Subject,
)
from asyncsamp._util.private_files import replace_private
from asyncsamp.hub.permissions import Decisions

ARCHIVE = Subject("origin", "https://archive.example.org")
TOPCAT = Subject("client", "TOPCAT")


async def loaded(path: Path) -> Decisions:
    return await asyncio.to_thread(Permissions(path).load)


class TestStore:
    async def test_defaults(self) -> None:
        permissions = Permissions()
        may = {one: permissions.may(ARCHIVE, one) for one in Permission}
        assert [one.value for one, yes in may.items() if yes] == ["receive", "send", "read", "upload"]
        assert all(permissions.may(TOPCAT, one) for one in Permission)

    async def test_decisions_are_the_users_own_and_last(self, tmp_path: Path) -> None:
        path = tmp_path / "permissions.json"
        permissions = Permissions(path)
        await permissions.decide(ARCHIVE, Permission.COMMAND, True)
        await permissions.decide(ARCHIVE, Permission.READ, False)
        await permissions.decide(TOPCAT, Permission.SEND, False)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = Permissions(path)
        await again.refresh()
        assert again.decisions == {
            ARCHIVE: {Permission.COMMAND: True, Permission.READ: False},
            TOPCAT: {Permission.SEND: False},
        }
        assert again.may(ARCHIVE, Permission.COMMAND)
        assert not again.may(TOPCAT, Permission.SEND)
        await again.decide(ARCHIVE, Permission.READ, None)
        assert again.may(ARCHIVE, Permission.READ)
        assert await again.revoke(ARCHIVE)
        assert not await again.revoke(ARCHIVE)
        assert await loaded(path) == {TOPCAT: {Permission.SEND: False}}

    async def test_what_another_process_decides_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asyncsamp.hub.permissions._FRESH", 60.0)
        mine, other = Permissions(tmp_path / "p.json"), Permissions(tmp_path / "p.json")
        told: list[bool] = []
        end = mine.observe(lambda: told.append(mine.may(ARCHIVE, Permission.READ)))
        await other.decide(ARCHIVE, Permission.READ, False)
        await mine.refresh()
        await mine.refresh()
        await other.decide(ARCHIVE, Permission.READ, None)
        await mine.refresh(now=False)  # the last look is fresh
        assert told == [False]
        await mine.refresh()
        assert told == [False, True]
        end()
        await other.decide(ARCHIVE, Permission.READ, False)
        await mine.refresh()
        assert len(told) == 2

    async def test_who_watches_and_fails_spoils_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        permissions = Permissions()

        def fail() -> None:
            raise RuntimeError("broken")

        permissions.observe(fail)
        await permissions.decide(ARCHIVE, Permission.READ, False)
        assert not permissions.may(ARCHIVE, Permission.READ)
        assert "a watcher of the permissions failed" in caplog.text

    async def test_the_list_of_an_earlier_version_is_read_and_taken_over(self, tmp_path: Path) -> None:
        old, new = tmp_path / "web-origins", tmp_path / "permissions.json"
        old.write_text(f"# Web pages of these origins\n{ARCHIVE.name}\nnonsense\nhttps://b.example.org\n")
        permissions = Permissions(new)
        await permissions.refresh()
        assert permissions.may(ARCHIVE, Permission.REGISTER)
        await permissions.decide(TOPCAT, Permission.SEND, False)
        assert not old.exists()
        assert len(await loaded(new)) == 3
        assert await permissions.revoke(ARCHIVE)
        assert ARCHIVE not in await loaded(new)

    async def test_the_earlier_name_does_as_before(self, tmp_path: Path) -> None:
        path = tmp_path / "web-origins"
        path.write_text(f"{ARCHIVE.name}\n")
        store = OriginStore(path)
        assert await store.has(ARCHIVE.name)
        await store.add("https://b.example.org")
        assert await asyncio.to_thread(store.read) == [ARCHIVE.name, "https://b.example.org"]
        assert await asyncio.to_thread(store.remove, "https://Archive.example.org/")
        assert not await store.has(ARCHIVE.name)

    @pytest.mark.parametrize("text", ["{", '{"origins": ', '{"a": 1}}', "{" * 100_000])
    async def test_a_damaged_file_counts_for_nothing_and_is_put_aside(
        self, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "permissions.json"
        path.write_text(text)
        permissions = Permissions(path)
        await permissions.refresh()
        assert permissions.decisions == {}
        assert f"{path} is damaged and is ignored; repair or remove it" in caplog.text
        await permissions.decide(TOPCAT, Permission.SEND, False)
        assert (tmp_path / "permissions.json.damaged").read_text() == text
        assert await loaded(path) == {TOPCAT: {Permission.SEND: False}}

    async def test_what_has_no_sense_in_the_file_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "permissions.json"
        strange: dict[str, Any] = {
            "origins": {"null": {"read": True}, ARCHIVE.name: {"read": "no", "fly": True, "send": False}},
            "clients": ["TOPCAT"],
            "others": {"x": {"send": True}},
        }
        path.write_text(json.dumps(strange))
        assert await loaded(path) == {ARCHIVE: {Permission.SEND: False}}

    async def test_what_cannot_be_told_from_others_cannot_be_decided_about(self) -> None:
        for name in ("null", "", "file://", "archive.example.org", "https://a.example.org/path"):
            with pytest.raises(ValueError, match="web origin"):
                await Permissions().decide(Subject("origin", name), Permission.READ, True)
        for name in ("", "x" * 201):
            with pytest.raises(ValueError, match="1 to 200 characters"):
                await Permissions().decide(Subject("client", name), Permission.SEND, True)

    async def test_a_file_that_cannot_be_written_or_read(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"):
            await Permissions(tmp_path / "file" / "p.json").decide(ARCHIVE, Permission.READ, False)
        await Permissions(tmp_path).refresh()
        assert "cannot read what web pages and clients may do" in caplog.text

    async def test_a_no_stays_one_while_the_file_cannot_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "p.json"
        permissions = Permissions(path)
        await permissions.decide(ARCHIVE, Permission.RECEIVE, False)
        await permissions.refresh()
        path.rename(tmp_path / "aside")
        path.mkdir()  # which no user, also root, can read as a file
        await permissions.refresh()
        assert not permissions.may(ARCHIVE, Permission.RECEIVE)
        path.rmdir()
        await Permissions(path).decide(ARCHIVE, Permission.RECEIVE, True)
        await permissions.refresh()
        assert permissions.may(ARCHIVE, Permission.RECEIVE)

    async def test_a_decision_that_is_cancelled_undoes_none_after_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def slow(path: Path, data: bytes) -> None:
            if not begun.is_set():
                begun.set()
                go_on.wait(10)
            replace_private(path, data)

        monkeypatch.setattr("asyncsamp.hub.permissions.replace_private", slow)
        permissions = Permissions(tmp_path / "p.json")
        first = asyncio.create_task(permissions.decide(ARCHIVE, Permission.SEND, False))
        await asyncio.to_thread(begun.wait, 10)
        first.cancel()
        second = asyncio.create_task(permissions.decide(TOPCAT, Permission.SEND, False))
        await asyncio.wait([second], timeout=0.2)  # it has to wait, as the first is still writing
        go_on.set()
        await asyncio.wait([first, second])
        assert first.cancelled()
        await permissions.refresh()
        assert {ARCHIVE, TOPCAT} == set(permissions.decisions) == set(await loaded(tmp_path / "p.json"))


async def echo(message: Message) -> dict[str, Any]:
    return message.params


@pytest.mark.parametrize("before", [True, False])
async def test_clients_are_held_to_what_is_decided_about_their_name(before: bool, tmp_path: Path) -> None:
    permissions = Permissions()

    async def decide(permission: Permission, allowed: bool | None) -> None:
        await permissions.decide(Subject("client", "one"), permission, allowed)

    if before:
        await decide(Permission.COMMAND, False)
    async with Hub(lockfile=tmp_path / "hub.samp", permissions=permissions) as hub:
        two = Client("two", lockfile=hub.lockfile)
        two.on("ds9.set", "table.load.votable")(echo)
        one = Client("one", lockfile=hub.lockfile)
        one.on("table.load.votable")(echo)
        async with two, one:
            await decide(Permission.COMMAND, False)
            with pytest.raises(HubFaultError, match=r"may not send 'ds9.set' to two") as refused:
                await one.notify(two.public_id, "ds9.set", {"cmd": "x"})
            assert refused.value.code == FaultCode.NOT_ALLOWED
            assert await one.notify_all("ds9.set", {"cmd": "x"}) == []
            assert await one.notify_all("table.load.votable", {"url": "http://a/"}) == [two.public_id]
            await decide(Permission.SEND, False)
            assert await one.notify_all("table.load.votable", {"url": "http://a/"}) == []
            await decide(Permission.COMMAND, None)
            assert await one.notify_all("ds9.set", {"cmd": "x"}) == [two.public_id]
            await decide(Permission.RECEIVE, False)
            assert await two.notify_all("table.load.votable", {"url": "http://a/"}) == []
            with pytest.raises(HubFaultError, match=r"lets one \(c\d+\) receive no messages"):
                await two.notify(one.public_id, "table.load.votable", {"url": "http://a/"})
            await permissions.revoke(Subject("client", "one"))
            assert await two.notify_all("table.load.votable", {"url": "http://a/"}) == [one.public_id]


async def test_the_hub_is_heard_by_who_may_receive_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    permissions = Permissions()
    await permissions.decide(Subject("client", "one"), Permission.RECEIVE, False)
    async with (
        Hub(lockfile=tmp_path / "hub.samp", permissions=permissions) as hub,
        Client("one", lockfile=hub.lockfile) as one,
        one.messages("samp.hub.event.register") as registrations,
        Client("two", lockfile=hub.lockfile) as two,
    ):
        assert (await anext(registrations)).params["id"] == two.public_id
