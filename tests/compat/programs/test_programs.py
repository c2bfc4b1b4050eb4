"""Programs of others, unmodified, that believe to have astropy.samp or pyvo.samp."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import asyncsamp

from ...interop.peers import DS9_NAME, hub_variable, process, screen
from ...interop.peers.desktop import ds9_on

VENV = Path(os.environ["ASYNCSAMP_PROGRAMS"])
SOURCE = Path(asyncsamp.__file__).parents[1]
PYTHON = VENV / "bin" / "python"
(SITE,) = VENV.glob("lib/python3*/site-packages")

pytestmark = pytest.mark.timeout(180)

NOT_RUN = {
    "test_web_profile.py": (
        "its client uses private attributes of SAMPHubProxy, SAMPClient and SAMPHubServer; "
        "tests/compat/test_web_profile.py has a dialog and a page"
    )
}
"""Own tests of astropy.samp and pyvo.samp that are left out, two of each package, and why."""


def environment(**more: str) -> dict[str, str]:
    return {"PYTHONPATH": f"{SOURCE}:{Path(__file__).parent}", "QT_QPA_PLATFORM": "offscreen", **more}


async def run(home: Path, *command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run Python with those arguments, and return what it printed."""
    variables = environment(**(env or {}))
    async with process([PYTHON, *command], name=str(command[-1]), home=home, env=variables) as running:
        return await running.succeed(120)


async def run_tests(home: Path, *options: str) -> int:
    """Run tests of installed packages; return how many passed. None may fail or be skipped."""
    common = ("-q", "-p", "redirected", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(SITE))
    told = await run(home, "-m", "pytest", *common, "--import-mode=importlib", "--timeout=60", *options)
    counted = re.search(r"^(\d+) passed(?!.*(?:failed|skipped))", told, re.MULTILINE)
    assert counted is not None, told
    return int(counted[1])


@pytest.mark.parametrize(("package", "count"), [("astropy", 18), ("pyvo", 19)])
async def test_the_own_tests_of_the_old_packages(package: str, count: int, tmp_path: Path) -> None:
    folder = SITE / package / "samp" / "tests"
    left_out = [f"--ignore={folder / name}" for name in NOT_RUN]
    assert await run_tests(tmp_path, str(folder), *left_out) == count


async def test_the_tests_of_glue_samp(tmp_path: Path) -> None:
    assert await run_tests(tmp_path, str(SITE / "glue_samp" / "tests")) == 10


A2P2 = """
import time
from a2p2.samp import A2p2SampClient
client = A2p2SampClient()
client.connect()
print(client.get_status(), flush=True)
while not client.has_message():
    time.sleep(0.02)
print(client.has_ob_message(), client.get_ob_url())
client.disconnect()
print(client.get_status())
"""


async def test_a2p2_takes_an_observing_block(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(A2P2)
    lockfile = tmp_path / "lock"
    async with (
        asyncsamp.Hub(lockfile=lockfile),
        asyncsamp.Client("aspro", lockfile=lockfile) as aspro,
        process(
            [PYTHON, "-m", "asyncsamp.compat", tmp_path / "program.py"],
            name="a2p2",
            home=tmp_path,
            env=environment(**hub_variable(lockfile)),
        ) as program,
    ):
        its_id = (await program.line(r"^connected \[(.*)\]$"))[1]
        response = await aspro.call(its_id, "ob.load.data", {"url": "file:///tmp/ob.xml"}, timeout=20)
        assert response.ok
        await program.line("^True /tmp/ob.xml$")
        await program.line("^not connected$")


async def test_the_commands_of_ds9samp_and_the_real_ds9(tmp_path: Path) -> None:
    lockfile = tmp_path / "lock"
    hub = hub_variable(lockfile)

    async def command(name: str, *words: str) -> str:
        program = VENV / "bin" / name
        return await run(tmp_path, "-m", "asyncsamp.compat", program, *words, env=hub)

    async with (
        asyncsamp.Hub(lockfile=lockfile),
        screen(tmp_path) as display,
        asyncsamp.Client("watcher", lockfile=lockfile) as watcher,
        ds9_on(display, lockfile, tmp_path),
    ):
        ds9 = await watcher.wait_for(DS9_NAME, timeout=60)
        assert ds9.public_id in await command("ds9samp_list")
        await command("ds9samp_set", "frame new")
        assert "2" in await command("ds9samp_get", "frame all")


LAUNCHER = f"""
from astropy_samp_ds9.hublauncher import DS9Hub
from astropy_samp_ds9.launcher import DS9
hub = DS9Hub("mine", timeout=60)
ds9 = DS9({DS9_NAME!r}, samp_hub_file=hub.samp_hub_file, timeout=60, poll_alive_time=1, kill_on_exit=False)
print(ds9.get("version"))
ds9.set("frame new")
print(ds9.get("frame all"))
ds9.exit()
"""

DS9 = """#!/bin/sh
# DS9 of Debian has not the options of 8.7, and its own name.
exec ds9 -samp connect
"""


async def test_astropy_samp_ds9_starts_our_hub_and_the_real_ds9(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LAUNCHER)
    starter = tmp_path / "start-ds9"
    starter.write_text(DS9)
    starter.chmod(0o755)
    hub = tmp_path / "samp-hub"
    # A hub that ends with its last work: the program leaves it running.
    hub.write_text(
        f'#!/bin/sh\nexec {PYTHON} -m asyncsamp.compat.hub_script --timeout 10 "$@" >hub.log 2>&1\n'
    )
    hub.chmod(0o755)
    async with screen(tmp_path) as display:
        env = {"DISPLAY": display.display, "SAMP_HUB_EXE": str(hub), "DS9_EXE": str(starter)}
        told = await run(tmp_path, "-m", "asyncsamp.compat", tmp_path / "program.py", env=env)
    assert "ds9 8" in told.lower()
    assert "1 2" in told
