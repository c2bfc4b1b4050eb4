"""What others wrote, as it may stand in our errors and logs, and on a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listed", "plain_line", "quoted"]

_REPLACED = "?"

_LISTED = 12
"""Entries of a list that a text shows: what a reader looks through, and what fits an error."""


def plain_line(text: str, most: int = 200) -> str:
    """Return `text` on one line, cut, and without anything that a terminal acts on.

    Escape sequences, other control characters and marks of writing direction become question marks.

    Args:
        text: What somebody else wrote; it may have megabytes.
        most: The number of characters that are kept.
    """
    line = " ".join(text[: 2 * most].split())
    cut = line[:most] if len(line) > most or len(text) > 2 * most else line
    return cut if cut.isprintable() else "".join(one if one.isprintable() else _REPLACED for one in cut)


def quoted(text: str, most: int = 80) -> str:
    """Return `text` in quotes, cut with dots to `most` characters, with escapes for what is not printable."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")


def listed(texts: Iterable[str], between: str = ", ", most: int = _LISTED) -> str:
    """Return the first `most` of `texts` as one, and how many more there are: "a, b and 3 more"."""
    entries = list(texts)
    more = f" and {len(entries) - most} more" if len(entries) > most else ""
    return between.join(entries[:most]) + more
