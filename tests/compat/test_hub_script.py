"""The command with the options of samp_hub."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asyncsamp.compat import SAMPIntegratedClient, hub_script

ENDLESS = [sys.executable, "-m", "asyncsamp.compat.hub_script", "--no-web-profile"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be handled there")
def test_a_hub_runs_with_all_options_until_it_is_terminated(home: Path) -> None:
    options = (
        "--addr 127.0.0.1 --port 0 --secret mine --label me --pool-size 5 --timeout 0 --client-timeout 0"
    )
    output = ["--log-output", str(home / "log"), "--log-level", "INFO", "--lockfile", str(home / "lock")]
    with subprocess.Popen([*ENDLESS, *options.split(), *output], stderr=subprocess.PIPE, text=True) as hub:
        while not (home / "lock").exists():
            assert hub.poll() is None
            time.sleep(0.01)
        client = SAMPIntegratedClient()
        client.connect(hub_params=hub_params(home / "lock"))
        client.disconnect()
        hub.send_signal(signal.SIGTERM)
        assert hub.wait(30) == 0
    assert not (home / "lock").exists()
    assert "has started" in (home / "log").read_text()


def hub_params(path: Path) -> dict[str, str]:
    lines = [line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in lines}


@pytest.mark.parametrize("seconds", [0.5, 0.001])
def test_it_ends_after_its_time(home: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Also if starting takes longer than that."""
    monkeypatch.setattr(sys, "argv", ["samp_hub", "-w", "-m", "-L", "CRITICAL"])
    hub_script.hub_script(timeout=seconds)
    assert list((home / ".samp-1").iterdir()) == []


def test_a_second_hub_says_so_and_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncsamp.compat import SAMPHubServer

    first = SAMPHubServer(web_profile=False)
    first.start()
    done = subprocess.run(ENDLESS, capture_output=True, text=True, timeout=50, check=False)
    first.stop()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("samp_hub: ")
