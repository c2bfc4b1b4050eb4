"""What the command shows: tables and colours on a terminal, plain lines when piped, JSON when asked for.

Names, texts and values of other clients come from strangers: `safe` makes them harmless before they are
shown.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from .._util.foreign_text import plain_line

__all__ = ["error", "note", "on_terminal", "safe", "say", "say_json", "styled", "table"]

_LONG = 400
"""Characters of a foreign text that are shown."""


def safe(text: object, length: int = _LONG) -> str:
    """Return a foreign text for a terminal: one line, without control and direction characters."""
    return plain_line(str(text), length)


def on_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def say(text: str = "") -> None:
    """Write a line of the result. What is foreign in it has gone through `safe`."""
    print(text, flush=True)


def note(text: str) -> None:
    """Write a remark to stderr, where it disturbs no pipe."""
    print(f"asyncsamp: {text}", file=sys.stderr, flush=True)


def error(text: str) -> None:
    """Write an error to stderr, line by line harmless."""
    lines = [safe(line, 2_000) for line in text.splitlines()] or [""]
    print("\n".join([f"asyncsamp: {lines[0]}", *lines[1:]]), file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """Write one line of JSON; all characters beyond ASCII, and with them all that steer, are escaped."""
    say(json.dumps(value, sort_keys=False))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows as a table on a terminal, else as lines with tabs and without heads."""
    if not on_terminal():
        for row in rows:
            say("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        shown.add_column(head, overflow="fold", style="cyan" if number == 0 else "")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)


def styled(text: str, colour: str) -> str:
    """Return `text` in a colour if a terminal that wants colours reads it."""
    plain = not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, fg=colour)
