"""Our side of the relay: what we ask the page to do, and its answers.

A message is a map of plain values with at most one piece of bytes. To the page:

    {"op": "take", "page"}                      you are the page that is used
    {"op": "post", "page", "id", "url"}         + body: POST it, and answer with what comes; with "slow" that
                                                takes long, and the page says "heard" at once
    {"op": "get", "page", "id", "url"}          GET it, in pieces
    {"op": "upload", "page", "id", "url"}       what follows in pieces goes there; with "source" the page
                                                reads it itself, at its own site
    {"op": "piece", "page", "id", "last"}       + piece of an upload
    {"op": "ack", "page", "id"}                 a piece of a GET was taken
    {"op": "stop", "page", "id"}                nobody waits for that any more
    {"op": "who"}                               say "ready" if you are there; with "page" only that one
    {"op": "farewell", "page", "url"}           + body: POST it if the program ends without a word
    {"op": "leaving", "page", "url"}            + body: POST it when the page closes, or loses the program
    {"op": "state", "state", "text"}            what to show

and from it:

    {"op": "ready", "page"}, {"op": "bye", "page"}
    {"op": "answer", "page", "id", "status", "last"}   + body, or a piece of it
    {"op": "ack", "page", "id"}                 a piece of an upload was taken
    {"op": "heard", "page", "id"}               a POST that is slow has come; to be ignored
    {"op": "error", "page", "id", "kind", "text"}
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

from .._util.foreign_text import plain_line
from ..errors import DataError, RemoteProtocolError
from ..rpc.offload import MAX_BODY
from .errors import explain

__all__ = ["PageError", "PageRelay", "Send"]

log = logging.getLogger("asyncsamp.browser")

Send: TypeAlias = Callable[[dict[str, Any], bytes | None], None]
"""Brings a message to every page that is there."""

PIECE = 1024 * 1024
"""Bytes of one piece, either way."""

WINDOW = 4
"""Pieces of one upload, or of one answer, that may be under way."""

_LOOKS, _LOOK = 10, 1.0
"""How often, and every how many seconds, a page that is used is given the chance to answer, when another
one has come: not by one pause, since what it has said may wait behind what this program computes. Its own
answer may wait, too, behind the data that it carries."""


class PageError(Exception):
    """The page could not do what it was asked for.

    Attributes:
        kind: Why: "denied", "no-hub", "unreachable", "safari", "refused", "source", "failed"; "no-page" if
            there was none to ask, "left" if it left before it had answered.
    """

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind = kind
        super().__init__(explain(kind, text))


class _Job:
    """One thing that the page was asked for: what came for it, in order, and no more than may be under way.

    Attributes:
        over: Whether the page has said its last word of it.
    """

    def __init__(self) -> None:
        self.over = False
        self._ended = False  # nothing more is taken
        self._came: deque[tuple[Mapping[str, Any], bytes] | PageError] = deque()
        self._acknowledged = 0  # pieces that nobody has asked about yet
        self._news = asyncio.Event()

    def take(self, message: Mapping[str, Any], data: bytes) -> None:
        """Take a message of the page."""
        op = message.get("op")
        if self._ended or op not in ("ack", "answer", "error"):
            return
        if op == "ack":
            self._acknowledged += 1
            self._news.set()
        elif op == "error":
            self.over = True
            kind, text = message.get("kind"), message.get("text")
            self.end(PageError(str(kind)[:40], text if isinstance(text, str) else ""))
        elif len(self._came) == WINDOW:
            self._came.clear()
            self.end(PageError("failed", "the page sent more at once than it may"))
        else:
            self.over = self._ended = bool(message.get("last"))
            self._came.append((message, data))
            self._news.set()

    def end(self, error: PageError) -> None:
        """End it by an error, which stands behind what has come before."""
        self._ended = True
        self._came.append(error)
        self._news.set()

    async def next(self) -> tuple[Mapping[str, Any], bytes]:
        """Return the next message that is no acknowledgement."""
        await self._until(lambda: bool(self._came))
        item = self._came.popleft()
        if isinstance(item, PageError):
            raise item
        return item

    async def acknowledged(self) -> bool:
        """Wait for one more piece to be acknowledged; false if something else has come instead."""
        await self._until(lambda: bool(self._came or self._acknowledged))
        if self._came:
            return False
        self._acknowledged -= 1
        return True

    async def _until(self, come: Callable[[], bool]) -> None:
        while not come():
            self._news.clear()
            await self._news.wait()


class PageRelay:
    """One page of the user's browser, which makes HTTP requests for us. It belongs to one event loop.

    Of several pages that are there, one is used: the first that came, until it leaves. One that leaves
    without a word, since its tab was closed with the browser, is asked for when another one comes.

    Args:
        send: Brings a message to all pages.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._page = ""
        self._doubt: asyncio.TimerHandle | None = None  # whether the page that is used is there still
        self._promised: dict[str, tuple[str, bytes | None]] = {"farewell": ("", None), "leaving": ("", None)}
        self._jobs: dict[int, _Job] = {}
        self._ids = itertools.count(1)
        self._ready = asyncio.Event()
        self._left = asyncio.Event()
        self._shown = ("waiting", "Waiting for the program.")

    @property
    def ready(self) -> bool:
        """Whether a page is there."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return once a page is there. Cancelling is safe."""
        await self._ready.wait()

    async def wait_left(self) -> None:
        """Return once the page that is used has left. Cancelling is safe."""
        await self._left.wait()

    def show(self, state: str, text: str) -> None:
        """Have the pages show how things stand.

        Args:
            state: "waiting", "asking", "connected" or "lost".
            text: The same for people.
        """
        self._shown = (state, text)
        self._send({"op": "state", "state": state, "text": text}, None)

    def doubt(self) -> None:
        """Ask the page that is used whether it is there; without an answer it counts as closed."""
        if self._page and self._doubt is None:
            self._send({"op": "who", "page": self._page}, None)
            self._look(_LOOKS)

    def promise(self, url: str, farewell: bytes | None, leaving: bytes | None) -> None:
        """Have the page POST something when one of us ends without a word.

        Args:
            url: Where to post; "" takes back what was promised.
            farewell: What, if this program ends; None for nothing.
            leaving: What, if the page closes, is loaded again, or loses the program; None for nothing.
        """
        self._promised = {"farewell": (url, farewell), "leaving": (url, leaving)}
        self._tell_promised()

    def _tell_promised(self) -> None:
        if not self._page:
            return
        for op, (url, body) in self._promised.items():
            self._send({"op": op, "page": self._page, "url": "" if body is None else url}, body)

    # ---- from the page

    def receive(self, message: object, data: bytes | None = None) -> None:
        """Take one message of a page. Whatever is not valid is ignored: pages are strangers.

        Args:
            message: What the page says, out of JSON.
            data: The bytes that came with it.
        """
        if not isinstance(message, dict):
            return
        page, op = message.get("page"), message.get("op")
        if not isinstance(page, str) or not 8 <= len(page) <= 64:
            return
        if op == "ready":
            self._came(page)
        elif op == "bye":
            self._gone(page)
        elif page == self._page:
            self._trust()
            self._answered(message, data or b"")

    def close(self) -> None:
        """End everything that is under way; pages that are there stay known."""
        for job in self._jobs.values():
            job.end(PageError("left"))

    def _came(self, page: str) -> None:
        if self._page and page != self._page:
            text = "The program uses another page; this one takes over when that is closed."
            self._send({"op": "state", "page": page, "state": "waiting", "text": text}, None)
            self.doubt()
            return
        self._trust()
        if page == self._page:
            return
        self._page = page
        self._left.clear()
        self._ready.set()
        self._send({"op": "take", "page": page}, None)
        self._tell_promised()
        self.show(*self._shown)

    def _look(self, looks: int) -> None:
        """Give the page that is used up, unless it says within so many looks that it is there."""
        if looks:
            self._doubt = asyncio.get_running_loop().call_later(_LOOK, self._look, looks - 1)
            return
        log.info("the page that relayed does not answer any more")
        for number in self._jobs:  # it may be there all the same, only slow
            self._tell("stop", number)
        self._gone(self._page)

    def _trust(self) -> None:
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None

    def _gone(self, page: str) -> None:
        if page != self._page:
            return
        self._trust()
        self._page = ""
        self._ready.clear()
        self._left.set()
        self.close()
        self._send({"op": "who"}, None)

    def _answered(self, message: Mapping[str, Any], data: bytes) -> None:
        number = message.get("id")
        job = self._jobs.get(number) if isinstance(number, int) else None
        if job is not None:
            job.take(message, data)

    # ---- to the page

    async def post(
        self, url: str, body: bytes, *, max_body: int = MAX_BODY, slow: bool = False
    ) -> tuple[int, bytes]:
        """Have the page POST. Cancelling is safe: the page gives the request up.

        Args:
            url: Where to post.
            body: What.
            max_body: Bytes of the answer at most.
            slow: Whether the answer waits for something to happen. The page says then that it has heard, so
                that no server on the way holds back what it is told next.

        Returns:
            The status and the body of the answer.

        Raises:
            PageError: The page could not do it, or has left.
            RemoteProtocolError: The answer is larger.
        """
        number, job = self._begin("post", url, body, **({"slow": True} if slow else {}))
        try:
            answer = bytearray()
            while True:
                message, data = await job.next()
                answer += data
                if len(answer) > max_body:
                    raise RemoteProtocolError(f"the answer is larger than {max_body} bytes")
                if message.get("last"):
                    return _status(message), bytes(answer)
                self._tell("ack", number)
        finally:
            self._end(number)

    async def get(self, url: str) -> AsyncGenerator[bytes, None]:
        """Have the page GET; the page reads no faster than what came is taken.

        Args:
            url: What to get.

        Yields:
            What comes, in pieces.

        Raises:
            PageError: The page could not do it, or has left.
            DataError: The status is not 200.
        """
        number, job = self._begin("get", url)
        try:
            while True:
                message, data = await job.next()
                if _status(message) != 200:
                    text = _said(data)
                    raise DataError(f"HTTP {_status(message)}" + (f": {text}" if text else ""))
                yield data
                if message.get("last"):
                    return
                self._tell("ack", number)
        finally:
            self._end(number)

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> str:
        """Have the page POST data to the hub, where pages upload. Cancelling is safe.

        Args:
            url: Where the hub takes it.
            pieces: Yields the data.

        Returns:
            The URL of the data at the hub.

        Raises:
            PageError: The page could not do it, or has left.
            DataError: The hub does not take it.
        """
        number, job = self._begin("upload", url)
        try:
            under_way = 0
            async for piece in pieces:
                for begin in range(0, len(piece), PIECE):
                    if under_way == WINDOW:
                        if not await job.acknowledged():
                            return await _url_of(job)  # refused in the middle
                        under_way -= 1
                    self._tell("piece", number, piece[begin : begin + PIECE], last=False)
                    under_way += 1
            self._tell("piece", number, b"", last=True)
            return await _url_of(job)
        finally:
            self._end(number)

    async def upload_from(self, url: str, source: str) -> str:
        """Have the page POST something of its own site to the hub; as `upload`. Cancelling is safe.

        Args:
            url: Where the hub takes it.
            source: Where the page reads it.

        Returns:
            The URL of the data at the hub.

        Raises:
            PageError: The page could not do it, or has left.
            DataError: The hub does not take it.
        """
        number, job = self._begin("upload", url, source=source)
        try:
            return await _url_of(job)
        finally:
            self._end(number)

    def _begin(self, op: str, url: str, body: bytes | None = None, **more: str | bool) -> tuple[int, _Job]:
        if not self._page:
            raise PageError("no-page")
        number, job = next(self._ids), _Job()
        self._jobs[number] = job
        self._send({"op": op, "page": self._page, "id": number, "url": url, **more}, body)
        return number, job

    def _tell(self, op: str, number: int, data: bytes | None = None, **more: bool) -> None:
        self._send({"op": op, "page": self._page, "id": number, **more}, data)

    def _end(self, number: int) -> None:
        job = self._jobs.pop(number)
        if self._page and not job.over:
            self._tell("stop", number)


def _status(message: Mapping[str, Any]) -> int:
    status = message.get("status")
    return status if isinstance(status, int) else 0


async def _url_of(job: _Job) -> str:
    """Return the URL that the hub has given to an upload."""
    message, data = await job.next()
    url = message.get("url")
    if _status(message) != 200 or not isinstance(url, str):
        raise DataError(_refusal(message, data))
    return url


def _refusal(message: Mapping[str, Any], data: bytes) -> str:
    return f"the hub on your desktop did not take the data: {_said(data) or f'HTTP {_status(message)}'}"


def _said(data: bytes) -> str:
    """Return what the hub, or a server behind it, says of an error."""
    return plain_line(data.decode(errors="replace"), 300)
