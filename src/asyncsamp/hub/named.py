"""What web clients named before anybody had sent it to them: files and URLs that are closed to pages.

A page that names a file to another program would be handed the file as soon as that program repeats the
name. So whatever could be taken for the name of a file or a URL is noted, wherever in a message it stands:
as a value, as the key of a map, within a text, encoded several times, or as a relative path.

A name is noted as one of these texts:

- "file:/a/b", an absolute path;
- "*/a/b", a relative path, which means every file whose path ends so;
- "http://host:port/path?query";
- "=device:inode", a file itself, which no link and no other spelling hides (made by `file_itself`).

No I/O.
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from .._util import file_urls
from ..values import RawMap, Value
from .texts import find_texts

__all__ = [
    "NamedUrls",
    "absolute_paths",
    "canonical",
    "file_itself",
    "find_names",
    "names_of_path",
    "names_of_url",
]

MAX_NAMED_BY_SITE = 20_000
MAX_NAMED = 200_000
"""Names noted for one site, and for all; each costs about 200 bytes. A day of messages has a few hundred."""

_MAX_LENGTH = 8192
_DECODINGS = 8  # programs decode once or twice
_INNER = 8  # URLs in a URL that are looked at
_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(?:file|https?):/", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'<>]+")
_PLAIN = re.compile(r"[^\s\"'<>%:=(),;|{}\[\]]+")
"""A text that is one word, has one spelling and no URL: nearly all in a long list."""
_BETWEEN = re.compile(r"[=(),;|{}\[\]]+")
_STOPS = ".,:;!?)]}"
_FILE_NAME = re.compile(r"[^/]*[^/.]\.[A-Za-z]\w{0,9}", re.ASCII)
_UPWARDS = re.compile(r"(?:\.\.?(?:/|$)|~[^/]*/)+")
_SHORT = 40
"""Characters of a text whose names are remembered."""
_SUSPECT = re.compile(r"[/%.]")
_TEXTS = re.compile(r"<(?:string|name)>([^<]+)")


def find_names(value: Value | RawMap) -> dict[str, set[str]]:
    """Return the texts in `value` that could name files or URLs, each with the names that it could mean.

    What stands under the key "name" is for people, so a bare file name there means no file.
    """
    found: dict[str, set[str]] = {}
    for key, text in (
        _texts_as_they_came(value) if isinstance(value, RawMap) else find_texts(value, keys=True)
    ):
        if _SUSPECT.search(text):
            bare = key != "name"
            names = _names_of_short(text, bare) if len(text) <= _SHORT else set(_names_in(text, bare=bare))
            if names:
                found.setdefault(text, set()).update(names)
    return found


def _texts_as_they_came(message: RawMap) -> list[tuple[str, str]]:
    """Return the texts of a message and the keys of its maps, without decoding it where that can be."""
    xml = message.xml
    if b"&" in xml or b"<name>name</name>" in xml:
        return find_texts(message.values(), keys=True)
    return [("", text) for text in _TEXTS.findall(xml.decode("ascii"))]


def absolute_paths(names: Iterable[str]) -> list[str]:
    """Return the absolute paths among `names`."""
    return [name.removeprefix("file:") for name in names if name.startswith("file:/")]


def file_itself(device: int, inode: int) -> str:
    """Return the name of a file whatever it is called."""
    return f"={device}:{inode}"


def names_of_path(path: str) -> set[str]:
    """Return every name that means the file at `path`, an absolute one."""
    names = {"file:" + path}
    place = path.find("/")
    while place >= 0:
        names.add("*" + path[place:])
        place = path.find("/", place + 1)
    return names


def names_of_url(url: str) -> set[str]:
    """Return every name that means what `url` means, as far as spelling tells."""
    if not file_urls.is_file_url(url):
        return {canonical(url)}
    return {name for path in _paths(url) for name in names_of_path(path)} | {canonical(url)}


def canonical(url: str) -> str:
    """Return one spelling for all spellings of the same URL; a path is taken for the file's URL."""
    text = url.strip().partition("#")[0]
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme == "file":
        paths = _paths("file:" + (rest if colon else text))
        return "file:" + (paths[0] if paths else "")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(scheme, 0)
    except ValueError:
        return _decoded(text)
    return f"{scheme}://{parts.hostname or ''}:{port}{_decoded(parts.path) or '/'}?{_decoded(parts.query)}"


class NamedUrls:
    """The names that web clients named first, those of each site bounded, the oldest of which go.

    To forget a name would open it, to the site that named it and then many others. So a site some of whose
    names are forgotten is *full*: nothing is read for its pages any more. Programs, which have no site,
    read what they like by themselves, and are never full.
    """

    def __init__(self, by_site: int = MAX_NAMED_BY_SITE, limit: int = MAX_NAMED) -> None:
        self._by_site = by_site
        self._limit = limit
        # Numbers, to keep it small. That two names have the same one closes a file and opens none.
        # Ordered ones, as a plain one takes longer to find its first key the more have gone before it.
        self._named: dict[str, OrderedDict[int, int]] = {}
        self._full: set[str] = set()
        self._total = 0
        self.moment = 0
        """Counts what is named, to tell what was before from what was after."""

    def add(self, site: str, names: Iterable[str], moment: int | None = None) -> bool:
        """Note `names`; return whether the site has become full.

        Args:
            site: The site of who named them.
            names: What it named.
            moment: When, if that turns out later; None for now.
        """
        self.moment += 1
        if moment is None and isinstance(names, Collection) and self._has_all(site, names):
            return False
        when = self.moment if moment is None else moment
        was_full = site in self._full
        ours = self._named.setdefault(site, OrderedDict())
        noted: set[int] = set()
        for name in names:
            number = hash(name)
            if len(noted) == self._by_site and number not in noted:
                self._forgets(site)  # so many at once are not noted, to be forgotten
                break
            noted.add(number)
            if number not in ours:
                self._total += 1
            ours[number] = min(when, ours.get(number, when))
        self._shrink(site)
        return site in self._full and not was_full

    def closes(self, site: str, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to a page of `site`.

        Args:
            site: The site of the page.
            names: All names of one file or URL.
            before: Only what was named before this `moment` counts; None counts all.
        """
        if site in self._full:
            return True
        numbers = [hash(name) for name in names]
        for ours in self._named.values():
            for number in numbers:
                moment = ours.get(number)
                if moment is not None and (before is None or moment <= before):
                    return True
        return False

    def closes_elsewhere(self, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to those beyond this machine.

        Once a site is full, what it named may have been forgotten, so everything is.

        Args:
            names: All names of one file or URL.
            before: As of `closes`.
        """
        return bool(self._full) or self.closes("", names, before)

    def _has_all(self, site: str, names: Collection[str]) -> bool:
        """Whether all are noted already: then those of now change nothing, since the first time counts."""
        ours = self._named.get(site)
        return ours is not None and all(hash(name) in ours for name in names)

    def _shrink(self, site: str) -> None:
        while len(self._named[site]) > self._by_site:
            self._forget_oldest(site)
        while self._total > self._limit:
            self._forget_oldest(max(self._named, key=lambda one: len(self._named[one])))

    def _forget_oldest(self, site: str) -> None:
        self._named[site].popitem(last=False)
        self._total -= 1
        self._forgets(site)

    def _forgets(self, site: str) -> None:
        if site:
            self._full.add(site)


@lru_cache(maxsize=1024)  # mtypes and the names of parameters, mostly
def _names_of_short(text: str, bare: bool) -> frozenset[str]:
    return frozenset(_names_in(text, bare=bare))


def _names_in(text: str, *, bare: bool) -> Iterator[str]:
    if len(text) <= _MAX_LENGTH and _PLAIN.fullmatch(text):
        yield from _names_of_piece(text, bare=bare)
        if text[-1] in _STOPS:
            yield from _names_of_piece(text.rstrip(_STOPS), bare=bare)
        return
    for spelled in _spellings(text):
        whole = spelled.strip()
        if len(whole) <= _MAX_LENGTH:
            yield from _names_of_piece(whole, bare=bare)
        for word in _WORD.findall(spelled):
            starts = [match.start() for match in _URL.finditer(word)][:_INNER]
            for start in starts:
                url = word[start : start + _MAX_LENGTH]
                yield canonical(url)
                yield canonical(url.rstrip(_STOPS))
            if not starts:
                for piece in _BETWEEN.split(word[:_MAX_LENGTH]):
                    yield from _names_of_piece(piece.rstrip(_STOPS), bare=bare)


def _names_of_piece(piece: str, *, bare: bool) -> Iterator[str]:
    if piece.startswith("/"):
        piece = "file:" + piece
    if file_urls.is_file_url(piece):
        yield from (f"file:{path}" for path in _paths(piece))
    elif _URL.match(piece):
        yield canonical(piece)
    elif "/" in piece and "://" not in piece:
        path = _UPWARDS.sub("", posixpath.normpath(piece))
        if path:
            yield "*/" + path
    elif bare and _FILE_NAME.fullmatch(piece):
        yield "*/" + piece


def _spellings(text: str) -> Iterator[str]:
    """Yield `text` as it is, decoded, decoded twice, and so on."""
    for _ in range(_DECODINGS):
        yield text
        again = unquote(text, errors="surrogateescape") if "%" in text else text
        if again == text:
            return
        text = again


def _decoded(text: str) -> str:
    spelled = text
    for spelled in _spellings(text):  # noqa: B007 - the last is wanted
        pass
    return spelled


def _paths(url: str) -> list[str]:
    paths = file_urls.parse(_decoded(url.strip()), windows=False).paths
    return [posixpath.normpath(path) for path in paths]
