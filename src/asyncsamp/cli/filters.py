"""The language in which messages are chosen: `~m coord.* & !~f topcat`. No I/O.

`~m PATTERN` is the mtype ("*" at the end), `~f NAME` the sender's name or id, `~p KEY=TEXT` a parameter that
holds TEXT, `~t TEXT` a text anywhere in the parameters. `!`, `&`, `|` and brackets join them; terms side by
side must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from ..errors import LocalProtocolError
from ..mtypes import is_mtype
from ..values import Message

__all__ = ["Filter", "parse_filter"]

Filter: TypeAlias = Callable[[Message, str], bool]
"""Whether a message, from a sender of that name, is chosen."""

_TOKENS = re.compile(r"""\s*([()&|!]|~[a-z]|"[^"]*"|'[^']*'|[^\s()&|!]+)""")


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` describes. Raises `LocalProtocolError` that names the place."""
    tokens = _TOKENS.findall(text)
    found, left = _either(tokens, text)
    if left:
        raise LocalProtocolError(f"the filter {text!r} cannot be read from {left[0]!r} on")
    return found


def _either(tokens: list[str], text: str) -> tuple[Filter, list[str]]:
    one, left = _all(tokens, text)
    if left[:1] != ["|"]:
        return one, left
    other, left = _either(left[1:], text)
    return lambda message, sender: one(message, sender) or other(message, sender), left


def _all(tokens: list[str], text: str) -> tuple[Filter, list[str]]:
    one, left = _term(tokens, text)
    if left and left[0] in ("|", ")"):
        return one, left
    if not left:
        return one, left
    other, left = _all(left[1:] if left[0] == "&" else left, text)
    if isinstance(one, _ByMtype) and isinstance(other, _ByMtype) and one.excludes(other):
        raise LocalProtocolError(
            f"the filter {text!r} chooses nothing: no mtype is both {one.pattern!r} and {other.pattern!r}; "
            f"for either write '{one.pattern} | {other.pattern}'"
        )
    return lambda message, sender: one(message, sender) and other(message, sender), left


def _term(tokens: list[str], text: str) -> tuple[Filter, list[str]]:
    if not tokens:
        raise LocalProtocolError(f"the filter {text!r} ends where a term is expected, such as '~m coord.*'")
    head, left = tokens[0], tokens[1:]
    if head == "!":
        one, left = _term(left, text)
        return lambda message, sender: not one(message, sender), left
    if head == "(":
        one, left = _either(left, text)
        if left[:1] != [")"]:
            raise LocalProtocolError(f"the filter {text!r} lacks a closing bracket")
        return one, left[1:]
    if head in _KINDS:
        if not left:
            raise LocalProtocolError(f"the filter {text!r} needs a word after {head}")
        return _KINDS[head](_unquoted(left[0])), left[1:]
    if head.startswith("~") or head in ("&", "|", ")"):
        kinds = ", ".join(_KINDS)
        raise LocalProtocolError(f"the filter {text!r} has {head!r} where one of {kinds} is expected")
    return _ByMtype(_unquoted(head)), left  # a bare word is an mtype


def _unquoted(word: str) -> str:
    if word[:1] not in ("'", '"'):
        return word
    if len(word) < 2 or word[-1] != word[0]:
        raise LocalProtocolError(f"the filter lacks a closing {word[0]} after {word!r}")
    return word[1:-1]


@dataclass(frozen=True, slots=True)
class _ByMtype:
    """Chooses the mtypes of a pattern. Raises `LocalProtocolError` for one that no mtype can be."""

    pattern: str

    def __post_init__(self) -> None:
        if not is_mtype(re.sub(r"[*?]", "x", self.pattern)):
            raise LocalProtocolError(
                f"the filter has {self.pattern!r}, which is not a pattern of mtypes such as 'coord.*': "
                "letters, digits, '-', '_' and '*' joined by dots"
            )

    def __call__(self, message: Message, sender: str) -> bool:
        return fnmatchcase(message.mtype, self.pattern)

    def excludes(self, other: _ByMtype) -> bool:
        """Whether no mtype is of both patterns, of which at least one is an mtype itself."""
        one, two = self.pattern, other.pattern
        return (is_mtype(one) or is_mtype(two)) and not (fnmatchcase(one, two) or fnmatchcase(two, one))


def _by_sender(name: str) -> Filter:
    return lambda message, sender: name.casefold() in (sender.casefold(), message.sender.casefold())


def _by_param(wanted: str) -> Filter:
    key, _, value = wanted.partition("=")
    return lambda message, _: key in message.params and value in str(message.params[key])


def _by_text(wanted: str) -> Filter:
    return lambda message, _: wanted.casefold() in str(message.params).casefold()


_KINDS: dict[str, Callable[[str], Filter]] = {
    "~m": _ByMtype,
    "~f": _by_sender,
    "~p": _by_param,
    "~t": _by_text,
}
