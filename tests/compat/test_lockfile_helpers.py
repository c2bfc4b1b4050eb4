"""asyncsamp.compat.lockfile_helpers: dictionaries, and the hubs that are alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp.compat import SAMPHubError, SAMPHubServer, SAMPWarning
from asyncsamp.compat import lockfile_helpers as helpers

PARAMS = {
    "hub.id": "x",
    "samp.secret": "s",
    "samp.hub.xmlrpc.url": "http://127.0.0.1:9/xmlrpc",
    "samp.profile.version": "1.3",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    return tmp_path


def test_a_lockfile_is_read_as_it_was_written(home: Path) -> None:
    name = str(home / "lock")
    helpers.write_lockfile(name, PARAMS)
    helpers.write_lockfile(name, PARAMS)
    assert helpers.read_lockfile(name) == PARAMS
    assert Path(name).stat().st_mode & 0o777 == 0o600
    assert helpers.check_running_hub(name) == (False, PARAMS)
    with pytest.raises(OSError, match="none"):
        helpers.read_lockfile(str(home / "none"))
    assert helpers.check_running_hub(str(home / "none")) == (False, {})


def test_hubs_that_are_alive_are_found(home: Path) -> None:
    with pytest.raises(SAMPHubError, match="Unable to find a running SAMP Hub"):
        helpers.get_main_running_hub()
    main, second = SAMPHubServer(web_profile=False), SAMPHubServer(web_profile=False, mode="multiple")
    main.start()
    second.start()
    assert helpers.get_main_running_hub() == {
        **helpers.get_main_running_hub(),
        "samp.secret": main.params["samp.secret"],
    }
    secrets = {params["samp.secret"] for params in helpers.get_running_hubs().values()}
    assert secrets == {main.params["samp.secret"], second.params["samp.secret"]}
    with pytest.warns(SAMPWarning, match="cannot be published"):
        assert helpers.create_lock_file(mode="single", hub_params=PARAMS) is False
    second.stop()
    main.stop()


def test_what_dead_hubs_have_left_is_removed(home: Path) -> None:
    (home / ".samp-1").mkdir()
    dead = [home / ".samp", home / ".samp-1" / "samp-hub-x"]
    for path in dead:
        helpers.write_lockfile(str(path), PARAMS)
    with pytest.raises(SAMPHubError, match="No hub answers"):
        helpers.get_main_running_hub()
    assert helpers.get_running_hubs() == {}
    name = helpers.create_lock_file(mode="multiple", hub_id="y", hub_params=PARAMS)
    assert name == str(home / ".samp-1" / "samp-hub-y")
    assert not any(path.exists() for path in dead)
    assert helpers.read_lockfile(str(name)) == PARAMS


@pytest.mark.parametrize(
    "content",
    ["my notes\n", "", "# SAMP lockfile\nsamp.secret=s\n", "samp.hub.xmlrpc.url=http://127.0.0.1:9/\n"],
    ids=["a user's file", "empty", "half written", "without a secret"],
)
def test_what_is_not_a_lockfile_is_not_removed(home: Path, content: str) -> None:
    folder = home / ".samp-1"
    folder.mkdir()
    kept = [home / ".samp", folder / "samp-hub-x"]
    for path in kept:
        path.write_text(content)
    helpers.remove_garbage_lock_files()
    assert [path.read_text() for path in kept] == [content, content]


def test_a_link_is_not_removed(home: Path) -> None:
    helpers.write_lockfile(str(home / "elsewhere"), PARAMS)
    (home / ".samp").symlink_to(home / "elsewhere")
    helpers.remove_garbage_lock_files()
    assert (home / ".samp").is_symlink()
    assert helpers.read_lockfile(str(home / ".samp")) == PARAMS
