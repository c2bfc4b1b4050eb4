"""The question on a terminal: a real one, of which the test is the user (WEB-52, WEB-53)."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from asyncsamp import ConsentAnswer, ConsentQuestion, TerminalConsent
from asyncsamp.hub.profiles.web.consent import make_question

pty = pytest.importorskip("pty", reason="only systems with pseudo-terminals have it")

QUESTION = ConsentQuestion("page", "https://a.example.org", "", False, "127.0.0.1 port 1")


class User:
    """Reads what is asked, and types."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    async def until(self, text: str, times: int = 1) -> None:
        """Wait until `text` has been shown so often."""
        loop = asyncio.get_running_loop()
        while self.seen.count(text) < times:
            ready = loop.create_future()
            loop.add_reader(self._descriptor, ready.set_result, None)
            try:
                await ready
            finally:
                loop.remove_reader(self._descriptor)
            self.seen += os.read(self._descriptor, 4096).decode()


@pytest.fixture
def terminal() -> Iterator[tuple[User, TextIO, TextIO]]:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=True) as source, os.fdopen(os.dup(theirs), "w") as output:
        yield User(ours), source, output
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y\n", ConsentAnswer.ALLOW),
        ("YES\n", ConsentAnswer.ALLOW),
        ("a\n", ConsentAnswer.ALLOW_ALWAYS),
        ("n\n", ConsentAnswer.DENY),
        ("\n", ConsentAnswer.DENY),
        ("yellow\n", ConsentAnswer.DENY),
        ("\x04", ConsentAnswer.DENY),
    ],
)
async def test_only_a_yes_is_a_yes(
    typed: str, answer: ConsentAnswer, terminal: tuple[User, TextIO, TextIO]
) -> None:
    user, source, output = terminal
    asking = asyncio.create_task(TerminalConsent(input=source, output=output)(QUESTION))
    await user.until("[N]o: ")
    assert "https://a.example.org" in user.seen
    user.type(typed)
    assert await asking is answer


async def test_what_was_typed_before_is_no_answer(terminal: tuple[User, TextIO, TextIO]) -> None:
    user, source, output = terminal
    user.type("y\n")
    asking = asyncio.create_task(TerminalConsent(input=source, output=output)(QUESTION))
    await user.until("[N]o: ")
    user.type("n\n")
    assert await asking is ConsentAnswer.DENY


async def test_one_question_at_a_time_in_order(terminal: tuple[User, TextIO, TextIO]) -> None:
    user, source, output = terminal
    consent = TerminalConsent(input=source, output=output)
    names = ("first", "second", "third")
    asking = [
        asyncio.create_task(consent(ConsentQuestion(name, "null", "https://x.example.org", True, "")))
        for name in names
    ]
    for number, name in enumerate(names, 1):
        await user.until("[N]o: ", number)
        assert [other in user.seen for other in names] == [place < number for place in range(3)]
        assert "WARNING" in user.seen
        assert "[a]lways" not in user.seen
        user.type("y\n" if name == "second" else "n\n")
        await asking[number - 1]
    answers = [task.result() is ConsentAnswer.ALLOW for task in asking]
    assert answers == [False, True, False]


async def test_no_answer_is_a_no(terminal: tuple[User, TextIO, TextIO]) -> None:
    user, source, output = terminal
    consent = TerminalConsent(timeout=0.05, input=source, output=output)
    assert await consent(QUESTION) is ConsentAnswer.DENY
    await user.until("no answer within")


async def test_a_question_is_taken_back(terminal: tuple[User, TextIO, TextIO]) -> None:
    user, source, output = terminal
    asking = asyncio.create_task(TerminalConsent(input=source, output=output)(QUESTION))
    await user.until("[N]o: ")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await user.until("taken back")


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("https://a.example.org", "start the hub with --web-consent https://a.example.org"),
        ("null", "start the hub with --web-consent null"),
        ("", "let it use the Standard Profile, or start the hub on a terminal and answer there"),
    ],
)
async def test_without_a_terminal_it_is_a_no_and_the_log_says_how_to_allow(
    origin: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    consent = TerminalConsent(input=io.StringIO("y\n"))
    question = ConsentQuestion("page", origin, "", False, "")
    assert await consent(question) is ConsentAnswer.DENY
    assert advice in caplog.text
    assert "--web-consent allow" not in caplog.text


async def test_nothing_that_a_page_says_acts_on_the_terminal(
    terminal: tuple[User, TextIO, TextIO],
) -> None:
    user, source, output = terminal
    odd = "\x1b[2J\x1b]0;t\x07 \x9b1m \x85 \u2028 \u202e \u2066 \r\nAllow it? y"
    question = make_question(f"page {odd}", f"https://a.org{odd}", f"https://a.org/{odd}", odd)
    asking = asyncio.create_task(TerminalConsent(input=source, output=output)(question))
    await user.until("[N]o: ")
    asked = user.seen.replace("\r\n", "\n")
    assert asked.count("\n") == 8
    assert all(one == "\n" or " " <= one <= "~" for one in asked)
    user.type("n\n")
    assert await asking is ConsentAnswer.DENY


JOB = """
import asyncio, io, os, signal, sys
from asyncsamp import ConsentQuestion, TerminalConsent

class Output(io.StringIO):
    def flush(self):
        if "[N]o: " in self.getvalue() and not asked.is_set():
            to_the_front(os.getpgid(os.getppid()))
            print("asked in the foreground", flush=True)
            asked.set()

def to_the_front(group):
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)

async def main():
    if sys.argv[1] == "foreground":
        to_the_front(os.getpgrp())
    consent = TerminalConsent(input=sys.stdin, output=Output())
    print(await consent(ConsentQuestion("page", "null", "", False, "")), flush=True)

asked = asyncio.Event()
asyncio.run(main())
"""

SHELL = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], process_group=0)
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    print("the job is stopped", flush=True)
    job.kill()
"""
"""What a shell with job control does: the terminal is its own, and the job is a process group beside it."""


@pytest.mark.parametrize("begins", ["background", "foreground"])
async def test_a_job_in_the_background_is_not_stopped_by_a_question(
    begins: str, terminal: tuple[User, TextIO, TextIO]
) -> None:
    user, source, _ = terminal
    shell = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SHELL, JOB, begins),
        stdin=source,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdout is not None
    if begins == "foreground":
        assert await shell.stdout.readline() == b"asked in the foreground\n"
        user.type("y\n")
    told, log = await shell.communicate()
    assert told == b"ConsentAnswer.DENY\n"
    assert (b"there is no terminal to ask on" in log) == (begins == "background")
