"""What a word that nothing is called may have been meant for. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from .foreign_text import quoted

__all__ = ["did_you_mean", "nearest"]

_LIKE = 0.6
"""How like two words are, from 0 to 1, of which one may be meant by the other."""

_LONGEST = 100
_MOST = 1000
"""Letters of a word, and words, that are compared: names are foreign, and comparing is slow."""

_PART = 3
"""Letters of which a part of a name is taken for it."""


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the one of `words` that is most like `word`, in any case of letters; "" if none is.

    Args:
        word: What somebody wrote.
        words: What there is.
    """
    import difflib  # only where something has failed already

    there = {each[:_LONGEST].casefold(): each for each in islice(words, _MOST) if each}
    said = word[:_LONGEST].casefold()
    like = difflib.get_close_matches(said, there, n=1, cutoff=_LIKE)
    if not like and len(said) >= _PART:
        like = [each for each in there if said in each][:1]
    return there[like[0]] if like else ""


def did_you_mean(word: str, words: Iterable[str], most: int = 60) -> str:
    """Return "; did you mean ...?" for the end of a text if one of `words` is like `word`, else "".

    Args:
        word: What somebody wrote.
        words: What there is; it may be foreign.
        most: Characters of it that are shown.
    """
    near = nearest(word, words)
    return f"; did you mean {quoted(near, most)}?" if near else ""
