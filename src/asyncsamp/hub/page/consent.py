"""Questions of web pages on the hub's page, beside those on the terminal: the first answer counts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..permissions import rememberable
from ..profiles.web import AskingConsent, ConsentAnswer, ConsentQuestion, TerminalConsent
from ..profiles.web.terminal_consent import consequence, question_title

__all__ = ["PageConsent"]


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
    """

    def __init__(self, terminal: TerminalConsent | None = None, *, timeout: float = 60.0) -> None:
        self._terminal = terminal or TerminalConsent()
        self._timeout = timeout
        self._open: dict[str, _Open] = {}
        self.watched: Callable[[], bool] = lambda: False
        self.changed: Callable[[], None] = lambda: None

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        """Ask, and return the first answer. Cancelling is safe, and takes the question back."""
        loop = asyncio.get_running_loop()
        number, on_page = secrets.token_urlsafe(8), loop.create_future()
        asking: set[asyncio.Future[ConsentAnswer]] = {on_page}
        if self._terminal.can_ask or not self.watched():
            asking.add(loop.create_task(self._terminal(question), name="asyncsamp-consent"))
            limit = None
        else:
            limit = self._timeout
        self._open[number] = _Open(question, on_page)
        self.changed()
        try:
            done, _ = await asyncio.wait(asking, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._open[number]
            for other in asking:
                other.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            self.changed()
        return next(iter(done)).result() if done else ConsentAnswer.DENY

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
        """Answer a question; return whether it was open still."""
        one = self._open.get(number)
        if one is None or one.answered.done():
            return False
        one.answered.set_result(answer)
        return True
