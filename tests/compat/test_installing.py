"""Ours in the place of astropy.samp and pyvo.samp, in whole programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asyncsamp.sync import Hub

SCRIPT = """
from astropy.samp import SAMPIntegratedClient
from astropy.samp.errors import SAMPHubError
import pyvo.samp
import sys
client = SAMPIntegratedClient(name="old script")
client.connect()
print(type(client).__module__, pyvo.samp.SAMPIntegratedClient is SAMPIntegratedClient, sys.argv[1:])
print([client.get_metadata(one)["samp.name"] for one in client.get_registered_clients()])
with pyvo.samp.connection("second") as second:
    print(pyvo.samp.find_client_id(second, "old script") == client.get_public_id())
    pyvo.samp.send_image_to(second, "http://example.org/image.fits")
client.disconnect()
"""


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=15, check=False, cwd=folder
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def test_a_script_runs_unchanged(folder: Path) -> None:
    with Hub(lockfile=folder / ".samp"):
        lines = run(folder, "-m", "asyncsamp.compat", "script.py", "one").splitlines()
    assert lines == ["asyncsamp.compat.integrated_client True ['one']", "['Hub']", "True"]


def test_without_a_script_it_says_how(folder: Path) -> None:
    assert run(folder, "-m", "asyncsamp.compat").startswith("usage: python -m asyncsamp.compat SCRIPT.py")


def test_installing_twice_does_nothing_more(folder: Path) -> None:
    code = (
        "from asyncsamp import compat; compat.install(); compat.install()\n"
        "import astropy.samp as s; print(s is compat)"
    )
    assert run(folder, "-W", "error", "-c", code) == "True\n"


def test_installing_late_says_so(folder: Path) -> None:
    code = (
        "import sys, types; sys.modules['astropy.samp'] = types.ModuleType('astropy.samp')\n"
        "from asyncsamp import compat; compat.install(); import astropy.samp as s; print(s is compat)"
    )
    output = run(folder, "-c", code)
    assert "astropy.samp had been imported before install()" in output
    assert output.startswith("True") or "True" in output
