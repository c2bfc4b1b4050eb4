"""Web pages at a `SAMPHubServer`: the dialog that asks the user, and what old plug-ins are served."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress
from typing import Any

from ..hub.profiles.web import ConsentAnswer, ConsentQuestion
from ..hub.profiles.web.cors import POLICY_FILES

__all__ = [
    "CLIENT_ACCESS_POLICY",
    "CROSS_DOMAIN",
    "DialogConsent",
    "WebProfileDialog",
    "web_profile_text_dialog",
]

CROSS_DOMAIN = POLICY_FILES["/crossdomain.xml"][1]
CLIENT_ACCESS_POLICY = POLICY_FILES["/clientaccesspolicy.xml"][1]


class WebProfileDialog:
    """The base of a GUI's dialog that asks the user whether a web page may register.

    The GUI's timer calls `handle_queue` now and then, in the GUI's thread; that calls `show_dialog`,
    which a subclass has, for a page that waits. What the user says calls `consent` or `reject`.
    """

    queue_request: Any = None
    queue_result: Any = None

    def handle_queue(self) -> None:
        """Show the dialog if a page waits; return at once."""
        if self.queue_request is None:  # the hub has not started
            return
        with suppress(queue.Empty):
            details, client, origin = self.queue_request.get_nowait()
            self.show_dialog(details["samp.name"], details, client, origin)

    def show_dialog(self, samp_name: str, details: Any, client: Any, origin: str) -> None:
        """Ask the user; a subclass does.

        Args:
            samp_name: What the page calls itself.
            details: A mapping with all that it says of itself.
            client: The address, a host and a port.
            origin: The site of the page, as the browser says.
        """
        raise NotImplementedError("a WebProfileDialog needs a method show_dialog")

    def consent(self) -> None:
        """Let the page register."""
        self._answer(True)

    def reject(self) -> None:
        """Refuse the page."""
        self._answer(False)

    def _answer(self, allowed: bool) -> None:
        if self.queue_result is not None:
            self.queue_result.put(allowed)


class DialogConsent:
    """Asks a `WebProfileDialog`, one page after the other; cancelling takes the question back."""

    def __init__(self, dialog: Any) -> None:
        self._questions: queue.Queue[Any] = queue.Queue(1)
        self._answers = _Answers()
        self._turn = asyncio.Lock()
        dialog.queue_request = self._questions
        dialog.queue_result = self._answers

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        async with self._turn:
            answer = self._answers.expect()
            host, _, port = question.address.partition(" port ")
            client = (host, int(port) if port.isdecimal() else 0)
            self._questions.put_nowait(({"samp.name": question.name}, client, question.origin or "unknown"))
            try:
                allowed = await answer
            finally:
                with suppress(queue.Empty):
                    self._questions.get_nowait()  # nobody has shown it
        return ConsentAnswer.ALLOW if allowed else ConsentAnswer.DENY


class _Answers:
    """Takes what the user says, in any thread, to the question that waits in the event loop."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[bool] | None = None

    def expect(self) -> asyncio.Future[bool]:
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def put(self, allowed: object) -> None:
        waiting = self._waiting
        if waiting is not None:
            with suppress(RuntimeError):  # the loop has ended with the program
                waiting.get_loop().call_soon_threadsafe(_settle, waiting, bool(allowed))


def _settle(waiting: asyncio.Future[bool], allowed: bool) -> None:
    if not waiting.done():
        waiting.set_result(allowed)


def web_profile_text_dialog(request: Any, queue: Any) -> None:
    """Ask on the terminal whether a page may register, and put True or False into `queue`."""
    identity, _, origin = request
    name = identity if isinstance(identity, str) else identity["samp.name"]
    print(f"The web page {name!r} of {origin} asks to register with the SAMP hub.")
    print("It can then have other tools read files and run what they can run. Do you allow it? [yes|no]")
    queue.put(input(">>> ").strip().lower() in ("yes", "y"))
