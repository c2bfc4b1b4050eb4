"""URLs that cross between hubs: what a local one becomes in a room, and what it is here.

A URL that only this machine understands, a file's or one of a server on it, leaves as a capability,
`reach:HUB/TOKEN/NAME`. Whoever knows it may have the bytes from that hub. At the receiving hub it is a URL
of that hub's own data port. The hub that made it turns it back into exactly the text that it was, so that
a table keeps its identity on the way there and back, and through a third hub.

What comes in and means this machine without being a capability would mean our own files and services; it
is replaced. What others name is noted as named by strangers: a program of ours that repeats it does not
offer it.

No I/O.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from ...._util import file_urls
from ...._util.hosts import looks_like_number, number_of, reaches_this_machine
from ....interfaces import Named
from ....values import Value
from ...named import absolute_paths, find_names, names_of_url
from ...texts import find_texts, replace_texts

__all__ = [
    "MAX_OFFERED",
    "NOT_OFFERED",
    "Capability",
    "Offer",
    "ReachUrls",
    "find_marked",
    "may_be_marked",
    "parse_address",
]

MAX_OFFERED = 10_000
"""URLs that one hub offers, the least recently mentioned goes. A day of messages has a few hundred."""

NOT_OFFERED: Final = "/-/-/not-offered"
"""What stands after the data port's address for a URL that means a machine and is not a capability."""

_MAX_LENGTH = 8192
_MAX_NAME = 200

_HERE = {"localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
"""What Debian and Fedora call the loopback address beside "localhost"."""

_SCHEME = re.compile(
    r"[\0-\x20\s]*(?:(?:url:)+[\0-\x20\s]*)?(file|https?|ftp|jar|netdoc|reach):", re.IGNORECASE
)
"""What is a URL to some program: Java's take "url:" before any other scheme, and "netdoc:" for a file."""
_IN_XML = re.compile(rb"(?:file|https?|ftp|jar|netdoc|reach):", re.IGNORECASE)
_HUB = r"[A-Za-z0-9_-]{1,64}\.[0-9a-f]{8}"
_ADDRESS = re.compile(rf"{_HUB}/[A-Za-z0-9_-]{{22}}/[A-Za-z0-9._~%-]{{0,800}}(?:#[\w-]{{1,32}})?", re.ASCII)
_FRAGMENT = re.compile(r"#[\w-]{1,32}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Capability:
    """What lets its bearer read something at another hub.

    Attributes:
        hub: Whose it is: member and incarnation.
        token: What cannot be guessed.
        name: What the URL ends with, quoted; some tools look at it.
    """

    hub: str
    token: str
    name: str

    def __str__(self) -> str:
        return f"reach:{self.hub}/{self.token}/{self.name}"


@dataclass(slots=True)
class Offer:
    """A local URL that was mentioned to others.

    Attributes:
        url: The text that was sent.
        moment: Since when it may be read, in terms of `Named.moment`; None if it may not.
    """

    url: str
    moment: int | None = None


class ReachUrls:
    """The URLs of one hub in one room.

    Args:
        hub: What the room calls this hub: member and incarnation.
        base: The address of its data port, such as "http://127.0.0.1:45678".
        named: What strangers named first.
        new_token: Makes 22 characters that cannot be guessed.
        host_names: What this machine is called.
        offers: Whether what trusted clients send may be read by the room.
        note_paths: Gets the absolute paths that a stranger named, and that stranger's site: a file has
            more than one name.
        max_offered: How many URLs are offered; the least recently mentioned is forgotten.
    """

    def __init__(
        self,
        hub: str,
        base: str,
        named: Named,
        *,
        new_token: Callable[[], str],
        host_names: Collection[str] = (),
        offers: bool = False,
        note_paths: Callable[[str, list[str]], None] | None = None,
        max_offered: int = MAX_OFFERED,
    ) -> None:
        self._hub = hub
        self._base = base
        self._named = named
        self._new_token = new_token
        self._host_names = {*_HERE, *(name.lower() for name in host_names)}
        self._offers = offers
        self._note_paths = note_paths
        self._max_offered = max_offered
        self._offered: OrderedDict[str, Offer] = OrderedDict()  # by token
        self._tokens: dict[str, str] = {}  # text -> token
        port = re.escape(base.rpartition(":")[2])
        # The same port by another name of this machine, or with other capitals.
        self._own = re.compile(rf"https?://(?:localhost|127\.0\.0\.1|\[::1\]):{port}/", re.I)

    def outgoing(self, value: Value, *, trusted: bool) -> Value:
        """Return `value` as the room gets it; local URLs in it are offered.

        Args:
            value: A message's params, a result, or metadata of one of our clients.
            trusted: Whether that client may offer files: it is not a page. The others' URLs get a capability
                too, by which nothing can be read unless a trusted client sends the same.
        """
        table = self.outgoing_table(find_marked(value), trusted=trusted)
        return replace_texts(value, table) if table else value

    def incoming(self, value: Value, *, site: str) -> Value:
        """Return `value`, which came from the room, as our clients get it.

        Args:
            value: A message's params, a result, or metadata of a client of another hub.
            site: Who says so, in terms of `Named`; "" for one that is trusted as our own.
        """
        names = find_names(value) if site else {}
        table = self.incoming_table(find_marked(value), names, site=site)
        return replace_texts(value, table) if table else value

    def outgoing_table(self, texts: Iterable[str], *, trusted: bool) -> dict[str, str]:
        """Return what to replace in a value with those `find_marked` texts: a large one is searched apart."""
        return {text: sent for text in texts if (sent := self._sent(text, trusted)) != text}

    def incoming_table(
        self, texts: Iterable[str], names: Mapping[str, Collection[str]], *, site: str
    ) -> dict[str, str]:
        """As `outgoing_table` for what comes in, with what `hub.named.find_names` finds in it."""
        table = {text: got for text in texts if (got := self._received(text)) != text}
        ours = {text for text, became in table.items() if not became.endswith(NOT_OFFERED)}
        named = {name for text, meant in names.items() if text not in ours for name in meant}
        if named:
            self._named.add(site, named)
            paths = absolute_paths(named)
            if paths and self._note_paths is not None:
                self._note_paths(site, paths)
        return table

    def offered(self, token: str) -> Offer | None:
        """Return what `token` stands for; None if it is not known (any more)."""
        return self._offered.get(token)

    # ---- inside

    def _sent(self, text: str, trusted: bool) -> str:
        if text.startswith("reach:"):
            return f"reach:={text}"  # a text of a client's that only looks like ours
        own = self._own.match(text)
        if own is not None:
            if text[own.end() - 1 :] == NOT_OFFERED:
                return f"reach:{NOT_OFFERED[1:]}"
            capability = parse_address(text[own.end() :])
            if capability is not None:
                return str(capability)
        if not self._is_local(text):
            return text
        return f"reach:{NOT_OFFERED[1:]}" if len(text) > _MAX_LENGTH else self._offer(text, trusted)

    def _offer(self, url: str, trusted: bool) -> str:
        token = self._tokens.get(url)
        if token is None:
            while len(self._offered) >= self._max_offered:
                _, forgotten = self._offered.popitem(last=False)
                del self._tokens[forgotten.url]
            token = self._tokens[url] = self._new_token()
            self._offered[token] = Offer(url)
        self._offered.move_to_end(token)
        offer = self._offered[token]
        plain = url[_url_begins(url) :] == url.lstrip()  # else our own reader takes it for something else
        allowed = trusted and plain and self._offers and offer.moment is None
        if allowed and not self._named.closes_elsewhere(names_of_url(url)):
            offer.moment = self._named.moment
        return str(Capability(self._hub, token, _shown_name(url)))

    def _received(self, text: str) -> str:
        if text.startswith("reach:=reach:"):
            return text.removeprefix("reach:=")
        if text.startswith("reach:"):
            capability = parse_address(text.removeprefix("reach:"))
            if capability is None:
                return self._base + NOT_OFFERED
            offer = self._offered.get(capability.token) if capability.hub == self._hub else None
            if offer is not None:
                return offer.url
            return f"{self._base}/{capability.hub}/{capability.token}/{capability.name}"
        return self._base + NOT_OFFERED if self._is_local(text) else text

    def _is_local(self, text: str) -> bool:
        """Whether `text`, which `find_marked` found, could mean this machine to some program."""
        url = text[_url_begins(text) :].strip()
        scheme = url.partition(":")[0].lower()
        if scheme == "reach":
            return False
        if scheme in ("file", "jar", "netdoc") or "\\" in url:
            return True
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return True
        if not host or reaches_this_machine(host, self._host_names):
            return True
        return looks_like_number(host) and number_of(host) is None  # which systems read differently


def may_be_marked(xml: bytes) -> bool:
    """Whether `find_marked` could find anything in what is written so, plainly: see `xmlrpc.raw_passing`."""
    return b":" in xml and _IN_XML.search(xml) is not None  # most messages have none


def find_marked(value: Value) -> set[str]:
    """Return the texts in `value` that may have to be replaced on their way in or out, however long."""
    return {text for _, text in find_texts(value) if _SCHEME.match(text)}


def parse_address(text: str) -> Capability | None:
    """Read HUB/TOKEN/NAME; None if it is not that. A name that a tool spelled differently is spelled anew."""
    if len(text) > _MAX_LENGTH:
        return None
    hub, _, rest = text.partition("/")
    token, _, name = rest.partition("/")
    name, fragment = _split(name)
    spelled = quote(unquote(name, errors="replace")[:_MAX_NAME], safe="")
    if _ADDRESS.fullmatch(f"{hub}/{token}/{spelled}{fragment}") is None:
        return None
    return Capability(hub, token, spelled + fragment)


def _url_begins(text: str) -> int:
    match = _SCHEME.match(text)
    return match.start(1) if match else 0


def _shown_name(url: str) -> str:
    """Return what a capability of `url` ends with: the file's name, and which part of the file is meant."""
    text, fragment = _split(url)
    try:
        is_file = file_urls.is_file_url(url)
        path = (file_urls.parse(text).paths or ("",))[0] if is_file else unquote(urlsplit(text.strip()).path)
    except ValueError:  # a host that is not valid
        path = ""
    name = path.rpartition("/")[2].encode(errors="replace").decode()
    return (quote(name[-_MAX_NAME:], safe="") or "data") + fragment


def _split(text: str) -> tuple[str, str]:
    """Return `text` without a short fragment, such as the number of a table in a FITS file, and that."""
    match = _FRAGMENT.search(text)
    return (text[: match.start()], match[0]) if match else (text, "")
