"""What a nats-server writes to its log is read once, and strangers' words in it are not taken for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp.reach.server_log import ServerLog

BEGIN = "[31132] 2026/11/29 14:55:29.905414"
STRANGER = f'{BEGIN} [ERR] 127.0.0.1:48762 - cid:5 - authentication error - User "%s"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "nats.log"
    path.write_text(f"{BEGIN} [INF] Server is ready\n")
    return path


def write(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{BEGIN} [INF] Reloaded server configuration", ""),
        (f"{BEGIN} [INF] Reloaded server configuration (sha256:4418)", ""),
        (f"{BEGIN} [ERR] Failed to reload server configuration: no such file", "no such file"),
    ],
)
def test_whether_it_follows_is_said_once(path: Path, line: str, reason: str) -> None:
    write(path, f"{line}\n")
    log = ServerLog(path)
    log.go_to_end()
    assert log.followed() is None
    write(path, line)
    assert log.followed() is None, "the line is not whole"
    write(path, "\n")
    assert log.followed() == reason
    assert log.followed() is None


@pytest.mark.parametrize("said", ["Reloaded server configuration", "Failed to reload server configuration"])
def test_what_a_stranger_says_is_not_the_servers_word(path: Path, said: str) -> None:
    log = ServerLog(path)
    log.go_to_end()
    for text in (said, f"] {said}", f"x\u2028{BEGIN} [INF] {said}", f"x\x85{BEGIN} [INF] {said}"):
        write(path, STRANGER % text)
    assert log.followed() is None


def test_it_may_begin_other_files_meanwhile(path: Path) -> None:
    reloaded = f"{BEGIN} [INF] Reloaded server configuration\n"
    write(path, reloaded)
    log = ServerLog(path)
    log.go_to_end()
    for end in ("09", "1"):
        write(path, STRANGER % "x")
        path.rename(path.with_name(f"nats.log.2026.11.29.14.55.30.{end}"))
        assert log.followed() is None, "there is none for a moment"
        path.write_text(STRANGER % ("x" * 200))
    path.rename(path.with_name("nats.log.2026.11.29.14.55.30.11"))
    path.write_text(reloaded)
    path.rename(path.with_name("nats.log.2026.11.29.14.55.30.2"))
    path.write_text(STRANGER % "x")
    assert log.followed() == ""
    assert log.followed() is None
    log.sweep()
    assert list(path.parent.iterdir()) == [path]
    write(path, reloaded)
    assert log.followed() == ""


def test_its_last_error_is_told(path: Path) -> None:
    log = ServerLog(path)
    assert log.last() == "Server is ready"
    write(path, f"{BEGIN} [FTL] it ends\n{BEGIN} [INF] said by [FTL] nobody\n")
    assert log.last() == "it ends"
    path.unlink()
    assert log.last() == ""
