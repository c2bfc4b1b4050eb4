"""URLs of a web client, without I/O: which it may read, and what they look like to it (SAMP 1.3 §5.2.6).

A page may have the hub read a URL only after somebody else has sent it that URL (WEB-35). What a page
names first is closed to it, and to all pages: another program would repeat it, and so hand the page a
file of the user's that only the page had asked for.

No I/O.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from ...._util.hosts import is_local
from ....interfaces import Named
from ...named import canonical, names_of_path, names_of_url
from .sites import site_of

__all__ = ["WebUrls"]

MAX_URLS = 10_000
"""URLs that one page may read; the oldest is forgotten. A day of messages has a few hundred."""

_ROUNDS = 3  # a page may put the translator before a URL that has it already

# What browsers leave as it is in a query (WHATWG URL); they drop tabs and line ends.
_QUERY_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "\"#<>'")
_DROPPED = str.maketrans("", "", "\t\r\n")


class _Readable(NamedTuple):
    """What is known of a URL that the page may read: since when it may, in terms of `Named.moment`."""

    name: str
    spellings: tuple[str, ...]
    since: int


class WebUrls:
    """The URLs of one web client.

    Args:
        translator: Its samp.url-translator (WEB-30).
        origin: The Origin of its page, which knows its own URLs anyway.
        named: What web clients named first, shared by all of them.
        rewrite: Whether `file:` and loopback URLs go to the page as translated ones, for pages that never
            translate, and come back as they were.
        max_urls: How many URLs it may read; the oldest is forgotten.
    """

    def __init__(
        self,
        translator: str,
        origin: str,
        named: Named,
        *,
        rewrite: bool = True,
        max_urls: int = MAX_URLS,
    ) -> None:
        self._translator = translator
        # The same place by another name of this machine, or with other capitals.
        token = re.escape(translator.partition("://")[2].partition("/")[2])
        self._prefix = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?/" + token, re.I)
        # A page from a file has all files for "its own" by the spelling of its Origin.
        self._origin = origin if origin.startswith(("http://", "https://")) else ""
        self._own = canonical(origin + "/").removesuffix("?") if self._origin else ""
        self._site = site_of(origin) if origin else ""
        self._named = named
        self._rewrite = rewrite
        self._max_urls = max_urls
        self._readable: OrderedDict[str, _Readable] = OrderedDict()
        self._spellings: dict[str, str] = {}
        self._known: Counter[str] = Counter()  # canonical spellings of what it may read

    def __contains__(self, url: str) -> bool:
        return url in self._readable

    def to_page(self, urls: Iterable[str]) -> dict[str, str]:
        """Open `urls`, which are on their way to the page, to it; return what to replace in them."""
        table: dict[str, str] = {}
        for url in urls:
            if url not in self._readable:
                if self._is_own(url) or self._prefix.match(url) or self._is_closed(url):
                    continue
                self._open(url)
            self._readable.move_to_end(url)
            if self._rewrite and is_local(url):
                # Encoded wholly, so that it cannot be taken for another spelling of another URL.
                table[url] = self._translator + quote(url, safe="")
        return table

    def from_page(self, names: Mapping[str, Collection[str]]) -> tuple[dict[str, str], set[str]]:
        """Return what to replace in the texts of `names`, and which of these names the page names first.

        `names` comes from the page; see `named.find_names`. What it names first is to be closed by `close`.
        """
        table: dict[str, str] = {}
        first: set[str] = set()
        for text, meant in names.items():
            if text in self._readable:
                continue
            match = self._prefix.match(text)
            original = self.resolve(text[match.end() :]) if match else None
            if original is not None:
                table[text] = original
                continue
            first.update(name for name in meant if not self._may_be_named(name))
        return table, first

    def close(self, names: Iterable[str]) -> bool:
        """Close what `names` mean to all pages, but for those that were sent it before.

        Returns:
            Whether that was too much: nothing more is read for pages of this site.
        """
        return self._named.add(self._site, names)

    def closes_file(self, url: str, path: str, itself: str) -> bool:
        """Return whether the file that `url` turned out to mean is closed to the page.

        Args:
            url: A URL that the page may read.
            path: The path of the file, without links.
            itself: Its name from `named.file_itself`.
        """
        readable = self._readable.get(url)
        names = names_of_path(path) | {itself}
        return readable is None or self._named.closes(self._site, names, readable.since)

    def resolve(self, tail: str) -> str | None:
        """Return the URL that the page asks for by `tail`, the raw text after the translator (WEB-31).

        None if the page may not read it. Pages append the URL as it is, of which the browser
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

    def _may_be_named(self, name: str) -> bool:
        return name in self._known or bool(self._own and name.startswith(self._own))

    def _is_closed(self, url: str) -> bool:
        return self._named.closes(self._site, names_of_url(url))

    def _is_own(self, url: str) -> bool:
        return bool(self._origin) and url.lower().startswith(self._origin + "/")

    def _open(self, url: str) -> None:
        while len(self._readable) >= self._max_urls:
            _, oldest = self._readable.popitem(last=False)
            self._known[oldest.name] -= 1
            if not self._known[oldest.name]:
                del self._known[oldest.name]
            for spelling in oldest.spellings:
                self._spellings.pop(spelling, None)
        plain = url.strip().translate(_DROPPED)
        bare = plain.partition("#")[0]
        spellings = tuple(
            {plain, bare, quote(plain, safe=_QUERY_SAFE + "#"), quote(bare, safe=_QUERY_SAFE)} - {url}
        )
        self._readable[url] = readable = _Readable(canonical(url), spellings, self._named.moment)
        self._known[readable.name] += 1
        for spelling in spellings:
            self._spellings[spelling] = url
