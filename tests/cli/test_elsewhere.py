"""Hubs of this user where this shell does not look."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp import Hub
from asyncsamp.cli.elsewhere import Elsewhere, hubs_elsewhere

STALE = "samp.secret=x\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\nsamp.profile.version=1.3\n"


def program(processes: Path, pid: int, name: str, **environment: object) -> None:
    """Put a program into a folder like /proc."""
    folder = processes / str(pid)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "environ").write_text("".join(f"{key}={value}\0" for key, value in environment.items()))


@pytest.mark.parametrize(
    ("variable", "reason"),
    [({}, "HOME={home}"), ({"SAMP_HUB": "std-lockurl:file://{home}/.samp"}, "SAMP_HUB")],
)
async def test_a_hub_at_which_another_program_looks(
    tmp_path: Path, variable: dict[str, str], reason: str
) -> None:
    home, processes = tmp_path / "home", tmp_path / "proc"
    home.mkdir()
    told = {key: value.format(home=home) for key, value in variable.items()}
    program(processes, 7, "topcat", HOME=home, PATH="/bin", **told)
    async with Hub(lockfile=home / ".samp") as hub:
        found = [each for each in await hubs_elsewhere([], processes) if each.path == home / ".samp"]
        said = f"topcat (pid 7, by {reason.format(home=home)})"
        assert found == [Elsewhere(hub.url, home / ".samp", said)]
        assert home / ".samp" not in [each.path for each in await hubs_elsewhere([home / ".samp"], processes)]


async def test_what_leads_to_no_hub_is_passed_over(tmp_path: Path) -> None:
    processes, stale = tmp_path / "proc", tmp_path / "stale"
    stale.mkdir()
    (stale / ".samp").write_text(STALE)
    (stale / "damaged").write_text("\0")
    program(processes, 1, "no-home")
    program(processes, 2, "nonsense", HOME=tmp_path, SAMP_HUB="nonsense:x")
    program(processes, 3, "remote", HOME=tmp_path, SAMP_HUB="std-lockurl:http://127.0.0.1:9/")
    program(processes, 4, "stale", HOME=stale)
    program(processes, 5, "damaged", HOME=stale, SAMP_HUB=f"std-lockurl:file://{stale}/damaged")
    program(processes, 6, "nothing", HOME=tmp_path / "none")
    (processes / "8").mkdir()  # it has just ended
    assert not [each for each in await hubs_elsewhere([], processes) if tmp_path in each.path.parents]
