"""The question on the terminal (WEB-52, WEB-53)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TextIO

from ...permissions import Permission, rememberable
from .consent import AskingConsent, ConsentAnswer, ConsentQuestion

__all__ = ["TerminalConsent", "consequence", "question_text", "question_title"]

log = logging.getLogger("asyncsamp.hub")

_ANSWERS = {
    "y": ConsentAnswer.ALLOW,
    "yes": ConsentAnswer.ALLOW,
    "a": ConsentAnswer.ALLOW_ALWAYS,
    "always": ConsentAnswer.ALLOW_ALWAYS,
}


_CONSEQUENCES = {
    Permission.REGISTER: "If you say yes, it can send data and harmless messages to your other SAMP tools, "
    "see\nwhat they are and what they send, and read the files and URLs that they send it.",
    Permission.COMMAND: "If you say yes, it can run commands in your other SAMP tools, which may read,\n"
    "change and delete your files.",
    Permission.UPLOAD: "If you say yes, it can leave files with the hub, for your other SAMP tools to read.",
}
_ALWAYS = (
    "\nAlways lets in every page of this origin: on a site that many people share, such as a\n"
    "JupyterHub, those of all of them."
)
_ASKS = {
    Permission.REGISTER: "A web page asks to register with your SAMP hub.",
    Permission.COMMAND: "A web page that is registered with your SAMP hub wants to send commands.",
    Permission.UPLOAD: "A web page that is registered with your SAMP hub wants to leave files with it.",
}


def question_title(question: ConsentQuestion) -> str:
    """Return what is asked, in a sentence."""
    return _ASKS.get(question.wants, "A web page that is registered wants more than it may.")


def consequence(question: ConsentQuestion) -> str:
    """Return what a yes lets the page do, and an "always" all the others."""
    allowed = _CONSEQUENCES.get(question.wants, f"If you say yes, it can {question.wants.value}.")
    return allowed + (_ALWAYS if rememberable(question.origin) else "")


def question_text(question: ConsentQuestion) -> str:
    """Return what the user reads. Everything in it that the page says of itself is marked as such."""
    origin = question.origin or "(none: a program, not a browser)"
    if origin == "null":
        origin = "null (a page from a file on disk, or in a sandbox)"
    if origin == "file://":
        origin = "file:// (a page from a file on disk, in a program such as Electron)"
    lines = [
        "",
        question_title(question),
        f"  it calls itself: {question.name}",
        f"  page's origin:   {origin}",
    ]
    if question.referer:
        lines.append(f"  referer:         {question.referer}")
    if question.disagree:
        lines.append("  WARNING: origin and referer are not the same site.")
    if question.detail:
        lines.append(f"  now it wants:    {question.detail}")
    lines.append(consequence(question))
    return "\n".join(lines) + "\n"


class TerminalConsent(AskingConsent):
    """Asks on the terminal, one question at a time, in order; anything but a yes is a no.

    Nothing else waits meanwhile. Where there is no terminal the answer is no, and the log says how to
    allow a site; so it is for a job in the background (`... &`), which the system stops when it reads
    from the terminal.

    Args:
        timeout: Seconds that the user has for each question; then it is a no.
        input: Where the answer is read; None means the standard input.
        output: Where the question is written; None means the standard output.
    """

    def __init__(
        self, *, timeout: float = 60.0, input: TextIO | None = None, output: TextIO | None = None
    ) -> None:
        self._timeout = timeout
        self._input = input
        self._output = output
        self._turn = asyncio.Lock()

    @property
    def can_ask(self) -> bool:
        """Whether there is a terminal, and it is ours to read from now."""
        source = self._input or sys.stdin
        return source is not None and _may_be_read(source)

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        """Ask, and return the answer. Cancelling is safe, and takes the question back."""
        source = self._input or sys.stdin
        output = self._output or sys.stdout
        async with self._turn:
            if source is None or not self.can_ask:
                return _nobody_to_ask(question)
            _discard_typed(source)
            # What the user typed for another purpose must not be a yes.
            always = " / [a]lways for this origin" if rememberable(question.origin) else ""
            once = "once" if question.wants is Permission.REGISTER else "until it leaves"
            _say(output, question_text(question) + f"Allow it? [y]es, {once}{always} / [N]o: ")
            try:
                async with asyncio.timeout(self._timeout):
                    line = await _read_line(source)
            except TimeoutError:
                _say(output, f"\nno answer within {self._timeout:g} s: no\n")
                return ConsentAnswer.DENY
            except BaseException as end:
                why = end.args[0] if isinstance(end, asyncio.CancelledError) and end.args else None
                _say(output, f"\n{why or 'the question is taken back'}\n")
                raise
        return _ANSWERS.get(line.strip().lower(), ConsentAnswer.DENY)


def _nobody_to_ask(question: ConsentQuestion) -> ConsentAnswer:
    if question.wants is not Permission.REGISTER:
        advice = "to allow it, open the hub's page, or start the hub on a terminal and answer there"
    elif question.origin:
        advice = f"to allow it, start the hub with --web-consent {question.origin}"
    else:
        # "allow" would let it in, and every page in the world with it.
        advice = (
            "it names no origin, so it is a program; let it use the Standard Profile, "
            "or start the hub on a terminal and answer there"
        )
    log.warning(
        "web page %r of %s was refused, since there is no terminal to ask on; %s",
        question.name,
        question.origin or "no origin",
        advice,
    )
    return ConsentAnswer.DENY


def _may_be_read(source: TextIO) -> bool:
    return source.isatty() and _in_foreground(source.fileno())


def _in_foreground(descriptor: int) -> bool:
    """Whether a read from the terminal does not stop the process, and with it the whole hub (SIGTTIN)."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (AttributeError, OSError):  # Windows; a terminal that does not control this process
        return True


def _say(output: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        output.write(text)
        output.flush()


def _discard_typed(source: TextIO) -> None:
    with contextlib.suppress(ImportError, OSError):
        import termios

        with contextlib.suppress(termios.error):
            termios.tcflush(source.fileno(), termios.TCIFLUSH)


async def _read_line(source: TextIO) -> str:
    """Read one line without blocking the loop; "" at the end of input."""
    try:
        descriptor = await asyncio.to_thread(_open_again, source.fileno())
    except (AttributeError, OSError):  # Windows
        return await _read_in_thread(source.readline)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def readable() -> None:
        # A terminal gives whole lines. What is typed while we are in the background is not for us.
        try:
            text = os.read(descriptor, 1024).decode(errors="replace") if _in_foreground(descriptor) else ""
        except BlockingIOError:
            return
        except OSError:
            text = ""
        loop.remove_reader(descriptor)
        if not done.done():
            done.set_result(text)

    try:
        loop.add_reader(descriptor, readable)
        return await done
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _open_again(descriptor: int) -> int:
    """Open the terminal once more: what is set on ours would be set on the shell's, too."""
    return os.open(os.ttyname(descriptor), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)


async def _read_in_thread(readline: Callable[[], str]) -> str:
    """Read in a thread that nobody waits for at exit: a read from a console cannot be cancelled."""
    import threading

    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def finish(text: str) -> None:
        if not done.done():
            done.set_result(text)

    def read() -> None:
        _refuse_to_stop()
        try:
            text = readline()
        except OSError:
            text = ""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, text)

    threading.Thread(target=read, name="asyncsamp-terminal", daemon=True).start()
    return await done


def _refuse_to_stop() -> None:
    """Let a read in this thread, begun in the foreground, fail when it goes on in the background."""
    with contextlib.suppress(AttributeError):  # Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})
