"""One request of a web client, from its call to its answer being written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ...._util.socket_table import Ends
from ....values import Value
from ....xmlrpc import Encoded
from .callback_queue import CallbackQueue
from .web_client import Page

__all__ = ["TRANSLATOR", "UPLOAD", "WebRequest"]

TRANSLATOR = "/translator/"
UPLOAD = "/upload/"
"""Where URLs are read for a page, and where it puts its data."""


class _Service(Protocol):
    """What an exchange needs of the service."""

    async def dispatch(self, exchange: WebRequest, method: str, params: list[Value]) -> Value | Encoded: ...


class WebRequest:
    """A request, who makes it, and the pull that it is, if it is one.

    Args:
        service: Who does what is asked for.
        base: The URL of the profile by the name by which the caller reached the hub.
        transport: Gives the connection; None once it has ended.
        origin: The Origin of the page; "" for a program.
        referer: The page itself, as the browser tells.
    """

    def __init__(
        self,
        service: _Service,
        base: str,
        transport: Callable[[], asyncio.BaseTransport | None],
        *,
        origin: str = "",
        referer: str = "",
    ) -> None:
        self.translator = base + TRANSLATOR
        self.upload = base + UPLOAD
        self.origin = origin
        self.referer = referer
        self._transport = transport
        self._service = service
        self._page: Page | None = None
        self._pulls: CallbackQueue | None = None
        self._is_pull = False
        self._answered = False

    @property
    def address(self) -> str:
        """Where the request comes from."""
        transport = self._transport()
        peer = transport and transport.get_extra_info("peername")
        return f"{peer[0]} port {peer[1]}" if peer else ""

    @property
    def ends(self) -> Ends | None:
        """The two ends of the connection; None once it is closed."""
        transport = self._transport()
        peer, ours = (transport and transport.get_extra_info(name) for name in ("peername", "sockname"))
        return Ends((peer[0], peer[1]), (ours[0], ours[1])) if peer and ours else None

    @property
    def alive(self) -> bool:
        """Whether the connection is open."""
        transport = self._transport()
        return transport is not None and not transport.is_closing()

    @property
    def is_filled_pull(self) -> bool:
        """Whether the answer holds callbacks, which leave their queue once it is written."""
        return self._pulls is not None

    async def dispatch(self, method: str, params: list[Value]) -> Value | Encoded:
        """Do what the request asks for."""
        return await self._service.dispatch(self, method, params)

    def made_by(self, page: Page, *, pull: bool) -> None:
        """Note whose request it is, and whether it is a pull."""
        self._page = page
        self._is_pull = pull
        page.request_begins(pull=pull)

    def answers_pull(self, pulls: CallbackQueue) -> None:
        """The answer holds callbacks of `pulls`, which leave it once they are written."""
        self._pulls = pulls

    def written(self) -> None:
        """The answer to a pull was written (WEB-26)."""
        if self._pulls is not None:
            self._pulls.sent()
            self._pulls = None

    def answered(self) -> None:
        """Nothing more is to be written."""
        self._answered = self.alive

    def broken_off(self) -> None:
        """The caller has gone before it had all."""
        self._answered = False

    def end(self) -> None:
        """The request is over, answered or broken off."""
        if self._pulls is not None:
            self._pulls.unsent()
        if self._page is not None:
            self._page.request_ends(pull=self._is_pull, broken=not self._answered)
