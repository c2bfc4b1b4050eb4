"""URLs of a web client, without I/O: which it may read, and what they look like to it (SAMP 1.3 §5.2.6).

A page may have the hub read a URL only after somebody else has sent it that URL (WEB-35). What a page
names first is closed to it, and to all pages: another program would repeat it, and so hand the page a
file of the user's that only the page had asked for.

No I/O.
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, unquote, urlsplit

from ...._util import file_urls
from ....errors import FaultCode, FaultError
from ....values import Value

__all__ = [
    "NamedUrls",
    "WebUrls",
    "canonical",
    "find_names",
    "find_urls",
    "is_local",
    "is_local_address",
    "replace_texts",
]

MAX_URLS = 10_000
"""URLs that one page may read; the oldest is forgotten. A day of messages has a few hundred."""

MAX_NAMED_BY_ONE = 10_000
MAX_NAMED = 200_000
"""URLs that one page, and all together, may name first. Beyond that the messages are refused: to
forget one would open it. Each costs about 60 bytes."""

_MAX_LENGTH = 8192
_ROUNDS = 3  # a page may put the translator before a URL that has it already

_WHOLE = re.compile(r"(?:file|https?):/", re.IGNORECASE)
_ANYWHERE = re.compile(r"(?:file|https?):/[^\s\"'<>]*", re.IGNORECASE)
# What browsers leave as it is in a query (WHATWG URL); they drop tabs and line ends.
_QUERY_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "\"#<>'")
_DROPPED = str.maketrans("", "", "\t\r\n")
_PORTS = {"http": 80, "https": 443}


def find_urls(value: Value) -> list[str]:
    """Return the strings in `value`, at any depth, that are http, https or file URLs as a whole."""
    return _find(value, lambda text: _WHOLE.match(text) is not None and len(text) <= _MAX_LENGTH)


def find_names(value: Value) -> dict[str, list[str]]:
    """Return the strings in `value`, at any depth, that name files or URLs, each with what it names.

    Counted are URLs, whole or within a text, and absolute paths.
    """
    texts = _find(value, lambda text: ":/" in text or text.lstrip()[:1] == "/")
    named = {text: _names_in(text) for text in dict.fromkeys(texts)}
    return {text: urls for text, urls in named.items() if urls}


def _names_in(text: str) -> list[str]:
    stripped = text.strip()
    found: list[str] = _ANYWHERE.findall(text)
    if stripped.startswith("/") or _WHOLE.match(stripped):
        found.append(stripped)
    return found


def _find(value: Value, wanted: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    waiting: list[Iterable[Value]] = [(value,)]
    while waiting:
        for item in waiting.pop():
            if isinstance(item, str):
                if wanted(item):
                    found.append(item)
            else:
                waiting.append(item if isinstance(item, list) else item.values())
    return found


def replace_texts(value: Value, table: Mapping[str, str]) -> Value:
    """Return `value` with every string that `table` names replaced, at any depth. Copies what it changes."""
    if isinstance(value, str):
        return table.get(value, value)
    if isinstance(value, list):
        return [replace_texts(item, table) for item in value]
    return {key: replace_texts(item, table) for key, item in value.items()}


def is_local(url: str) -> bool:
    """Whether `url` means a file, or a server on this machine."""
    scheme = url.partition(":")[0].lower()
    if scheme == "file":
        return True
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host.endswith(".localhost") or is_local_address(host)


def is_local_address(host: str) -> bool:
    """Whether `host` is an IP address by which a program reaches its own machine.

    0.0.0.0 and :: are none, but whoever connects to them is connected to the loopback address.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def canonical(url: str) -> str:
    """Return one spelling for all spellings of the same URL; a path is taken for the file's URL."""
    text = url.strip().partition("#")[0]
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme == "file":
        paths = file_urls.parse("file:" + (rest if colon else text), windows=False).paths
        return "file:" + (posixpath.normpath(paths[0]) if paths else "")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(scheme, 0)
    except ValueError:
        return unquote(text)
    return f"{scheme}://{parts.hostname or ''}:{port}{unquote(parts.path) or '/'}?{unquote(parts.query)}"


class NamedUrls:
    """What web clients named before anybody had sent it to them; shared by all of them."""

    def __init__(self, limit: int = MAX_NAMED) -> None:
        self._limit = limit
        # Numbers, to keep it small. That two URLs have the same one closes a URL and opens none.
        self._named: set[int] = set()

    def __contains__(self, url: str) -> bool:
        return hash(canonical(url)) in self._named

    def add(self, urls: Iterable[str]) -> int:
        """Take `urls` in and return how many were new. Raises `FaultError` when it is full."""
        new = {hash(canonical(url)) for url in urls} - self._named
        if len(self._named) + len(new) > self._limit:
            raise _too_many()
        self._named |= new
        return len(new)


class WebUrls:
    """The URLs of one web client.

    `translator` is its samp.url-translator (WEB-30) and `origin` the Origin of its page, whose own URLs
    are no secret to it. With `rewrite`, `file:` and loopback URLs go to the page as translated ones, for
    pages that never translate, and come back as they were.
    """

    def __init__(
        self,
        translator: str,
        origin: str,
        named: NamedUrls,
        *,
        rewrite: bool = True,
        max_urls: int = MAX_URLS,
        max_named: int = MAX_NAMED_BY_ONE,
    ) -> None:
        self._translator = translator
        # The same place by another name of this machine, or with other capitals.
        token = re.escape(translator.partition("://")[2].partition("/")[2])
        self._prefix = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?/" + token, re.I)
        self._origin = origin
        self._named = named
        self._rewrite = rewrite
        self._max_urls = max_urls
        self._may_name = max_named
        self._readable: OrderedDict[str, tuple[str, ...]] = OrderedDict()  # URL -> its other spellings
        self._spellings: dict[str, str] = {}

    def __contains__(self, url: str) -> bool:
        return url in self._readable

    def to_page(self, urls: Iterable[str]) -> dict[str, str]:
        """Open `urls`, which are on their way to the page, to it; return what to replace in them."""
        table: dict[str, str] = {}
        for url in urls:
            if url not in self._readable:
                if self._is_own(url) or self._prefix.match(url) or url in self._named:
                    continue
                self._open(url)
            self._readable.move_to_end(url)
            if self._rewrite and is_local(url):
                # Encoded wholly, so that it cannot be taken for another spelling of another URL.
                table[url] = self._translator + quote(url, safe="")
        return table

    def from_page(self, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Return what to replace in the texts of `names`, which come from the page; see `find_names`.

        What the page names first is closed. Raises `FaultError` when that is too much.
        """
        table: dict[str, str] = {}
        first: set[str] = set()
        for text, urls in names.items():
            if text in self._readable:
                continue
            match = self._prefix.match(text)
            original = self.resolve(text[match.end() :]) if match else None
            if original is not None:
                table[text] = original
                continue
            hidden = [text[match.end() :], unquote(text[match.end() :])] if match else []
            first.update(url for url in (*urls, *hidden) if not self._may_be_named(url))
        if len(first) > self._may_name:
            raise _too_many()
        self._may_name -= self._named.add(first)
        return table

    def resolve(self, tail: str) -> str | None:
        """Return the URL that the page asks for by `tail`, the raw text after the translator (WEB-31).

        None if it is none that the page may read. Pages append the URL as it is, of which the browser
        encodes some characters and drops the fragment, or percent-encoded.
        """
        return self._resolve(tail, _ROUNDS)

    def _resolve(self, tail: str, rounds: int) -> str | None:
        for text in (tail, unquote(tail)):
            if text in self._readable:
                return text
            if text in self._spellings:
                return self._spellings[text]
            match = self._prefix.match(text)
            if match and rounds:
                return self._resolve(text[match.end() :], rounds - 1)
        return None

    def _may_be_named(self, url: str) -> bool:
        return url in self._readable or self._is_own(url)

    def _is_own(self, url: str) -> bool:
        return bool(self._origin) and url.lower().startswith(self._origin + "/")

    def _open(self, url: str) -> None:
        while len(self._readable) >= self._max_urls:
            _, spellings = self._readable.popitem(last=False)
            for spelling in spellings:
                self._spellings.pop(spelling, None)
        plain = url.strip().translate(_DROPPED)
        bare = plain.partition("#")[0]
        spellings = tuple(
            {plain, bare, quote(plain, safe=_QUERY_SAFE + "#"), quote(bare, safe=_QUERY_SAFE)} - {url}
        )
        self._readable[url] = spellings
        for spelling in spellings:
            self._spellings[spelling] = url


def _too_many() -> FaultError:
    return FaultError(
        "web clients have named too many URLs; send fewer, or restart the hub",
        code=FaultCode.LIMIT_REACHED,
    )
