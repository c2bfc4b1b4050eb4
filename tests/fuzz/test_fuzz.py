"""The fuzz targets, on what real peers have sent and for some seconds at random.

The long runs are recorded in docs/security.md; see `__main__` for how to start one.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..installed import require_module
from .arguments import CORPUS, arguments
from .reach_targets import reach_target
from .targets import HttpEntry, xmlrpc_target

ROOT = Path(__file__).parents[2]
RUNS = 1000
"""Inputs of a smoke run: a few seconds."""


def files(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).iterdir())


@pytest.fixture(scope="module")
def entry() -> Iterator[HttpEntry]:
    entry = HttpEntry()
    yield entry
    entry.close()


def test_the_corpus_is_of_real_peers() -> None:
    for kind in ("http", "xmlrpc"):
        assert {path.name.partition("-")[0] for path in files(kind)} >= {"jsamp", "pyvo", "ds9", "asyncsamp"}


@pytest.mark.parametrize("path", files("xmlrpc"), ids=lambda path: path.name)
def test_what_real_peers_say(path: Path) -> None:
    xmlrpc_target(path.read_bytes())


@pytest.mark.parametrize("path", files("http"), ids=lambda path: path.name)
def test_what_real_peers_send(path: Path, entry: HttpEntry) -> None:
    entry(path.read_bytes())
    entry.check()


@pytest.mark.parametrize("path", files("reach"), ids=lambda path: path.name)
def test_what_hubs_of_a_room_say(path: Path) -> None:
    reach_target(path.read_bytes())


def test_what_they_send_with_bytes_changed(entry: HttpEntry) -> None:
    dice = random.Random(1)
    for path in files("http") * 5:
        data = bytearray(path.read_bytes())
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        entry(bytes(data[: dice.randint(1, len(data))]))
    entry.check()


@pytest.fixture
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("_temporary")
def test_without_a_folder_a_temporary_one_takes_what_is_found(tmp_path: Path) -> None:
    """libFuzzer writes into the folder that is named first."""
    given, told = arguments("reach", ["-runs=10"])
    first, *others = [each for each in given if not each.startswith("-")]
    assert others == [str(CORPUS / "reach")]
    assert Path(first).parent == tmp_path
    assert list(Path(first).iterdir()) == []
    assert f"-artifact_prefix={first}/" in given
    assert told == f"new inputs go to {first}; what fails goes to {first}/crash-..., timeout-... and oom-..."


def test_what_is_named_is_used(tmp_path: Path) -> None:
    given, told = arguments("http", [str(tmp_path), "-artifact_prefix=/there/"])
    assert given[-2:] == [str(tmp_path), str(CORPUS / "http")]
    assert [each for each in given if each.startswith("-artifact")] == ["-artifact_prefix=/there/"]
    assert told.startswith(f"new inputs go to {tmp_path}; what fails goes to /there/crash-")
    crash = tmp_path / "crash-1"
    crash.write_bytes(b"x")
    given, told = arguments("http", [str(crash)])
    assert given == ["-max_len=8192", f"-artifact_prefix={tmp_path}/", str(crash)]
    assert told.startswith(f"each of the files is run once; what fails goes to {tmp_path}/crash-")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["xmlrpc", "http", "reach"])
def test_a_short_run_of_the_fuzzer(kind: str, tmp_path: Path) -> None:
    require_module("atheris", "atheris>=3.0")
    command = [sys.executable, "-m", "tests.fuzz", kind, str(tmp_path), f"-runs={RUNS}", "-seed=1"]
    path = os.pathsep.join([str(ROOT / "src"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    before = files(kind)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr
    assert f"new inputs go to {tmp_path}; what fails goes to {tmp_path}/crash-" in done.stderr
    assert files(kind) == before
    assert any(tmp_path.iterdir())
