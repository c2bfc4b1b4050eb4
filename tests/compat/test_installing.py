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
        [sys.executable, *arguments], capture_output=True, text=True, timeout=50, check=False, cwd=folder
    )
    assert done.returncode in (0, 2), done.stderr
    return done.stdout or done.stderr


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
    assert run(folder, "-c", f"import warnings; warnings.simplefilter('ignore'); {code}") == "True\n"
    with pytest.raises(AssertionError, match=r"astropy\.samp had been imported before install\(\)"):
        run(folder, "-W", "error", "-c", code)


def test_a_module_runs_unchanged(folder: Path) -> None:
    (folder / "program.py").write_text(
        "import sys\nfrom astropy import samp\nprint(samp.__name__, sys.argv[1:])\n"
    )
    assert run(folder, "-m", "asyncsamp.compat", "-m", "program", "x") == "asyncsamp.compat ['x']\n"


def test_every_submodule_that_programs_import_is_there(folder: Path) -> None:
    code = (
        "from asyncsamp import compat; compat.install()\n"
        "import pyvo.samp.hub_proxy, astropy.samp.client, astropy.samp.constants, astropy.samp.utils\n"
        "from astropy.samp.lockfile_helpers import get_main_running_hub, check_running_hub\n"
        "from astropy.samp.hub import SAMPHubServer, WebProfileDialog\n"
        "from astropy.samp.hub_script import hub_script\n"
        "from astropy.samp.web_profile import CROSS_DOMAIN, CLIENT_ACCESS_POLICY, web_profile_text_dialog\n"
        "from pyvo.samp.standard_profile import ThreadingXMLRPCServer\n"
        "from pyvo.samp.vo_helpers import accessible_table\n"
        "print(compat.SAMP_ICON[:4])"
    )
    assert run(folder, "-W", "error", "-c", code) == "b'\\x89PNG'\n"


def test_the_differences_are_told_once_in_a_program(folder: Path) -> None:
    code = (
        "from asyncsamp import compat\n"
        "hub = compat.SAMPHubServer(web_profile=False); hub.start()\n"
        "client = compat.SAMPIntegratedClient(); client.connect(); client.connect(); client.disconnect()\n"
        "hub.stop()"
    )
    said = run(folder, "-W", "error", "-c", code)
    assert said.count("stands here for astropy.samp") == 1
    assert len(said.splitlines()) == 1
