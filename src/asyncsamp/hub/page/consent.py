"""Questions of web pages on the hub's page, the terminal and the desktop at once: the first answer counts."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..permissions import Permission, rememberable
from ..profiles.web import AskingConsent, ConsentAnswer, ConsentQuestion, TerminalConsent
from ..profiles.web.terminal_consent import consequence, question_title

__all__ = ["AskDesktop", "PageConsent"]

log = logging.getLogger("asyncsamp.hub")

AskDesktop = Callable[[str, str, Mapping[str, str], Callable[[], None]], Awaitable[str]]
"""How to ask on the desktop; `desktop.ask` is one."""

_MARKUP = re.compile("[<>&]")


@dataclass(slots=True)
class _Open:
    question: ConsentQuestion
    answered: asyncio.Future[ConsentAnswer]
    where: str = ""  # it was answered


class PageConsent(AskingConsent):
    """A consent for `WebProfile` that asks on the hub's page, on the terminal and on the desktop at once.

    Where there is no terminal, no browser that shows the page and no desktop, the answer is no at once, as
    it is from `TerminalConsent`.

    Args:
        terminal: Who asks on the terminal.
        timeout: Seconds that the user has for an answer, where there is no terminal.
        desktop: Who asks on the desktop; None asks nobody there.
    """

    def __init__(
        self,
        terminal: TerminalConsent | None = None,
        *,
        timeout: float = 60.0,
        desktop: AskDesktop | None = None,
    ) -> None:
        self._terminal = terminal or TerminalConsent()
        self._timeout = timeout
        self._desktop = desktop
        self.place = ""  # where the page is
        self._open: dict[str, _Open] = {}
        self.watched: Callable[[], bool] = lambda: False
        self.changed: Callable[[], None] = lambda: None

    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        """Ask, and return the first answer. Cancelling is safe, and takes the question back."""
        loop = asyncio.get_running_loop()
        number, on_page = secrets.token_urlsafe(8), loop.create_future()
        asking: set[asyncio.Future[ConsentAnswer]] = {on_page}
        one = self._open[number] = _Open(question, on_page)
        self.changed()
        shown: asyncio.Future[bool] = loop.create_future()
        on_desktop = loop.create_task(self._ask_desktop(number, shown), name="asyncsamp-consent-desktop")
        limit: float | None = self._timeout
        try:
            if self._terminal.can_ask or not (self.watched() or await shown):
                asking.add(loop.create_task(self._terminal(question), name="asyncsamp-consent"))
                limit = None
            done, _ = await asyncio.wait(asking, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._open[number]
            on_desktop.cancel()
            for other in asking:
                other.cancel(f"the question was answered on {one.where}" if one.where else None)
            await asyncio.gather(on_desktop, *asking, return_exceptions=True)
            self.changed()
        return next(iter(done)).result() if done else ConsentAnswer.DENY

    async def _ask_desktop(self, number: str, shown: asyncio.Future[bool]) -> None:
        def show() -> None:
            if not shown.done():
                shown.set_result(True)

        try:
            if self._desktop is not None:
                question = self._open[number].question
                title, text = question_title(question), self._text(question)
                answer = await self._desktop(title, text, _choices(question), show)
                if answer:
                    show()
                    self.answer(number, ConsentAnswer(answer), where="the desktop")
        except Exception:
            log.exception("a question cannot be shown on the desktop")
        finally:
            if not shown.done():
                shown.set_result(False)

    def _text(self, question: ConsentQuestion) -> str:
        """Return what a desktop shows, without what it may take for markup."""
        where = " or on the hub's terminal" if self._terminal.can_ask else ""
        # First what the browser says: what the page says of itself could look like it.
        lines = [f"Page's origin: {question.origin or 'none'}.", f"It calls itself: {question.name}."]
        if question.disagree:
            lines.append("Warning: origin and referer are not the same site.")
        if question.detail:
            lines.append(f"Now it wants to send: {question.detail}")
        lines.append(consequence(question).replace("\n", " "))
        lines.append(f"Answer here, on the hub's page {self.place}{where}.")
        return _MARKUP.sub("?", "\n".join(lines))

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

    def answer(self, number: str, answer: ConsentAnswer, *, where: str = "the hub's page") -> bool:
        """Answer a question.

        Args:
            number: The number of the question.
            answer: The answer.
            where: Where it was given, which the others are told.

        Returns:
            Whether it was open still.
        """
        one = self._open.get(number)
        if one is None or one.answered.done():
            return False
        one.where = where
        one.answered.set_result(answer)
        return True


def _choices(question: ConsentQuestion) -> dict[str, str]:
    """Return what the buttons say, by the answer that they stand for."""
    once = "Allow once" if question.wants is Permission.REGISTER else "Allow until it leaves"
    choices = {ConsentAnswer.DENY.value: "Deny", ConsentAnswer.ALLOW.value: once}
    if rememberable(question.origin):
        choices[ConsentAnswer.ALLOW_ALWAYS.value] = "Always for this origin"
    return choices
