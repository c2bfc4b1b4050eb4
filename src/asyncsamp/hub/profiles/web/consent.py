"""May this page register? What the user is asked, and the answers that need no asking (WEB-51..54)."""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias
from urllib.parse import urlsplit

from ....errors import FaultCode, FaultError, LocalProtocolError
from ...permissions import Permission, Permissions, Subject, rememberable
from .sites import site_of

__all__ = [
    "AskingConsent",
    "Consent",
    "ConsentAnswer",
    "ConsentQuestion",
    "Gate",
    "allow_all",
    "allow_origins",
    "deny_all",
    "harmless",
    "make_question",
]

log = logging.getLogger("asyncsamp.hub")

MAX_NAME = 80
"""Characters of a name that are shown. A longer one could push the rest of the question off the screen."""

MAX_WAITING = 50
"""Questions of one origin that wait for an answer. A browser that opens again has that many tabs."""

MAX_WAITING_ALL = 200

MAX_DENIALS = 3
DENIAL_TIME = 60.0
"""An origin that was denied so often within so many seconds is denied without asking, for as long."""

_MAX_REMEMBERED_DENIALS = 1_000

_ODD = re.compile(r"[^\x20-\x7e]+|[<>&`\\]")


class ConsentAnswer(Enum):
    """What the user says to a page."""

    DENY = "deny"
    ALLOW = "allow"
    ALLOW_ALWAYS = "allow always"


@dataclass(frozen=True, slots=True)
class ConsentQuestion:
    """A page, or a program, asks to register, or, when it is registered, for more than it may.

    All texts are the page's own claims, cut to a harmless length, and without control characters and
    markup.

    Attributes:
        name: What the page calls itself.
        origin: What the browser says of the page: "" for a program that is not a browser, "null" for a page
            from a file or a sandbox.
        referer: The address of the page, if the browser tells it.
        disagree: Whether `referer` names another site than `origin`.
        address: Where the request came from.
        wants: What it asks for.
        detail: On what occasion, in words, if it is registered.
    """

    name: str
    origin: str
    referer: str
    disagree: bool
    address: str
    wants: Permission = Permission.REGISTER
    detail: str = ""


Consent: TypeAlias = Callable[[ConsentQuestion], Awaitable[ConsentAnswer]]


def make_question(name: str, origin: str, referer: str, address: str) -> ConsentQuestion:
    """Return the question with its texts made harmless."""
    disagree = bool(referer) and origin != _origin_of_url(referer)
    return ConsentQuestion(
        harmless(name) or "?", harmless(origin, 300), harmless(referer, 300), disagree, harmless(address)
    )


def harmless(text: str, length: int = MAX_NAME) -> str:
    """Return `text` for a terminal or a dialog: one line, no control characters, no markup, not long."""
    shown = _ODD.sub("?", text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 3] + "..."


def _origin_of_url(url: str) -> str:
    try:
        parts = urlsplit(url.lower())
        return f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return "?"


class AskingConsent(ABC):
    """A consent that asks a person, who can be asked as well whether a page may do more than register.

    Any other consent answers by rules, and is asked about registering only.
    """

    @abstractmethod
    async def __call__(self, question: ConsentQuestion) -> ConsentAnswer:
        """Ask, and return the answer. Cancelling is safe, and takes the question back."""


async def allow_all(question: ConsentQuestion) -> ConsentAnswer:
    """Let everybody in: any page that the user looks at. For tests. Cancelling is safe.

    Args:
        question: Not used.

    Returns:
        Yes, for this time.
    """
    return ConsentAnswer.ALLOW


async def deny_all(question: ConsentQuestion) -> ConsentAnswer:
    """Let nobody in. Cancelling is safe.

    Args:
        question: Not used.

    Returns:
        No.
    """
    return ConsentAnswer.DENY


def allow_origins(origins: Iterable[str]) -> Consent:
    """Return a consent that lets pages of `origins` in, such as "https://archive.example.org".

    Args:
        origins: The sites, such as "https://archive.example.org".

    Raises:
        LocalProtocolError: One of them is not an Origin.
    """
    allowed = frozenset(_checked(origin) for origin in origins)

    async def consent(question: ConsentQuestion) -> ConsentAnswer:
        if question.origin in allowed:
            return ConsentAnswer.ALLOW
        log.warning("web page %r of %s is not on the list of origins", question.name, question.origin or "-")
        return ConsentAnswer.DENY

    return consent


def _checked(origin: str) -> str:
    text = origin.strip().lower()
    text = text if text == "file://" else text.rstrip("/")
    if text not in ("null", "file://") and not rememberable(text):
        raise LocalProtocolError(
            f"{origin!r} is not a valid web origin; write it as https://archive.example.org"
        )
    return text


@dataclass(slots=True)
class _Site:
    """The questions of the pages of one site."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    denials: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DENIALS))
    round: int = 0  # how often it was denied, ever


class Gate:
    """Asks `consent`, one question of a site at a time, and remembers.

    A no is also the answer to the questions of the same site that wait meanwhile; three within a minute
    stand for the next minute (WEB-54): a site has as many host names, and so origins, as it likes. A yes is
    for one origin. What was decided for good is in `permissions`. `more` is asked when a registered page
    wants more than it may; None: nobody is.
    """

    def __init__(
        self, consent: Consent, permissions: Permissions, timeout: float, more: Consent | None = None
    ) -> None:
        self._consent = consent
        self._more = more
        self.permissions = permissions
        self._timeout = timeout
        self._sites: dict[tuple[str, bool], _Site] = {}
        self._waiting = 0

    async def admit(self, question: ConsentQuestion, check: Callable[[], Awaitable[None]]) -> None:
        """Return if the page may register. Raises `FaultError` if not. May be cancelled.

        `check` raises what refuses it whatever its Origin and the user's answer; it may be costly.
        """
        if await self._decided(question):
            await check()
            return
        site = self._site(question)
        if site.waiting >= MAX_WAITING or self._waiting >= MAX_WAITING_ALL:
            raise FaultError(
                "too many pages ask to register; wait until the user has answered",
                code=FaultCode.REGISTRATION_REFUSED,
            )
        site.waiting += 1
        self._waiting += 1
        try:
            await check()  # here, so that a flood of questions is not one of costly checks
            await self._ask_in_turn(site, question)
        finally:
            site.waiting -= 1
            self._waiting -= 1

    async def _ask_in_turn(self, site: _Site, question: ConsentQuestion) -> None:
        begun = site.round
        async with site.turn:
            if await self._decided(question):
                return
            if site.round != begun or self._is_shut(site):
                raise _refused(question)
            if await self._ask(question, self._consent) is ConsentAnswer.DENY:
                site.round += 1
                site.denials.append(asyncio.get_running_loop().time())
                raise _refused(question)

    async def ask_for_more(
        self, question: ConsentQuestion, settled: Callable[[], bool], take: Callable[[ConsentAnswer], None]
    ) -> None:
        """Ask whether a registered page may do what it `wants`, and `take` the answer. May be cancelled.

        Nobody is asked if it is `settled` when its turn comes, if the user said no to its site too often,
        or if too many questions wait.
        """
        site = self._site(question)
        if self._more is None or site.waiting >= MAX_WAITING or self._waiting >= MAX_WAITING_ALL:
            return
        site.waiting += 1
        self._waiting += 1
        try:
            async with site.turn:
                if settled() or self._is_shut(site):
                    return
                answer = await self._ask(question, self._more)
                take(answer)
                if answer is ConsentAnswer.DENY:
                    site.denials.append(asyncio.get_running_loop().time())
        finally:
            site.waiting -= 1
            self._waiting -= 1

    async def _decided(self, question: ConsentQuestion) -> bool:
        """Whether it may register by an earlier decision. Raises `FaultError` if that says no."""
        if not rememberable(question.origin):
            return False
        await self.permissions.refresh()
        decided = self.permissions.decided(Subject("origin", question.origin), Permission.REGISTER)
        if decided is False:
            raise _refused(question)
        return decided is True

    async def _ask(self, question: ConsentQuestion, consent: Consent) -> ConsentAnswer:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await consent(question)
        except TimeoutError:
            log.warning(
                "web page %r may not %s: nobody answered the question", question.name, question.wants.value
            )
            return ConsentAnswer.DENY
        except Exception:
            log.exception("asking for consent failed, so the answer is no")
            return ConsentAnswer.DENY
        if answer is ConsentAnswer.ALLOW_ALWAYS and rememberable(question.origin):
            await self._remember(question)
        return answer if answer in (ConsentAnswer.ALLOW, ConsentAnswer.ALLOW_ALWAYS) else ConsentAnswer.DENY

    async def _remember(self, question: ConsentQuestion) -> None:
        """Keep a yes for good. A file that cannot be written is only logged: the answer counts now."""
        try:
            await self.permissions.decide(Subject("origin", question.origin), question.wants, True)
        except OSError as error:
            log.warning("cannot remember what %s may do: %s", question.origin, error)

    def _is_shut(self, site: _Site) -> bool:
        now = asyncio.get_running_loop().time()
        denials = site.denials
        if len(denials) < MAX_DENIALS:
            return False
        return denials[-1] - denials[0] < DENIAL_TIME and now - denials[-1] < DENIAL_TIME

    def _site(self, question: ConsentQuestion) -> _Site:
        # A no to more does not refuse the next page that only wants to register.
        name = site_of(question.origin), question.wants is not Permission.REGISTER
        site = self._sites.get(name)
        if site is None:
            if len(self._sites) >= _MAX_REMEMBERED_DENIALS:
                self._sites = {known: site for known, site in self._sites.items() if site.waiting}
            site = self._sites[name] = _Site()
        return site


def _refused(question: ConsentQuestion) -> FaultError:
    return FaultError(
        f"the user did not let {question.name!r} register with the hub", code=FaultCode.REGISTRATION_REFUSED
    )
