"""Parameters on the command line: key=text, key:=JSON, and @FILE with a JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import LocalProtocolError
from ..values import ValueMap, encode_map

__all__ = ["parse_params"]


def parse_params(words: Sequence[str]) -> ValueMap:
    """Return the parameters; later ones win. Blocking, for @FILE.

    Raises `LocalProtocolError` that names the word.
    """
    params: dict[str, object] = {}
    for word in words:
        if word.startswith("@"):
            params |= _from_file(word[1:])
        else:
            key, value = _pair(word)
            params[key] = value
    return encode_map(params)


def _pair(word: str) -> tuple[str, object]:
    key, equals, value = word.partition("=")
    if not equals or not key.rstrip(":"):
        raise LocalProtocolError(f"{word!r} is not a parameter; write key=text, key:=JSON or @FILE")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], json.loads(value)
    except json.JSONDecodeError as error:
        raise LocalProtocolError(f"{word!r} is not valid JSON after ':=': {error}") from None


def _from_file(name: str) -> dict[str, object]:
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LocalProtocolError(f"cannot read {name}: {error}") from None
    except json.JSONDecodeError as error:
        raise LocalProtocolError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise LocalProtocolError(f"{name} must hold a JSON object of parameters")
    return found
