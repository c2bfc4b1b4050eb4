"""Questions of web pages on the hub's page, beside those on the terminal: the first answer counts."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..permissions import rememberable
from ..profiles.web import AskingConsent, ConsentAnswer, ConsentQuestion, TerminalConsent
from ..profiles.web.terminal_consent import consequence, question_title

__all__ = ["PageConsent"]

log = logging.getLogger("asyncsamp.hub")

_ELSEWHERE = "the question was answered on the hub's page"


@dataclass(frozen=True, slots=True)
class _Open:
    question: ConsentQuestion
    answered: asyncio.Future[ConsentAnswer]


class PageConsent(AskingConsent):
    """A consent for `WebProfile` that asks on the hub's page and on the terminal at once.

    Where there is no terminal and no browser shows the page, the answer is no at once, as it is from
    `TerminalConsent`.

    Args:
        terminal: Who asks on the terminal.
        timeout: Seconds that the user has for an answer on the page, where there is no terminal.
        hint: Told of each question, in two texts without markup, so as to show it where the user looks;
            returns whether it is shown. `desktop.hint` does so by a notification.
    """

    def __init__(
        self,
        terminal: TerminalConsent | None = None,
        *,
        timeout: float = 60.0,
        hint: Callable[[str, str], Awaitable[bool]] | None = None,
    ) -> None:
        self._terminal = terminal or TerminalConsent()
        self._timeout = timeout
        self._hint = hint
        self.place = ""  # where the page is
        self._open: dict[str, _Open] = {}
        self.watched: Callable[[], bool] = lambda: False
        self.changed: Callable[[], None] = lambda: None

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        """Ask, and return the first answer. Cancelling is safe, and takes the question back."""
        loop = asyncio.get_running_loop()
        number, on_page = secrets.token_urlsafe(8), loop.create_future()
        asking: set[asyncio.Future[ConsentAnswer]] = {on_page}
        self._open[number] = _Open(question, on_page)
        self.changed()
        hinting = loop.create_task(self._show_hint(question), name="asyncsamp-consent-hint")
        limit: float | None = self._timeout
        try:
            if self._terminal.can_ask or not (self.watched() or await hinting):
                asking.add(loop.create_task(self._terminal(question), name="asyncsamp-consent"))
                limit = None
            done, _ = await asyncio.wait(asking, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._open[number]
            hinting.cancel()
            for other in asking:
                other.cancel(_ELSEWHERE if on_page.done() and not on_page.cancelled() else None)
            await asyncio.gather(hinting, *asking, return_exceptions=True)
            self.changed()
        return next(iter(done)).result() if done else ConsentAnswer.DENY

    async def _show_hint(self, question: ConsentQuestion) -> bool:
        if self._hint is None:
            return False
        where = " or on the hub's terminal" if self._terminal.can_ask else ""
        who = f"{question.name}, origin {question.origin or 'none'}"
        text = f"{who}. Answer on the hub's page {self.place}{where}."
        try:
            return await self._hint(question_title(question), text)
        except Exception:
            log.exception("a hint of a question cannot be shown")
            return False

    def questions(self) -> list[dict[str, Any]]:
        """Return the open questions, as the page shows them."""
        return [
            {
                "number": number,
                "title": question_title(one.question),
                "wants": one.question.wants.value,
                "detail": one.question.detail,
                "consequence": consequence(one.question),
                "name": one.question.name,
                "origin": one.question.origin,
                "referer": one.question.referer,
                "disagree": one.question.disagree,
                "always": rememberable(one.question.origin),
            }
            for number, one in self._open.items()
        ]

    def answer(self, number: str, answer: ConsentAnswer) -> bool:
        """Answer a question.

        Args:
            number: The number of the question.
            answer: The answer.

        Returns:
            Whether it was open still.
        """
        one = self._open.get(number)
        if one is None or one.answered.done():
            return False
        one.answered.set_result(answer)
        return True
