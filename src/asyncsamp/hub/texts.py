"""The texts and the URLs in a value, found and replaced at any depth. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..values import Value, ValueMap

__all__ = ["find_texts", "find_urls", "replace_texts"]

_MAX_LENGTH = 8192

_WHOLE = re.compile(r"(?:file|https?):/", re.IGNORECASE)


def find_texts(value: Value, *, keys: bool = False) -> list[tuple[str, str]]:
    """Return the texts in `value`, at any depth, each with the key it stands under.

    Args:
        value: Any value.
        keys: Whether the keys of maps are texts as well.
    """
    if isinstance(value, str):
        return [("", value)]
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, list[Value] | ValueMap]] = [("", value)]
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, list):
            pairs: Iterable[tuple[str, Value]] = [(key, one) for one in item]
        else:
            pairs = item.items()
            if keys:
                found.extend(("", one) for one in item)
        for under, inner in pairs:
            if isinstance(inner, str):  # at once, since most values are
                found.append((under, inner))
            else:
                waiting.append((under, inner))
    return found


def find_urls(value: Value) -> list[str]:
    """Return the strings in `value`, at any depth, that are http, https or file URLs as a whole."""
    return [text for _, text in find_texts(value) if len(text) <= _MAX_LENGTH and _WHOLE.match(text)]


def replace_texts(value: Value, table: Mapping[str, str]) -> Value:
    """Return `value` with every string that `table` names replaced, at any depth. Copies what it changes."""
    if isinstance(value, str):
        return table.get(value, value)
    if isinstance(value, list):
        return [replace_texts(item, table) for item in value]
    return {key: replace_texts(item, table) for key, item in value.items()}
