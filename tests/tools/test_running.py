"""Tools that run on: their end is noted, what they write does not grow for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from asyncsamp.tools import output as output_module
from asyncsamp.tools.output import Output
from asyncsamp.tools.running import RunningTools


def size(output: Output) -> int:
    return os.fstat(output.file.fileno()).st_size


def test_what_is_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "_MOST", 100)
    output = Output()
    subprocess.run(["echo", "x" * 98], stdout=output.file, check=True)
    output.bound()
    assert size(output) == 99
    subprocess.run(["echo", "more"], stdout=output.file, check=True)
    output.bound()
    assert size(output) == 0
    subprocess.run(["echo", "after"], stdout=output.file, check=True)
    assert size(output) == len("after\n")
    assert output.last_words() == "after"
    output.close()


def test_reading_the_last_words_moves_nothing() -> None:
    """The tool shares the place in the file with who reads it."""
    output = Output()
    for text in ("first\n" + "x" * 100_000, "\nlast"):
        subprocess.run(["printf", "%s", text], stdout=output.file, check=True)
        assert output.last_words().endswith(text[-4:])
        output.file.seek(0)
    assert size(output) == 6 + 100_000 + 5
    assert output.last_words().splitlines()[-1] == "last"
    assert len(output.last_words()) < 1_000
    output.close()


class Noting(Output):
    """Notes when somebody has seen to it that it does not grow."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = threading.Event()

    def bound(self) -> None:
        super().bound()
        self.looked.set()


def test_a_tool_is_looked_after_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "_MOST", 100)
    tools, output = RunningTools(interval=0.01), Noting()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=output.file) as tool:
        assert tool.stdin is not None
        os.write(output.file.fileno(), b"x" * 101)
        tools.look_after(tool, output)
        thread = tools._thread
        assert thread is not None
        assert output.looked.wait(30)
        assert size(output) == 0
        output.looked.clear()
        assert output.looked.wait(30)  # it goes on
        tool.stdin.close()
        thread.join(30)
        assert tool.returncode == 0
        assert output.file.closed
    assert (tools._thread, tools._tools) == (None, {})


def test_a_program_that_ends_before_its_tool_says_nothing() -> None:
    """Python warns of a process that is forgotten while it runs; this one is meant to."""
    script = (
        "import subprocess\n"
        "from asyncsamp.tools.output import Output\n"
        "from asyncsamp.tools.running import running\n"
        "output = Output()\n"
        "running.look_after(subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=output.file), output)\n"
        "del output\n"
    )
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", script], capture_output=True, check=True)
    assert ended.stderr == b""
