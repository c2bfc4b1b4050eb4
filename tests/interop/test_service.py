"""The hub at login, by a systemd of the user's own that really runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..installed import require_file, require_program
from .peers import process

pytestmark = pytest.mark.timeout(180)

SESSION = """
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
/usr/lib/systemd/systemd --user >"$HOME/systemd.log" 2>&1 &
until systemctl --user set-environment HOME="$HOME" PYTHONPATH="$PYTHONPATH" 2>/dev/null; do sleep 0.1; done
samp() { "$PYTHON" -m asyncsamp "$@"; }
pid() { systemctl --user show --property MainPID --value asyncsamp-hub; }
samp service install
samp service status
until samp list >/dev/null 2>&1; do sleep 0.1; done
ls "$HOME/.local/state/asyncsamp"
first=$(pid)
systemctl --user kill --signal KILL asyncsamp-hub
until [ "$(pid)" != "$first" ] && samp list >/dev/null 2>&1; do sleep 0.1; done
echo "it came back"
samp service remove
samp service status || echo "exit code $?"
ls -A "$HOME"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
@pytest.mark.usefixtures("as_root")  # it needs a /run of its own
async def test_systemd_runs_the_hub_and_starts_it_again(tmp_path: Path) -> None:
    """Installed, killed and removed; the lockfile is gone in the end."""
    require_file(Path("/usr/lib/systemd/systemd"), "systemd")
    unshare = require_program("unshare", "util-linux")
    command = [unshare, "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", SESSION]
    async with process(command, name="systemd", home=tmp_path, env={"PYTHON": sys.executable}) as session:
        lines = (await session.succeed(150)).splitlines()
    assert "the hub runs now and at each login" in lines
    assert "it runs" in lines
    assert lines.index("hub.state") < lines.index("it came back")
    assert lines[-6:] == [
        f"removed: {tmp_path}/.config/systemd/user/asyncsamp-hub.service",
        "not installed; install it with: asyncsamp service install",
        "exit code 3",
        ".config",
        ".local",
        "systemd.log",
    ]
